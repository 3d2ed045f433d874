from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from signaling import (
    MAX_PAYLOAD_BYTES,
    InvalidURL,
    KeySigner,
    Message,
    NotConnected,
    Rejected,
    Settings,
    SignalingClient,
    SignalingError,
    SignalingServer,
    TurnCredentialSource,
    id_of,
)
from signaling import client as client_module
from signaling import messages as wire
from signaling.backoff import Backoff
from tests.signaling.tools import PATIENCE, node, serving, until, url_of


def quick() -> Backoff:
    return Backoff(0.01, 0.05)


def make(server: SignalingServer | str, signer: KeySigner | None = None) -> SignalingClient:
    url = server if isinstance(server, str) else url_of(server)
    return SignalingClient(url, signer or KeySigner(), backoff=quick())


@contextlib.asynccontextmanager
async def client(server: SignalingServer, signer: KeySigner | None = None) -> AsyncIterator[SignalingClient]:
    async with make(server, signer) as made:
        await made.wait_connected(PATIENCE)
        yield made


def inbox(of: SignalingClient) -> asyncio.Queue[Message]:
    queue: asyncio.Queue[Message] = asyncio.Queue()
    of.on_message = queue.put_nowait
    return queue


async def get(queue: asyncio.Queue[Message]) -> Message:
    return await asyncio.wait_for(queue.get(), PATIENCE)


async def test_a_message_arrives_as_it_was_sent() -> None:
    async with serving() as server, client(server) as ann, client(server) as bob:
        received = inbox(bob)
        payload = bytes(range(256)) * 36
        assert len(payload) == MAX_PAYLOAD_BYTES
        assert await ann.send(bob.id, payload, message_id="name") == "delivered"
        assert await get(received) == Message(ann.id, payload, "name")


async def test_a_message_for_who_is_away_is_queued_and_comes() -> None:
    signer = KeySigner()
    async with serving() as server, client(server) as ann:
        assert await ann.send(id_of(signer.public_key), b"later") == "queued"
        late = make(server, signer)
        received = inbox(late)
        async with late:
            assert (await get(received)).payload == b"later"


async def test_what_the_server_refuses_is_raised() -> None:
    async with serving(Settings(topics_per_connection=0)) as server, client(server) as ann:
        with pytest.raises(Rejected) as caught:
            await ann.send("a" * 52, b"", ttl=0)
        assert caught.value.code == "offline"
        with pytest.raises(Rejected, match="limit"):
            await ann.subscribe("topic")
        assert not ann._wanted.topics


async def test_a_payload_that_is_too_large_is_refused_here() -> None:
    async with serving() as server, client(server) as ann:
        with pytest.raises(SignalingError, match="at most 9216"):
            await ann.send("a" * 52, b"x" * (MAX_PAYLOAD_BYTES + 1))


async def test_topics() -> None:
    async with serving() as server, client(server) as ann, client(server) as bob:
        received = inbox(bob)
        await bob.subscribe("topic")
        assert await ann.publish("topic", b"news") == 1
        assert (await get(received)).topic == "topic"
        await bob.unsubscribe("topic")
        assert await ann.publish("topic", b"news") == 0


async def test_presence() -> None:
    async with serving() as server, client(server) as ann:
        told: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        ann.on_presence = lambda node_id, online: told.put_nowait((node_id, online))
        async with client(server) as bob:
            await ann.watch([bob.id])
            assert await asyncio.wait_for(told.get(), PATIENCE) == (bob.id, True)
        assert await asyncio.wait_for(told.get(), PATIENCE) == (bob.id, False)


async def test_turn_credentials_come_and_are_renewed() -> None:
    turn = TurnCredentialSource(("turn:turn.example.org",), "north", ttl=0.2)
    async with serving(Settings(sweep_interval=0.01), turn=turn) as server:
        ann = make(server)
        came: asyncio.Queue[list[Any]] = asyncio.Queue()
        ann.on_turn = came.put_nowait
        async with ann:
            for _ in range(2):
                [credentials] = await asyncio.wait_for(came.get(), PATIENCE)
                assert credentials.uris == ["turn:turn.example.org"]
        assert ann.turn == [credentials]


