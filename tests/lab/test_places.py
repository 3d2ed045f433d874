"""The matrix's networks by name."""

from __future__ import annotations

import pytest

from tests.lab.places import PLACES, place
from tests.lab.routers import KINDS
from tests.lab.theory import Network
from tests.lab.translation import NatKind


def test_every_named_router_is_a_place() -> None:
    assert set(KINDS) < set(PLACES)
    assert place("none").network == Network()
    assert place("ipv6").network.ipv6


def test_any_nat_is_a_place() -> None:
    assert place("AD-EI-sequential").network == Network(NatKind.parse("AD-EI-sequential"))
    with pytest.raises(ValueError, match="not a kind of NAT"):
        place("nowhere")
