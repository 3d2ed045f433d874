"""The state of an association in short, for whoever looks into a stall."""

from __future__ import annotations

from typing import Any

from atmosphere.sctp.association import Association


def report(association: Association) -> dict[str, Any]:
    """Windows, what is on its way and in which state, what is missing, what waits, and the timers."""
    state: dict[str, Any] = {
        "over": association.over,
        "queued": association.queue.buffered,
        "channels": association.channels.count,
    }
    sender, receiver = association.sender, association.receiver
    if sender is not None:
        flight, recovery = sender.flight, sender.recovery
        state |= {
            "cwnd": int(sender.congestion.window),
            "peer_window": sender.peer_window,
            "outstanding": flight.outstanding,
            "flight": (flight.base, flight.next),
            "states": bytes(flight.state[:64]).hex(),
            "lost": flight.lost,
            "srtt": recovery.smoothed,
            "rto": recovery.rto,
            "timer": recovery.deadline(flight),
            "sent": sender.sent,
            "resent": sender.resent,
        }
    if receiver is not None:
        state |= {
            "cumulative": receiver.tsns.cumulative,
            "gaps": receiver.tsns.gaps()[:8],
            "held": receiver.held,
            "unread": receiver.unread,
        }
    return state
