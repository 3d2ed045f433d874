"""What `atmosphere explain` says behind real routers, where the cause is known."""

from __future__ import annotations

import json

import pytest

from tests.lab.household import Member, Relay, all_connected, connected, joined, until
from tests.lab.routers import Kind
from tests.lab.topology import Lab, run_in

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab]


def pair(lab: Lab, ours: Kind, theirs: Kind, *options: str) -> tuple[Member, Member]:
    """anna and ben, who joined by her code, with a relay in public; `options` are anna's."""
    relay = Relay(lab.public("box"))
    anna = Member(lab.machine("anna", ours), *relay.options, *options)
    ben = Member(lab.machine("ben", theirs), *relay.options)
    anna.found()
    joined(ben, anna.code())
    return anna, ben


def cause(member: Member, other: Member) -> str:
    """The name of the cause, as programs see it."""
    name: str = member.json("explain", other.name)["cause"]
    return name


def told(member: Member, other: Member, expected: str, seconds: float = 30.0) -> str:
    """What `explain` prints, once its cause is the expected one."""
    until(f"{expected} is the cause", lambda: cause(member, other) == expected, seconds)
    done = member.atmosphere("explain", other.name)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.matrix
def test_two_usual_homes_have_nothing_to_improve(lab: Lab) -> None:
    anna, ben = pair(lab, "port-restricted", "port-restricted")
    all_connected([anna, ben], "direct")
    for one, other in ((anna, ben), (ben, anna)):
        text = told(one, other, "direct")
        assert "The path is direct; there is no better one." in text
        assert "Try:" not in text
        assert "port-restricted NAT" in text
    # What a server sees is what the peer sees, and each knows it of both.
    assert anna.json("explain", "ben")["there"]["mapping"] == "endpoint-independent"
    assert anna.json("status")["network"]["udp"] is True


def test_two_symmetric_homes(lab: Lab) -> None:
    anna, ben = pair(lab, "symmetric", "symmetric")
    all_connected([anna, ben], "relay")
    for one, other in ((anna, ben), (ben, anna)):
        text = told(one, other, "symmetric-both")
        assert "Both routers change ports for each peer" in text
        assert f"Try: Turn on UPnP, NAT-PMP or PCP in your router or in that of {other.name}" in text
        assert text.count("symmetric NAT: the router uses another port for each peer") == 2
        assert "in use: " in text
        assert "no answer within " in text
    done = anna.atmosphere("ping", "ben", "--until-direct", "-c", "2", "--interval", "0.1s")
    assert done.returncode == 4
    assert "Error: ben answers, but not directly: Both routers change ports for each peer" in done.stderr
    assert "Try: Turn on UPnP" in done.stderr


def test_udp_is_blocked(lab: Lab) -> None:
    anna, ben = pair(lab, "udp-blocked", "symmetric")
    all_connected([anna, ben], "relay")
    text = told(anna, ben, "udp-blocked-here")
    assert "Your network blocks UDP" in text
    assert "Try: Let UDP out in the firewall of your network" in text
    assert anna.json("status")["network"]["udp"] is False
    # ben cannot see that from his side: anna told him.
    text = told(ben, anna, "udp-blocked-there")
    assert "The network of anna blocks UDP" in text


@pytest.mark.matrix
def test_who_wants_relays_only(lab: Lab) -> None:
    anna, ben = pair(lab, "full-cone", "full-cone", "--path-policy", "relay")
    all_connected([anna, ben], "relay")
    assert "This node runs with --path-policy relay" in told(anna, ben, "policy-here")
    text = told(ben, anna, "policy-there")
    assert "anna runs with --path-policy relay" in text
    assert "Try: For a direct path start anna with --path-policy any." in text


@pytest.mark.matrix
def test_no_relay_anywhere_and_no_direct_path(lab: Lab) -> None:
    """mia, whom both can reach, carries their messages and refuses to carry their data."""
    mia = Member(lab.public("mia"), "--stun", "none", "--no-relay")
    anna = Member(lab.machine("anna", "symmetric"), "--stun", "none")
    carl = Member(lab.machine("carl", "symmetric"), "--stun", "none", "--path-policy", "direct")
    mia.found()
    joined(anna, mia.code())
    joined(carl, mia.code())
    all_connected([mia, anna], "direct")
    all_connected([mia, carl], "direct")
    text = told(carl, anna, "only-direct-here", 60)
    assert "this node runs with --path-policy direct" in text
    anna_says = told(anna, carl, "relay-down", 60)
    assert "no relay answers: turn:" in anna_says
    assert "last attempt: messages were answered, but no path was found" in anna_says
    assert "next attempt: " in anna_says
    assert not connected(anna, [carl])


