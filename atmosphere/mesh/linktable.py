"""Which link is a peer's current one, when two ends dial at once, a peer restarts, or a dead path is replaced.

The rule, the same at both ends: a link whose path is lost gives way, and so does one to an earlier boot of the peer;
of two links of the same boot, dialed from both sides at once, the one dialed by the smaller node id stays; dialed by
the same side, the newer one stays (its dialer knew why).
"""

from __future__ import annotations

from typing import Protocol


class TableLink(Protocol):
    """What the rule needs to know of a link."""

    boot: bytes
    dialed: bool

    @property
    def alive(self) -> bool:
        """Whether its path works as far as we know."""
        ...


def dialer_is_smaller(link: TableLink, own_id: str, peer_id: str) -> bool:
    """Whether the smaller of the two ids dialed `link`."""
    return (own_id < peer_id) == link.dialed


def newcomer_wins(current: TableLink | None, newcomer: TableLink, own_id: str, peer_id: str) -> bool:
    """Whether `newcomer` becomes the peer's link; otherwise it is the one to close."""
    if current is None or not current.alive or current.boot != newcomer.boot:
        return True
    if current.dialed == newcomer.dialed:
        return True
    return dialer_is_smaller(newcomer, own_id, peer_id)
