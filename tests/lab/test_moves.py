"""A machine whose network changes under it: how soon it notices, and what it can be reached at then."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.household import Member, Relay, all_connected, joined, until
from tests.lab.processes import Program
from tests.lab.topology import Home, Lab, Machine, run_in

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab]

SOON = 1.0
"""Seconds from a change to candidates that are right again."""


class Watcher:
    """An endpoint that tells its candidates as they change."""

    def __init__(self, machine: Machine, stun: str) -> None:
        self.machine = machine
        self.program: Program = machine.start(*machine.python("-m", "tests.lab.watcher", stun))

    def said(self, key: str) -> list[dict[str, Any]]:
        """Every line of one kind so far."""
        lines = [json.loads(line) for line in self.program.output.splitlines() if line.startswith("{")]
        return [line for line in lines if key in line]

    def candidates(self) -> list[str]:
        """The latest."""
        return [str(one) for one in self.said("candidates")[-1]["candidates"]] if self.said("candidates") else []

    def wait(self, condition: Callable[[list[str]], bool], since: float) -> float:
        """Seconds from `since` to the first right candidates after it; AssertionError if none come for 20."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for line in self.said("candidates"):
                if line["at"] >= since and condition(line["candidates"]):
                    return float(line["at"] - since)
            time.sleep(0.02)
        raise AssertionError(f"still {self.candidates()}\n{self.program.output}")

    def changed_after(self, since: float) -> float:
        """Seconds from `since` to the next change that was noticed."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            for line in self.said("changed"):
                if line["at"] >= since:
                    return float(line["at"] - since)
            time.sleep(0.02)
        raise AssertionError(f"nothing noticed\n{self.program.output}")


def do(machine: Machine, *command: str) -> float:
    """Run `ip …` in the machine; the moment before it took effect."""
    before = time.monotonic()
    run_in(machine.namespace, "ip", *command)
    return before


def ready(lab: Lab) -> tuple[Watcher, Home]:
    """A watcher behind a router, its server-reflexive candidate known; and the router."""
    relay = Relay(lab.public("box"))
    home = lab.home("anna-home", "port-restricted")
    watcher = Watcher(home.machine("anna"), relay.stun)
    watcher.wait(lambda found: f"srflx {home.outside}" in found, 0.0)
    return watcher, home


def test_an_address_goes_and_another_comes(lab: Lab) -> None:
    watcher, home = ready(lab)
    anna = watcher.machine
    since = do(anna, "address", "del", f"{anna.address}/24", "dev", "eth0")
    assert watcher.wait(lambda found: not any(anna.address in one for one in found), since) < SOON
    other = f"{home.inside}.99"
    do(anna, "address", "add", f"{other}/24", "dev", "eth0")
    since = do(anna, "route", "replace", "default", "via", anna.gateway)
    assert watcher.wait(lambda found: f"host {other}" in found, since - 0.2) < SOON
    assert watcher.wait(lambda found: f"srflx {home.outside}" in found, since) < SOON


def test_the_cable_is_pulled_and_put_back(lab: Lab) -> None:
    watcher, home = ready(lab)
    since = time.monotonic()
    watcher.machine.unplug()
    assert watcher.wait(lambda found: not any(watcher.machine.address in one for one in found), since) < SOON
    since = time.monotonic()
    watcher.machine.plug()
    assert watcher.wait(lambda found: f"host {watcher.machine.address}" in found, since) < SOON
    assert watcher.wait(lambda found: f"srflx {home.outside}" in found, since) < SOON


def test_the_default_route_moves_to_another_network(lab: Lab) -> None:
    """From Wi-Fi to a hotspot and back: both cards stay, with their addresses; only the way out is another."""
    watcher, _ = ready(lab)
    hotspot = lab.home("hotspot", "port-restricted")
    since = time.monotonic()
    address, _ = hotspot.attach(watcher.machine.namespace, "wlan0")
    assert watcher.wait(lambda found: f"host {address}" in found, since) < SOON
    since = do(watcher.machine, "route", "replace", "default", "via", f"{hotspot.inside}.1", "dev", "wlan0")
    assert watcher.changed_after(since) < SOON
    assert watcher.wait(lambda found: f"srflx {hotspot.outside}" in found, since) < SOON
    since = do(watcher.machine, "route", "replace", "default", "via", watcher.machine.gateway, "dev", "eth0")
    assert watcher.changed_after(since) < SOON


def test_a_flapping_cable_does_not_keep_it_busy(lab: Lab) -> None:
    watcher, home = ready(lab)
    since = time.monotonic()
    for _ in range(20):
        watcher.machine.unplug()
        watcher.machine.plug()
    lasted = time.monotonic() - since
    assert watcher.wait(lambda found: f"srflx {home.outside}" in found, since + lasted) < SOON
    noticed = [line for line in watcher.said("changed") if line["at"] >= since]
    assert len(noticed) <= 2 * lasted / 0.3 + 4


@pytest.mark.matrix
def test_two_nodes_stay_linked_while_a_cable_is_out_for_a_moment(lab: Lab) -> None:
    relay = Relay(lab.public("box"))
    anna = Member(lab.machine("anna", "port-restricted"), *relay.options)
    ben = Member(lab.machine("ben", "port-restricted"), *relay.options)
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    file = ben.machine.folder / "holiday.mp4"
    content = bytes(range(256)) * 160_000
    file.write_bytes(content)
    sending = ben.start("send", str(file), "anna")
    ben.machine.unplug()
    time.sleep(1)  # that long it is out
    ben.machine.plug()
    assert sending.wait(60) == 0, sending.output
    (arrived,) = [path for path in anna.machine.folder.rglob("holiday.mp4") if path.is_file()]
    assert arrived.read_bytes() == content


@pytest.mark.matrix
def test_two_nodes_meet_again_when_one_moves_to_a_hotspot_and_back(lab: Lab) -> None:
    relay = Relay(lab.public("box"))
    home, hotspot = lab.home("anna-home", "port-restricted"), lab.home("hotspot", "port-restricted")
    anna = Member(home.machine("anna"), *relay.options)
    ben = Member(lab.machine("ben", "port-restricted"), *relay.options)
    hotspot.attach(anna.machine.namespace, "wlan0")
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "direct")
    for outside, gateway, card in ((hotspot.outside, f"{hotspot.inside}.1", "wlan0"), (home.outside, "", "eth0")):
        do(anna.machine, "route", "replace", "default", "via", gateway or anna.machine.gateway, "dev", card)

        def seen_there(outside: str = outside) -> bool:
            path = ben.peers()["anna"]["path"]
            return path is not None and (path["kind"], path["remote"]["address"]) == ("direct", outside)

        until("ben reaches anna at her new place", seen_there, seconds=15)
        assert anna.json("ping", "ben", "-c", "2")["received"] == 2
