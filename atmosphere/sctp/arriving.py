"""What packets bring to an association: each chunk is given to the part that it is for."""

from __future__ import annotations

import logging
from collections.abc import Callable

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks, incoming, packet, parameters
from atmosphere.sctp.chunks import Sack
from atmosphere.sctp.datachannels import DataChannels
from atmosphere.sctp.handshake import Handshake
from atmosphere.sctp.parameters import Features
from atmosphere.sctp.pathmtu import PathMtu
from atmosphere.sctp.pieces import Joiner
from atmosphere.sctp.receiver import Receiver
from atmosphere.sctp.reset import Reset, StreamReset
from atmosphere.sctp.sender import Sender
from atmosphere.sctp.shutdown import Shutdown

logger = logging.getLogger(__name__)

MAX_WAITING_CONTROL = 32
_ESTABLISHED_ONLY = frozenset(
    (
        chunks.DATA,
        chunks.I_DATA,
        chunks.SACK,
        chunks.SHUTDOWN,
        chunks.SHUTDOWN_ACK,
        chunks.RE_CONFIG,
        chunks.FORWARD_TSN,
        chunks.I_FORWARD_TSN,
    )
)

_COMMON = (bytes((chunks.I_DATA,)), bytes((chunks.SACK,)))
"""What a packet begins with as a rule between our own nodes; its tag and the missing checksum need no second look."""


