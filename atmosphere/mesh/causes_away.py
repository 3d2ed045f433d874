"""Why a peer is not reached: the lines of the table of causes for as long as there is no path. Pure."""

from __future__ import annotations

from atmosphere.mesh.situation import Cause, Situation

__all__ = ["AWAY", "PATIENCE"]

PATIENCE = 3.0
"""Seconds of silence after which an attempt that still runs is told of as if it had failed."""


def _unheard(s: Situation) -> bool:
    """Nobody answered, and it was waited for long enough."""
    attempt = s.attempt
    return attempt is not None and not attempt.answered and (attempt.error is not None or attempt.seconds > PATIENCE)


def _reached(s: Situation, *layers: str) -> bool:
    return s.failed_attempt is not None and s.failed_attempt.layer in layers


def _heard(s: Situation) -> bool:
    return s.attempt is not None and s.attempt.answered


AWAY = (
    Cause(
        "refused",
        lambda s: _reached(s, "refused"),
        "{peer} was reached and said no: {error}.",
        "Let the founder look at `atmosphere peers` and `atmosphere status` on both sides.",
    ),
    Cause(
        "stopped",
        lambda s: s.left is not None and s.left.startswith("the other side:") and not _heard(s),
        "Nothing answers: {peer} said goodbye ({left}).",
        "Start {peer} again: `atmosphere serve` over there.",
    ),
    Cause(
        "handshake",
        lambda s: _reached(s, "dtls", "greeting"),
        "A path to {peer} was found, but the encrypted handshake over it did not finish: {error}.",
        "Let large UDP packets (1280 bytes) pass in both firewalls; if both do, restart the node at {peer}.",
    ),
    Cause(
        "no-messenger",
        lambda s: _unheard(s) and not s.helpers,
        "Nobody could tell {peer} that it is called: no signaling server is reached, and no other member is connected.",
        "Name a signaling server that both reach: --signaling URL (`atmosphere relay` on a public box is one).",
    ),
    Cause(
        "offline",
        _unheard,
        "Nothing answers: {peer} is switched off, not running or without network.",
        "See that {peer} is running (`atmosphere status` over there).",
    ),
    Cause(
        "trying",
        lambda s: s.failed_attempt is None,
        "Nothing answers yet: {peer} is being called right now.",
        "Ask again in some seconds.",
    ),
    Cause(
        "only-direct-here",
        lambda s: s.here.policy == "direct",
        "{peer} is there, but no direct path exists, and this node runs with --path-policy direct.",
        "Start this node with --path-policy any, so that it may use a relay.",
    ),
    Cause(
        "only-direct-there",
        lambda s: s.there.policy == "direct",
        "{peer} is there, but no direct path exists, and it runs with --path-policy direct.",
        "Start {peer} with --path-policy any, so that it may use a relay.",
    ),
    Cause(
        "relay-down",
        lambda s: bool(s.relays) and not any(relay.ok for relay in s.relays),
        "{peer} is there, but no direct path exists, and no relay answers: {relay}.",
        "See that the relay runs and that its port is open (UDP and TCP), or name another one with --turn.",
    ),
    Cause(
        "no-relay",
        lambda s: not s.has_relay,
        "{peer} is there, but no direct path exists and no relay is configured.",
        "Run `atmosphere relay` on a machine with a public address, and give its --signaling option to both nodes.",
    ),
    Cause(
        "no-path",
        lambda s: True,
        "{peer} is there, but none of the ways to it was answered, not even by relay.",
        "See on both sides with `atmosphere status` that the same relay answers.",
    ),
)
"""While there is none."""
