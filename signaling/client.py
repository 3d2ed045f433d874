"""A client of one signaling server: connected for as long as it lives, whatever the server does.

It keeps its subscriptions, watched ids and unanswered messages, and repeats them after each reconnection; a message
keeps its id, so a receiver gets it once: a server that numbers its messages keeps each until we say `got`, and what it
sends again is dropped here. What the server says is not trusted: it is decoded, bounded, slowed down when
it is too much, and an exception in a callback ends nothing.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import logging
import math
import random
import ssl
from collections.abc import Callable, Iterable
from typing import Any, Self

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.server import broadcast
from websockets.exceptions import ConnectionClosed

from signaling import messages as wire
from signaling.auth import Signer, id_of
from signaling.backoff import Backoff
from signaling.connection import REPLACED
from signaling.errors import DecodeError, NotConnected, Rejected, SignalingError
from signaling.limits import TokenBucket
from signaling.liveness import is_stranded, watch
from signaling.mailbox import RecentIds
from signaling.model import MAX_PAYLOAD_BYTES, Health, Message, Receipt, State, new_message_id
from signaling.outbox import Outbox
from signaling.pause import Pause
from signaling.printable import printable
from signaling.session import MAX_UNSENT, decode_frame, describe, leave, open_session
from signaling.subscriptions import Subscriptions
from signaling.timers import Timers
from signaling.turn_credentials import TurnServer
from signaling.url import normalize

logger = logging.getLogger(__name__)

MAX_UNANSWERED = 64
STABLE = 5.0
"""Seconds a connection must last, from its welcome, for the next delay to be the shortest again."""

BUSY_PAUSE = 1.0
"""Seconds, up to twice as many, until a busy server is asked again for what we subscribed to."""

_RANDOM = random.SystemRandom()

DOUBT = 1.0
"""Seconds without an answer after which we ask whether the server still lives."""

REMEMBERED = 4096
REMEMBERED_SECONDS = 300.0
"""How many messages, and for how long, are known again when they come twice."""

RECEIVE_RATE, RECEIVE_BURST = 200.0, 1_000.0
"""Messages a second and at once that are read from a server; more wait in its own buffers."""


class SignalingClient:
    """One node's connection to one server; assign the callbacks, `start` it, `close` it. Raises InvalidURL."""

    def __init__(
        self,
        url: str,
        signer: Signer,
        *,
        ssl_context: ssl.SSLContext | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        self.url = normalize(url)
        self.id = id_of(signer.public_key)
        self.on_message: Callable[[Message], None] = _ignore
        self.on_state: Callable[[State], None] = _ignore
        self.on_turn: Callable[[list[TurnServer]], None] = _ignore
        self.on_presence: Callable[[str, bool], None] = _ignore
        self.state: State = "new"
        self.error: str | None = None
        self.turn: list[TurnServer] = []
        self._signer = signer
        self._ssl_context = ssl_context
        self._backoff = backoff or Backoff()
        self._websocket: ClientConnection | None = None
        self._task: asyncio.Task[None] | None = None
        self._connected = asyncio.Event()
        # No two processes number alike: no answer meant for the one before us is taken for ours.
        self._outbox: Outbox[asyncio.Future[wire.ServerMessage]] = Outbox(MAX_UNANSWERED, _RANDOM.randrange(2**48))
        self._wanted = Subscriptions(self._outbox.new_ref)
        self._welcomed_at = math.inf
        self._timers = Timers()
        self._seen = RecentIds(REMEMBERED, REMEMBERED_SECONDS)
        self._got = self._got_said = 0
        self._doubt = asyncio.Event()
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
        self._fail(self._outbox.pop_all(), "the client is closed")

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def hurry(self) -> None:
        """The network changed: a pause ends, and the server is asked, unless we are elsewhere, whether it hears us."""
        self._backoff.reset()
        self._pause.end()
        self._doubt.set()
        if self._websocket is not None and is_stranded(self._websocket):
            self._websocket.transport.abort()

    async def wait_connected(self, timeout: float) -> None:
        """Return once the server has welcomed us; raises NotConnected after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._connected.wait()
        except TimeoutError:
            raise NotConnected(f"{self.url}: {self.error or 'no answer'}") from None

    @property
    def health(self) -> Health:
        """How the server is doing now."""
        latency = self._websocket.latency if self._websocket else 0.0
        rtt_ms = round(latency * 1000, 3) if latency else None
        return Health(self.url, self.state == "connected", rtt_ms, None if self.state == "connected" else self.error)

    # What a node asks for

    async def send(
        self, to: str, payload: bytes, *, ttl: float = 30.0, message_id: str | None = None, timeout: float = 10.0
    ) -> Receipt:
        """Send to one node: "delivered" to its connection, or "queued" for at most `ttl` seconds.

        Waits for a connection too. Raises NotConnected without an answer in `timeout` seconds, Rejected when the server
        refuses, SignalingError for a payload of more than MAX_PAYLOAD_BYTES.
        """
        text, name = _encode_payload(payload), message_id or new_message_id()
        ttl = min(max(ttl, 0.0), wire.MAX_TTL)
        answer = await self._request(lambda ref: wire.Send(to, text, name, ref, ttl), timeout)
        return "queued" if isinstance(answer, wire.Queued) else "delivered"

    async def publish(self, topic: str, payload: bytes, *, message_id: str | None = None, timeout: float = 10.0) -> int:
        """Send to all who are subscribed to `topic` now, and say how many; raises as `send` does."""
        text, name = _encode_payload(payload), message_id or new_message_id()
        answer = await self._request(lambda ref: wire.Publish(topic, text, name, ref), timeout)
        return answer.receivers if isinstance(answer, wire.Delivered) else 0

    async def subscribe(self, topic: str, *, timeout: float = 10.0) -> None:
        """Get what is published to `topic`, now and after every reconnection.

        Returns when it is in force; raises NotConnected when that takes longer (it will be, later), Rejected when the
        server refuses (it is forgotten).
        """
        self._wanted.topics[topic] = None
        try:
            await self._request(lambda ref: wire.Subscribe(topic, ref), timeout, about=topic)
        except Rejected:
            self._wanted.topics.pop(topic, None)
            raise

    async def unsubscribe(self, topic: str, *, timeout: float = 10.0) -> None:
        """Get no more of `topic`; without a connection that is so at once, and a `subscribe` that waits fails."""
        self._wanted.topics.pop(topic, None)
        if self._websocket is None:
            self._fail(self._outbox.withdraw(topic), "unsubscribed")
        else:
            await self._request(lambda ref: wire.Unsubscribe(topic, ref), timeout)

    async def watch(self, ids: Iterable[str], *, timeout: float = 10.0) -> None:
        """Be told by `on_presence` who of `ids` (the whole set) has a connection to this server; as `subscribe`."""
        watched = self._wanted.watched = tuple(dict.fromkeys(ids))
        await self._request(lambda ref: wire.Watch(list(watched), ref), timeout)

    async def _request(
        self, make: Callable[[int], wire.ClientMessage], timeout: float, about: str | None = None
    ) -> wire.ServerMessage:
        if self._outbox.is_full or self.state == "closed":
            raise NotConnected(
                f"{self.url}: {MAX_UNANSWERED} messages wait already" if self._outbox.is_full else "closed"
            )
        ref = self._outbox.new_ref()
        frame = wire.encode(make(ref))
        waiter: asyncio.Future[wire.ServerMessage] = asyncio.get_running_loop().create_future()
        self._outbox.add(ref, frame, waiter, about)
        self._write(frame)
        doubt = asyncio.get_running_loop().call_later(DOUBT, self._doubt.set)
        try:
            async with asyncio.timeout(timeout):
                return await waiter
        except TimeoutError:
            raise NotConnected(f"{self.url}: {self.error or 'no answer'}") from None
        finally:
            doubt.cancel()
            self._outbox.pop(ref)

    def _fail(self, waiters: Iterable[asyncio.Future[wire.ServerMessage]], why: str) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_exception(NotConnected(f"{self.url}: {why}"))

    def _write(self, frame: bytes) -> None:
        websocket = self._websocket
        if websocket is None:
            return  # it is written when there is a connection
        broadcast((websocket,), frame, text=True)
        if websocket.transport.get_write_buffer_size() > MAX_UNSENT:
            websocket.transport.abort()

    # The connection

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._set_state("connecting")
            self._welcomed_at = math.inf
            code = await self._connect_once()
            if loop.time() - self._welcomed_at > STABLE:
                self._backoff.reset()
            self._set_state("waiting")
            if code == REPLACED:
                # Whoever connected under our id would be replaced in turn, for ever: leave the field for long.
                await asyncio.sleep(self._backoff.longest())
            else:
                await self._pause.sleep(self._backoff.next())

    async def _connect_once(self) -> int | None:
        """One connection from beginning to end; the code that it was closed with."""
        try:
            websocket, welcome = await open_session(self.url, self._signer, self._ssl_context)
        except SignalingError as error:
            self._note(str(error))
            return None
        self._doubt.clear()
        watcher = asyncio.get_running_loop().create_task(
            watch(websocket, welcome.keepalive, self._doubt, self._outbox.__len__), name=f"signaling: watch {self.url}"
        )
        try:
            await self._welcomed(websocket, welcome)
            await self._read(websocket)
        except ConnectionClosed as closed:
            self._note(describe(closed))
        finally:
            watcher.cancel()
            self._timers.cancel()
            self._connected.clear()
            self._websocket = None
            try:
                await websocket.close()
            finally:
                # The client may be closed while the server takes its time over this goodbye.
                websocket.transport.abort()
        return websocket.close_code

    async def _welcomed(self, websocket: ClientConnection, welcome: wire.Welcome) -> None:
        self._websocket = websocket
        self._welcomed_at = asyncio.get_running_loop().time()
        self._got = self._got_said = 0
        await websocket.ping()  # its answer is the first measure of `latency`
        self._repeat(self._wanted.all())
        for frame in self._outbox:
            self._write(frame)
        self.error = None
        self._set_state("connected")
        self._connected.set()
        self._take_turn(welcome.turn)

    async def _read(self, websocket: ClientConnection) -> None:
        loop = asyncio.get_running_loop()
        bucket = TokenBucket(RECEIVE_RATE, RECEIVE_BURST, loop.time())
        while True:
            frame = await websocket.recv()
            delay = bucket.charge(loop.time())
            if delay:
                await asyncio.sleep(delay)
            try:
                message = decode_frame(frame)
            except DecodeError as error:
                logger.info("%s sent an unreadable frame: %s", self.url, error)
                continue
            self._receive(websocket, message)

    def _receive(self, websocket: ClientConnection, message: wire.ServerMessage) -> None:
        match message:
            case wire.Incoming():
                self._take_message(message)
                self._note_got(message.seq)
            case wire.Delivered() | wire.Queued() | wire.Done():
                self._answer(message.ref, message)
            case wire.Error():
                self._take_error(message)
            case wire.Presence():
                self._call(self.on_presence, message.id, message.online)
            case wire.Turn():
                self._take_turn(message.turn)
            case wire.Drain():
                self._take_drain(websocket, message)
            case _:
                logger.info("%s sent %s out of place", self.url, type(message).__name__)

    def _take_message(self, message: wire.Incoming) -> None:
        try:
            payload = base64.b64decode(message.payload, validate=True)
        except binascii.Error:
            logger.info("%s sent a payload that is not base64", self.url)
            return
        key = (message.sender, message.id, message.topic or "", hashlib.sha256(payload).digest())
        if self._seen.add(key, asyncio.get_running_loop().time()):
            self._call(self.on_message, Message(message.sender, payload, message.id, message.topic))

    def _note_got(self, seq: int | None) -> None:
        """Say `got` soon, for all messages that came together."""
        if seq is None:
            return
        if self._got == self._got_said:
            asyncio.get_running_loop().call_soon(self._say_got)
        self._got = max(self._got, seq)

    def _say_got(self) -> None:
        if self._got > self._got_said:
            self._got_said = self._got
            self._write(wire.encode(wire.Got(self._got)))

    def _repeat(self, requests: Iterable[wire.ClientMessage]) -> None:
        for request in requests:
            self._write(wire.encode(request))

    def _answer(self, ref: int, message: wire.ServerMessage) -> None:
        self._wanted.answered(ref, busy=False)
        waiter = self._outbox.pop(ref)
        if waiter is not None and not waiter.done():
            waiter.set_result(message)

    def _take_error(self, error: wire.Error) -> None:
        if self._wanted.answered(error.ref, busy=error.code == "busy"):
            delay = _RANDOM.uniform(BUSY_PAUSE, 2 * BUSY_PAUSE)
            self._timers.once("subscribe", delay, lambda: self._repeat(self._wanted.again()))
        waiter = self._outbox.pop(error.ref)
        if waiter is None:
            logger.info("%s says: %s (%s)", self.url, printable(error.text), printable(error.code))
        elif not waiter.done():
            waiter.set_exception(Rejected(error.code, error.text))

    def _take_turn(self, turn: list[TurnServer]) -> None:
        self.turn = turn
        self._call(self.on_turn, turn)

    def _take_drain(self, websocket: ClientConnection, drain: wire.Drain) -> None:
        if "leave" not in self._timers:
            logger.info("%s is going", self.url)
        self._timers.once("leave", _RANDOM.uniform(0, drain.within), lambda: leave(websocket))

    # What its owner sees

    def _note(self, error: str) -> None:
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


def _encode_payload(payload: bytes) -> str:
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise SignalingError(f"{len(payload)} bytes, but a message carries at most {MAX_PAYLOAD_BYTES}")
    return base64.b64encode(payload).decode("ascii")


def _ignore(*_: object) -> None:
    """Stand in for a callback that nobody assigned."""
