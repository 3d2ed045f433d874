"""What the floors below may say, and what is made of their silence."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from atmosphere.ice.nat import NatBehaviour
from atmosphere.mesh import hints
from atmosphere.mesh.situation import Search
from tests.mesh.situations import CONE, SYMMETRIC

SILENT: Any = SimpleNamespace()
PLACE = ("203.0.113.1", 7777)


def endpoint(**says: Any) -> Any:
    return cast("Any", SimpleNamespace(**says))


def test_behaviours() -> None:
    assert hints.own_behaviour(endpoint(behaviour=CONE)) is CONE
    assert hints.remote_behaviour(endpoint(remote_nat=SYMMETRIC)) is SYMMETRIC
    assert hints.own_behaviour(SILENT) == NatBehaviour()
    assert hints.remote_behaviour(endpoint(remote_nat=None)) == NatBehaviour()
    assert hints.remote_behaviour(None) == NatBehaviour()


def test_port_mapping() -> None:
    opened = [SimpleNamespace(address=PLACE[0], port=PLACE[1])]
    assert hints.port_mapping(endpoint(port_mappings=lambda: opened), wanted=True) == ("open", [PLACE])
    assert hints.port_mapping(endpoint(port_mappings=list), wanted=True) == ("none", [])
    assert hints.port_mapping(SILENT, wanted=True) == ("unknown", [])
    assert hints.port_mapping(endpoint(port_mappings=lambda: opened), wanted=False) == ("off", [])


def test_search() -> None:
    assert hints.search(endpoint(search=Search("running", 3))) == Search("running", 3)
    assert hints.search(None) is None
    assert hints.search(SILENT) is None
