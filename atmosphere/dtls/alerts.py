"""What one end tells the other when it ends a session (RFC 5246 section 7.2)."""

from __future__ import annotations

WARNING, FATAL = 1, 2
CLOSE_NOTIFY = bytes((WARNING, 0))
_WORDS = {
    10: "unexpected message",
    20: "bad record MAC",
    22: "record overflow",
    40: "handshake failure",
    42: "bad certificate",
    43: "unsupported certificate",
    44: "certificate revoked",
    45: "certificate expired",
    46: "certificate unknown",
    47: "illegal parameter",
    49: "access denied",
    50: "decode error",
    51: "decrypt error",
    80: "internal error",
    90: "user canceled",
}


def says_fatal(alert: bytes) -> str:
    """What a fatal alert says; empty when the alert is none."""
    if len(alert) != len(CLOSE_NOTIFY) or alert[0] != FATAL:
        return ""
    return _WORDS.get(alert[1], f"alert {alert[1]}")
