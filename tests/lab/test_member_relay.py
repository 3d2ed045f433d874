"""No server anywhere: what a mesh does with nothing but one reachable member."""

from __future__ import annotations

import pytest

from tests.lab.household import Member, all_connected, connected, joined, until
from tests.lab.test_scenarios import file_arrives, pong
from tests.lab.topology import Lab

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab]

ALONE = ("--stun", "none")


def relay_of(member: Member) -> dict[str, object]:
    """What `status` says of its relay."""
    told: dict[str, object] = member.status()["relay"]
    return told


def three(lab: Lab, *options: str) -> tuple[Member, Member, Member]:
    """mia, who is public, and behind symmetric routers anna and carl, who joined by codes of hers."""
    mia = Member(lab.public("mia"), *ALONE, *options)
    anna = Member(lab.machine("anna", "symmetric"), *ALONE)
    carl = Member(lab.machine("carl", "symmetric"), *ALONE)
    mia.found()
    joined(anna, mia.code())
    joined(carl, mia.code())
    return mia, anna, carl


def test_two_symmetric_homes_connect_through_a_member(lab: Lab) -> None:
    mia, anna, carl = three(lab)
    all_connected([anna, carl], "relay", seconds=30)
    all_connected([mia, anna], "direct")
    path = anna.peers()["carl"]["path"]
    assert mia.machine.address in (path["local"]["address"], path["remote"]["address"])
    pong(anna, carl)
    pong(carl, anna)
    file_arrives(anna, carl)
    told = relay_of(mia)
    assert told["offered"]
    assert told["uris"] == [f"turn:{mia.machine.address}:7777"]
    assert isinstance(told["bytes"], int)
    assert told["bytes"] > 300_000
    assert not relay_of(anna)["offered"]


def test_a_forwarded_port_is_enough(lab: Lab) -> None:
    """mia is behind a router that lets everybody in: she finds out when somebody gets in, and relays.

    Her relayed addresses lead nowhere from outside, but both have theirs at her, and so they meet inside.
    """
    helper = Member(lab.public("helper"), *ALONE, "--no-relay")
    mia = Member(lab.machine("mia", "full-cone"), "--stun", f"stun:{helper.machine.address}:7777")
    anna = Member(lab.machine("anna", "symmetric"), *ALONE)
    carl = Member(lab.machine("carl", "symmetric"), *ALONE)
    helper.found()
    for member in (mia, anna, carl):
        joined(member, helper.code())
    all_connected([helper, mia], "direct")
    until("mia is found to be reachable", lambda: bool(relay_of(mia)["offered"]), 30)
    all_connected([anna, carl], "relay", seconds=45)
    pong(carl, anna)


def test_a_removed_member_relays_no_more(lab: Lab) -> None:
    mia, anna, carl = three(lab)
    all_connected([anna, carl], "relay", seconds=30)
    done = mia.atmosphere("remove", "carl")
    assert done.returncode == 0, done.stderr
    until("only anna's allocation is left", lambda: relay_of(mia)["allocations"] == 1)
    assert carl.status()["role"] == "none"
    assert "carl" not in anna.peers()


def test_without_the_members_relay_there_is_no_way_and_explain_says_so(lab: Lab) -> None:
    mia, anna, carl = three(lab, "--no-relay")
    all_connected([mia, anna], "direct")
    all_connected([mia, carl], "direct")
    assert relay_of(mia) == {"offered": False, "uris": [], "allocations": 0, "bytes": 0, "reason": "--no-relay"}
    # The code named mia's address, so anna asked there, and for a while she remembers how that ended.
    told = f"relay turn:{mia.machine.address}:7777: failed", "no relay to fall back on"
    until("explain says so", lambda: any(line in explained(anna, "carl") for line in told), 40)
    assert not connected(anna, [carl])


def explained(member: Member, peer: str) -> str:
    done = member.atmosphere("explain", peer)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_where_udp_is_blocked_the_member_is_reached_over_tcp(lab: Lab) -> None:
    """anna may open TCP connections and nothing else: to carl, and to mia herself, she goes through mia's relay."""
    mia = Member(lab.public("mia"), *ALONE)
    carl = Member(lab.machine("carl", "symmetric"), *ALONE)
    anna_home = lab.home("anna-home", "symmetric")
    anna = Member(anna_home.machine("anna"), *ALONE)
    mia.found()
    joined(carl, mia.code())
    joined(anna, mia.code())
    all_connected([mia, anna, carl], seconds=30)
    until("anna has a relayed address", lambda: any("relay" in one for one in anna.status()["candidates"]))
    anna_home.block_udp()
    until("anna's relay is reached over TCP", lambda: protocols(anna) == {("relay", "tcp")}, 60)
    pong(anna, carl)
    pong(anna, mia)
    file_arrives(anna, carl)


def protocols(member: Member) -> set[tuple[str, str]]:
    """The kinds and protocols of its paths to everybody; of who is not connected ("", "")."""
    paths = [peer["path"] or {"kind": "", "protocol": ""} for peer in member.peers().values()]
    return {(path["kind"], path["protocol"]) for path in paths}


def test_a_code_of_somebody_nobody_can_reach(lab: Lab) -> None:
    """carl joins by a code of anna's, who is behind a symmetric router as he is: word is left at mia's."""
    mia = Member(lab.public("mia"), *ALONE)
    anna = Member(lab.machine("anna", "symmetric"), *ALONE)
    carl = Member(lab.machine("carl", "symmetric"), *ALONE)
    mia.found()
    joined(anna, mia.code())
    promoted = mia.atmosphere("promote", "anna")
    assert promoted.returncode == 0, promoted.stderr
    until("anna waits at mia's", lambda: "ws" in {server["uri"][:2] for server in anna.status()["servers"]}, 30)
    until("anna has a relayed address", lambda: any("relay" in one for one in anna.status()["candidates"]))
    joined(carl, anna.code())
    all_connected([anna, carl], "relay", seconds=30)
    all_connected([mia, anna, carl], seconds=30)


def test_who_has_nothing_but_tcp_joins(lab: Lab) -> None:
    """ben's network lets no UDP through: he gets a relayed address of his host by the code itself, over TCP."""
    mia = Member(lab.public("mia"), *ALONE)
    ben = Member(lab.machine("ben", "udp-blocked"), *ALONE)
    carl = Member(lab.machine("carl", "symmetric"), *ALONE)
    mia.found()
    joined(carl, mia.code())
    joined(ben, mia.code())
    all_connected([mia, ben, carl], seconds=30)
    assert protocols(ben) == {("relay", "tcp")}
    pong(ben, mia)
    file_arrives(ben, carl)
