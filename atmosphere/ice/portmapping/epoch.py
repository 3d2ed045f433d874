"""Has the router forgotten its mappings? Told by its own clock, which every answer carries. Pure.

RFC 6887 §8.5 (and RFC 6886 §3.6, which is a little laxer): a router that lost its state starts its clock anew, so a
clock that went back, or ran much slower or faster than ours, means that every mapping has to be asked for again. A
machine that slept sees the same, since its own clock stood still: its mappings may have expired meanwhile.
"""

from __future__ import annotations


class Epoch:
    """The router's clock against ours."""

    def __init__(self) -> None:
        self._last: tuple[int, float] | None = None
        self._lost = False

    def hear(self, epoch: int, now: float) -> None:
        """Take the epoch (seconds) of an answer; `now` is in monotonic seconds."""
        last, self._last = self._last, (epoch, now)
        if last is not None and not _agree(epoch - last[0], now - last[1]):
            self._lost = True

    def lost(self) -> bool:
        """Whether the router lost its state since this was asked last."""
        lost, self._lost = self._lost, False
        return lost


def _agree(server: float, client: float) -> bool:
    """Whether so many seconds of the router's are, roughly, so many of ours."""
    return server >= -1 and client + 2 >= server - server / 16 and server + 2 >= client - client / 16
