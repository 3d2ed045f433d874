"""A place at a broker, a scripted one in this process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from signaling import Health, KeySigner, Message, NotConnected, Rejected, SignalingError, SignalingPool, id_of
from signaling.backoff import Backoff
from signaling.model import MAX_PAYLOAD_BYTES
from signaling.mqtt import client as module
from signaling.mqtt.client import MISSING, MqttClient
from signaling.mqtt.envelope import seal, unseal
from signaling.mqtt.sieve import Sieve
from signaling.mqtt.topics import EPOCH, lane, lanes
from tests.signaling.broker import FakeBroker, serving
from tests.signaling.tools import PATIENCE
from tests.until import until

SOON = Backoff(0.01, 0.02)


def make(broker: FakeBroker, signer: KeySigner | None = None, **options: Any) -> MqttClient:
    return MqttClient(broker.url, signer or KeySigner(), backoff=Backoff(0.01, 0.05), **options)


@contextlib.asynccontextmanager
async def client(broker: FakeBroker, signer: KeySigner | None = None, **options: Any) -> AsyncIterator[MqttClient]:
    async with make(broker, signer, **options) as made:
        await made.wait_connected(PATIENCE)
        yield made


def inbox(of: MqttClient) -> asyncio.Queue[Message]:
    queue: asyncio.Queue[Message] = asyncio.Queue()
    of.on_message = queue.put_nowait
    return queue


async def get(queue: asyncio.Queue[Message]) -> Message:
    async with asyncio.timeout(PATIENCE):
        return await queue.get()


@pytest.mark.parametrize("levels", [(5, 4), (4,), (5,)])
async def test_two_meet(levels: tuple[int, ...]) -> None:
    async with serving(FakeBroker(levels=levels)) as broker, client(broker) as ann, client(broker) as bob:
        received = inbox(bob)
        assert await ann.send(bob.id, b"hello", message_id="m") == "delivered"
        assert await get(received) == Message(ann.id, b"hello", "m")
        assert ann.health.ok
        assert ann.health.rtt_ms is not None
        assert ann.turn == []


async def test_topics() -> None:
    async with serving() as broker, client(broker) as ann, client(broker) as bob:
        received, own = inbox(bob), inbox(ann)
        assert await ann.publish("news", b"nobody yet") == 0
        await bob.subscribe("news")
        await ann.subscribe("news")
        assert await ann.publish("news", b"it rains") == 1
        assert await get(received) == Message(ann.id, b"it rains", received_id(broker, "news"), "news")
        await bob.unsubscribe("news")
        assert len(broker.topics) == 9
        assert own.empty()  # what one says oneself is not news


def received_id(broker: FakeBroker, topic: str) -> str:
    to = lane("topic", topic, time.time())
    return unseal(to, broker.published[-1].payload).id


async def test_subscriptions_and_messages_outlive_a_connection() -> None:
    async with serving() as broker, client(broker) as ann, client(broker) as bob:
        received = inbox(bob)
        await bob.subscribe("news")
        broker.drop()
        await until(lambda: ann.state == bob.state == "connected" and broker.connected == 4)
        await ann.publish("news", b"one")
        await ann.send(bob.id, b"two")
        assert [(await get(received)).payload for _ in range(2)] == [b"one", b"two"]


async def test_a_message_waits_for_the_next_connection_and_comes_once() -> None:
    async with serving() as broker, client(broker) as ann, client(broker) as bob:
        received = inbox(bob)
        broker.mute, broker.tells_offline = True, False
        sending = asyncio.ensure_future(ann.send(bob.id, b"hello", timeout=PATIENCE))
        assert (await get(received)).payload == b"hello"
        broker.mute = False
        broker.drop()  # the broker's answer is lost
        assert await sending == "delivered"
        assert len(broker.published) == 2
        await until(lambda: bob.state == "connected" and broker.connected == 4)
        await ann.send(bob.id, b"next", timeout=PATIENCE)
        assert (await get(received)).payload == b"next"


async def test_without_a_broker_nothing_is_accepted() -> None:
    async with MqttClient("mqtt://127.0.0.1:9", KeySigner(), backoff=SOON) as ann:
        for request in (ann.send("a" * 52, b"", timeout=0.2), ann.subscribe("t", timeout=0.2), ann.wait_connected(0.2)):
            with pytest.raises(NotConnected, match="Connect call failed"):
                await request
        await ann.unsubscribe("t")
        assert ann.health == Health(ann.url, False, None, ann.error)


async def test_a_change_of_the_network_ends_a_long_pause() -> None:
    async with serving() as broker:
        pass
    ann = MqttClient(broker.url, KeySigner(), backoff=Backoff(1e6, 1e9))
    async with ann:
        await until(lambda: ann.state == "waiting")
        async with serving(broker):
            ann.hurry()
            await ann.wait_connected(PATIENCE)


async def test_a_place_that_is_away_is_found_when_it_comes() -> None:
    async with serving() as broker:
        pass
    states: list[str] = []
    async with make(broker) as ann:
        ann.on_state = states.append
        await until(lambda: ann.state == "waiting")
        sending = asyncio.ensure_future(ann.send("a" * 52, b"", timeout=PATIENCE))
        async with serving(broker):
            with pytest.raises(Rejected) as caught:
                await sending
            assert caught.value.code == "offline"
    assert {"connecting", "waiting", "connected"} <= set(states)
    assert states[-1] == "closed"


async def test_closing_fails_what_waits() -> None:
    ann = MqttClient("mqtt://127.0.0.1:9", KeySigner())
    ann.start()
    ann.start()
    sending = asyncio.ensure_future(ann.send("a" * 52, b"", timeout=60))
    await asyncio.sleep(0)
    await ann.close()
    with pytest.raises(NotConnected, match="closed"):
        await sending
    with pytest.raises(NotConnected, match="closed"):
        await ann.send("a" * 52, b"")
    never = MqttClient("mqtt://127.0.0.1:9", KeySigner())
    await never.close()
    assert never.state == "closed"


async def test_closing_fails_what_is_under_way() -> None:
    async with serving(FakeBroker()) as broker, client(broker) as ann:
        broker.mute = True
        sending = asyncio.ensure_future(ann.send("a" * 52, b"", timeout=60))
        await until(lambda: broker.published)
        await ann.close()
        with pytest.raises(NotConnected, match="closed"):
            await sending


async def test_what_is_too_large_or_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as broker, client(broker) as ann:
        with pytest.raises(SignalingError, match="at most"):
            await ann.send("a" * 52, bytes(MAX_PAYLOAD_BYTES + 1))
        monkeypatch.setattr(module, "MAX_UNANSWERED", 0)
        with pytest.raises(NotConnected, match="wait already"):
            await ann.send("a" * 52, b"")
        monkeypatch.setattr(module, "MAX_TOPICS", 0)
        with pytest.raises(Rejected):
            await ann.subscribe("t")


async def test_a_broker_that_forbids() -> None:
    async with serving(FakeBroker(mute=True)) as broker:
        async with make(broker) as ann:
            with pytest.raises(NotConnected):
                await ann.wait_connected(0.1)
        broker.mute, broker.suback = False, 0x87
        async with make(broker) as ann:
            await until(lambda: ann.error is not None)
            assert "refuses our topics" in str(ann.error)
            assert ann.state != "connected"


async def test_a_broker_that_hangs_up_on_every_version() -> None:
    async with serving(FakeBroker(hang_up=True)) as broker, make(broker) as ann:
        await until(lambda: broker.connected >= 4 and ann.error)
        assert ann.error == "the broker closed the connection without an answer"
    assert {connect[6] for connect in broker.connects} == {4, 5}


async def test_after_a_while_the_next_delay_is_short_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STABLE", 0.0)
    async with serving() as broker:
        ann = MqttClient(broker.url, KeySigner(), backoff=Backoff(0.01, 1e9))
        async with ann:
            for number in range(12):
                await until(lambda number=number: broker.connected > number and ann.state == "connected")  # type: ignore[misc]
                broker.drop()


async def test_a_connection_that_is_never_used_makes_no_delay_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "STABLE", 0.0)
    resets: list[None] = []

    class Counting(Backoff):
        def reset(self) -> None:
            resets.append(None)

    async with serving(FakeBroker(suback=0x87)) as broker:
        async with MqttClient(broker.url, KeySigner(), backoff=Counting(0.01, 0.02)):
            await until(lambda: broker.connected > 2)
            assert not resets
            broker.suback = None
            await until(lambda: len(broker.topics) == 3)
            broker.drop()
            await until(lambda: resets)


async def test_what_comes_before_the_broker_says_that_it_will_come() -> None:
    ann, bob, now = KeySigner(), KeySigner(), time.time()
    here = lane("node", id_of(bob.public_key), now)
    topic = f"atmosphere/{here.topic}"
    async with serving(FakeBroker(slow=True)) as broker:
        client = make(broker, bob)
        received = inbox(client)
        async with client:
            await until(lambda: topic in broker.topics)
            assert broker.push(topic, seal(here, ann, "m", b"early", 30, now)) == 1
            assert await get(received) == Message(id_of(ann.public_key), b"early", "m")
            assert client.state == "connecting"


@pytest.mark.parametrize("count", [1, 3])
async def test_a_topic_that_the_broker_refuses_is_forgotten(count: int) -> None:
    refused = {f"atmosphere/{one.topic}" for one in lanes("topic", "secret", time.time())[:count]}
    async with serving(FakeBroker(forbids=refused.__contains__)) as broker, client(broker) as ann:
        await ann.subscribe("news")
        for _ in range(2):
            with pytest.raises(Rejected, match="refuses the topic") as caught:
                await ann.subscribe("secret")
            assert caught.value.code == "forbidden"
            assert ann.state == "connected"
            assert len(broker.topics) == 6
        broker.drop()
        await until(lambda: broker.connected == 2 and ann.state == "connected")
        assert len(broker.topics) == 6
        broker.forbids = lambda _: False
        await ann.subscribe("secret")
        assert len(broker.topics) == 9


async def test_a_topic_that_is_refused_with_the_first_subscriptions() -> None:
    refused = {f"atmosphere/{one.topic}" for one in lanes("topic", "secret", time.time())}
    async with serving(FakeBroker(forbids=refused.__contains__)) as broker, make(broker) as ann:
        with pytest.raises(Rejected, match="refuses the topic"):
            await ann.subscribe("secret", timeout=PATIENCE)
        await until(lambda: ann.state == "connected")
        assert broker.connected == 1


async def test_only_the_last_refusals_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TOPICS", 2)
    async with serving() as broker, client(broker) as ann:
        broker.forbids = lambda _: True
        for name in ("a", "b", "c"):
            with pytest.raises(Rejected):
                await ann.subscribe(name)
        assert list(ann._refusals) == ["b", "c"]


async def test_publishing_that_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as broker, client(broker) as ann:

        async def refuse(*_: object) -> None:
            raise Rejected("forbidden", "no")

        assert ann._session is not None
        monkeypatch.setattr(ann._session, "publish", refuse)
        with pytest.raises(Rejected):
            await ann.publish("t", b"")


# --- what a broker may do -------------------------------------------------------------------------------------------


async def test_what_is_on_the_wire_names_nobody() -> None:
    async with serving() as broker, client(broker) as ann, client(broker) as bob:
        received = inbox(bob)
        await ann.send(bob.id, b"a payload that is easy to find")
        await get(received)
        wire = b"".join([*broker.connects, *(p.topic.encode() + p.payload for p in broker.published)])
        wire += "".join(broker.topics).encode()
        for secret in (ann.id, bob.id, ann.id[:16], bob.id[:16]):
            assert secret.encode() not in wire
        assert b"easy to find" not in wire
        assert not any(published.retain for published in broker.published)


async def test_replays_retained_copies_and_garbage_are_refused() -> None:
    async with serving() as broker, client(broker) as ann, client(broker) as bob:
        received = inbox(bob)
        await ann.send(bob.id, b"hello")
        await get(received)
        (captured,) = broker.published
        broker.push(captured.topic, captured.payload)
        broker.push(captured.topic, b"garbage")
        broker.push(captured.topic, bytes(100_000))
        to = lane("node", bob.id, time.time())
        fresh = seal(to, KeySigner(), "m", b"left here", 30, time.time())
        broker.push(captured.topic, fresh, retain=True)
        for one in broker.connections:
            one.topics.add("elsewhere")
        broker.push("elsewhere", fresh)
        await ann.send(bob.id, b"the end")
        assert (await get(received)).payload == b"the end"
        assert bob.gate.refused == {"repeated": 1, "garbage": 1}


async def test_a_broker_that_breaks_the_protocol_is_left() -> None:
    async with serving() as broker, client(broker) as ann:
        broker.raw(b"\xd0\x80\x80\x80\x80")
        await until(lambda: broker.connected == 2 and ann.state == "connected")


async def test_nothing_that_a_broker_can_break_ends_the_client(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> bytes:
        raise RecursionError

    async with serving() as broker:
        with monkeypatch.context() as patch:
            patch.setattr(Sieve, "feed", fail)
            ann = make(broker)
            ann.start()
            await until(lambda: ann.error)
            assert ann.error == "unexpected ExceptionGroup"
        await ann.wait_connected(PATIENCE)
        await ann.close()
    assert "RecursionError" in caplog.text


async def test_what_is_noted_is_one_printable_line(caplog: pytest.LogCaptureFixture) -> None:
    ann = MqttClient("mqtt://127.0.0.1:9", KeySigner())
    caplog.set_level(logging.INFO)
    ann._note("so\x1b[31m\nit ends")
    assert ann.error == "so?[31m?it ends"
    assert "\x1b" not in caplog.text


async def test_a_callback_that_fails_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as broker, client(broker) as ann, client(broker) as bob:
        calls: list[Message] = []

        def fail(message: Message) -> None:
            calls.append(message)
            raise ValueError("a mistake")

        bob.on_message = fail
        for _ in range(2):
            await ann.send(bob.id, b"hello")
        await until(lambda: len(calls) == 2)
    assert "a callback of mqtt://" in caplog.text


# --- time -----------------------------------------------------------------------------------------------------------


async def test_topics_change_with_the_hour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOOK", 0.01)
    now = [EPOCH * 500_000.5]
    async with serving() as broker, client(broker, clock=lambda: now[0]) as ann:

        def expected() -> set[str]:
            found = [*lanes("node", ann.id, now[0]), *lanes("topic", "news", now[0])]
            return {f"atmosphere/{one.topic}" for one in found}

        await ann.subscribe("news")
        first = expected()
        assert broker.topics == first
        now[0] += EPOCH
        await until(lambda: broker.topics == expected())
        assert len(first & broker.topics) == 4
        now[0] += 100 * EPOCH  # a long sleep
        await until(lambda: broker.topics == expected())
        assert not first & broker.topics


async def test_a_sender_whose_clock_is_in_the_next_hour_is_heard() -> None:
    now = EPOCH * 500_000.0
    async with serving() as broker:
        async with client(broker, clock=lambda: now - 100) as ann, client(broker, clock=lambda: now + 100) as bob:
            for one, other in ((ann, bob), (bob, ann)):
                received = inbox(other)
                await one.send(other.id, b"hello")
                assert (await get(received)).sender == one.id


# --- around it ------------------------------------------------------------------------------------------------------


async def test_without_the_library_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "signaling.mqtt.session", raising=False)
    monkeypatch.setitem(sys.modules, "aiomqtt", None)
    async with MqttClient("mqtt://127.0.0.1:9", KeySigner(), backoff=SOON) as ann:
        with pytest.raises(NotConnected) as caught:
            await ann.wait_connected(0.1)
    assert "atmosphere-mesh[mqtt]" in MISSING
    assert MISSING in str(caught.value)


async def test_a_password_is_used_and_never_shown(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as broker:
        pool = SignalingPool(KeySigner())
        name = pool.add(broker.url.replace("//", "//anna:sesame@"))
        assert await pool.wait_connected(PATIENCE)
        shown = f"{name} {pool.urls} {pool.connected} {pool.health} {pool._clients}"
        assert name == broker.url
        pool.add(broker.url)
        assert pool.urls == [name]
        await pool.close()
        (connect,) = broker.connects
    assert connect[7] == 0b1100_0010
    assert b"sesame" in connect
    assert "sesame" not in shown + caplog.text


async def test_a_pool_meets_at_a_broker_and_keeps_its_topics() -> None:
    async with serving() as broker:
        ann, bob = SignalingPool(KeySigner()), SignalingPool(KeySigner())
        received: asyncio.Queue[Message] = asyncio.Queue()
        bob.on_message = received.put_nowait
        await bob.subscribe("news", timeout=0.01)
        for pool in (ann, bob):
            pool.add(broker.url)
            assert await pool.wait_connected(PATIENCE)
        await until(lambda: len(broker.topics) == 9)
        assert await ann.publish("news", b"it rains")
        assert (await get(received)).topic == "news"
        assert not await ann.send(id_of(KeySigner().public_key), b"nobody")
        await bob.unsubscribe("news")
        await until(lambda: len(broker.topics) == 6)
        await ann.remove(broker.url)
        bob.leave(broker.url)
        await ann.close()
        await bob.close()
