"""What is in deploy/ fits the programs: options that exist, metrics that exist, text that Prometheus reads."""

from __future__ import annotations

import asyncio
import configparser
import json
import re
import shlex
import urllib.request
from pathlib import Path
from typing import Any

import click
import pytest
from prometheus_client.parser import text_string_to_metric_families

from atmosphere.cli.app import atmosphere
from atmosphere.network import RelayServer

ROOT = Path(__file__).resolve().parent.parent
DEPLOY = ROOT / "deploy"


def options_of(command: str) -> set[str]:
    """The options of `atmosphere COMMAND`."""
    found = atmosphere.get_command(click.Context(atmosphere), command)
    assert found is not None
    return {name for param in found.params for name in param.opts}


def test_the_unit_runs_a_command_that_exists() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(DEPLOY / "atmosphere-relay.service")
    program, command, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert Path(program).name == "atmosphere"
    assert {word for word in arguments if word.startswith("--")} <= options_of(command)
    assert unit["Service"]["KillSignal"] == "SIGTERM"


def test_the_container_runs_a_command_that_exists() -> None:
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    words: list[str] = []
    for kind in ("ENTRYPOINT", "CMD"):
        found = re.search(rf"^{kind} (\[.*\])$", text, flags=re.MULTILINE)
        assert found is not None
        words += json.loads(found[1])
    program, command, *arguments = words
    assert program == "/opt/atmosphere/bin/atmosphere"
    assert {word for word in arguments if word.startswith("--")} <= options_of(command)
    for source in re.findall(r"^COPY (?!--from)(.*) \S+$", text, flags=re.MULTILINE):
        assert all((ROOT / name).exists() for name in source.split())


@pytest.fixture
async def exposition() -> Any:
    """The text of a live relay's /metrics."""
    async with RelayServer("127.0.0.1", 0) as server:

        def get() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as response:
                return str(response.read().decode())

        yield await asyncio.to_thread(get)


async def test_prometheus_reads_every_figure(exposition: str) -> None:
    families = {family.name: family for family in text_string_to_metric_families(exposition)}
    assert {"signaling_nodes", "turn_allocations", "turn_bytes_relayed"} <= families.keys()
    assert all(family.documentation for family in families.values())
    assert all(family.type in ("counter", "gauge") for family in families.values())


async def test_the_dashboard_asks_for_figures_that_exist(exposition: str) -> None:
    names = set(re.findall(r"^(\w+) ", re.sub(r"^#.*$", "", exposition, flags=re.MULTILINE), flags=re.MULTILINE))
    dashboard = json.loads((DEPLOY / "grafana.json").read_text())
    asked = {
        name
        for panel in dashboard["panels"]
        for target in panel.get("targets", ())
        for name in re.findall(r"\b((?:signaling|turn)_\w+)", target["expr"])
    }
    only_in_a_cluster = {name for name in asked if "cluster" in name}
    assert asked - names <= only_in_a_cluster
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in dashboard["panels"]]
    assert len(places) == len(set(places))
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
