"""Networks that let almost nothing out, and relays that stop: what is left is WebSocket on port 443."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.lab.household import Member, Relay, all_connected, connected, joined, until
from tests.lab.routers import Kind
from tests.lab.test_scenarios import file_arrives, pong
from tests.lab.tinyproxy import start_tinyproxy
from tests.lab.topology import Lab, Machine

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab]

SECRET = "of-both-relays"


class Village:
    """Public relays on port 443 over TLS, and members who trust their certificate."""

    def __init__(self, lab: Lab, relays: int = 1) -> None:
        self.lab = lab
        boxes = [lab.public(f"box{number}") for number in range(relays)]
        certificate, key = self_signed(lab.folder, *(box.address for box in boxes))
        self.certificate = certificate
        options = ("--secret", SECRET, "--tls-cert", str(certificate), "--tls-key", str(key))
        self.relays = [Relay(box, *options, port=443) for box in boxes]

    def member(self, name: str, kind: Kind, **environment: str) -> Member:
        """A member behind a router of `kind`, who knows every relay."""
        options = [option for relay in self.relays for option in relay.options]
        return Member(self.lab.machine(name, kind), *options, SSL_CERT_FILE=str(self.certificate), **environment)

    def relay_between(self, members: Iterable[Member]) -> Relay | None:
        """The relay that the link of two members goes over; None while it moves."""
        one, other = members
        path = one.peers()[other.name]["path"]
        ends = [end["address"] for end in (path["local"], path["remote"]) if end["type"] == "relay"] if path else []
        return next((relay for relay in self.relays if relay.machine.address in ends), None)


def over(member: Member, peer: Member) -> tuple[str, str]:
    """Kind and protocol of the path."""
    path = member.peers()[peer.name]["path"]
    return path["kind"], path["protocol"]


def errors_of(member: Member) -> dict[str, str | None]:
    """Server → what is wrong with it."""
    return {server["uri"]: server["error"] for server in member.status()["servers"]}


def logs(machine: Machine) -> str:
    return "\n".join(path.read_text(errors="replace") for path in machine.folder.rglob("*.log"))


def test_both_sides_may_only_open_https(lab: Lab) -> None:
    village = Village(lab)
    anna, ben = village.member("anna", "only-https"), village.member("ben", "only-https")
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "relay")
    assert over(anna, ben) == over(ben, anna) == ("relay", "ws")
    pong(anna, ben)
    pong(ben, anna)
    file_arrives(anna, ben)


@pytest.mark.needs("tinyproxy")
@pytest.mark.parametrize("kind", ["only-https", "symmetric"])
def test_one_side_has_nothing_but_a_connect_proxy(lab: Lab, kind: Kind) -> None:
    village = Village(lab)
    proxy = start_tinyproxy(lab.public("proxy"), 443, credentials=("ben", "sword-fish"))
    anna = village.member("anna", kind)
    ben = village.member("ben", "only-proxy", HTTPS_PROXY=f"http://ben:sword-fish@{proxy}")
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "relay")
    assert over(ben, anna) == ("relay", "ws")
    pong(anna, ben)
    pong(ben, anna)
    file_arrives(ben, anna)
    assert "sword-fish" not in logs(ben.machine)


@pytest.mark.needs("tinyproxy")
def test_the_proxy_is_told_from_the_servers_when_it_refuses(lab: Lab) -> None:
    village = Village(lab)
    proxy = start_tinyproxy(lab.public("proxy"), 443, credentials=("ben", "sword-fish"))
    ben = village.member("ben", "only-proxy", HTTPS_PROXY=f"http://ben:wrong@{proxy}")
    ben.found()
    signaling = village.relays[0].signaling
    until("it is told", lambda: "the proxy refused: 40" in (errors_of(ben).get(f"{signaling}/") or ""))
    assert "wrong" not in logs(ben.machine)


def test_a_relay_is_killed_in_the_middle_of_a_transfer(lab: Lab) -> None:
    """A second one is configured: the path moves to it under the link, and the transfer goes on."""
    village = Village(lab, relays=2)
    anna, ben = village.member("anna", "only-https"), village.member("ben", "only-https")
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "relay")
    content = os.urandom(24_000_000)
    film = anna.machine.folder / "film.raw"
    film.write_bytes(content)
    sending = anna.start("send", str(film), "ben")
    until("it has begun", lambda: (anna.peers()["ben"]["bytes_sent"] or 0) > 2_000_000, 30)
    relay, link = village.relay_between([anna, ben]), anna.peers()["ben"]["connected_at"]
    assert relay is not None
    assert sending.running
    relay.program.kill()
    assert sending.wait(90) == 0, sending.output
    arrived: list[Path] = [path for path in ben.machine.folder.rglob("film.raw") if path.is_file()]
    assert [hashlib.sha256(path.read_bytes()).digest() for path in arrived] == [hashlib.sha256(content).digest()]
    assert village.relay_between([anna, ben]) not in (None, relay)
    assert anna.peers()["ben"]["connected_at"] == link


def test_a_relay_that_was_restarted(lab: Lab) -> None:
    """It was the only way: the members are connected again without anybody doing anything."""
    village = Village(lab)
    anna, ben = village.member("anna", "only-https"), village.member("ben", "only-https")
    anna.found()
    joined(ben, anna.code())
    all_connected([anna, ben], "relay")
    (relay,) = village.relays
    relay.program.kill()
    until("they notice", lambda: not connected(anna, [ben]) and not connected(ben, [anna]), 30)
    relay.start()
    until("the ping gets through", lambda: anna.atmosphere("ping", "ben", "-c", "1").returncode == 0, 60)
    all_connected([anna, ben], "relay")
    pong(ben, anna)
