"""What happened to a peer's path: which one it is, since when, and why it changed, in words. Pure."""

from __future__ import annotations

from atmosphere.ice.events import IceEvent, PathLost, PathRestored, PathSelected
from atmosphere.mesh.info import ChangeInfo, PathInfo

__all__ = ["History", "reason_for"]


class History:
    """One peer's; `left` is why its last link ended, None while there is one. Times are unix seconds."""

    def __init__(self) -> None:
        self.path: PathInfo | None = None
        self.since: float | None = None
        self.last_change: ChangeInfo | None = None
        self.left: str | None = None

    def connected(self, path: PathInfo | None, now: float) -> None:
        """The first link, or the first after a while, is up."""
        self.left = None
        self._note(path, "connected", now)

    def moved(self, path: PathInfo | None, event: IceEvent | None, now: float) -> tuple[PathInfo | None, str]:
        """The path is another one now, because of `event` (None: a new link); the one before, and why."""
        previous = self.path
        if path is not None and path == previous and self.last_change is not None:
            return previous, self.last_change.reason
        reason = reason_for(previous, path, event)
        self._note(path, reason, now)
        return previous, reason

    def ended(self, reason: str, now: float) -> None:
        """The link is gone."""
        self.left = reason
        self._note(None, reason, now)

    def _note(self, path: PathInfo | None, reason: str, now: float) -> None:
        self.path, self.last_change = path, ChangeInfo(now, reason)
        self.since = None if path is None else now


def reason_for(previous: PathInfo | None, path: PathInfo | None, event: IceEvent | None) -> str:
    """Why data goes over `path` now, in a few words."""
    if path is None:
        return _silence(event)
    if previous is None:
        return "answers again"
    if path.kind == "direct" and previous.kind == "relay":
        return "direct works"
    if event is None:
        return "a new link took over"
    if path.kind == "relay":
        return _to_relay(previous, event)
    return _between_direct(previous, path, event)


def _silence(event: IceEvent | None) -> str:
    if isinstance(event, PathLost):
        return f"no answer for {event.quiet_seconds:.0f} s" if event.quiet_seconds else "network changed"
    return "asked whether it is the same" if isinstance(event, PathRestored) else "no path"


def _to_relay(previous: PathInfo, event: IceEvent) -> str:
    if not _was_lost(event):
        return "another relay is better"
    if previous.kind == "relay":
        return "relay lost"
    return "network changed" if _base_is_gone(event) else "direct path lost"


def _between_direct(previous: PathInfo, path: PathInfo, event: IceEvent) -> str:
    if _base_is_gone(event):
        return "network changed"
    if _was_lost(event):
        return "the former path fell silent"
    return "peer's network changed" if previous.remote.address != path.remote.address else "a better path works"


def _base_is_gone(event: IceEvent) -> bool:
    """Whether a local address went away under the path."""
    return isinstance(event, PathSelected) and event.previous is None


def _was_lost(event: IceEvent) -> bool:
    """Whether the path before died, rather than being outdone."""
    silent = isinstance(event, PathSelected) and event.previous is not None and event.previous.state == "failed"
    return silent or _base_is_gone(event)
