"""The pages of the matrix: counted rightly, judged rightly, and safe to open."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from tests.lab.grid import Cell, Demand, Run, as_html, as_json, as_text, demands
from tests.lab.theory import Outcome

DIRECT, SLOW = Run("direct udp", 0.2, 0.4), Run("direct udp", 0.3, 26.0)
RELAYED, TCP = Run("relay udp", 0.5), Run("direct tcp", 0.6, 0.8)
FAILED = Run(None, error='exit 4 <b>&"no way"')


def cell(theory: Outcome, *runs: Run, one: str = "a", other: str = "b") -> Cell:
    return Cell(one, other, theory, runs)


def told(*cells: Cell) -> list[tuple[int, int, bool]]:
    return [(one.good, one.total, one.met) for one in demands(cells)]


def test_demands_of_nothing_are_met() -> None:
    assert told() == [(0, 0, True)] * 4


def test_each_demand_counts_its_own_pairs() -> None:
    cells = [
        cell("direct", DIRECT, DIRECT, RELAYED),
        cell("tcp", TCP, FAILED),
        cell("hard", DIRECT, SLOW),
        cell("predicted", *[DIRECT] * 8),
        cell("relay", RELAYED, DIRECT),
    ]
    assert told(*cells) == [(16, 17, False), (2, 3, False), (1, 2, False), (9, 10, True)]


@pytest.mark.parametrize(
    ("theory", "runs", "colour"),
    [
        ("direct", (DIRECT, SLOW), "good"),
        ("direct", (DIRECT, RELAYED), "bad"),
        ("tcp", (TCP,), "good"),
        ("hard", (DIRECT,), "good"),
        ("hard", (SLOW,), "bad"),
        ("predicted", (*[DIRECT] * 9, RELAYED), "good"),
        ("relay", (RELAYED,), "relay"),
        ("relay", (DIRECT,), "good"),
        ("relay", (RELAYED, FAILED), "bad"),
    ],
)
def test_a_cell_has_the_colour_of_its_verdict(theory: Outcome, runs: tuple[Run, ...], colour: str) -> None:
    assert f'<td class="{colour}"' in as_html([cell(theory, *runs)], ["a", "b"], "")


def test_the_page_is_well_formed_and_escapes_what_programs_said() -> None:
    page = as_html([cell("direct", FAILED), cell("relay", RELAYED, one="b", other="b")], ["a", "b"], "today & <here>")
    opened: list[str] = []

    class Checker(HTMLParser):
        def handle_starttag(self, tag: str, attrs: object) -> None:
            if tag not in ("meta", "br"):
                opened.append(tag)

        def handle_endtag(self, tag: str) -> None:
            assert opened.pop() == tag

    Checker().feed(page)
    assert opened == []
    assert "<b>" not in page
    assert "today &amp; &lt;here&gt;" in page
    assert "http" not in page
    assert page.count("<td></td>") == 1  # a × a was not measured
    assert page.count("failed 1/1") == 2  # a × b and b × a are one pair


def test_a_line_a_pair() -> None:
    text = as_text([cell("hard", DIRECT, SLOW, RELAYED)])
    assert text == (
        "a × b: hard, direct udp 2/3, relay udp 1/3, first byte 0.30 s (at most 0.50), direct 13.20 s (at most 26.00)"
    )
    assert as_text([cell("relay", FAILED)]) == "a × b: relay, failed 1/1"


def test_the_grid_is_json() -> None:
    grid = json.loads(json.dumps(as_json([cell("hard", DIRECT, FAILED)])))
    assert grid["pairs"] == [
        {
            "one": "a",
            "other": "b",
            "theory": "hard",
            "runs": [
                {"route": "direct udp", "first_byte": 0.2, "direct": 0.4, "error": None},
                {"route": None, "first_byte": None, "direct": None, "error": FAILED.error},
            ],
        }
    ]
    assert [one["met"] for one in grid["demands"]] == [False, True, True, False]


def test_a_demand_is_told() -> None:
    assert str(Demand("connected", 9, 10, 1.0)) == "connected: 9 of 10 (90.0 %; wanted 100 %)"
    assert str(Demand("direct", 0, 0, 0.9)) == "direct: 0 of 0 (none measured; wanted 90 %)"
