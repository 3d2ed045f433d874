"""The link's own channel: credit and stream control, coalesced so that a peer that does not listen costs nothing."""

from __future__ import annotations

from collections.abc import Callable

from atmosphere.channels import wire


class ControlSender:
    """Control messages on their way out; while there is no room only the newest of each kind waits for each channel.

    So what waits is bounded by the channels that are open.
    """

    def __init__(self, send: Callable[[bytes], None], has_room: Callable[[], bool]) -> None:
        self._send = send
        self._has_room = has_room
        self._waiting: dict[tuple[type[wire.Control], int], wire.Control] = {}

    def send(self, message: wire.Control) -> None:
        """Send now, or when there is room; a newer message of the same kind for the same channel takes its place."""
        if not self._waiting and self._has_room():
            self._send(wire.encode(message))
        else:
            self._waiting[type(message), message.channel] = message

    def flush(self) -> None:
        """There is room again."""
        while self._waiting and self._has_room():
            key = next(iter(self._waiting))
            self._send(wire.encode(self._waiting.pop(key)))

    def forget(self, channel: int) -> None:
        """A channel is gone, so nothing is said about it any more."""
        for key in [key for key in self._waiting if key[1] == channel]:
            del self._waiting[key]
