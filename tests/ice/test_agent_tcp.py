"""The agent with connections of TCP among its bases."""

from __future__ import annotations

from atmosphere.ice.agent import Agent
from atmosphere.ice.candidate import Candidate
from atmosphere.ice.checks import build_answer
from atmosphere.ice.credentials import IceCredentials
from atmosphere.ice.events import PathLost, PathRestored, Transmit
from atmosphere.ice.pair import PathClass
from atmosphere.ice.tcp_candidates import tcp_host
from atmosphere.stun.message import decode, encode
from tests.ice.vnet import make_candidate

LOCAL = IceCredentials("ufragAAA", "a" * 24)
REMOTE = IceCredentials("ufragBBB", "b" * 24)
HOST = make_candidate("host", ("203.0.113.1", 7777))
THERE = make_candidate("host", ("203.0.113.2", 7777))
RELAY = make_candidate("relay", ("203.0.113.9", 1))
ACTIVE, PASSIVE = tcp_host(HOST, "active"), tcp_host(THERE, "passive", 7777)
UDP, TCP = 1, 7
NOW = 1000.0


def make_agent() -> Agent:
    agent = Agent(controlling=True, local=LOCAL, remote=REMOTE, now=NOW)
    agent.add_local(HOST, UDP, NOW)
    return agent


def answer(agent: Agent, base: int, now: float) -> None:
    """The remote answers what was sent from a base, and nothing else."""
    for transmit in [one for one in agent.transmits() if one.base == base]:
        message = build_answer(decode(transmit.data), HOST.endpoint, REMOTE)
        message.add_message_integrity(REMOTE.key)
        agent.receive(decode(encode(message)), encode(message), base, transmit.destination, now)


def grade(agent: Agent) -> int | None:
    return None if agent.selected is None else agent.selected.path_class


def test_a_connection_is_checked_and_used_and_its_end_ends_the_path() -> None:
    agent = make_agent()
    agent.add_connection(ACTIVE, TCP, PASSIVE, NOW)
    answer(agent, TCP, NOW + 0.1)
    assert agent.selected is not None
    assert (agent.selected.base, agent.selected.remote) == (TCP, PASSIVE)
    agent.events()
    agent.remove_base(TCP, NOW + 1.0)
    assert agent.events() == [PathLost(0.0)]
    agent.add_connection(ACTIVE, TCP + 1, PASSIVE, NOW + 2.0)
    answer(agent, TCP + 1, NOW + 2.1)
    assert agent.state == "connected"
    assert isinstance(agent.events()[-1], PathRestored)


def test_the_same_endpoint_over_udp_is_another_remote() -> None:
    agent = make_agent()
    same = Candidate.from_sdp(f"f 1 tcp 1500000000 {THERE.address} {THERE.port} typ host tcptype passive")
    agent.add_connection(ACTIVE, TCP, same, NOW)
    agent.add_remote(THERE, NOW)
    assert {(pair.local.transport, pair.remote) for pair in agent.report()} == {("tcp", same), ("udp", THERE)}


def test_tcp_takes_over_from_a_relay_and_udp_from_tcp() -> None:
    agent = make_agent()
    agent.add_remote(RELAY, NOW)
    answer(agent, UDP, NOW + 0.1)
    assert grade(agent) == PathClass.RELAYED
    agent.add_connection(ACTIVE, TCP, PASSIVE, NOW + 1.0)
    answer(agent, TCP, NOW + 1.1)
    assert grade(agent) == PathClass.DIRECT_TCP
    agent.add_remote(THERE, NOW + 2.0)
    answer(agent, UDP, NOW + 2.1)
    assert grade(agent) == PathClass.DIRECT_UDP
    agent.remove_base(UDP, NOW + 3.0)
    assert grade(agent) == PathClass.DIRECT_TCP, "at once, without a check"


def test_what_is_over_takes_no_connection() -> None:
    agent = make_agent()
    agent.add_connection(ACTIVE, UDP, PASSIVE, NOW)
    assert not agent.report(), "the base is a socket's"
    agent.close()
    agent.add_connection(ACTIVE, TCP, PASSIVE, NOW)
    assert not agent.report()
    assert agent.transmits() == list[Transmit]()
