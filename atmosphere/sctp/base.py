"""What the halves of the hardened association share: its state, its wire, and how aiortc's coroutines are run.

aiortc's handlers are coroutines that never wait, because all they await in the end is `Wire._send_data`; so they are
run to their end on the spot (`run`), packets are handled strictly one after the other, and no task is ever started.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, cast

from atmosphere.sctp import packets
from atmosphere.sctp.library import AbortChunk, RTCSctpTransport

PORT = 5000
WINDOW_MOST = 1024 * 1024
"""Bytes sent and not acknowledged, at most; it keeps what SCTP holds small and its queue short."""
MODULO = 2**32
States = RTCSctpTransport.State
BEFORE_TAG = (States.CLOSED, States.COOKIE_WAIT)
"""States in which the peer has nothing to say but its part of the handshake."""


class Owner(Protocol):
    """What the transport tells the association."""

    def transport_established(self) -> None:
        """The handshake is complete."""
        ...

    def transport_closed(self, reason: str) -> None:
        """The association is over."""
        ...

    def transport_message(self, stream: int, protocol: int, data: bytes) -> None:
        """A whole message came in."""
        ...

    def transport_room(self) -> None:
        """The queue to the network is empty: the next message may be handed over."""
        ...

    def transport_stream_reset(self, stream: int) -> None:
        """The peer closed a data channel."""
        ...

    def transport_stream_closed(self, stream: int) -> None:
        """A data channel is closed in both directions."""
        ...


class Wire:
    """What aiortc wants of a DTLS transport, and nothing more."""

    state = "connected"

    def __init__(self, *, client: bool, send: Callable[[bytes], None]) -> None:
        self._role = "client" if client else "server"
        self._send = send

    async def _send_data(self, data: bytes) -> None:
        self._send(data)


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run one of aiortc's coroutines to its end, here and now."""
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError("aiortc waited for something; its coroutines are expected never to")


class BaseTransport(RTCSctpTransport):
    """aiortc's association on a wire of ours; it ends once, and says why."""

    _loop: asyncio.AbstractEventLoop
    _last_received_tsn: int

    def __init__(self, *, client: bool, send: Callable[[bytes], None], owner: Owner) -> None:
        super().__init__(cast("Any", Wire(client=client, send=send)), PORT)
        self._owner = owner
        self._remote_port = PORT
        self._rto = 1.0
        self._ssthresh = WINDOW_MOST
        self._timeouts = 0
        self._window_before: int | None = None
        """The congestion window before the present outage; None once the peer acknowledges again."""
        self._held = 0
        self._scan = False
        self._unreported = 0
        self._report_handle: asyncio.Handle | None = None
        self._probe_handle: asyncio.TimerHandle | None = None
        self._probed = False
        self._over = False
        self._end_reason = "the association failed"

    @property
    def over(self) -> bool:
        """Whether the association has ended; it never comes back."""
        return self._over

    @property
    def established(self) -> bool:
        """Whether data may be sent."""
        return bool(self._association_state == States.ESTABLISHED)

    def abort(self, reason: str) -> None:
        """Send ABORT with `reason` and be closed."""
        if self._over:
            return
        chunk = AbortChunk()
        chunk.params.append(packets.abort_cause(reason))
        run(self._send_chunk(chunk))
        self._end(reason)

    def _end(self, reason: str) -> None:
        self._end_reason = reason
        self._set_state(States.CLOSED)

    def _set_state(self, state: Any) -> None:
        before, self._association_state = self._association_state, state
        if state == States.CLOSED:
            self._reconfig_timer_cancel()
            self._t1_cancel()
            self._t2_cancel()
            self._t3_cancel()
            for handle in (self._report_handle, self._probe_handle):
                if handle is not None:
                    handle.cancel()
            if not self._over:
                self._over = True
                self._owner.transport_closed(self._end_reason)
        elif state == States.ESTABLISHED and before != state:
            self._owner.transport_established()
