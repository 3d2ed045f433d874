"""One connection to a broker, a scripted one; and the private names of the library that are in use."""

from __future__ import annotations

import asyncio
import inspect

import aiomqtt
import paho.mqtt.client
import pytest

from signaling.errors import NotConnected, Rejected, SignalingError
from signaling.mqtt import session as module
from signaling.mqtt.session import V5, V311, MqttSession, OldBroker, open_session
from signaling.mqtt.url import parse_broker
from tests.signaling.broker import PUBACK, PUBLISH, FakeBroker, packet, serving
from tests.signaling.mqtt.test_transport import speaking
from tests.signaling.tools import PATIENCE
from tests.until import until

Got = list[tuple[str, bytes, bool]]

VERSIONS = pytest.mark.parametrize("version", [V5, V311])


def test_the_private_names_are_still_there() -> None:
    """What `_Library` reaches for; an upgrade that moves one fails here."""
    client = inspect.getsource(aiomqtt.Client)
    assert "self._client.on_publish = self._on_publish" in client
    assert list(inspect.signature(aiomqtt.Client._on_publish).parameters) == [
        *("self", "client", "userdata", "mid", "reason_code", "properties")
    ]
    assert "self._disconnected.set_exception(exc)" in client
    paho_client = paho.mqtt.client.Client
    assert "self._create_socket_connection()" in inspect.getsource(paho_client._create_socket)
    assert list(inspect.signature(paho_client._create_socket_connection).parameters) == ["self"]


@VERSIONS
async def test_messages_go_and_come(version: aiomqtt.ProtocolVersion) -> None:
    got: Got = []
    async with serving() as broker:
        with pytest.raises(SignalingError, match="broke"):
            async with open_session(parse_broker(broker.url), version, None, lambda *it: got.append(it)) as session:
                await session.subscribe([f"t/{number}" for number in range(20)])
                assert len(broker.topics) == 20
                await session.unsubscribe(["t/0", "t/1"])
                assert "t/2" in broker.topics
                assert "t/1" not in broker.topics
                await session.publish("t/2", b"hello", 30)
                broker.push("t/3", b"kept", retain=True)
                await until(lambda: len(got) == 2)
                broker.drop()
                assert await session.ended(PATIENCE)
    assert got == [("t/2", b"hello", False), ("t/3", b"kept", True)]
    (published,) = broker.published
    assert (published.qos, published.retain) == (1, False)


@VERSIONS
async def test_nothing_is_left_behind(version: aiomqtt.ProtocolVersion) -> None:
    """A clean session under a name that is new each time, no will."""
    async with serving() as broker:
        for _ in range(2):
            with pytest.raises(SignalingError):
                async with open_session(parse_broker(broker.url), version, None, lambda *_: None):
                    pass
    flags = [connect[7] for connect in broker.connects]
    assert flags == [0b0000_0010] * 2
    assert broker.connects[0][10:] != broker.connects[1][10:]


async def test_nobody_listens() -> None:
    async with serving() as broker:
        with pytest.raises(Rejected) as caught:
            async with open_session(parse_broker(broker.url), V5, None, lambda *_: None) as session:
                await session.publish("t", b"", 0)
        assert caught.value.code == "offline"
        with pytest.raises(SignalingError, match="broke"):  # a broker of 3.1.1 cannot say so
            async with open_session(parse_broker(broker.url), V311, None, lambda *_: None) as session:
                await session.publish("t", b"", 0)


async def test_a_message_that_is_refused() -> None:
    async def publish(session: MqttSession) -> None:
        await session.publish("t", b"", 30)

    async with serving(FakeBroker(mute=True)) as broker:
        with pytest.raises(Rejected) as caught:
            async with open_session(parse_broker(broker.url), V5, None, lambda *_: None) as session:
                publishing = asyncio.ensure_future(publish(session))
                await until(lambda: broker.published)
                broker.raw(packet(PUBACK, b"\0\1\x87"))
                await publishing
    assert caught.value.code == "forbidden"
    assert "Not authorized" in str(caught.value)


