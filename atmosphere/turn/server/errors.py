"""The error codes that this server answers with, and the reason phrases (RFC 8489 §14.8, RFC 8656 §19). Pure.

446 Connection Timeout or Failure and 447 belong to RFC 6062's TCP relaying (Connect, ConnectionBind), which is not
offered: a request for it is refused with 442 at Allocate, so nothing that could end in 446 ever begins. 300 Try
Alternate is for servers that know another one.
"""

from __future__ import annotations

from typing import Any, Final

REASONS: Final = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    420: "Unknown Attribute",
    437: "Allocation Mismatch",
    438: "Stale Nonce",
    440: "Address Family not Supported",
    441: "Wrong Credentials",
    442: "Unsupported Transport Protocol",
    443: "Peer Address Family Mismatch",
    486: "Allocation Quota Reached",
    508: "Insufficient Capacity",
}


class TurnError(Exception):
    """A request is refused with `code`; `attributes` go into the answer beside it."""

    def __init__(self, code: int, attributes: dict[str, Any] | None = None) -> None:
        super().__init__(f"{code} {REASONS[code]}")
        self.code = code
        self.attributes = attributes or {}
