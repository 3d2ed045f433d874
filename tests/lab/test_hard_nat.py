"""A router that gives every destination a random port, against one that lets in only whom its household sent to."""

from __future__ import annotations

import pytest

from tests.lab.household import Member, Relay, all_connected, joined, until
from tests.lab.topology import Lab

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab]

WITHIN = 25.0
"""Seconds from the join until the path is direct."""
MOST_FLOWS = 2500
"""Entries in a household's connection table: 2,000 probes, and what else there is."""


def port_guessing(member: Member, other: Member) -> str:
    """What `explain` says of it."""
    told: str | None = member.json("explain", other.name)["guessing"]
    return told or ""


def test_the_path_becomes_direct_and_nothing_is_lost_meanwhile(lab: Lab) -> None:
    relay = Relay(lab.public("box"))
    homes = lab.home("anna-home", "symmetric"), lab.home("ben-home", "port-restricted")
    anna, ben = (Member(home.machine(name), *relay.options) for name, home in zip(("anna", "ben"), homes, strict=True))
    anna.found()
    joined(ben, anna.code())
    pinging = ben.start("--json", "ping", "anna", "-c", "80", "--interval", "0.1s")
    seconds = all_connected([anna, ben], "direct", WITHIN)
    found = port_guessing(ben, anna)
    print(f"\ndirect {seconds:.1f} s after the join; {found}")
    assert ben.peers()["anna"]["path"]["remote"]["address"] == homes[0].outside
    for one, other in ((anna, ben), (ben, anna)):
        assert "found after" in port_guessing(one, other)
    assert pinging.wait() == 0, pinging.output
    assert '"received":80' in pinging.output
    for home in homes:
        assert len(home.flows().splitlines()) < MOST_FLOWS


def test_whoever_opts_out_stays_relayed_and_is_told_so(lab: Lab) -> None:
    relay = Relay(lab.public("box"))
    anna = Member(lab.machine("anna", "symmetric"), *relay.options)
    ben = Member(lab.machine("ben", "port-restricted"), *relay.options, "--no-hard-nat")
    anna.found()
    joined(ben, anna.code())
    until("anna knows why", lambda: "switched off on the other side" in port_guessing(anna, ben))
    all_connected([anna, ben], "relay")