async def test_what_has_no_answer_ends_with_the_connection() -> None:
    async with serving(FakeBroker(mute=True)) as broker:
        with pytest.raises(SignalingError):
            async with open_session(parse_broker(broker.url), V5, None, lambda *_: None) as session:
                publishing = asyncio.ensure_future(session.publish("t", b"", 30))
                await until(lambda: broker.published)
                broker.drop()
                assert await session.ended(PATIENCE)
                with pytest.raises(NotConnected):
                    await session.publish("t", b"", 30)
        with pytest.raises(NotConnected):
            await publishing


async def test_topics_that_are_refused() -> None:
    names = [f"t/{number}" for number in range(20)]
    async with serving(FakeBroker(suback=0x87)) as broker:
        with pytest.raises(SignalingError, match="broke"):
            async with open_session(parse_broker(broker.url), V5, None, lambda *_: None) as session:
                assert await session.subscribe(["t"]) == {"t": "Not authorized"}
        broker.suback, broker.forbids = None, lambda topic: topic in ("t/3", "t/17")
        with pytest.raises(SignalingError, match="broke"):
            async with open_session(parse_broker(broker.url), V311, None, lambda *_: None) as session:
                assert set(await session.subscribe(names)) == {"t/3", "t/17"}
                assert len(broker.topics) == 18


async def test_a_subscription_without_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 0.1)
    async with serving(FakeBroker(mute=True)) as broker:
        with pytest.raises(SignalingError, match="did not answer"):
            async with open_session(parse_broker(broker.url), V5, None, lambda *_: None) as session:
                await session.subscribe(["t"])


async def test_a_subscription_on_a_broken_connection() -> None:
    async with serving() as broker:
        with pytest.raises(NotConnected, match="broke"):
            async with open_session(parse_broker(broker.url), V5, None, lambda *_: None) as session:
                broker.drop()
                assert await session.ended(PATIENCE)
                await session.subscribe(["t"])


@pytest.mark.parametrize(
    ("broker", "version", "error", "text"),
    [
        (FakeBroker(levels=(4,)), V5, OldBroker, "does not speak this version"),
        (FakeBroker(levels=(5,)), V311, OldBroker, "without an answer"),
        (FakeBroker(hang_up=True), V5, OldBroker, "closed the connection without an answer"),
        (FakeBroker(connack=0x86), V5, SignalingError, "refused us: Bad user name or password"),
        (FakeBroker(connack=5), V311, SignalingError, "refused us: Not authorized"),
    ],
)
async def test_a_broker_that_does_not_let_us_in(
    broker: FakeBroker, version: aiomqtt.ProtocolVersion, error: type[Exception], text: str
) -> None:
    async with serving(broker):
        with pytest.raises(error, match=text) as caught:
            async with open_session(parse_broker(broker.url), version, None, lambda *_: None):
                pytest.fail("it let us in")
    assert type(caught.value) is error


async def test_a_broker_that_says_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "OPEN_TIMEOUT", 0.2)
    async with serving(FakeBroker(silent=True)) as broker:
        with pytest.raises(SignalingError, match="no answer within") as caught:
            async with open_session(parse_broker(broker.url), V5, None, lambda *_: None):
                pytest.fail("it let us in")
    assert not isinstance(caught.value, OldBroker)


async def test_a_broker_that_falls_silent_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert module.KEEPALIVE <= 15
    monkeypatch.setattr(module, "KEEPALIVE", 1)
    async with serving() as broker:
        with pytest.raises(SignalingError):
            async with open_session(parse_broker(broker.url), V5, None, lambda *_: None) as session:
                broker.mute = True
                assert await session.ended(PATIENCE)


async def test_nobody_there() -> None:
    with pytest.raises(SignalingError, match="Connect call failed"):
        async with open_session(parse_broker("mqtt://127.0.0.1:9"), V5, None, lambda *_: None):
            pytest.fail("somebody was there")


async def test_cancelling_ends_it_at_once() -> None:
    async def stay(silent: bool) -> None:
        async with serving(FakeBroker(silent=silent)) as broker:
            async with open_session(parse_broker(broker.url), V5, None, lambda *_: None) as session:
                await session.ended(60)

    for silent in (False, True):
        task = asyncio.ensure_future(stay(silent))
        await asyncio.sleep(0.05)
        task.cancel()
        async with asyncio.timeout(5):
            await asyncio.wait([task])
        assert task.cancelled()