async def test_health_and_states() -> None:
    states: list[str] = []
    async with serving() as server:
        ann = make(server)
        ann.on_state = states.append
        assert (ann.health.ok, ann.state) == (False, "new")
        async with ann:
            await ann.wait_connected(PATIENCE)
            await until(lambda: ann.health.rtt_ms is not None)
            assert (ann.health.uri, ann.health.ok, ann.health.error) == (url_of(server), True, None)
        assert ann.health.rtt_ms is None
    assert states == ["connecting", "connected", "closed"]


async def test_a_server_that_is_not_there() -> None:
    async with serving() as server:
        port = server.port
    async with make(f"ws://127.0.0.1:{port}") as ann:
        await until(lambda: ann.error is not None)
        with pytest.raises(NotConnected, match=r"[Cc]onnect"):
            await ann.wait_connected(0)
        with pytest.raises(NotConnected):
            await ann.send("a" * 52, b"", timeout=0.05)
        assert not ann.health.ok
        assert ann.health.error


async def test_a_url_that_is_none_is_refused_at_once() -> None:
    with pytest.raises(InvalidURL):
        SignalingClient("ftp://example.org", KeySigner())


async def test_it_comes_back_after_a_restart_with_its_subscriptions_and_unanswered_messages() -> None:
    first = SignalingServer()
    await first.start("127.0.0.1", 0)
    port = first.port
    async with client(first) as ann, client(first) as bob:
        received = inbox(bob)
        told: asyncio.Queue[bool] = asyncio.Queue()
        await bob.subscribe("topic")
        await bob.watch([ann.id])
        bob.on_presence = lambda _, online: told.put_nowait(online)
        await first.stop()
        await until(lambda: ann.state == bob.state == "waiting" or ann.state == "connecting")
        waiting = asyncio.ensure_future(ann.send(bob.id, b"meanwhile"))
        async with serving(port=port) as second:
            assert await asyncio.wait_for(waiting, PATIENCE) in ("queued", "delivered")
            assert (await get(received)).payload == b"meanwhile"
            while not await asyncio.wait_for(told.get(), PATIENCE):
                pass
            assert await ann.publish("topic", b"news") == 1
            assert (await get(received)).payload == b"news"
            assert second.stats()["nodes"] == 2
            assert bob.error is None


async def test_it_leaves_a_draining_server_and_comes_back_to_the_next() -> None:
    first = SignalingServer(Settings(drain_within=0.01))
    await first.start("127.0.0.1", 0)
    async with client(first) as ann:
        await asyncio.wait_for(first.stop(30), PATIENCE)
        async with serving(port=first.port) as second:
            await until(lambda: second.stats()["nodes"] == 1)
            await ann.wait_connected(PATIENCE)


async def test_who_was_replaced_stays_away_for_long() -> None:
    signer = KeySigner()
    async with serving() as server:
        slow = Backoff(0.01, 60)
        old = SignalingClient(url_of(server), signer, backoff=slow)
        async with old:
            await old.wait_connected(PATIENCE)
            async with client(server, signer) as new:
                await until(lambda: old.state == "waiting")
                assert slow.next() > 20
                assert old.error == "the server closed the connection (4001 replaced)"
                assert new.state == "connected"


