"""Which link is a peer's current one, when two ends dial at once, a peer restarts, or a dead path is replaced.

The rule, the same at both ends: a link whose path is lost gives way, and so does one to an earlier boot of the peer.
Otherwise the better rank stays: the link that a join code made, then the one that the smaller node id dialed, then
the one that the larger dialed; of one rank the newer stays (its dialer knew why).

ICE has the same question earlier, when two sessions meet on one path, and keeps the one whose dialer's ufrag sorts
first; so a ufrag begins with its rank, and both floors decide alike.
"""

from __future__ import annotations

from typing import Literal, Protocol

Rank = Literal[0, 1, 2]

UFRAG_PREFIX = ("+", "A", "B")
"""What a dialer's ufrag begins with, by the rank of the link to be; these sort in order of rank."""


class TableLink(Protocol):
    """What the rule needs to know of a link."""

    boot: bytes
    dialed: bool
    invited: bool

    @property
    def alive(self) -> bool:
        """Whether its path works as far as we know."""
        ...


def dial_rank(own_id: str, peer_id: str) -> Rank:
    """The rank of a link between members that `own_id` dials."""
    return 1 if own_id < peer_id else 2


def rank(link: TableLink, own_id: str, peer_id: str) -> Rank:
    """The rank of `link`, 0 the best; both ends see the same."""
    if link.invited:
        return 0
    return dial_rank(own_id, peer_id) if link.dialed else dial_rank(peer_id, own_id)


def newcomer_wins(current: TableLink | None, newcomer: TableLink, own_id: str, peer_id: str) -> bool:
    """Whether `newcomer` becomes the peer's link; otherwise it is the one to close."""
    if current is None or not current.alive or current.boot != newcomer.boot:
        return True
    return rank(newcomer, own_id, peer_id) <= rank(current, own_id, peer_id)
