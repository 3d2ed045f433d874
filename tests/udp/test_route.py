from __future__ import annotations

from pathlib import Path

import pytest

from atmosphere.udp.route import default_gateway, ipv4_defaults, source_for, ways_out

HEAD = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"


def test_our_address_towards_ourselves() -> None:
    assert source_for(("127.0.0.1", 9)) == "127.0.0.1"
    assert source_for(("127.0.0.1", 0)) == "127.0.0.1"


@pytest.mark.parametrize("host", ["not an address", "255.255.255.255"])
def test_no_way_there(host: str) -> None:
    assert source_for((host, 9)) is None


def test_the_default_route_with_the_lowest_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.byteorder", "little")
    table = (
        HEAD
        + "wlan0\t00000000\t0101A8C0\t0003\t0\t0\t600\t00000000\t0\t0\t0\n"
        + "eth0\t00000000\t010200C0\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
        + "eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    assert list(ipv4_defaults(table)) == [(600, "192.168.1.1", "wlan0"), (100, "192.0.2.1", "eth0")]
    monkeypatch.setattr(Path, "read_text", lambda path: table)
    assert default_gateway() == "192.0.2.1"


@pytest.mark.parametrize(
    "rows",
    [
        "",
        "eth0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0\n",
        "eth0\t00000000\tzz\t0003\t0\t0\t0\t00000000\n",
        "eth0\n",
        "tun0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0\n",
        "eth0\t00000000\t1010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n",
    ],
)
def test_no_default_route(rows: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(ipv4_defaults(HEAD + rows)) == []
    monkeypatch.setattr(Path, "read_text", lambda path: HEAD + rows)
    assert default_gateway() is None


def test_this_machine_is_asked() -> None:
    found = default_gateway()
    assert found is None or found.count(".") == 3


def test_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: Path) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", missing)
    assert default_gateway() is None


def test_the_ways_out_are_this_machines_own() -> None:
    ipv4, ipv6, gateway = ways_out()
    assert (ipv4, ipv6, gateway) == (source_for(("192.0.2.1", 9)), source_for(("2001:db8::1", 9)), default_gateway())