async def test_a_mistake_in_a_callback_ends_nothing(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as server, client(server) as ann:

        def broken(_: Message) -> None:
            raise ValueError("a mistake")

        ann.on_message = broken
        await ann.send(ann.id, b"1")
        await until(lambda: "a callback" in caplog.text)
        assert await ann.send(ann.id, b"2") == "delivered"


async def test_what_waits_is_bounded_and_ends_with_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_UNANSWERED", 2)
    ann = SignalingClient("ws://127.0.0.1:9", KeySigner())
    waiting = [asyncio.ensure_future(ann.send("a" * 52, b"")) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(NotConnected, match="wait already"):
        await ann.send("a" * 52, b"")
    await ann.unsubscribe("nothing")
    await ann.close()
    for each in waiting:
        with pytest.raises(NotConnected, match="closed"):
            await each
    with pytest.raises(NotConnected, match="closed"):
        await ann.send("a" * 52, b"")


# Servers that do not keep to the protocol


Handler = Callable[[ServerConnection], Awaitable[None]]


@contextlib.asynccontextmanager
async def lying(handler: Handler, **options: Any) -> AsyncIterator[str]:
    async with serve(handler, "127.0.0.1", 0, compression=None, close_timeout=0.2, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def say(message: dict[str, Any] | str | bytes) -> str | bytes:
    return json.dumps(message) if isinstance(message, dict) else message


CHALLENGE = {"type": "challenge", "protocol": 1, "nonce": "A" * 44}


def welcome(node_id: str) -> dict[str, Any]:
    return {"type": "welcome", "id": node_id, "limits": {"max_message": 16384}, "keepalive": 20}


@pytest.mark.parametrize(
    ("first", "error"),
    [
        ({**CHALLENGE, "protocol": 2}, "protocol 2"),
        (welcome("a" * 52), "welcome instead of challenge"),
        ({"type": "error", "code": "busy", "text": "go away"}, "go away"),
        (b"binary", "binary"),
        ("nonsense", "malformed"),
        ("x" * 40_000, "1009"),
        ("[" * 9000, "array"),
    ],
    ids=["newer", "order", "error", "binary", "nonsense", "large", "deep"],
)
async def test_a_server_that_opens_wrongly(first: dict[str, Any] | str | bytes, error: str) -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(say(first))
        await websocket.wait_closed()

    async with lying(handler) as url, make(url) as ann:
        await until(lambda: ann.error is not None)
        with pytest.raises(NotConnected, match=error):
            await ann.wait_connected(0)


async def test_a_server_that_takes_us_for_another() -> None:
    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(say(CHALLENGE))
        await websocket.recv()
        await websocket.send(say(welcome("a" * 52)))
        await websocket.wait_closed()

    async with lying(handler) as url, make(url) as ann:
        await until(lambda: ann.error is not None)
        assert ann.error == "the server took us for somebody else"


async def test_a_server_that_talks_nonsense_after_its_welcome() -> None:
    signer = KeySigner()
    me = id_of(signer.public_key)
    nonsense: list[dict[str, Any] | str | bytes] = [
        b"binary",
        "nonsense",
        CHALLENGE,
        {"type": "delivered", "ref": 12345},
        {"type": "error", "code": "?", "text": "for nobody"},
        {"type": "error", "code": "?", "ref": 12345},
        {"type": "message", "sender": me, "payload": "AAA", "id": "not base64"},
        {"type": "message", "sender": me, "payload": "b2s=", "id": "true"},
    ]

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(say(CHALLENGE))
        await websocket.recv()
        await websocket.send(say(welcome(me)))
        for message in nonsense:
            await websocket.send(say(message))
        await websocket.wait_closed()

    async with lying(handler) as url:
        ann = make(url, signer)
        received = inbox(ann)
        async with ann:
            assert (await get(received)).id == "true"
            assert received.empty()
            assert ann.state == "connected"


async def test_a_server_that_floods_is_read_slowly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "RECEIVE_RATE", 100.0)
    monkeypatch.setattr(client_module, "RECEIVE_BURST", 1.0)
    signer = KeySigner()
    me = id_of(signer.public_key)

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(say(CHALLENGE))
        await websocket.recv()
        await websocket.send(say(welcome(me)))
        for number in range(20):
            await websocket.send(say({"type": "message", "sender": me, "payload": "", "id": str(number)}))
        await websocket.wait_closed()

    async with lying(handler) as url:
        ann = make(url, signer)
        received = inbox(ann)
        began = asyncio.get_running_loop().time()
        async with ann:
            for _ in range(20):
                await get(received)
        assert asyncio.get_running_loop().time() - began > 0.1


async def test_a_server_that_does_not_read_costs_a_bounded_amount(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "MAX_UNSENT", 100)
    signer = KeySigner()
    me = id_of(signer.public_key)
    ended = asyncio.Event()

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(say(CHALLENGE))
        await websocket.recv()
        await websocket.send(say(welcome(me)))
        websocket.transport.pause_reading()
        await ended.wait()
        websocket.transport.abort()

    async with lying(handler) as url, make(url, signer) as ann:
        await ann.wait_connected(PATIENCE)
        sent = 0
        while ann.state == "connected":
            with contextlib.suppress(NotConnected):
                await ann.send(me, b"x" * MAX_PAYLOAD_BYTES, timeout=0.0001)
            sent += 1
            assert sent < 10_000
        ended.set()


async def test_a_server_that_is_always_draining_does_not_make_us_spin() -> None:
    signer = KeySigner()
    me = id_of(signer.public_key)
    visits: list[float] = []

    async def handler(websocket: ServerConnection) -> None:
        visits.append(asyncio.get_running_loop().time())
        await websocket.send(say(CHALLENGE))
        await websocket.recv()
        await websocket.send(say(welcome(me)))
        await websocket.send(say({"type": "drain", "within": 0}))
        await websocket.wait_closed()

    async with lying(handler) as url, SignalingClient(url, signer, backoff=Backoff(0.05, 0.4, draw=lambda: 1.0)):
        await until(lambda: len(visits) == 4)
    gaps = [later - earlier for earlier, later in itertools.pairwise(visits)]
    assert gaps[0] >= 0.05
    assert gaps[2] >= 0.2


async def test_unanswered_messages_are_sent_again_and_seen_once() -> None:
    # The first connection takes the message and breaks before it answers.
    async with serving() as server, node(server) as bob:
        ann = make(server)
        async with ann:
            await ann.wait_connected(PATIENCE)
            assert ann._websocket is not None
            sending = asyncio.ensure_future(ann.send(bob.id, b"once", message_id="m"))
            await asyncio.sleep(0)
            transport = ann._websocket.transport
            transport.pause_reading()
            assert (await bob.receive())["id"] == "m"
            transport.abort()
            assert await asyncio.wait_for(sending, PATIENCE) == "delivered"
            await until(lambda: server.stats()["messages_duplicate_total"] == 1)
            await bob.send(type="watch", ids=[], ref=1)
            assert (await bob.receive())["type"] == "done"


async def test_numbered_messages_are_confirmed_together_and_seen_once() -> None:
    signer = KeySigner()
    me = id_of(signer.public_key)
    said: list[dict[str, Any]] = []

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(say(CHALLENGE))
        hello = json.loads(await websocket.recv())
        assert hello["got"] is True
        await websocket.send(say(welcome(me)))
        for seq, name in enumerate(("one", "two", "one"), 1):
            await websocket.send(say({"type": "message", "sender": me, "payload": "b2s=", "id": name, "seq": seq}))
        await websocket.send(say({"type": "message", "sender": me, "payload": "b2s=", "id": "three"}))
        while True:
            said.append(json.loads(await websocket.recv()))

    async with lying(handler) as url:
        ann = make(url, signer)
        received = inbox(ann)
        async with ann:
            assert [(await get(received)).id for _ in range(3)] == ["one", "two", "three"]
            await until(lambda: bool(said) and said[-1] == {"type": "got", "seq": 3})
            assert received.empty()
    assert all(message["type"] == "got" for message in said)


async def test_another_payload_under_a_known_id_is_another_message() -> None:
    async with serving() as server, client(server) as ann:
        received = inbox(ann)
        for payload in (b"one", b"two", b"two"):
            ann._take_message(wire.Incoming(ann.id, base64.b64encode(payload).decode(), "m"))
        assert [(await get(received)).payload for _ in range(2)] == [b"one", b"two"]
        assert received.empty()


async def test_a_server_that_never_welcomes_us_is_tried_less_and_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "STABLE", -1.0)  # however long the attempt takes, it is no connection
    tries: list[float] = []

    async def nobody(*_: object) -> None:
        tries.append(0.0)
        raise SignalingError("no answer within 8 s")

    monkeypatch.setattr(client_module, "open_session", nobody)
    slow = Backoff(0.001, 60, draw=lambda: 1.0)
    async with SignalingClient("ws://127.0.0.1:9", KeySigner(), backoff=slow):
        await until(lambda: len(tries) == 4)
        assert slow.next() >= 0.008


async def test_a_change_of_the_network_ends_a_long_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    tries: list[float] = []

    async def nobody(*_: object) -> None:
        tries.append(0.0)
        raise SignalingError("no answer within 8 s")

    monkeypatch.setattr(client_module, "open_session", nobody)
    async with SignalingClient("ws://127.0.0.1:9", KeySigner(), backoff=Backoff(1e6, 1e9)) as ann:
        for count in (1, 2, 3):
            await until(lambda count=count: len(tries) == count and ann.state == "waiting")  # type: ignore[misc]
            ann.hurry()


async def test_a_change_of_the_network_makes_it_doubt_a_server_that_is_well() -> None:
    async with serving() as server, client(server) as ann:
        await ann.wait_connected(PATIENCE)
        ann.hurry()
        assert ann._doubt.is_set()
        await until(lambda: not ann._doubt.is_set())  # it is asked: liveness has it
        assert ann.state == "connected"


async def test_what_a_busy_server_refused_after_a_reconnection_is_asked_for_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "BUSY_PAUSE", 0.01)
    signer = KeySigner()
    me = id_of(signer.public_key)
    asked: list[str] = []

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(say(CHALLENGE))
        await websocket.recv()
        await websocket.send(say(welcome(me)))
        while True:
            request = json.loads(await websocket.recv())
            asked.append(request["type"])
            answer = {"type": "error", "code": "busy", "text": "later"} if len(asked) < 4 else {"type": "done"}
            await websocket.send(say({**answer, "ref": request["ref"]}))

    async with lying(handler) as url:
        ann = make(url, signer)
        ann._wanted.topics["topic"] = None
        ann._wanted.watched = (me,)
        async with ann:
            await until(lambda: len(asked) >= 5)
    assert asked[:4] == ["subscribe", "watch"] * 2
    assert set(asked[4:]) <= {"subscribe", "watch"}


