"""The measurements still run, however little they measure here."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.bench import __main__ as program
from tests.bench.plan import Plan
from tests.bench.samples import ALL

SMALLEST = Plan(
    rounds=1,
    transfer_seconds=0.1,
    echoes=5,
    idle_rounds=1,
    idle_peers=1,
    idle_seconds=0.1,
    lonely_seconds=0.1,
    settle_seconds=0.0,
    quiet_seconds=0.1,
    hub_peers=2,
    hub_seconds=0.1,
    helps=1,
    joins=1,
    relay_rounds=1,
    relay_seconds=0.1,
    relay_allocations=5,
    signaling_nodes=30,
    signaling_messages=60,
    signaling_rate=500.0,
    cluster_rate=500.0,
)


@pytest.mark.needs("nats-server", "coturn")
def test_everything_is_measured(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(program, "QUICK", SMALLEST)
    monkeypatch.setattr("tests.bench.idle.WARM", 0)
    program.main(["--quick", "--json"])
    measured = json.loads(capsys.readouterr().out)
    assert [row["measurement"] for row in measured["rows"]] == [what.key for what in ALL]
    assert all(row["atmosphere"]["median"] >= 0 for row in measured["rows"])
    assert "one stream, 64 KB writes" in program.describe(measured)
    assert "aiortc 1.16" in program.describe(measured)


def test_a_part_alone(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(program, "FULL", replace(SMALLEST, joins=0))
    program.main(["--only", "commands"])
    out = capsys.readouterr().out
    assert "atmosphere --help" in out
    assert "stream" not in out
