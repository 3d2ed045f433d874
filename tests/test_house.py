"""The rules of the house that no linter knows: each is one test, and its failure names the file and the line."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted(path for package in ("atmosphere", "signaling") for path in (ROOT / package).rglob("*.py"))

LONGEST_FILE = 400
"""Lines; a file of source is split well before."""

ONLY_IN = {
    "aioice": "atmosphere/stun/library.py",
    "aiomqtt": "signaling/mqtt/session.py",
    "paho": "signaling/mqtt/session.py",
}
"""Libraries whose private names we use, and the one file that may."""

TASK_OWNERS = {
    "atmosphere/tasks.py",
    "signaling/client.py",
    "signaling/cluster/instance.py",
    "signaling/mqtt/client.py",
    "signaling/cluster/nats_link.py",
    "signaling/pool.py",
    "signaling/reception.py",
    "signaling/server.py",
}
"""Everybody else starts tasks through atmosphere.tasks, or in a TaskGroup; signaling's objects own theirs."""

HEAVY = ("aioice", "aiortc", "av", "cryptography", "OpenSSL", "websockets", "asyncio")
"""What `atmosphere --help` must not wait for."""

TESTED_BY = {
    "tests/mesh/test_node.py": "mesh: assembly",
    "tests/mesh/test_causes.py": "mesh: causes_away",
    "tests/cli/test_app.py": "cli: base params",
    "tests/cli/test_output.py": "cli: live render",
    "tests/cli/commands/test_look.py": "cli: explanation",
    "tests/cli/commands/test_serve.py": "cli/daemon: background",
    "tests/cli/control/test_server.py": "cli/control: client",
    "tests/cli/daemon/test_run.py": "cli/daemon: faces handlers options",
    "tests/dtls/test_session.py": "dtls: context handshake",
    "tests/sctp/test_association.py": "sctp: arriving",
    "tests/sctp/test_driver.py": "sctp: interface",
}
"""Modules that are tested where they meet others, and not in a file of their own name: folder of atmosphere, names."""


def elsewhere() -> dict[str, str]:
    """Source file → the test file that TESTED_BY names for it."""
    return {
        f"atmosphere/{folder}/{name}.py": test
        for test, listed in TESTED_BY.items()
        for folder, _, names in [listed.partition(": ")]
        for name in names.split()
    }


def own_test(name: str) -> str:
    """The test file of a source file's own name."""
    package, *inside, file = Path(name).parts
    return Path("tests", *([] if package == "atmosphere" else [package]), *inside, f"test_{file}").as_posix()


def trees() -> Iterator[tuple[str, ast.Module]]:
    """Every source file's name inside the repository, and its syntax tree."""
    for path in SOURCES:
        yield path.relative_to(ROOT).as_posix(), ast.parse(path.read_text())


def imported(node: ast.AST) -> list[str]:
    """The packages that an import statement names (none for any other statement)."""
    if isinstance(node, ast.Import):
        return [alias.name.partition(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module and not node.level:
        return [node.module.partition(".")[0]]
    return []


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_with_private_names_is_imported_in_one_place(library: str) -> None:
    found = {
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if name != ONLY_IN[library]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom) and library in imported(node)
    }
    assert not found


def test_tasks_have_owners() -> None:
    found = {
        f"{name}:{node.lineno}"
        for name, tree in trees()
        if name not in TASK_OWNERS
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {"create_task", "ensure_future"}
        if not (isinstance(node.value, ast.Name) and node.value.id in {"group", "task_group"})
    }
    assert not found


def test_waits_are_bounded_without_losing_a_cancellation() -> None:
    """asyncio.wait_for of Python 3.11 swallows a cancellation that meets its result; asyncio.timeout does not."""
    found = {
        f"{name}:{node.lineno}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr == "wait_for"
    }
    assert not found


def test_no_file_of_source_is_long() -> None:
    assert not {
        f"{path.relative_to(ROOT)}: {lines}"
        for path in SOURCES
        if (lines := path.read_text().count("\n")) > LONGEST_FILE
    }


def test_every_source_file_has_its_test_file() -> None:
    names = [path.relative_to(ROOT).as_posix() for path in SOURCES if not path.name.startswith("__")]
    tests = {name: {own_test(name), elsewhere().get(name, own_test(name))} for name in names}
    assert [name for name, files in tests.items() if not any((ROOT / file).exists() for file in files)] == []


def test_the_exceptions_to_the_rules_are_still_needed() -> None:
    assert [name for name in [*elsewhere(), *ONLY_IN.values()] if not (ROOT / name).exists()] == []


def test_the_command_line_starts_without_the_heavy_libraries() -> None:
    script = f"import sys, atmosphere.cli; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.split() == []
