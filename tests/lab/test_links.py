"""Links between real machines: the weather is what was ordered."""

from __future__ import annotations

import json

import pytest

from tests.lab.pipe import Conditions
from tests.lab.probing import RECEIVE, pings
from tests.lab.topology import Lab, Machine

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab]

ECHO = (
    "import socket; sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.bind(('', 7000))\n"
    "print('listening', flush=True)\n"
    "while True: sock.sendto(*sock.recvfrom(65535))"
)
ASK = (
    "import json, socket, sys, time; sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); sock.settimeout(1)\n"
    "sock.setsockopt(socket.IPPROTO_IP, 10, 3)\n"  # IP_MTU_DISCOVER: IP_PMTUDISC_PROBE, don't fragment
    "times = []\n"
    "for number in range(int(sys.argv[2])):\n"
    "    sent = time.monotonic(); sock.sendto(bytes(int(sys.argv[3])), (sys.argv[1], 7000))\n"
    "    try: sock.recv(65535); times.append(time.monotonic() - sent)\n"
    "    except TimeoutError: pass\n"
    "print(json.dumps(times))"
)


def round_trips(one: Machine, other: Machine, count: int = 5, length: int = 20) -> list[float]:
    """Seconds of each UDP echo that came back."""
    done = one.run(*one.python("-c", ASK, other.address, str(count), str(length)))
    times = json.loads(done.stdout)
    assert isinstance(times, list)
    return times


def echoing(machine: Machine) -> Machine:
    machine.start(*machine.python("-c", ECHO)).wait_for("listening")
    return machine


def test_a_link_is_a_cable_until_told_otherwise(lab: Lab) -> None:
    box = echoing(lab.public("box"))
    host = lab.home("home", "port-restricted").machine("host", link=Conditions())
    assert pings(host, box.address)
    assert max(round_trips(host, box)) < 0.1
    assert host.link is not None
    host.link.set(delay=0.15)
    assert 0.3 <= min(round_trips(host, box)) < 0.4
    host.link.set(to="left", delay=0.0)
    assert 0.15 <= min(round_trips(host, box)) < 0.25
    host.link.set(delay=0.0)
    host.link.down()
    assert round_trips(host, box, 1) == []
    host.link.up()
    assert len(round_trips(host, box)) == 5
    host.link.set(to="right", loss=1.0)
    assert round_trips(host, box, 1) == []
    assert host.link.counts()["right"].lost >= 1


def test_long_packets_vanish_without_a_word(lab: Lab) -> None:
    box = echoing(lab.public("box"))
    home = lab.home("home", "port-restricted", link=Conditions(mtu=1280))
    host = home.machine("host")
    assert len(round_trips(host, box, 2, length=1280 - 28)) == 2
    assert round_trips(host, box, 1, length=1281 - 28) == []


def test_tcp_crosses_a_link_whole(lab: Lab) -> None:
    """Large segments and missing checksums are the virtual cards' private matter; on a link they would be lost."""
    box = lab.public("box", link=Conditions())
    host = lab.machine("host", "sequential")
    receiving = box.start(*box.python("-c", RECEIVE, "7000"))
    receiving.wait_for("listening")
    script = "import socket, sys; sock = socket.create_connection((sys.argv[1], 7000)); sock.sendall(bytes(20_000_000))"
    assert host.run(*host.python("-c", script, box.address)).returncode == 0
    received, seconds = receiving.wait_for("received").split()[1:]
    assert int(received) == 20_000_000
    assert float(seconds) < 10


def test_a_rate_is_kept(lab: Lab) -> None:
    box = lab.public("box", link=Conditions(rate=1_000_000.0))
    host = lab.public("host")
    receiving = box.start(*box.python("-c", RECEIVE, "7000"))
    receiving.wait_for("listening")
    script = "import socket, sys; sock = socket.create_connection((sys.argv[1], 7000)); sock.sendall(bytes(2_000_000))"
    assert host.run(*host.python("-c", script, box.address)).returncode == 0
    received, seconds = receiving.wait_for("received").split()[1:]
    assert int(received) == 2_000_000
    assert 1.6 < float(seconds) < 6
