"""What commands do to a home without a node."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from atmosphere.cli import homes
from atmosphere.errors import StateError
from atmosphere.mesh.store import Home, Lock
from tests.cli.conftest import Invoke


def test_init(invoke: Invoke, home: Path) -> None:
    result = invoke("--json", "init", "work", "--name", "desk")
    made = json.loads(result.stdout)
    assert (made["mesh"]["name"], made["node"]["name"]) == ("work", "desk")
    assert Home.load(home).mesh_id.hex() == made["mesh"]["id"]
    assert "Next: atmosphere serve" in result.stderr


def test_init_refuses_to_overwrite(invoke: Invoke, home: Path) -> None:
    invoke("init", "work")
    before = Home.load(home).mesh_id
    result = invoke("init", "other")
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert Home.load(home).mesh_id == before
    assert invoke("init", "other", "--force").exit_code == 0
    assert Home.load(home).mesh_name == "other"


def test_init_makes_the_home(invoke: Invoke, tmp_path: Path) -> None:
    deep = tmp_path / "some" / "where"
    assert invoke("--home", str(deep), "init").exit_code == 0
    assert Home.load(deep).mesh_name


def test_ensure_mesh(home: Path) -> None:
    homes.ensure_mesh(home, "desk")
    made = Home.load(home)
    assert made.node_name == "desk"
    assert made.mesh_name
    homes.ensure_mesh(home, "desk")
    assert Home.load(home).mesh_id == made.mesh_id


def test_leave_without_a_node(invoke: Invoke, home: Path) -> None:
    assert invoke("leave", "--yes").stdout == "this home is in no mesh\n"
    invoke("init", "work")
    assert invoke("leave", "--yes").stdout == "left work\n"
    assert not (home / "mesh.json").exists()


def test_a_home_in_use(home: Path) -> None:
    with Lock(home), pytest.raises(StateError, match="already running"):
        homes.create(home, "work", None, force=False)


def test_a_torn_identity_is_named_and_kept(invoke: Invoke, home: Path) -> None:
    (home / "identity.pem").write_text("torn")
    for command in (["init"], ["serve"], ["leave", "--yes"]):
        result = invoke(*command)
        assert result.exit_code == 1
        assert "identity.pem" in result.stderr
    assert (home / "identity.pem").read_text() == "torn"
