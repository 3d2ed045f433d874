"""Machines for the end-to-end tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.machine import Machine

MakeMachine = Callable[[str], Machine]


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[MakeMachine]:
    """Make a machine of that name; all of them end with the test."""
    made: list[Machine] = []

    def make(name: str) -> Machine:
        made.append(Machine(tmp_path / name, name))
        return made[-1]

    yield make
    for one in made:
        one.close()


def link(desk: Machine, laptop: Machine) -> tuple[Machine, Machine]:
    """Make a mesh of the two."""
    desk.run("init", "home")
    desk.run("serve", "--detach")
    laptop.run("join", "-", input=desk.run("join").stdout)
    return desk, laptop


@pytest.fixture
def pair(machine: MakeMachine) -> tuple[Machine, Machine]:
    """Two machines in one mesh: `desk`, its founder, and `laptop`, which joined with a code."""
    return link(machine("desk"), machine("laptop"))


@pytest.fixture(scope="module")
def lasting_pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Machine, Machine]]:
    """The same for tests that leave the mesh as it is."""
    folder = tmp_path_factory.mktemp("machines")
    desk, laptop = Machine(folder / "desk", "desk"), Machine(folder / "laptop", "laptop")
    yield link(desk, laptop)
    for one in (desk, laptop):
        one.close()
