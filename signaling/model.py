"""What the users of a client see: messages, states, health."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Literal

from signaling.messages import MAX_PAYLOAD

State = Literal["new", "connecting", "connected", "waiting", "closed"]
Receipt = Literal["delivered", "queued"]

MAX_PAYLOAD_BYTES = MAX_PAYLOAD // 4 * 3
"""The largest payload that one message carries."""


@dataclass(frozen=True, slots=True)
class Message:
    """What another node sent; `id` is its sender's name for it, `topic` None unless it was published."""

    sender: str
    payload: bytes
    id: str
    topic: str | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """How a server is doing: `rtt_ms` and `error` are None where there is none."""

    uri: str
    ok: bool
    rtt_ms: float | None
    error: str | None


def new_message_id() -> str:
    """A name for a message that no other message has."""
    return secrets.token_hex(8)
