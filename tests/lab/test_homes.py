"""Routers beyond nftables' own: user space, carriers, hairpinning, timeouts; each measured from behind it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from functools import partial

import pytest

from tests.lab.coturn import start_coturn
from tests.lab.probing import LISTEN, PUNCHER, RECEIVE, at_once, mapping_lives, pings, probe, probed, punched
from tests.lab.routers import IN_USER_SPACE, Kind, UserKind
from tests.lab.topology import Lab
from tests.lab.translation import EVERY_KIND, NatKind

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab]


@pytest.mark.needs("coturn")
@pytest.mark.parametrize(
    "kinds",
    [list(IN_USER_SPACE.values()), pytest.param(EVERY_KIND, marks=pytest.mark.matrix)],
    ids=["named", "all 27"],
)
def test_every_router_in_user_space_behaves_as_its_name_says(lab: Lab, kinds: Sequence[NatKind]) -> None:
    box = lab.public("box", addresses=2)
    start_coturn(box, *box.addresses)
    homes = [lab.home(str(kind), kind) for kind in kinds]
    everything = probed([home.machine(f"{home.name}-machine") for home in homes], box.address)
    for kind, home, found in zip(kinds, homes, everything, strict=True):
        assert (kind, found["mapping"], found["filtering"]) == (kind, kind.mapping, kind.filtering)
        mapped = found["mapped"]
        assert isinstance(mapped, list)
        assert mapped[0] == home.outside
        assert (mapped[1] == 7777) is (kind.allocation == "preserved")


@pytest.mark.needs("coturn")
def test_the_next_port_of_a_sequential_router_is_known(lab: Lab) -> None:
    box = lab.public("box", addresses=2)
    start_coturn(box, *box.addresses)
    host = lab.machine("host", "sequential")
    ports = [
        mapped[1]
        for local in (7001, 7002, 7003)
        if isinstance(mapped := probe(host, box.address, local)["mapped"], list)
    ]
    # Each probe opens four mappings at most: two sockets, and three endpoints that one of them asks.
    assert [0 < later - earlier <= 4 for earlier, later in itertools.pairwise(ports)] == [True, True]


@pytest.mark.needs("coturn")
def test_a_carriers_nat_stands_before_the_home_router(lab: Lab) -> None:
    box = lab.public("box", addresses=2)
    start_coturn(box, *box.addresses)
    carrier = lab.home("carrier", "sequential", inside="100.64.0")
    home = lab.home("home", "port-restricted", behind=carrier)
    assert home.outside.startswith("100.64.0.")
    host, neighbour = home.machine("host"), lab.home("next-door", "full-cone", behind=carrier).machine("neighbour")
    found = probe(host, box.address)
    mapped = found["mapped"]
    assert isinstance(mapped, list)
    assert (mapped[0], found["mapping"]) == (carrier.outside, "address-and-port-dependent")
    assert pings(neighbour, box.address)
    assert not pings(neighbour, host.address)


@pytest.mark.parametrize(("kind", "hairpin"), [("full-cone", True), ("full-cone", False), ("sequential", True)])
def test_hairpinning_is_as_said(lab: Lab, kind: Kind | UserKind, hairpin: bool) -> None:
    """Two machines of one home knock at each other's outside endpoint, which their own knocks have opened."""
    box = lab.public("box")
    home = lab.home("home", kind, hairpin=hairpin)
    one, two = home.machine("one"), home.machine("two")
    for machine, port in ((one, "7001"), (two, "7002")):
        machine.run(*machine.python(PUNCHER, port, box.address, "9", "0.1"))
    sources = punched(one, 7001, (home.outside, 7002), two, 7002, (home.outside, 7001))
    expected = hairpin and kind == "full-cone"
    assert sources == (([home.outside, 7002], [home.outside, 7001]) if expected else (None, None))


@pytest.mark.parametrize("kind", ["port-restricted", "full-cone", "sequential"])
def test_an_unused_mapping_times_out(lab: Lab, kind: Kind | UserKind) -> None:
    box = lab.public("box")
    home = lab.home("home", kind, timeout=1)
    host = home.machine("host")
    assert at_once(*(partial(mapping_lives, host, box, port, pause) for port, pause in ((7001, 0.4), (7002, 2.5)))) == [
        True,
        False,
    ]


@pytest.mark.parametrize("kind", ["port-restricted", "sequential"])
def test_a_router_is_one_hop(lab: Lab, kind: Kind | UserKind) -> None:
    """What the low TTL of a hole punch is about: one hop reaches the own router and no more."""
    box = lab.public("box")
    home = lab.home("home", kind)
    host = home.machine("host")
    script = (
        "import socket, sys; sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
        "for ttl in 1, 2: sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl); "
        "sock.sendto(b'ttl %d' % ttl, (sys.argv[1], 7000))"
    )
    listening = box.start(*box.python("-c", LISTEN, "7000"))
    listening.wait_for("listening")
    host.run(*host.python("-c", script, box.address))
    assert listening.wait_for("ttl") == f"ttl 2 from {home.outside}"


@pytest.mark.parametrize("kind", ["sequential"])
def test_a_router_in_user_space_is_fast_enough(lab: Lab, kind: Kind | UserKind) -> None:
    """20 MB over TCP: the data plane of these tests must not be what they measure."""
    box = lab.public("box")
    host = lab.machine("host", kind)
    script = "import socket, sys; sock = socket.create_connection((sys.argv[1], 7000)); sock.sendall(bytes(20_000_000))"
    receiving = box.start(*box.python("-c", RECEIVE, "7000"))
    receiving.wait_for("listening")
    assert host.run(*host.python("-c", script, box.address)).returncode == 0
    received, seconds = receiving.wait_for("received").split()[1:]
    assert int(received) == 20_000_000
    assert float(seconds) < 10
