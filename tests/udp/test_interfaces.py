from __future__ import annotations

import pytest

from atmosphere.udp.interfaces import Quality, is_left_out, quality_of


@pytest.mark.parametrize(
    "name",
    [
        "docker0",
        "docker_gwbridge",
        "br-0123456789ab",
        "veth0a1b2c3",
        "veth12345678",
        "virbr0",
        "vmnet8",
        "vboxnet0",
        "cni0",
        "flannel.1",
        "cali0a1b2c",
        "lxcbr0",
        "lxdbr0",
        "podman1",
        "ifb0",
        "awdl0",
        "bridge100",
        "vEthernet (WSL (Hyper-V firewall))",
    ],
)
def test_left_out(name: str) -> None:
    assert is_left_out(name)


@pytest.mark.parametrize(
    "name", ["eth0", "br0", "br-lan", "veth-a", "veth0", "vethhost", "en0", "wlan0", "bond0", "vlan10", "tailscale0"]
)
def test_kept(name: str) -> None:
    assert not is_left_out(name)


@pytest.mark.parametrize(
    ("name", "quality"),
    [
        ("eth0", Quality.WIRED),
        ("enp3s0", Quality.WIRED),
        ("br-lan", Quality.WIRED),
        ("Ethernet 2", Quality.WIRED),
        ("wlp2s0", Quality.WIFI),
        ("wlan0", Quality.WIFI),
        ("Intel(R) Wi-Fi 6", Quality.WIFI),
        ("wwan0", Quality.CELLULAR),
        ("rmnet_data0", Quality.CELLULAR),
        ("tun0", Quality.TUNNEL),
        ("utun3", Quality.TUNNEL),
        ("wg0", Quality.TUNNEL),
        ("tailscale0", Quality.TUNNEL),
        ("ztabcdef", Quality.TUNNEL),
        ("TAP-Windows Adapter V9", Quality.TUNNEL),
        ("lo", Quality.LOOPBACK),
        ("lo0", Quality.LOOPBACK),
        ("Software Loopback Interface 1", Quality.LOOPBACK),
    ],
)
def test_quality(name: str, quality: Quality) -> None:
    assert quality_of(name) is quality


def test_the_order_is_the_designs() -> None:
    assert Quality.WIRED > Quality.WIFI > Quality.CELLULAR > Quality.TUNNEL > Quality.LINK_LOCAL > Quality.LOOPBACK