async def test_a_server_that_drains_again_and_again_has_one_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("signaling.client._RANDOM.uniform", lambda least, most: most)  # not within the next minute
    signer = KeySigner()
    me = id_of(signer.public_key)

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(say(CHALLENGE))
        await websocket.recv()
        await websocket.send(say(welcome(me)))
        for _ in range(50):
            await websocket.send(say({"type": "drain", "within": 3600}))
        await websocket.send(say({"type": "message", "sender": me, "payload": "", "id": "m"}))
        await websocket.wait_closed()

    async with lying(handler) as url:
        ann = make(url, signer)
        received = inbox(ann)
        async with ann:
            await get(received)
            assert timers_to_come() == 1
        assert timers_to_come() == 0


async def told(of: SignalingClient) -> None:
    """Wait for an error and raise it."""
    await until(lambda: of.error is not None)
    await of.wait_connected(0)


def timers_to_come() -> int:
    """Calls that the loop is to make in more than a minute: no other test's, no library's."""
    loop = asyncio.get_running_loop()
    scheduled: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined]
    return sum(1 for timer in scheduled if not timer.cancelled() and timer.when() > loop.time() + 60)


async def test_what_is_unsubscribed_while_away_is_not_asked_for() -> None:
    async with serving() as server:
        ann = make(server)
        waiting = asyncio.ensure_future(ann.subscribe("topic"))
        await asyncio.sleep(0)
        await ann.unsubscribe("topic")
        with pytest.raises(NotConnected, match="unsubscribed"):
            await waiting
        async with ann:
            await ann.wait_connected(PATIENCE)
            assert await ann.publish("other", b"") == 0
            assert server.stats()["topics"] == 0


async def test_what_a_server_says_stays_in_its_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")

    async def handler(websocket: ServerConnection) -> None:
        await websocket.close(4000, "bye\n2026 INFO forged \x1b[2J")

    async def refusing(websocket: ServerConnection) -> None:
        await websocket.send(say({"type": "error", "code": "a\nb", "text": "c\x1b[2J"}))
        await websocket.wait_closed()

    for server, expected in ((handler, "(4000 bye?2026 INFO forged ?[2J)"), (refusing, "c?[2J (a?b)")):
        async with lying(server) as url, make(url) as ann:
            with pytest.raises(NotConnected, match=re.escape(expected)):
                await told(ann)
    ann._take_error(wire.Error("a\nb", "c\x1b"))
    assert all(line.isprintable() for record in caplog.records for line in [record.getMessage()])


def test_no_two_clients_number_alike() -> None:
    refs = {SignalingClient("ws://127.0.0.1:9", KeySigner())._outbox.new_ref() for _ in range(8)}
    assert len(refs) == 8
