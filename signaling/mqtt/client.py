"""A meeting place at an MQTT broker: any broker will do, and none is trusted or told anything.

A node listens on the topics of its id (topics.py), others publish envelopes there (envelope.py), and what
comes passes a gate (gate.py). "Delivered" means that the broker took the message: there is no mailbox and no
presence, so a receiver that is away gets nothing, and who waits for an answer sends again. A broker of MQTT 5 may tell
that nobody listens; then the message is refused as "offline".
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Self

from signaling.auth import Signer, id_of
from signaling.backoff import Backoff
from signaling.errors import NotConnected, Rejected, SignalingError
from signaling.messages import MAX_TTL
from signaling.model import MAX_PAYLOAD_BYTES, Health, Message, Receipt, State, new_message_id
from signaling.mqtt.envelope import seal
from signaling.mqtt.gate import Gate, Seen
from signaling.mqtt.topics import Lane, lane, lanes, until_next
from signaling.mqtt.url import parse_broker
from signaling.pause import Pause
from signaling.printable import printable
from signaling.turn_credentials import TurnServer

if TYPE_CHECKING:
    from signaling.mqtt.session import MqttSession

logger = logging.getLogger(__name__)

MAX_UNANSWERED = 64
MAX_TOPICS = 32
STABLE = 5.0
"""Seconds a connection must last for the next delay to be the shortest again."""

LOOK = 60.0
"""Seconds between two looks at the clock, which may jump: a new epoch has new topics."""

MISSING = "meeting through MQTT needs aiomqtt: pip install 'atmosphere-mesh[mqtt]'"


class MqttClient:
    """One node's place at one broker; assign the callbacks, `start` it, `close` it. Raises InvalidURL.

    `seen` is shared by a node's places at several brokers.
    """

    def __init__(
        self,
        url: str,
        signer: Signer,
        *,
        seen: Seen | None = None,
        ssl_context: ssl.SSLContext | None = None,
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._broker = parse_broker(url)
        self.url = self._broker.url
        self.id = id_of(signer.public_key)
        self.on_message: Callable[[Message], None] = _ignore
        self.on_state: Callable[[State], None] = _ignore
        self.on_turn: Callable[[list[TurnServer]], None] = _ignore
        self.state: State = "new"
        self.error: str | None = None
        self.turn: list[TurnServer] = []
        self.gate = Gate(Seen() if seen is None else seen, 0.0)
        self._signer = signer
        self._ssl_context = ssl_context
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._v5 = True
        self._task: asyncio.Task[None] | None = None
        self._session: MqttSession | None = None
        self._ready = asyncio.Event()
        self._listening = asyncio.Lock()
        self._lanes: dict[str, Lane] = {}
        self._asked: dict[str, Lane] = {}
        """What was asked for and not yet answered: messages may come before the answer does (MQTT 5.0 §3.8.4)."""
        self._topics: dict[str, None] = {}
        self._refusals: dict[str, str] = {}
        """What the broker said to the topics that it refused lately."""
        self._since: float | None = None
        self._unanswered = 0
        self._rtt: float | None = None
        self._pause = Pause()

    # Life

    def start(self) -> None:
        """Begin to connect, and go on for ever; needs a running loop."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"signaling: {self.url}")

    async def close(self) -> None:
        """End the connection and fail what is unanswered."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        self._set_state("closed")
        self._ready.set()  # nobody waits for what will not come

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def hurry(self) -> None:
        """The network changed: a pause ends. A connection that is dead is noticed by MQTT's own pings."""
        self._backoff.reset()
        self._pause.end()

    async def wait_connected(self, timeout: float) -> None:
        """Return once the broker has taken our subscriptions; raises NotConnected after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._connected()
        except TimeoutError:
            raise NotConnected(f"{self.url}: {self.error or 'no answer'}") from None

    @property
    def health(self) -> Health:
        """How the broker is doing now."""
        connected = self.state == "connected"
        rtt_ms = round(self._rtt * 1000, 3) if self._rtt is not None and connected else None
        return Health(self.url, connected, rtt_ms, None if connected else self.error)

    # What a node asks for

    async def send(
        self, to: str, payload: bytes, *, ttl: float = 30.0, message_id: str | None = None, timeout: float = 10.0
    ) -> Receipt:
        """Send to one node: "delivered" to the broker, which does not keep it for a node that is away.

        Waits for a connection too. Raises NotConnected without an answer in `timeout` seconds, Rejected when the broker
        refuses or knows that nobody listens ("offline"), SignalingError for a payload of more than MAX_PAYLOAD_BYTES.
        """
        await self._publish(lane("node", to, self._clock()), payload, ttl, message_id, timeout)
        return "delivered"

    async def publish(self, topic: str, payload: bytes, *, message_id: str | None = None, timeout: float = 10.0) -> int:
        """Send to all who are subscribed to `topic` now: 0 when the broker knows that there is nobody, else 1, which
        stands for any number; raises as `send` does."""
        try:
            await self._publish(lane("topic", topic, self._clock()), payload, MAX_TTL, message_id, timeout)
        except Rejected as error:
            if error.code == "offline":
                return 0
            raise
        return 1

    async def subscribe(self, topic: str, *, timeout: float = 10.0) -> None:
        """Get what is published to `topic`, now and after every reconnection.

        Returns when it is in force; raises NotConnected when that takes longer (it will be, later), Rejected for more
        than MAX_TOPICS, and when the broker refuses the topic, which is then forgotten.
        """
        if len(self._topics) >= MAX_TOPICS and topic not in self._topics:
            raise Rejected("limit", f"{MAX_TOPICS} topics are subscribed to already")
        self._topics[topic] = None
        self._refusals.pop(topic, None)
        await self._at_once(timeout)
        if topic in self._refusals:
            raise Rejected("forbidden", f"the broker refuses the topic: {self._refusals[topic]}")

    async def unsubscribe(self, topic: str, *, timeout: float = 10.0) -> None:
        """Get no more of `topic`; without a connection that is so at once."""
        self._topics.pop(topic, None)
        if self._session is not None:
            await self._at_once(timeout)

    async def _at_once(self, timeout: float) -> None:
        try:
            async with asyncio.timeout(timeout):
                await self._listen(await self._connected())
        except TimeoutError:
            raise NotConnected(f"{self.url}: {self.error or 'no answer'}") from None

    async def _publish(self, to: Lane, payload: bytes, ttl: float, message_id: str | None, timeout: float) -> None:
        if len(payload) > MAX_PAYLOAD_BYTES:
            raise SignalingError(f"{len(payload)} bytes, but a message carries at most {MAX_PAYLOAD_BYTES}")
        if self._unanswered >= MAX_UNANSWERED:
            raise NotConnected(f"{self.url}: {MAX_UNANSWERED} messages wait already")
        ttl = min(max(ttl, 0.0), MAX_TTL)
        data = seal(to, self._signer, message_id or new_message_id(), payload, ttl, self._clock())
        self._unanswered += 1
        try:
            async with asyncio.timeout(timeout):
                await self._hand_over(self._topic_of(to), data, ttl)
        except TimeoutError:
            raise NotConnected(f"{self.url}: {self.error or 'no answer'}") from None
        finally:
            self._unanswered -= 1

    async def _hand_over(self, topic: str, data: bytes, ttl: float) -> None:
        """Publish, and again on the next connection when this one breaks: the receiver takes it once."""
        while True:
            session = await self._connected()
            began = asyncio.get_running_loop().time()
            try:
                await session.publish(topic, data, ttl)
            except NotConnected:
                await session.gone.wait()
                continue
            self._rtt = asyncio.get_running_loop().time() - began
            return

    async def _connected(self) -> MqttSession:
        """The session, once there is one; raises NotConnected when there never will be."""
        await self._ready.wait()
        if self._session is None:
            raise NotConnected(f"{self.url}: the client is closed")
        return self._session

    # The connection

    async def _run(self) -> None:
        while True:
            self._set_state("connecting")
            self._since = None
            try:
                await self._connect_once()
            except SignalingError as error:
                self._note(str(error))
            except Exception as error:  # whatever a broker found to break, the next connection may be better
                logger.exception("%s: the connection failed", self.url)
                self._note(f"unexpected {type(error).__name__}")
            if self._lasted():
                self._backoff.reset()
            self._set_state("waiting")
            await self._pause.sleep(self._backoff.next())

    def _lasted(self) -> bool:
        """Whether the connection that is over was worth its while."""
        return self._since is not None and asyncio.get_running_loop().time() - self._since > STABLE

    async def _connect_once(self) -> None:
        """One connection from beginning to end, by MQTT 5 or else by 3.1.1; raises SignalingError when it is over."""
        try:
            from signaling.mqtt.session import V5, V311, OldBroker, open_session
        except ImportError:
            raise SignalingError(MISSING) from None
        while True:
            try:
                version = V5 if self._v5 else V311
                async with open_session(self._broker, version, self._ssl_context, self._arrived) as session:
                    await self._stay(session)
            except OldBroker:
                self._v5 = not self._v5
                if self._v5:  # neither will do
                    raise

    async def _stay(self, session: MqttSession) -> None:
        """Listen to our topics until the connection ends, and to others as the epochs pass."""
        loop = asyncio.get_running_loop()
        self._lanes = {}
        began = loop.time()
        await self._listen(session)
        self._rtt = loop.time() - began
        self._session, self.error, self._since = session, None, loop.time()
        self._ready.set()
        self._set_state("connected")
        try:
            while not await session.ended(min(LOOK, until_next(self._clock()) + 0.1)):
                await self._listen(session)
        finally:
            self._session = None
            self._ready.clear()
            session.gone.set()

    async def _listen(self, session: MqttSession) -> None:
        """Subscribe to what is wanted now and is not in force, and end what is not wanted any more.

        Topics that the broker refuses are forgotten; raises SignalingError when it refuses those of our id.
        """
        async with self._listening:
            wanted = self._wanted()
            fresh = [topic for topic in wanted if topic not in self._lanes]
            self._asked = {topic: wanted[topic] for topic in fresh}
            try:
                refused = await session.subscribe(fresh) if fresh else {}
            finally:
                self._asked = {}
            names = self._refuse((wanted[topic], said) for topic, said in refused.items())
            held = [topic for topic in {**self._lanes, **wanted} if topic not in refused]
            self._lanes = {
                topic: one
                for topic, one in wanted.items()
                if topic in held and (one.kind == "node" or one.name not in names)
            }
            stale = [topic for topic in held if topic not in self._lanes]
            if stale:
                await session.unsubscribe(stale)

    def _refuse(self, refused: Iterable[tuple[Lane, str]]) -> set[str]:
        """Forget the topics whose lanes the broker refuses; raises SignalingError when they are those of our id."""
        names: set[str] = set()
        for one, said in refused:
            if one.kind == "node":
                raise SignalingError(f"the broker refuses our topics: {said}")
            logger.info("%s: the broker refuses a topic: %s", self.url, said)
            names.add(one.name)
            self._topics.pop(one.name, None)
            self._refusals[one.name] = said
            if len(self._refusals) > MAX_TOPICS:
                del self._refusals[next(iter(self._refusals))]
        return names

    def _wanted(self) -> dict[str, Lane]:
        now = self._clock()
        found = lanes("node", self.id, now)
        for topic in self._topics:
            found += lanes("topic", topic, now)
        return {self._topic_of(one): one for one in found}

    def _topic_of(self, one: Lane) -> str:
        return f"{self._broker.prefix}/{one.topic}"

    def _arrived(self, topic: str, payload: bytes, retained: bool) -> None:
        to = self._lanes.get(topic) or self._asked.get(topic)
        if to is None or retained:
            return  # a topic that we have just left, or what somebody laid down there for all who come
        message = self.gate.admit(to, payload, self._clock(), asyncio.get_running_loop().time())
        if message is not None and (message.topic is None or message.sender != self.id):
            self._call(self.on_message, message)

    # What its owner sees

    def _note(self, error: str) -> None:
        error = printable(error)
        if error != self.error:
            logger.info("%s: %s", self.url, error)
        self.error = error

    def _set_state(self, state: State) -> None:
        if state != self.state:
            self.state = state
            logger.info("%s: %s", self.url, state)
            self._call(self.on_state, state)

    def _call(self, callback: Callable[..., None], *arguments: Any) -> None:
        try:
            callback(*arguments)
        except Exception:  # the owner's mistake must not end the connection
            logger.exception("a callback of %s failed", self.url)


def _ignore(*_: object) -> None:
    """Stand in for a callback that nobody assigned."""
