"""One connection to a broker by aiomqtt: the only file that imports it, and knows two of its private names.

Clean session, no will, nothing retained, messages sent with QoS 1 (so that the broker says that it took them) and
received with QoS 0 (so that none waits for us anywhere).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import aiomqtt
from paho.mqtt.client import Client as PahoClient
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from signaling.errors import NotConnected, Rejected, SignalingError
from signaling.mqtt.bridge import Bridge
from signaling.mqtt.sieve import MAX_PUBLISH
from signaling.mqtt.transport import Transport, open_transport
from signaling.mqtt.url import Broker
from signaling.session import OPEN_TIMEOUT, describe

_quiet = logging.getLogger("signaling.mqtt.library")
_quiet.setLevel(logging.CRITICAL)

V5, V311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311

KEEPALIVE = 10
"""Seconds of silence after which the broker is asked; after as many again it is given up."""
ANSWER_TIMEOUT = 8.0
"""Seconds that a broker has for its answer to a subscription."""
GOODBYE = 1.0
MAX_WAITING = 256
"""Messages that wait to be looked at, or to be sent."""
AT_ONCE = 8
"""Subscriptions in one packet; some brokers take no more."""

_REFUSED = 0x80
_NO_SUBSCRIBERS = 0x10
_OTHER_VERSION = 0x84

Arrived = Callable[[str, bytes, bool], None]
"""Called with the topic, the payload, and whether the broker had retained it."""


class OldBroker(SignalingError):
    """The broker does not speak this version of MQTT, or hangs up on it."""


class _Library(aiomqtt.Client):
    """aiomqtt's client on a socket that is connected already; it tells what the broker said to a message."""

    def __init__(self, near: socket.socket, broker: Broker, version: aiomqtt.ProtocolVersion) -> None:
        super().__init__(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            identifier="a" + secrets.token_hex(11),
            protocol=version,
            clean_session=None if version == V5 else True,
            properties=_properties(PacketTypes.CONNECT, MaximumPacketSize=MAX_PUBLISH) if version == V5 else None,
            keepalive=KEEPALIVE,
            timeout=math.inf,  # the bounds are ours
            max_queued_incoming_messages=MAX_WAITING,
            max_queued_outgoing_messages=MAX_WAITING,
            logger=_quiet,
        )
        self._client._create_socket_connection = lambda: near  # type: ignore[method-assign]
        self._near = near
        self._answers: dict[int, asyncio.Future[ReasonCode]] = {}

    async def acknowledged(self, topic: str, payload: bytes, properties: Properties | None) -> ReasonCode:
        """Publish with QoS 1, and what the broker said to it; raises NotConnected."""
        info = self._client.publish(topic, payload, 1, False, properties)
        if info.rc:
            raise NotConnected("the connection to the broker is broken")
        answer: asyncio.Future[ReasonCode] = asyncio.get_running_loop().create_future()
        self._answers[info.mid] = answer
        try:
            return await answer
        finally:
            self._answers.pop(info.mid, None)

    def _on_publish(
        self, client: PahoClient, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        answer = self._answers.get(mid)
        if answer is not None and not answer.done():
            answer.set_result(reason_code)
        super()._on_publish(client, userdata, mid, reason_code, properties)

    async def entered(self, entering: asyncio.Task[Any]) -> bool:
        """Whether the broker has answered, not whether it let us in; False when its answer cannot be parsed."""
        broken = self._disconnected
        await asyncio.wait([entering, broken], return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            broken.exception()  # seen, so that nobody complains that it was not
        return entering.done()

    def leave(self) -> None:
        """Say goodbye to the broker, read nothing more, and end everybody's waiting."""
        self._client.disconnect()
        if (
            self._near.fileno() >= 0
        ):  # the goodbye has to wait, or what came cannot be parsed: it would be tried for ever
            asyncio.get_running_loop().remove_reader(self._near)
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(NotConnected("the connection to the broker ended"))


class MqttSession:
    """A connection that the broker has accepted."""

    def __init__(self, library: _Library, version: aiomqtt.ProtocolVersion, reading: asyncio.Task[None]) -> None:
        self.gone = asyncio.Event()
        """Set by the owner when it does not use this session any more."""
        self._library = library
        self._v5 = version == V5
        self._reading = reading

    async def ended(self, within: float) -> bool:
        """Whether the connection ends within so many seconds."""
        done, _ = await asyncio.wait([self._reading], timeout=within)
        return bool(done)

    async def publish(self, topic: str, payload: bytes, ttl: float) -> None:
        """Return when the broker took it; raises NotConnected, or Rejected when it refuses or knows that nobody
        listens (MQTT 5.0 §3.4.2.1 lets it tell)."""
        lifetime = max(1, math.ceil(ttl))
        properties = _properties(PacketTypes.PUBLISH, MessageExpiryInterval=lifetime) if self._v5 else None
        code = await self._library.acknowledged(topic, payload, properties)
        if code.value == _NO_SUBSCRIBERS:
            raise Rejected("offline", "nobody listens at this broker")
        if code.value >= _REFUSED:
            raise Rejected("forbidden", f"the broker refused the message: {code}")

    async def subscribe(self, topics: Sequence[str]) -> dict[str, str]:
        """Return when we get what is published there; the topics that the broker refuses, with what it said.

        Raises SignalingError when there is no answer.
        """
        refused: dict[str, str] = {}
        options = SubscribeOptions(qos=0, noLocal=True, retainAsPublished=True, retainHandling=2)
        for start in range(0, len(topics), AT_ONCE):
            some = topics[start : start + AT_ONCE]
            if self._v5:
                codes = await _answer(self._library.subscribe([(topic, options) for topic in some]))
            else:
                codes = await _answer(self._library.subscribe([(topic, 0) for topic in some]))
            for topic, code in zip(some, codes, strict=False):
                if int(getattr(code, "value", code)) >= _REFUSED:
                    refused[topic] = str(code)
        return refused

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """Get no more of these topics; raises SignalingError."""
        await _answer(self._library.unsubscribe(list(topics)))


@contextlib.asynccontextmanager
async def open_session(
    broker: Broker, version: aiomqtt.ProtocolVersion, ssl_context: ssl.SSLContext | None, arrived: Arrived
) -> AsyncIterator[MqttSession]:
    """A session for as long as the context lasts; raises SignalingError when there is none, or when it broke.

    The body ends when it sees `ended`; the context then says why.
    """
    transport = await _reach(broker, ssl_context)
    bridge = Bridge(transport)
    library = _Library(bridge.near, broker, version)
    failure: SignalingError | None = None
    async with asyncio.TaskGroup() as group:
        inward, outward = group.create_task(_inward(bridge)), group.create_task(bridge.outward())
        entering = group.create_task(_enter(library))
        reading = group.create_task(_read(library, arrived, entering))
        try:
            await _accepted(entering, reading, inward, outward, bridge)
            yield MqttSession(library, version, reading)
            failure = SignalingError(bridge.reason)
        except SignalingError as error:
            failure = error
        finally:
            library.leave()
            await asyncio.wait([outward], timeout=GOODBYE)
            for task in (inward, outward, entering, reading):
                task.cancel()
            bridge.close()
    raise failure


async def _reach(broker: Broker, ssl_context: ssl.SSLContext | None) -> Transport:
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            return await open_transport(broker, ssl_context)
    except SignalingError:
        raise
    except Exception as error:
        # Names, proxies, TLS and HTTP fail in many types; to the caller all are the same: no use of this broker.
        raise SignalingError(describe(error)) from error


async def _enter(library: _Library) -> aiomqtt.MqttError | None:
    """Why the broker does not let us in, or None."""
    try:
        await library.__aenter__()
    except aiomqtt.MqttError as error:
        return error
    return None


async def _accepted(
    entering: asyncio.Task[aiomqtt.MqttError | None],
    reading: asyncio.Task[None],
    inward: asyncio.Task[None],
    outward: asyncio.Task[None],
    bridge: Bridge,
) -> None:
    """Return once the broker has accepted us; raises SignalingError, and OldBroker where another version may do."""
    tasks = {entering, reading, inward, outward}
    await asyncio.wait(tasks, timeout=OPEN_TIMEOUT, return_when=asyncio.FIRST_COMPLETED)
    if reading.done() and not entering.done():
        raise OldBroker("the broker's answer is no MQTT of this version")
    if inward.done() or outward.done():
        await asyncio.wait({entering}, timeout=0.1)  # the last words of a broker that hung up
    if not entering.done():
        if inward.done() or outward.done():
            raise OldBroker(f"{bridge.reason} without an answer")
        raise SignalingError(f"no answer within {OPEN_TIMEOUT:.0f} s")
    error = entering.result()
    code = getattr(error, "rc", None)
    if isinstance(code, ReasonCode) and code.value == _OTHER_VERSION:
        raise OldBroker("the broker does not speak this version of MQTT")
    if error is not None:
        raise SignalingError(f"the broker refused us: {code if code is not None else error}")


async def _inward(bridge: Bridge) -> None:
    """Carry what comes, but not while the library still connects in its thread: an end would cross its first words."""
    await bridge.spoken.wait()
    await bridge.inward()


async def _read(library: _Library, arrived: Arrived, entering: asyncio.Task[Any]) -> None:
    """Hand over what comes, until the connection ends."""
    with contextlib.suppress(aiomqtt.MqttError):
        if await library.entered(entering):
            async for message in library.messages:
                if isinstance(message.payload, bytes):
                    arrived(message.topic.value, message.payload, message.retain)
    library.leave()


def _properties(kind: int, **values: int) -> Properties:
    """What MQTT 5 lets a packet of this kind say."""
    properties = Properties(kind)  # type: ignore[no-untyped-call]
    for name, value in values.items():
        setattr(properties, name, value)
    return properties


async def _answer(request: Any) -> Any:
    """What the broker answers; raises SignalingError."""
    try:
        async with asyncio.timeout(ANSWER_TIMEOUT):
            return await request
    except TimeoutError:
        raise SignalingError("the broker did not answer") from None
    except aiomqtt.MqttError as error:
        raise NotConnected(f"the connection to the broker broke: {error}") from None
