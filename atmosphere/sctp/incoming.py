"""What of a packet is heard at all: its checksum, its chunks, and whether its tag is the right one (RFC 9260 §8.5)."""

from __future__ import annotations

from atmosphere.errors import DecodeError
from atmosphere.sctp import chunks, packet
from atmosphere.sctp.chunks import Chunk

_ALONE = frozenset((chunks.INIT, chunks.INIT_ACK, chunks.SHUTDOWN_COMPLETE))
_MAY_REFLECT = (chunks.ABORT, chunks.SHUTDOWN_COMPLETE)


def chunks_of(data: bytes, tag: int, peer_tag: int, *, zero_checksum: bool) -> list[Chunk]:
    """The chunks of a packet that is for us; DecodeError for any other.

    `tag` is ours, `peer_tag` the peer's, or 0 while that is not known.
    """
    came = packet.tag_of(data, zero_checksum=zero_checksum)
    found = chunks.decode_all(data, packet.HEADER)
    if len(found) > 1 and not _ALONE.isdisjoint([kind for kind, _, _ in found]):
        raise DecodeError("INIT, INIT ACK and SHUTDOWN COMPLETE travel alone")
    kind, flags, _ = found[0]
    if came != (0 if kind == chunks.INIT else tag):
        reflected = kind in _MAY_REFLECT and flags & chunks.TAG_REFLECTED
        # The cookie of an association begun anew comes with a tag of its own, and says itself whether it is ours.
        if kind != chunks.COOKIE_ECHO and not (reflected and peer_tag and came == peer_tag):
            raise DecodeError("the verification tag is wrong")
    return found
