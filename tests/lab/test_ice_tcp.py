"""ICE over TCP on real routers: UDP is blocked, and still nobody relays."""

from __future__ import annotations

import pytest

from tests.lab.household import Member, all_connected, joined
from tests.lab.test_scenarios import file_arrives, pong
from tests.lab.topology import Lab

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab, pytest.mark.xdist_group("lab")]


def over(member: Member, peer: Member) -> tuple[str, str]:
    """Kind and protocol of the path."""
    path = member.peers()[peer.name]["path"]
    return path["kind"], path["protocol"]


def test_a_joiner_without_udp_reaches_a_public_host(lab: Lab) -> None:
    """There is no server of any kind, and the host does not relay: nothing but the code."""
    anna = Member(lab.machine("anna", "none"), "--no-relay")
    ben = Member(lab.machine("ben", "udp-blocked"), "--no-relay")
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    assert over(anna, ben) == over(ben, anna) == ("direct", "tcp")
    pong(anna, ben)
    pong(ben, anna)
    file_arrives(ben, anna)
