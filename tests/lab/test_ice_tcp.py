"""ICE over TCP on real routers: UDP is blocked, and still nobody relays."""

from __future__ import annotations

import hashlib
import os

import pytest

from tests.lab.household import Member, Relay, all_connected, joined, until
from tests.lab.routers import Kind
from tests.lab.test_scenarios import file_arrives, pong
from tests.lab.topology import Home, Lab, run_in

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab]

ALONE = ("--no-relay",)
"""Nobody relays, so whatever connects is direct."""


def over(member: Member, peer: Member) -> tuple[str, str] | None:
    """Kind and protocol of the path; None while there is none."""
    path = member.peers()[peer.name]["path"]
    return (path["kind"], path["protocol"]) if path else None


def both_over(one: Member, other: Member, protocol: str) -> bool:
    """Whether both say that they are connected directly, over UDP or TCP."""
    return over(one, other) == over(other, one) == ("direct", protocol)


def cut_connection(home: Home, member: Member, peer: Member) -> int:
    """The router forgets the connection of a member's path and passes nothing of it any more; its port."""
    port: int = peer.peers()[member.name]["path"]["remote"]["port"]
    run_in(home.namespace, "nft", "insert", "rule", "ip", "home", "through", "tcp", "sport", str(port), "drop")
    run_in(home.namespace, "nft", "insert", "rule", "ip", "home", "through", "tcp", "dport", str(port), "drop")
    home.forget_flows()
    return port


def test_a_joiner_without_udp_reaches_a_public_host(lab: Lab) -> None:
    """There is no server of any kind: nothing but the code."""
    anna, ben = Member(lab.machine("anna", "none"), *ALONE), Member(lab.machine("ben", "udp-blocked"), *ALONE)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    assert both_over(anna, ben, "tcp")
    pong(anna, ben)
    pong(ben, anna)
    file_arrives(ben, anna)


@pytest.mark.matrix
def test_a_host_without_udp_reaches_its_public_joiner(lab: Lab) -> None:
    """The host cannot be connected to, and hears by signaling where its joiner can."""
    relay = Relay(lab.public("box"))
    options = ("--signaling", relay.signaling, *ALONE)
    anna, ben = Member(lab.machine("anna", "udp-blocked"), *options), Member(lab.machine("ben", "none"), *options)
    anna.found()
    joined(ben, anna.code())
    until("a direct path", lambda: both_over(anna, ben, "tcp"), 30)
    pong(ben, anna)


@pytest.mark.matrix
def test_udp_is_used_where_it_works_and_missed_where_it_stops(lab: Lab) -> None:
    home = lab.home("ben-home", "port-restricted")
    anna, ben = Member(lab.machine("anna", "none"), *ALONE), Member(home.machine("ben"), *ALONE)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    assert both_over(anna, ben, "udp")
    since = ben.peers()["anna"]["connected_at"]
    home.block_udp()
    until("TCP takes over", lambda: both_over(anna, ben, "tcp"), 20)
    pong(anna, ben)
    assert ben.peers()["anna"]["connected_at"] == since, "the link is the same"
    run_in(home.namespace, "nft", "flush", "chain", "ip", "home", "through")
    run_in(home.namespace, "nft", "add", "rule", "ip", "home", "through", "accept")
    until("back to UDP", lambda: both_over(anna, ben, "udp"), 30)
    pong(ben, anna)


def test_a_transfer_outlives_its_tcp_connection(lab: Lab) -> None:
    """The router drops the connection without a word in the middle of a file: another carries the rest."""
    home = lab.home("ben-home", "udp-blocked")
    anna, ben = Member(lab.machine("anna", "none"), *ALONE), Member(home.machine("ben"), *ALONE)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    content = os.urandom(30_000_000)
    film = ben.machine.folder / "film.raw"
    film.write_bytes(content)
    since = ben.peers()["anna"]["connected_at"]
    sending = ben.start("send", str(film), "anna")
    until("it has begun", lambda: (ben.peers()["anna"]["bytes_sent"] or 0) > 1_000_000, 30)
    port = cut_connection(home, ben, anna)
    assert sending.running
    assert sending.wait(90) == 0, sending.output
    arrived = [path for path in anna.machine.folder.rglob("film.raw") if path.is_file()]
    assert [hashlib.sha256(path.read_bytes()).digest() for path in arrived] == [hashlib.sha256(content).digest()]
    peer = anna.peers()["ben"]
    assert (peer["path"]["kind"], peer["path"]["protocol"]) == ("direct", "tcp")
    assert peer["path"]["remote"]["port"] != port
    assert ben.peers()["anna"]["connected_at"] == since, "the link is the same"


@pytest.mark.parametrize("other", ["udp-blocked", pytest.param("port-restricted", marks=pytest.mark.matrix)])
def test_two_homes_open_at_once_where_one_has_no_udp(lab: Lab, other: Kind) -> None:
    """Neither can be connected to: both connect at the same time (TCP simultaneous open), and leave the relay."""
    relay = Relay(lab.public("box"))
    anna = Member(lab.machine("anna", "udp-blocked"), *relay.options, *ALONE)
    ben = Member(lab.machine("ben", other), *relay.options, *ALONE)
    anna.found()
    joined(ben, anna.code())
    until("a direct path", lambda: both_over(anna, ben, "tcp"), 45)
    pong(ben, anna)
    file_arrives(ben, anna)
