"""ICE restarts between members: a dial whose ufrag says which link it is for, and proves it, with nothing signaled.

Both ends of a link know a secret that nobody else has, the exporter of its DTLS handshake (RFC 5705). A dialer that
means to continue the link chooses the ufrag

    "R" | its rank (linktable.UFRAG_PREFIX) | generation (48 bits, 8 characters) | tag (96 bits, 16 characters)

whose tag is an HMAC of the rank, the generation and the direction. So whoever holds the link recognises the first
check. Generations only rise, so a check that somebody recorded begins nothing a second time. "R" sorts after every
rank, so where such a session meets an ordinary one on a path, the ordinary one stays: who dials anew has no link to
continue.
"""

from __future__ import annotations

import base64
import hmac
import re

from atmosphere.errors import Refused
from atmosphere.ice.mobility import Order
from atmosphere.mesh.linktable import UFRAG_PREFIX, Rank

EXPORTER_LABEL = b"EXPORTER-atmosphere-restart"
EXPORTER_BYTES = 32
MARKER = "R"
MAX_AHEAD = 1 << 20
"""Generations that the peer may skip: no honest one gets so far ahead, and no link restarts so often in its life."""

_GENERATION, _TAG = 6, 12
_UFRAG = re.compile(r"R([+AB])([A-Za-z0-9+/]{8})([A-Za-z0-9+/]{16})")


def is_restart(ufrag: str) -> bool:
    """Whether a dialer with that ufrag means to continue a link that it holds."""
    return ufrag.startswith(MARKER)


class Restarts:
    """The restarts of one link, both ways; `secret` is its exporter, `client` whether we were the DTLS client."""

    def __init__(self, secret: bytes, *, client: bool) -> None:
        self._secret = secret
        self._client = client
        self._begun = 0
        self._heard = 0

    def begin(self, rank: Rank) -> tuple[str, Order]:
        """The ufrag of our next restart and its place among the link's sessions; Refused after the last one."""
        generation = max(self._begun, self._heard) + 1
        if generation >= 1 << (8 * _GENERATION):
            raise Refused("the link was restarted too often")
        self._begun = generation
        return self._ufrag(rank, generation, by_client=self._client), (generation, -rank)

    def recognise(self, ufrag: str) -> Order | None:
        """The place of the peer's restart under that ufrag; None when it is of another link, or came before."""
        match = _UFRAG.fullmatch(ufrag)
        if match is None:
            return None
        rank = UFRAG_PREFIX.index(match[1])
        generation = int.from_bytes(base64.b64decode(match[2]), "big")
        expected = self._ufrag(rank, generation, by_client=not self._client)
        if not hmac.compare_digest(ufrag, expected):
            return None
        if not self._heard < generation <= max(self._begun, self._heard) + MAX_AHEAD:
            return None
        self._heard = generation
        return generation, -rank

    def _ufrag(self, rank: int, generation: int, *, by_client: bool) -> str:
        number = generation.to_bytes(_GENERATION, "big")
        said = b"atmosphere restart v1 " + (b"client " if by_client else b"server ") + bytes([rank]) + number
        tag = hmac.digest(self._secret, said, "sha256")[:_TAG]
        return MARKER + UFRAG_PREFIX[rank] + base64.b64encode(number + tag).decode("ascii")
