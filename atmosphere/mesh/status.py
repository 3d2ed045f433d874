"""A node's account of itself, and the one sentence that helps when something is missing."""

from __future__ import annotations

from collections import Counter

from atmosphere.ice.candidate import Candidate
from atmosphere.mesh.info import NodeInfo, NodeStatus, ServerInfo, SideInfo
from atmosphere.mesh.listeners import Listeners
from atmosphere.mesh.meeting import Meeting
from atmosphere.mesh.offering import Offering
from atmosphere.mesh.peers import Peers
from atmosphere.mesh.roster import Roster


def node_status(
    roster: Roster,
    listeners: Listeners,
    meeting: Meeting,
    peers: Peers,
    offering: Offering,
    network: SideInfo,
    version: str,
    uptime: float,
) -> NodeStatus:
    """Everything `atmosphere status` shows; `uptime` in seconds."""
    candidates = sorted(listeners.endpoint.candidates, key=lambda candidate: -candidate.priority)
    servers = [
        ServerInfo(health.uri, bool(health.ok), health.rtt_ms, health.error)
        for health in listeners.endpoint.servers()
        if health.ok is not None
    ]
    return NodeStatus(
        node=NodeInfo(roster.own_id, roster.own_name),
        mesh=NodeInfo(roster.mesh_id, roster.mesh_name) if roster.mesh_id else None,
        role=roster.role(roster.own_id) if roster.mesh_id else None,
        version=version,
        port=listeners.port,
        addresses=[endpoint(candidate.address, candidate.port) for candidate in candidates if _is_own(candidate)],
        candidates=[_shown(candidate) for candidate in candidates],
        servers=[*servers, *meeting.servers()],
        peers=dict(Counter(peer.state for peer in peers.all())),
        uptime=uptime,
        ready=roster.is_member,
        relay=offering.info(),
        advice=_advice(servers, [candidate.type for candidate in candidates]),
        network=network,
    )


def _is_own(candidate: Candidate) -> bool:
    return candidate.type == "host" and candidate.transport == "udp"


def _shown(candidate: Candidate) -> str:
    over = " tcp" if candidate.transport == "tcp" else ""
    return f"{candidate.type} {endpoint(candidate.address, candidate.port)}{over}"


def endpoint(address: str, port: int) -> str:
    """An address and port as people write them."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _advice(servers: list[ServerInfo], types: list[str]) -> str | None:
    if "srflx" in types or "relay" in types:
        return None
    if servers and not any(server.ok for server in servers):
        return "no STUN or TURN server answers: machines on this network can join, others only where a port is open"
    return None
