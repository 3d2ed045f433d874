"""What a relay server counts beside signaling, for /stats and /metrics."""

from __future__ import annotations

from typing import Final

from atmosphere.network import relay_sessions
from atmosphere.network.relay_sessions import RelaySessions
from atmosphere.network.relay_turn import RelayTurn
from atmosphere.tcp.port import TcpPort
from atmosphere.turn.server import clients, metrics
from signaling.metrics import exposition

_PORT: Final = {
    "tcp_undecided": "connections of which nobody knows yet what they speak",
    "tcp_accepted_total": "connections accepted on the TCP port",
    "tcp_refused_total": "of these, refused because too many were undecided",
    "tcp_silent_total": "of these, cut because they said nothing of use in time",
    "tls_reloads_total": "times that a new certificate was taken up",
    "tls_reload_failures_total": "times that a new certificate could not be used",
}

TEXTS: Final = {
    name: text
    for table in (
        metrics.GAUGES,
        metrics.COUNTERS,
        metrics.DERIVED,
        clients.GAUGES,
        clients.COUNTERS,
        relay_sessions.GAUGES,
        relay_sessions.COUNTERS,
        _PORT,
    )
    for name, text in table.items()
}
"""A line of help for each number."""


class Numbers:
    """The numbers of one relay server, in the form that the signaling server takes."""

    def __init__(self, turn: RelayTurn | None, sessions: RelaySessions, port: TcpPort) -> None:
        self._turn = turn
        self._sessions = sessions
        self._port = port

    def as_dict(self) -> dict[str, float]:
        """All numbers by name."""
        port, certificates = self._port, self._port.certificates
        return {
            **(self._turn.stats() if self._turn else {}),
            **self._sessions.stats(),
            "tcp_undecided": port.undecided,
            "tcp_accepted_total": port.accepted,
            "tcp_refused_total": port.refused,
            "tcp_silent_total": port.silent,
            "tls_reloads_total": certificates.reloads if certificates else 0,
            "tls_reload_failures_total": certificates.failures if certificates else 0,
        }

    def as_prometheus(self) -> str:
        """Their part of /metrics."""
        return exposition("", TEXTS, self.as_dict())
