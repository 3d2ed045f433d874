"""Resetting streams: how a data channel is closed (RFC 6525; RFC 8831 section 6.7).

```
outgoing reset: request number (4) | response number (4) | last TSN (4) | streams (2 each)
incoming reset: request number (4) | streams (2 each)
response:       request number (4) | result (4)
```
One request is on its way at a time; each is repeated until it is answered, however long that takes.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks, parameters
from atmosphere.sctp.received import MODULO, unwrap

NOTHING, PERFORMED, DENIED, _, _, BAD_NUMBER, IN_PROGRESS = range(7)
REPEAT_MOST = 3.0
MAX_STREAMS = 100
"""Streams in one request of ours: usrsctp, under libdatachannel, denies one of more than 200."""


class Reset(NamedTuple):
    """Streams that are reset: in our direction, or in the peer's."""

    streams: tuple[int, ...]
    ours: bool


class _Deferred(NamedTuple):
    """A request of the peer's that waits for the data before it."""

    number: int
    last_tsn: int
    streams: tuple[int, ...]


class StreamReset:
    """Both sides' requests. Numbers begin with the sides' first TSNs."""

    def __init__(self, first: int, peer_first: int) -> None:
        self._next = first
        self._expected = peer_first
        self._wanted: list[int] = []
        self._request: tuple[int, tuple[int, ...], bytes] | None = None
        self._send_at: float | None = None
        self._tries = 0
        self._deferred: _Deferred | None = None
        self._answers: list[bytes] = []
        self._last_answer = PERFORMED

    def has_work(self, now: float) -> bool:
        """Whether `chunk` has something to be sent."""
        return bool(self._answers or (self._wanted and self._request is None)) or (
            self._send_at is not None and now >= self._send_at
        )

    def want(self, stream: int) -> None:
        """Reset our direction of a stream; all its data has been sent."""
        self._wanted.append(stream)

    def kick(self, now: float) -> None:
        """Repeat a request now: the path has just changed."""
        if self._request is not None:
            self._send_at, self._tries = now, 0

    def deadline(self) -> float | None:
        """When a request is to be repeated; None for never."""
        return self._send_at

    def chunk(self, next_tsn: int, now: float, rto: float) -> bytes:
        """The RE-CONFIG chunks to be sent now, or nothing."""
        encoded = b"".join(chunks.encode(chunks.RE_CONFIG, answer) for answer in self._answers)
        self._answers.clear()
        if self._request is None and self._wanted:
            streams, self._wanted = tuple(self._wanted[:MAX_STREAMS]), self._wanted[MAX_STREAMS:]
            body = struct.pack(
                f"!LLL{len(streams)}H", self._next, (self._expected - 1) % MODULO, (next_tsn - 1) % MODULO, *streams
            )
            self._request = self._next, streams, parameters.encode(parameters.RESET_OUTGOING, body)
            self._next = (self._next + 1) % MODULO
            self._send_at, self._tries = now, 0
        if self._request is not None and self._send_at is not None and now >= self._send_at:
            self._send_at = now + min(rto * 2**self._tries, REPEAT_MOST)
            self._tries = min(self._tries + 1, 8)
            encoded += chunks.encode(chunks.RE_CONFIG, self._request[2])
        return encoded

    def receive(self, value: bytes, cumulative: int) -> list[Reset]:
        """Take a RE-CONFIG chunk; `cumulative` is the TSN up to which all has come. DecodeError when it is broken."""
        done: list[Reset] = []
        for kind, content in parameters.decode_all(value):
            if len(content) < (8 if kind in (parameters.RESET_RESPONSE, parameters.ADD_OUTGOING) else 4):
                raise DecodeError("a RE-CONFIG parameter is cut short")
            number = int.from_bytes(content[:4])
            if kind == parameters.RESET_RESPONSE:
                done += self._answered(number, int.from_bytes(content[4:8]))
            elif kind in range(parameters.RESET_OUTGOING, parameters.ADD_INCOMING + 1):
                done += self._asked(kind, number, content, cumulative)
        return done

    def progress(self, cumulative: int) -> list[Reset]:
        """All has come up to `cumulative`: do what waited for that."""
        waiting = self._deferred
        if waiting is None or waiting.last_tsn > cumulative:
            return []
        self._deferred = None
        self._answer(waiting.number, PERFORMED)
        return [Reset(waiting.streams, ours=False)]

    def _asked(self, kind: int, number: int, content: bytes, cumulative: int) -> list[Reset]:
        if number == (self._expected - 1) % MODULO:
            waits = self._deferred is not None and self._deferred.number == number
            self._answer(number, IN_PROGRESS if waits else self._last_answer)
            return []
        if number != self._expected:
            self._answer(number, BAD_NUMBER)
            return []
        self._expected = (number + 1) % MODULO
        if kind == parameters.RESET_OUTGOING:
            if len(content) < 12 or len(content) % 2:
                raise DecodeError("a list of streams is cut short")
            streams = struct.unpack(f"!{(len(content) - 12) // 2}H", content[12:])
            self._deferred = _Deferred(number, unwrap(int.from_bytes(content[8:12]), cumulative), streams)
            return self.progress(cumulative)
        if kind == parameters.RESET_INCOMING and not len(content) % 2:
            self._answer(number, PERFORMED)
            return [Reset(struct.unpack(f"!{(len(content) - 4) // 2}H", content[4:]), ours=False)]
        self._answer(number, DENIED)
        return []

    def _answered(self, number: int, result: int) -> list[Reset]:
        if self._request is None or self._request[0] != number or result == IN_PROGRESS:
            return []
        streams = self._request[1]
        self._request = self._send_at = None
        return [Reset(streams, ours=True)]

    def _answer(self, number: int, result: int) -> None:
        self._last_answer = result if result in (PERFORMED, DENIED) else self._last_answer
        self._answers.append(parameters.encode(parameters.RESET_RESPONSE, struct.pack("!LL", number, result)))
        del self._answers[:-16]
