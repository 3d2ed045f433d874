"""Gathers from the parts of a node what is known of the way to a peer, and has it explained."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import cast, get_args

from atmosphere.ice.candidate import Candidate
from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.events import PairReport
from atmosphere.ice.health import ServerHealth
from atmosphere.ice.nat import NatBehaviour
from atmosphere.mesh import hints, nat_evidence, signals, wire
from atmosphere.mesh.about import Abouts
from atmosphere.mesh.attempts import Attempts
from atmosphere.mesh.causes_away import PATIENCE
from atmosphere.mesh.explain import explain, side_info
from atmosphere.mesh.info import Explanation, ServerInfo, SideInfo
from atmosphere.mesh.listeners import NodeSettings
from atmosphere.mesh.meeting import Meeting
from atmosphere.mesh.peer import Peer, path_info
from atmosphere.mesh.peers import Peers
from atmosphere.mesh.reachability import is_everywhere
from atmosphere.mesh.relaying import Relaying
from atmosphere.mesh.roster import Roster
from atmosphere.mesh.situation import Mapping, Side, Situation

__all__ = ["Observer"]


class Observer:
    """Looks at everything and changes nothing."""

    def __init__(
        self,
        settings: NodeSettings,
        roster: Roster,
        endpoint: IceEndpoint,
        *,
        meeting: Meeting,
        relaying: Relaying,
        peers: Peers,
        attempts: Attempts,
        abouts: Abouts,
    ) -> None:
        self._settings = settings
        self._roster = roster
        self._endpoint = endpoint
        self._meeting = meeting
        self._relaying = relaying
        self._peers = peers
        self._attempts = attempts
        self._abouts = abouts
        self.searches: hints.Searches | None = None
        """Whoever guesses ports."""

    def explain(self, peer: Peer) -> Explanation:
        """Why `peer` is reached as it is."""
        return explain(self.situation(peer), self._relaying.findings())

    def own_side(self) -> SideInfo:
        """What is known of this node's own network."""
        return side_info(self._here(()))

    def about(self) -> wire.About:
        """What the other members are told so that they can explain their links to us."""
        mapping, _ = hints.port_mapping(self._endpoint, wanted=self._settings.port_mapping)
        return wire.About(self._settings.path_policy, self._udp(), mapping)

    def mapped(self) -> list[tuple[str, int]]:
        """The addresses under which our router opened a port."""
        return hints.port_mapping(self._endpoint, wanted=self._settings.port_mapping)[1]

    def situation(self, peer: Peer) -> Situation:
        """What is known of the way to `peer` now."""
        link = peer.link if peer.link is not None and peer.link.alive else None
        found = None if link is not None else self._attempts.of(peer.id, PATIENCE)
        pairs = tuple(link.session.report()) if link is not None else found[1] if found else ()
        history = peer.history
        return Situation(
            name=peer.name,
            state=peer.state,
            here=self._here(pairs),
            there=self._there(peer, pairs),
            path=path_info(link.session) if link is not None else None,
            pairs=pairs,
            relays=tuple(_info(server) for server in self._endpoint.servers() if server.kind == "turn"),
            signaling=tuple(self._meeting.servers()),
            helpers=self._has_helpers(peer),
            search=hints.search(self.searches, peer.id),
            attempt=found[0] if found else None,
            next_try=self._peers.next_try(peer, asyncio.get_running_loop().time()),
            left=history.left,
            age=time.time() - history.since if history.since is not None else 0.0,
        )

    def _has_helpers(self, peer: Peer) -> bool:
        """Whether a signal to `peer` could be sent at all."""
        others = [link for link in self._peers.neighbours() if link.peer_id != peer.id]
        return bool(others) or any(server.ok for server in self._meeting.servers())

    def _here(self, pairs: Iterable[PairReport]) -> Side:
        candidates = self._endpoint.candidates
        mapping, _ = hints.port_mapping(self._endpoint, wanted=self._settings.port_mapping)
        nat = nat_evidence.ours(self._endpoint.behaviour, candidates, pairs)
        return _side(nat, candidates, policy=self._settings.path_policy, udp=self._udp(), mapping=mapping)

    def _there(self, peer: Peer, pairs: tuple[PairReport, ...]) -> Side:
        contact = self._roster.contacts.get(peer.id)
        candidates = signals.parse_candidates(contact.candidates) if contact is not None else []
        candidates = [*candidates, *(pair.remote for pair in pairs)]
        told = self._abouts.of(peer.id)
        behaviour = (peer.link.remote_nat if peer.link is not None else None) or NatBehaviour()
        nat = nat_evidence.theirs(behaviour, pairs)
        mapping = cast("Mapping", told.mapping if told.mapping in get_args(Mapping) else "unknown")
        udp = False if behaviour.type == "udp-blocked" else told.udp
        return _side(nat, candidates, policy=told.policy, udp=udp, mapping=mapping)

    def _udp(self) -> bool | None:
        """Whether UDP gets out of our network, as far as servers and peers have shown."""
        servers = self._endpoint.servers()
        ways = [one.relay_protocol for one in self._endpoint.candidates if one.type == "relay"]
        paths = [session.path for session in self._endpoint.sessions]
        if any(server.kind == "stun" and server.ok for server in servers) or "udp" in ways:
            return True
        if any(path is not None and path.protocol == "udp" for path in paths):
            return True
        asked = [server for server in servers if server.kind == "stun" or _begins_with_udp(server)]
        answered = [server.ok for server in asked if server.kind == "stun"]
        # A relay that is asked by UDP first and was reached by TCP says the same as a STUN server that is silent.
        return False if asked and not any(ok is None for ok in answered) and (ways or answered) else None


def _begins_with_udp(server: ServerHealth) -> bool:
    return server.kind == "turn" and server.uri.startswith("turn:") and "transport=" not in server.uri


def _info(server: ServerHealth) -> ServerInfo:
    error = "no answer yet" if server.ok is None else server.error
    return ServerInfo(server.uri, bool(server.ok), server.rtt_ms, error)


def _side(nat: NatBehaviour, candidates: list[Candidate], *, policy: str, udp: bool | None, mapping: Mapping) -> Side:
    hosts = [one for one in candidates if one.type == "host"]
    best = next((one for one in hosts if one.family == 4), hosts[0] if hosts else None)
    useful = [one for one in candidates if one.type != "relay" and (one.family == 4 or is_everywhere(one.address))]
    return Side(
        nat=nat,
        policy=policy,
        udp=udp,
        mapping=mapping,
        lan=best.endpoint if best is not None else None,
        public=nat_evidence.public_addresses(candidates),
        families=frozenset(one.family for one in useful),
    )
