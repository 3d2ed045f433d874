"""Some networks against some others, as `make lab` does with all: each pair connects, and as theory says."""

from __future__ import annotations

import json
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from tests.lab import matrix
from tests.lab.grid import Cell, Run
from tests.lab.household import Member, Relay, all_connected, joined
from tests.lab.places import PLACES
from tests.lab.routers import KINDS, Kind
from tests.lab.topology import Lab

IN_LAB = [pytest.mark.needs("netns", "coturn")]


@pytest.mark.parametrize(
    ("one", "other", "route"),
    [
        pytest.param("carrier", "restricted-cone", "direct udp", marks=[*IN_LAB, pytest.mark.lab]),
        pytest.param("open-symmetric", "full-cone", "direct udp", marks=[*IN_LAB, pytest.mark.lab]),
        pytest.param("AD-AD-random", "AD-EI-random", "direct udp", marks=[*IN_LAB, pytest.mark.lab]),
        pytest.param("ipv6", "ipv6", "direct udp", marks=[*IN_LAB, pytest.mark.lab]),
        pytest.param("symmetric-carrier", "udp-blocked", "relay", marks=[*IN_LAB, pytest.mark.lab]),
    ],
)
def test_a_pair_connects_as_theory_says(one: str, other: str, route: str) -> None:
    (run,) = matrix.measured((one, other), 1).runs
    assert (run.route or "").startswith(route), run
    assert run.first_byte is not None
    assert (run.direct is not None) is (route == "direct udp")


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[*IN_LAB, pytest.mark.matrix]) for kind in KINDS])
def test_households_with_the_same_private_addresses(lab: Lab, kind: Kind) -> None:
    """Half the world's routers use 192.168.1.0/24: the other side's host candidate is then a stranger at home."""
    relay = Relay(lab.public("box"))
    one = Member(lab.home("one-home", kind, inside="192.168.1").machine("one"), *relay.options)
    other = Member(lab.home("other-home", "full-cone", inside="192.168.1").machine("other"), *relay.options)
    one.found()
    joined(other, one.code())
    all_connected([one, other], "direct")


def test_pairs_are_chosen() -> None:
    assert matrix.chosen(None) == list(combinations_with_replacement(PLACES, 2))
    assert matrix.chosen("none") == [("none", other) for other in PLACES]
    assert matrix.chosen("none,EI-EI-random") == [("none", "EI-EI-random")]


def test_what_goes_wrong_is_a_failed_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(lab: Lab, one: str, other: str) -> Run:
        raise AssertionError(f"{one} did not meet {other}")

    class Nowhere:
        def __enter__(self) -> None: ...

        def __exit__(self, *_: object) -> None: ...

    monkeypatch.setattr(matrix, "meet", fails)
    monkeypatch.setattr(matrix, "Lab", Nowhere)
    assert list(matrix.measured(("none", "none"), 2).runs) == [Run(None, error="none did not meet none")] * 2


def test_both_files_are_written(tmp_path: Path) -> None:
    matrix.write(tmp_path / "lab", [Cell("none", "EI-EI-random", "direct", [Run("direct udp", 0.1, 0.1)])], "today")
    assert json.loads((tmp_path / "lab" / "grid.json").read_text())["about"] == "today"
    page = (tmp_path / "lab" / "grid.html").read_text()
    assert page.count("<tr>") == 3  # the head and the two places that were measured
