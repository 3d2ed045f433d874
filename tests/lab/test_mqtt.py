"""No server of one's own: two homes, a broker of somebody's, and a STUN server."""

from __future__ import annotations

import dataclasses
import time

import pytest

from atmosphere.joincode import JoinCode
from tests.lab.household import Member, Relay, all_connected, joined, until
from tests.lab.mosquitto import start_mosquitto
from tests.lab.test_scenarios import file_arrives, pong
from tests.lab.topology import Lab

pytestmark = [
    pytest.mark.needs("netns", "mosquitto"),
    pytest.mark.lab,
]


def broker_only(code: str) -> str:
    """The same code without any address of its host."""
    return str(dataclasses.replace(JoinCode.parse(code, time.time()), candidates=()))


def test_two_homes_meet_at_a_broker_and_connect_directly(lab: Lab) -> None:
    broker = start_mosquitto(lab.public("broker"))
    stun = Relay(lab.public("box")).stun
    options = ("--signaling", broker, "--stun", stun)
    anna = Member(lab.machine("anna", "port-restricted"), *options)
    ben = Member(lab.machine("ben", "port-restricted"), "--stun", stun)
    anna.found()
    code = anna.code()
    assert JoinCode.parse(code, time.time()).signaling == (broker,)
    joined(ben, broker_only(code))
    all_connected([anna, ben], "direct")
    pong(anna, ben)
    file_arrives(ben, anna)
    for member in (anna, ben):  # ben learned of it from the code
        servers = {server["uri"]: server["ok"] for server in member.status()["servers"]}
        assert servers[broker] is True


def test_members_find_each_other_at_the_broker_again(lab: Lab) -> None:
    """Both were away and both routers have forgotten them; only the broker knows where to."""
    broker = start_mosquitto(lab.public("broker"))
    stun = Relay(lab.public("box")).stun
    homes = [lab.home(f"{name}-home", "port-restricted") for name in ("anna", "ben")]
    anna, ben = (
        Member(home.machine(name), "--signaling", broker, "--stun", stun)
        for home, name in zip(homes, ("anna", "ben"), strict=True)
    )
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    for member in (anna, ben):
        member.kill()
    for home in homes:
        home.forget_flows()
    for member in (anna, ben):
        member.serve()
    all_connected([anna, ben], "direct")
    pong(ben, anna)


def test_a_broker_that_is_away_is_named(lab: Lab) -> None:
    """The join fails, and says which place could not be reached and why."""
    machine = lab.public("broker")
    broker = start_mosquitto(machine)
    stun = Relay(lab.public("box")).stun
    anna = Member(lab.machine("anna", "port-restricted"), "--signaling", broker, "--stun", stun)
    ben = Member(lab.machine("ben", "port-restricted"), "--stun", stun)
    anna.found()
    code = broker_only(anna.code())
    machine.unplug()
    done = ben.atmosphere("join", code, "--timeout", "6s", "--name", "ben", *ben.options)
    assert done.returncode == 4, done.stderr
    assert f"{broker}: " in done.stderr
    machine.plug()
    until("anna is back at the broker", lambda: broker_ok(anna, broker), seconds=60)
    joined(ben, code)
    all_connected([anna, ben], "direct")


def broker_ok(member: Member, broker: str) -> bool:
    servers = {server["uri"]: server["ok"] for server in member.status()["servers"]}
    return bool(servers[broker])
