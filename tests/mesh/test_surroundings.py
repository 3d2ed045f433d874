"""What changed around a node."""

from __future__ import annotations

from atmosphere.mesh.events import NetworkChanged, PortMapped
from atmosphere.mesh.surroundings import Surroundings

HOME, HOTSPOT = "192.168.1.10", "172.20.10.2"


def test_the_first_look_is_no_change() -> None:
    around = Surroundings()
    assert around.look([HOME], []) == []
    assert around.look([HOME], []) == []


def test_another_network() -> None:
    around = Surroundings()
    around.look([HOME], [])
    assert around.look([HOTSPOT, HOME], []) == [NetworkChanged((HOTSPOT, HOME), (HOTSPOT,), ())]
    assert around.look([HOTSPOT], []) == [NetworkChanged((HOTSPOT,), (), (HOME,))]
    assert around.look([], []) == [NetworkChanged((), (), (HOTSPOT,))]


def test_an_open_port_is_told_once_each_time_that_it_is_opened() -> None:
    around, place = Surroundings(), ("203.0.113.1", 7777)
    assert around.look([HOME], [place]) == [PortMapped(*place)]
    assert around.look([HOME], [place]) == []
    assert around.look([HOTSPOT], []) == [NetworkChanged((HOTSPOT,), (HOTSPOT,), (HOME,))]
    assert around.look([HOME], [place]) == [NetworkChanged((HOME,), (HOME,), (HOTSPOT,)), PortMapped(*place)]
