"""The laboratory itself: every router does what its kind's name says, measured from behind it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.certificates import self_signed
from tests.lab.coturn import PORT, start_coturn
from tests.lab.ipv6 import give_ipv6
from tests.lab.probing import PUNCHER, at_once, pings, probe, probed, punched
from tests.lab.routers import KINDS, PROXY_PORT, Kind
from tests.lab.topology import Lab, Machine

pytestmark = [pytest.mark.needs("netns"), pytest.mark.lab]


@pytest.mark.needs("coturn")
def test_every_router_behaves_as_its_name_says(lab: Lab) -> None:
    box = lab.public("box", addresses=2)
    start_coturn(box, *box.addresses)
    homes = {kind: lab.home(kind, kind) for kind in KINDS}
    everything = probed([home.machine(f"{kind}-machine") for kind, home in homes.items()], box.address)
    for (kind, home), found in zip(homes.items(), everything, strict=True):
        mapping, filtering = KINDS[kind]
        assert (kind, found["mapping"], found["filtering"]) == (kind, mapping, filtering)
        mapped = found["mapped"]
        assert isinstance(mapped, list)
        assert mapped[0] == home.outside
        assert (mapped[1] == 7777) is (mapping == "endpoint-independent")


@pytest.mark.needs("coturn")
def test_a_machine_in_public_has_no_router(lab: Lab) -> None:
    box = lab.public("box", addresses=2)
    start_coturn(box, *box.addresses)
    host = lab.public("host")
    found = probe(host, box.address)
    assert found == {
        "mapped": [host.address, 7777],
        "mapping": "endpoint-independent",
        "filtering": "endpoint-independent",
    }


@pytest.mark.needs("coturn")
def test_where_udp_is_blocked_stun_is_silent_and_tcp_works(lab: Lab) -> None:
    box = lab.public("box")
    start_coturn(box)
    host = lab.machine("host", "udp-blocked")
    assert probe(host, box.address)["mapped"] is None
    script = f"import socket; socket.create_connection(({box.address!r}, {PORT}), 5).close()"
    assert host.run(*host.python("-c", script)).returncode == 0


def test_a_network_that_lets_only_the_proxys_port_out(lab: Lab) -> None:
    box, host = lab.public("box"), lab.machine("host", "only-proxy")
    for port in (PROXY_PORT, 443):
        serve_http(box, port)
    start_coturn(box)
    assert at_once(
        lambda: fetches(host, f"http://{box.address}:{PROXY_PORT}"),
        lambda: fetches(host, f"http://{box.address}:443"),
        lambda: pings(host, box.address),
        lambda: probe(host, box.address)["mapped"] is not None,
    ) == [True, False, False, False]


def test_a_network_that_lets_only_https_out(lab: Lab) -> None:
    box, host = lab.public("box"), lab.machine("host", "only-https")
    files = self_signed(lab.folder, box.address)
    other = lab.public("other")
    serve_http(box, 443, *map(str, files))
    serve_http(box, 8443, *map(str, files))
    serve_http(other, 443)
    start_coturn(box)
    assert at_once(
        lambda: fetches(host, f"https://{box.address}:443"),
        lambda: fetches(host, f"https://{box.address}:8443"),
        lambda: fetches(host, f"http://{other.address}:443"),
        lambda: pings(host, box.address),
        lambda: probe(host, box.address)["mapped"] is not None,
    ) == [True, False, False, False, False]


def test_machines_in_public_reach_each_other(lab: Lab) -> None:
    one, two = lab.public("one"), lab.public("two")
    assert pings(one, two.address)
    two.unplug()
    assert not pings(one, two.address)
    two.plug()
    assert pings(one, two.address)


def test_a_household_reaches_out_and_nobody_reaches_in(lab: Lab) -> None:
    box = lab.public("box")
    home = lab.home("home", "port-restricted")
    one, two = home.machine("one"), home.machine("two")
    reached = at_once(lambda: pings(one, box.address), lambda: pings(one, two.address), lambda: pings(box, one.address))
    assert reached == [True, True, False]
    assert punched(one, 7000, (box.address, 7000), box, 7001, (home.outside, 7000)) == (None, None)


@pytest.mark.parametrize(
    ("one_kind", "two_kind", "meets"),
    [
        ("port-restricted", "port-restricted", True),
        ("full-cone", "symmetric", True),
        ("restricted-cone", "symmetric", True),
        ("port-restricted", "symmetric", False),
        ("symmetric", "symmetric", False),
    ],
)
def test_a_bare_hole_punch_works_exactly_where_theory_says(
    lab: Lab, one_kind: Kind, two_kind: Kind, meets: bool
) -> None:
    one_home, two_home = lab.home("one-home", one_kind), lab.home("two-home", two_kind)
    one, two = one_home.machine("one"), two_home.machine("two")
    sources = punched(one, 7777, (two_home.outside, 7777), two, 7777, (one_home.outside, 7777))
    assert (sources[0] is not None) is meets
    if meets:
        assert sources[1] == [one_home.outside, 7777]


def test_strays_do_not_change_a_mapping(lab: Lab) -> None:
    """The first knocks arrive before the household has sent anything; its own must still leave from the same port."""
    box = lab.public("box")
    home = lab.home("home", "port-restricted")
    host = home.machine("host")
    early = box.start(*box.python(PUNCHER, "7777", home.outside, "7777", "6"))
    done = box.run(*box.python(PUNCHER, "7778", home.outside, "7777", "0.5"))
    assert json.loads(done.stdout) is None
    assert json.loads(host.run(*host.python(PUNCHER, "7777", box.address, "7777")).stdout) == [box.address, 7777]
    assert json.loads(early.wait_for("[")) == [home.outside, 7777]


def test_ipv6_is_routed_and_lets_nobody_in_uninvited(lab: Lab) -> None:
    one_home, two_home = lab.home("one-home", "symmetric"), lab.home("two-home", "symmetric")
    one, two = one_home.machine("one"), two_home.machine("two")
    (one_address,), (two_address,) = give_ipv6(lab, one_home, one), give_ipv6(lab, two_home, two)
    assert punched(one, 7000, (two_address, 7000), two, 7001, (one_address, 7000)) == (None, None)
    found = punched(one, 7777, (two_address, 7777), two, 7777, (one_address, 7777))
    assert found == ([two_address, 7777], [one_address, 7777])


def test_nothing_stays_behind() -> None:
    with Lab() as lab:
        host = lab.machine("host", "symmetric")
        prefix = host.namespace.partition("-")[0]
        program = host.start("sleep", "60")
        background = host.run("sh", "-c", "sleep 60 >/dev/null 2>&1 & echo $!")
        folder = lab.folder
    assert not program.running
    assert not alive(int(background.stdout))
    assert not folder.exists()
    namespaces = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout
    assert prefix not in namespaces


def alive(pid: int) -> bool:
    """Whether a process is there and not just waiting to be buried."""
    status = Path("/proc", str(pid), "stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"


def serve_http(machine: Machine, port: int, *files: str) -> None:
    """A web server, over TLS where there are a certificate and a key."""
    script = (
        "import http.server, socketserver, ssl, sys\n"
        "server = socketserver.TCPServer((sys.argv[1], int(sys.argv[2])), http.server.SimpleHTTPRequestHandler)\n"
        "if sys.argv[3:]:\n"
        "    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(*sys.argv[3:])\n"
        "    server.socket = context.wrap_socket(server.socket, server_side=True)\n"
        "print('ready', flush=True); server.serve_forever()\n"
    )
    machine.start(*machine.python("-c", script, machine.address, str(port), *files)).wait_for("ready")


def fetches(machine: Machine, url: str) -> bool:
    """Whether a web page can be had within two seconds, whoever it is from."""
    script = (
        "import ssl, sys, urllib.request\n"
        "context = ssl._create_unverified_context()\n"
        "urllib.request.urlopen(sys.argv[1], timeout=2, context=context).read(1)\n"
    )
    return machine.run(*machine.python("-c", script, url)).returncode == 0
