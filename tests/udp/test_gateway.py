from __future__ import annotations

import ipaddress
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atmosphere.udp import gateway
from atmosphere.udp.gateway import Link, default_routes, link_of, parse_ipv4_routes, parse_ipv6_routes

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
IPV4 = (
    HEAD
    + "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
    + "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
    + "eth0\t00000000\t020200C0\t0003\t0\t0\t200\t00000000\t0\t0\t0\n"
    + "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    + "tun0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n"
    + "eth1\t00000000\tzz\t0003\t0\t0\t0\t00000000\neth2\n"
)
ZERO = "0" * 32
IPV6 = (
    f"{ZERO} 00 {ZERO} 00 fe800000000000000000000000000001 00000400 1 0 00000003     eth0\n"
    f"{ZERO} 00 {ZERO} 00 fe800000000000000000000000000002 00000100 1 0 00000003    wlan0\n"
    f"{ZERO} 00 {ZERO} 00 fe800000000000000000000000000003 00000200 1 0 00000003    wlan0\n"
    f"20010db8000000000000000000000000 40 {ZERO} 00 {ZERO} 00000100 1 0 00000001     eth0\n"
    f"{ZERO} 00 {ZERO} 00 {ZERO} ffffffff 1 0 00200200       lo\n"
    f"{ZERO} 00 {ZERO} 00 zz 00000100 1 0 00000003     eth1\nnonsense\n"
)


def adapter(name: str, *ips: tuple[object, int], nice: str = "", index: int | None = 3) -> SimpleNamespace:
    found = [SimpleNamespace(ip=ip, network_prefix=prefix) for ip, prefix in ips]
    return SimpleNamespace(name=name, nice_name=nice or name, index=index, ips=found)


def machine(monkeypatch: pytest.MonkeyPatch, *adapters: SimpleNamespace, shows_routes: bool = True) -> None:
    """This machine has these cards and the tables above."""
    tables = {"/proc/net/route": IPV4, "/proc/net/ipv6_route": IPV6}

    def read(path: Path) -> str:
        if not shows_routes:
            raise FileNotFoundError
        return tables[str(path)]

    monkeypatch.setattr("ifaddr.get_adapters", lambda: adapters)
    monkeypatch.setattr(Path, "read_text", read)
    monkeypatch.setattr(gateway, "_shows_routes", lambda: shows_routes)


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is a little-endian machine's")
def test_ipv4_routes() -> None:
    assert parse_ipv4_routes(IPV4) == {"wlan0": "192.168.1.1", "eth0": "192.0.2.1"}
    assert parse_ipv4_routes("") == {}


def test_ipv6_routes() -> None:
    assert parse_ipv6_routes(IPV6) == {"eth0": "fe80::1", "wlan0": "fe80::2"}
    assert parse_ipv6_routes("") == {}


@given(st.text(max_size=200))
def test_arbitrary_tables(text: str) -> None:
    assert isinstance(parse_ipv4_routes(HEAD + text), dict)
    assert isinstance(parse_ipv6_routes(text), dict)


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is a little-endian machine's")
def test_each_address_has_its_own_router(monkeypatch: pytest.MonkeyPatch) -> None:
    wired = adapter("eth0", ("192.0.2.7", 24), (("2001:db8::7", 0, 0), 64), (("fe80::7", 0, 2), 64))
    machine(monkeypatch, wired, adapter("wlan0", ("192.168.1.7", 24)), adapter("tun0", ("10.8.0.2", 24)))
    assert link_of("192.0.2.7") == Link("192.0.2.7", "eth0", 3, "192.0.2.1", (ipaddress.ip_network("192.0.2.0/24"),))
    wlan = link_of("192.168.1.7")
    assert wlan is not None
    assert wlan.gateway == "192.168.1.1"
    six = link_of("2001:db8::7")
    assert six is not None
    assert (six.gateway, six.family) == ("fe80::1", 6)
    assert six.networks == (ipaddress.ip_network("2001:db8::/64"), ipaddress.ip_network("fe80::/64"))
    assert link_of("10.8.0.2") is None
    assert link_of("192.0.2.99") is None


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is a little-endian machine's")
def test_all_routers_at_a_glance(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch)
    assert default_routes() == {
        (4, "wlan0"): "192.168.1.1",
        (4, "eth0"): "192.0.2.1",
        (6, "eth0"): "fe80::1",
        (6, "wlan0"): "fe80::2",
    }
    machine(monkeypatch, shows_routes=False)
    assert default_routes() == {}


def test_zones() -> None:
    link = Link("2001:db8::7", "eth0", 2, "fe80::1", ())
    assert link.scoped("fe80::1") == "fe80::1%eth0"
    assert link.scoped("2001:db8::1") == "2001:db8::1"
    assert link.scoped("169.254.1.1") == "169.254.1.1"


def test_systems_that_do_not_show_their_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    cards = [
        adapter("en0", ("192.168.1.7", 24), ("10.9.9.9", 24), (("2001:db8::7", 0, 0), 64), index=None),
        adapter("en1", ("192.168.2.1", 24)),
        adapter("en2", ("192.168.3.7", 32)),
    ]
    machine(monkeypatch, *cards, shows_routes=False)
    link = link_of("192.168.1.7")
    assert link is not None
    assert (link.gateway, link.index) == ("192.168.1.1", 0)
    assert link_of("2001:db8::7") is None
    assert link_of("192.168.2.1") is None  # we are the first ourselves
    assert link_of("192.168.3.7") is None


def test_windows_names(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, adapter("{GUID}", ("192.168.1.7", 24), nice="Ethernet"), shows_routes=False)
    monkeypatch.setattr("sys.platform", "win32")
    link = link_of("192.168.1.7")
    assert link is not None
    assert link.interface == "Ethernet"


def test_this_machine() -> None:
    assert link_of("203.0.113.77") is None
    assert gateway._shows_routes() == Path("/proc/net/route").exists()
