"""The STUN servers asked when nobody names others: public, well known, of different operators. Pure data.

Several, because any one may be blocked or down and two are needed to compare mappings; the last one has two addresses
and so can also tell the NAT's filtering (RFC 5780). They learn the asking machine's public address and nothing else.
"""

from __future__ import annotations

DEFAULT_STUN_SERVERS: tuple[str, ...] = (
    "stun:stun.l.google.com:19302",
    "stun:stun.cloudflare.com:3478",
    "stun:stun1.l.google.com:19302",
    "stun:stun.nextcloud.com:443",
    "stun:stunserver2025.stunprotocol.org:3478",
)