class Stuck:
    """Lets us in, and never reads again."""

    def __init__(self) -> None:
        self.said = [packet(2, b"\0\0\0")]
        self.written = 0
        self.aborted = False

    async def read(self) -> bytes:
        return self.said.pop() if self.said else await asyncio.get_running_loop().create_future()

    async def write(self, data: bytes) -> None:
        self.written += 1
        if self.written > 1:
            await asyncio.get_running_loop().create_future()

    async def finish(self) -> None:
        pytest.fail("there was no goodbye")

    def abort(self) -> None:
        self.aborted = True


async def test_a_broker_that_never_reads(monkeypatch: pytest.MonkeyPatch) -> None:
    async def open_transport(*_: object) -> Stuck:
        return stuck

    stuck = Stuck()
    monkeypatch.setattr(module, "open_transport", open_transport)
    monkeypatch.setattr(module, "GOODBYE", 0.05)
    with pytest.raises(SignalingError):
        async with open_session(parse_broker("mqtt://h"), V5, None, lambda *_: None) as session:
            sending = [asyncio.ensure_future(session.publish("t", bytes(9000), 30)) for _ in range(200)]
            await asyncio.wait(sending, timeout=0.05)
    ended = await asyncio.gather(*sending, return_exceptions=True)
    assert all(isinstance(error, NotConnected) for error in ended)
    assert stuck.aborted


async def test_a_server_that_is_no_broker() -> None:
    async with speaking(lambda connection: connection.wait_closed(), subprotocol=None) as url:
        with pytest.raises(SignalingError, match="not MQTT"):
            async with open_session(parse_broker(url), V5, None, lambda *_: None):
                pytest.fail("it let us in")


UNREADABLE = packet(PUBLISH, b"\0\3\xff\xfe\xfd\0x") * 50


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    """One for each time that the library tries to read."""
    counted: list[None] = []
    loop_read = paho.mqtt.client.Client.loop_read

    def counting(client: paho.mqtt.client.Client) -> object:
        counted.append(None)
        return loop_read(client)

    monkeypatch.setattr(paho.mqtt.client.Client, "loop_read", counting)
    return counted


async def rest(reads: list[None]) -> bool:
    """Whether the loop can turn without anything being read."""
    before = len(reads)
    for _ in range(50):
        await asyncio.sleep(0)
    return len(reads) == before


@VERSIONS
async def test_what_cannot_be_parsed_is_not_tried_for_ever(
    version: aiomqtt.ProtocolVersion, reads: list[None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ANSWER_TIMEOUT", 0.5)
    async with serving(FakeBroker(mute=True)) as broker:
        with pytest.raises(SignalingError, match="did not answer"):
            async with open_session(parse_broker(broker.url), version, None, lambda *_: None) as session:
                subscribing = asyncio.ensure_future(session.subscribe(["t"]))
                await asyncio.sleep(0)
                broker.raw(UNREADABLE)
                assert await session.ended(PATIENCE)
                assert await rest(reads)
                await subscribing


@VERSIONS
async def test_an_answer_that_cannot_be_parsed(version: aiomqtt.ProtocolVersion, reads: list[None]) -> None:
    async with serving(FakeBroker(silent=True)) as broker:

        async def enter() -> None:
            async with open_session(parse_broker(broker.url), version, None, lambda *_: None):
                pytest.fail("it let us in")

        entering = asyncio.ensure_future(enter())
        await until(lambda: broker.connects)
        broker.raw(UNREADABLE)
        async with asyncio.timeout(5):
            with pytest.raises(OldBroker, match="no MQTT of this version"):
                await entering
        assert await rest(reads)


class Eager:
    """Has ended before anything was said to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def read(self) -> bytes:
        self.done.append("read")
        return b""

    async def write(self, data: bytes) -> None:
        self.done.append("write")

    async def finish(self) -> None:
        self.done.append("finish")

    def abort(self) -> None:
        self.done.append("abort")


async def test_nothing_is_read_before_the_library_has_spoken(monkeypatch: pytest.MonkeyPatch) -> None:
    async def open_transport(*_: object) -> Eager:
        return eager

    eager = Eager()
    monkeypatch.setattr(module, "open_transport", open_transport)
    with pytest.raises(OldBroker, match="without an answer"):
        async with open_session(parse_broker("mqtt://h"), V5, None, lambda *_: None):
            pytest.fail("it let us in")
    assert eager.done[:2] == ["write", "read"]