class Arriving:
    """The half of an `Association` that takes packets apart."""

    over: str
    channels: DataChannels
    receiver: Receiver | None
    sender: Sender | None
    path_mtu: PathMtu | None
    _handshake: Handshake
    _offered: Features
    _reset: StreamReset | None
    _shutdown: Shutdown
    _joiner: Joiner | None
    _control: list[bytes]
    _data_came: bool
    _expected: bytes

    def abort(self, reason: str) -> None:
        """End at once and tell the peer why."""
        raise NotImplementedError

    def _end(self, reason: str) -> None:
        raise NotImplementedError

    def _establish(self) -> None:
        raise NotImplementedError

    def _check_size(self, now: float) -> None:
        raise NotImplementedError

    def _packet(self, data: bytes, now: float) -> None:
        self._data_came = False
        try:
            if data.startswith(self._expected) and data[packet.HEADER : packet.HEADER + 1] in _COMMON:
                found = chunks.decode_all(data, packet.HEADER)
            else:
                found = incoming.chunks_of(
                    data, self._handshake.tag, self._handshake.peer_tag, zero_checksum=self._offered.zero_checksum
                )
        except DecodeError as error:
            logger.debug("dropped a packet: %s", error)
            return
        for kind, flags, value in found:
            if self.over:
                return
            try:
                if not self._chunk(kind, flags, value, now):
                    break
            except DecodeError as error:
                logger.debug("the rest of a packet was dropped: %s", error)
                break
        if self._data_came and self.receiver is not None:
            self.receiver.packet_done(now)

    def _chunk(self, kind: int, flags: int, value: bytes, now: float) -> bool:
        """Take one chunk; whether to go on with the next."""
        if kind in _ESTABLISHED_ONLY and self.receiver is None:
            return True
        if kind in (chunks.DATA, chunks.I_DATA) and self.receiver is not None:
            self._data_came = True
            try:
                messages = self.receiver.data(kind, flags, value, now)
            except DecodeError as error:
                self.abort(str(error))
                return False
            for message in messages:
                self.channels.receive(message)
            return True
        handler = _HANDLERS.get(kind)
        if handler is not None:
            handler(self, flags, value, now)
            return True
        # RFC 9260 section 3.2: the two highest bits say what to do with a chunk that is not known.
        if kind & 0x40 and self.receiver is not None:
            unknown = chunks.encode(kind, value[:64], flags)
            self._say(chunks.encode(chunks.ERROR, parameters.encode(parameters.UNRECOGNIZED_CHUNK, unknown)))
        return bool(kind & 0x80)

    def _say(self, chunk: bytes) -> None:
        if len(self._control) < MAX_WAITING_CONTROL:
            self._control.append(chunk)

    def _on_init(self, flags: int, value: bytes, now: float) -> None:
        self._handshake.init(value, now)

    def _on_init_ack(self, flags: int, value: bytes, now: float) -> None:
        self._handshake.init_ack(value, now)

    def _on_cookie_echo(self, flags: int, value: bytes, now: float) -> None:
        answer = self._handshake.cookie_echo(value, now)
        if self._handshake.restarted:
            self._end("the peer has begun anew")
        if answer:
            self._establish()
            self._say(answer)

    def _on_cookie_ack(self, flags: int, value: bytes, now: float) -> None:
        self._handshake.cookie_ack()
        self._establish()

    def _on_sack(self, flags: int, value: bytes, now: float) -> None:
        if self.sender is not None and not self.sender.acknowledge(Sack.decode(value), now):
            self.abort("the peer acknowledged what was never sent")
        self._check_size(now)

    def _on_heartbeat(self, flags: int, value: bytes, now: float) -> None:
        self._say(chunks.encode(chunks.HEARTBEAT_ACK, value))

    def _on_heartbeat_ack(self, flags: int, value: bytes, now: float) -> None:
        if self.path_mtu is not None and self.sender is not None and self.path_mtu.answered(value, now):
            self.sender.set_mtu(self.path_mtu.size)

    def _on_piece(self, flags: int, value: bytes, now: float) -> None:
        if self._joiner is None or not (whole := self._joiner.add(value)):
            return
        for kind, own_flags, content in chunks.decode_all(whole):
            if kind in (chunks.DATA, chunks.I_DATA):
                self._chunk(kind, own_flags, content, now)

    def _on_error(self, flags: int, value: bytes, now: float) -> None:
        if any(cause == parameters.STALE_COOKIE for cause, _ in parameters.decode_all(value)):
            self._handshake.stale(now)

    def _on_reconfig(self, flags: int, value: bytes, now: float) -> None:
        if self._reset is not None and self.receiver is not None:
            self._perform(self._reset.receive(value, self.receiver.tsns.cumulative))

    def _on_forward(self, flags: int, value: bytes, now: float, *, interleaved: bool = False) -> None:
        if self.receiver is None:
            return
        tsn, skipped = chunks.decode_forward(value, interleaved=interleaved)
        if interleaved != self.receiver.interleaved:
            return
        try:
            messages = self.receiver.forward(tsn, skipped)
        except DecodeError as error:
            self.abort(str(error))
            return
        for message in messages:
            self.channels.receive(message)

    def _on_i_forward(self, flags: int, value: bytes, now: float) -> None:
        self._on_forward(flags, value, now, interleaved=True)

    def _on_abort(self, flags: int, value: bytes, now: float) -> None:
        self._end(parameters.abort_reason(value) or "aborted by the peer")

    def _on_shutdown_ack(self, flags: int, value: bytes, now: float) -> None:
        self._say(self._shutdown.acknowledged())

    def _on_shutdown_complete(self, flags: int, value: bytes, now: float) -> None:
        self._shutdown.completed()

    def _on_pad(self, flags: int, value: bytes, now: float) -> None:
        """Nothing is to be done."""

    def _on_shutdown(self, flags: int, value: bytes, now: float) -> None:
        if len(value) != 4 or self.sender is None:
            raise DecodeError("a SHUTDOWN does not have four bytes")
        self._shutdown.received()
        self.sender.acknowledge(Sack(int.from_bytes(value), self.sender.peer_window), now)

    def _perform(self, resets: list[Reset]) -> None:
        for one in resets:
            if one.ours:
                self.channels.reset_done(one.streams)
            elif self.receiver is not None:
                for stream in one.streams:
                    self.receiver.reset(stream)
                self.channels.peer_reset(one.streams)


Handler = Callable[[Arriving, int, bytes, float], None]
_HANDLERS: dict[int, Handler] = {
    chunks.INIT: Arriving._on_init,
    chunks.INIT_ACK: Arriving._on_init_ack,
    chunks.COOKIE_ECHO: Arriving._on_cookie_echo,
    chunks.COOKIE_ACK: Arriving._on_cookie_ack,
    chunks.SACK: Arriving._on_sack,
    chunks.ABORT: Arriving._on_abort,
    chunks.HEARTBEAT: Arriving._on_heartbeat,
    chunks.HEARTBEAT_ACK: Arriving._on_heartbeat_ack,
    chunks.ERROR: Arriving._on_error,
    chunks.RE_CONFIG: Arriving._on_reconfig,
    chunks.FORWARD_TSN: Arriving._on_forward,
    chunks.I_FORWARD_TSN: Arriving._on_i_forward,
    chunks.SHUTDOWN: Arriving._on_shutdown,
    chunks.SHUTDOWN_ACK: Arriving._on_shutdown_ack,
    chunks.SHUTDOWN_COMPLETE: Arriving._on_shutdown_complete,
    chunks.PIECE: Arriving._on_piece,
    chunks.PAD: Arriving._on_pad,
}
"""One table for all associations: a link has none of its own."""