@pytest.mark.matrix
def test_a_peer_that_is_off(lab: Lab) -> None:
    anna, ben = pair(lab, "port-restricted", "port-restricted")
    all_connected([anna, ben], "direct")
    ben.kill()
    text = told(anna, ben, "offline", 60)
    assert "Nothing answers: ben is switched off" in text
    assert "Try: See that ben is running" in text
    ben.serve()
    all_connected([anna, ben], "direct")
    stopped = ben.atmosphere("stop")
    assert stopped.returncode == 0, stopped.stderr
    assert "Nothing answers: ben said goodbye (stopped)." in told(anna, ben, "stopped")


@pytest.mark.matrix
def test_a_firewall_before_a_public_address(lab: Lab) -> None:
    """anna needs no router, but her firewall drops what nobody there asked for; ben's router changes ports."""
    box = lab.public("anna")
    box.run(
        *("nft", "add table ip wall; add chain ip wall in { type filter hook input priority 0; policy drop; };"),
        "add rule ip wall in iif lo accept; add rule ip wall in ct state established,related accept",
    )
    relay = Relay(lab.public("box"))
    anna = Member(box, *relay.options, ATMOSPHERE_NO_HARD_NAT="1")
    ben = Member(lab.machine("ben", "symmetric"), *relay.options)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "relay")
    assert "Allow UDP port 7777 in the firewall of this machine" in told(anna, ben, "firewall-here")
    assert "Allow UDP port 7777 in the firewall of anna" in told(ben, anna, "firewall-there")


def test_a_path_that_becomes_direct_is_seen(lab: Lab) -> None:
    """ben's router drops what anna sends until somebody takes that rule out: explain, ping and peers all notice."""
    relay = Relay(lab.public("box"))
    anna_home, ben_home = lab.home("anna-home", "port-restricted"), lab.home("ben-home", "port-restricted")
    anna = Member(anna_home.machine("anna"), *relay.options)
    ben = Member(ben_home.machine("ben"), *relay.options)
    run_in(ben_home.namespace, "nft", f"""
        add table ip wall
        add chain ip wall before {{ type filter hook prerouting priority -300; }}
        add rule ip wall before ip saddr {anna_home.outside} drop
    """)  # fmt: skip
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "relay")
    assert "a firewall drops them" in told(ben, anna, "dropped")
    watching, pinging = anna.start("--json", "peers", "--watch"), anna.start("ping", "ben", "--until-direct")
    watching.wait_for('"kind":"relay"')
    pinging.wait_for("relayed via")
    run_in(ben_home.namespace, "nft", "delete table ip wall")
    assert pinging.wait(60) == 0
    pongs = [line for line in pinging.output.splitlines() if line.startswith("pong from ben ")]
    # Not always port 7777: where anna's packet comes to ben's router first, ben's way out gets another port there.
    assert pongs[-1].startswith(f"pong from ben direct {ben_home.outside}:")
    assert not any("direct" in pong for pong in pongs[:-1])
    watching.wait_for('"reason":"direct works"')
    last = json.loads(watching.output.splitlines()[-1])[0]
    assert (last["path"]["kind"], last["last_change"]["reason"]) == ("direct", "direct works")
    assert "(direct works)" in told(anna, ben, "direct")


@pytest.mark.matrix
def test_following_the_advice_helps(lab: Lab) -> None:
    """One router changes ports, the other is strict: what explain says to forward there is what makes it direct."""
    relay = Relay(lab.public("box"))
    home = lab.home("anna-home", "port-restricted")
    anna = Member(home.machine("anna"), *relay.options, ATMOSPHERE_NO_HARD_NAT="1")
    ben = Member(lab.machine("ben", "symmetric"), *relay.options, ATMOSPHERE_NO_HARD_NAT="1")
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "relay")
    text = told(anna, ben, "symmetric-there")
    assert "The router of ben changes ports for each peer (symmetric NAT)" in text
    assert f"Try: Forward UDP port 7777 on your router to {anna.machine.address}" in text
    text = told(ben, anna, "symmetric-here")
    assert f"Try: Forward UDP port 7777 on the router of anna to {anna.machine.address}" in text
    forward = f"iifname wan udp dport 7777 dnat to {anna.machine.address}:7777"
    run_in(home.namespace, "nft", "add", "rule", "ip", "home", "before", *forward.split())
    done = anna.atmosphere("ping", "ben", "--until-direct", timeout=90)
    assert done.returncode == 0, done.stderr
    assert "pong from ben direct " in done.stdout
