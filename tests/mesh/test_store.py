from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from atmosphere.errors import StateError
from atmosphere.identity import Identity
from atmosphere.mesh import statefile
from atmosphere.mesh.facts import Facts
from atmosphere.mesh.membership import Authority
from atmosphere.mesh.root import RootKey
from atmosphere.mesh.store import Home, default_home, default_name, init_home


def granted(home: Home, root: RootKey) -> Facts:
    """The facts of another mesh, after it took this home's node in."""
    facts = Facts(root.public_key)
    facts.add(Authority.root(root).membership(root.mesh_id, home.identity.public_key, "guest", issued=time.time()))
    return facts


def contents(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def test_a_new_mesh(tmp_path: Path) -> None:
    path = tmp_path / "home"
    home = init_home(path, "Tom's mesh", "laptop")
    assert home.facts
    own = home.facts.member(home.identity.node_id, time.time())
    assert own
    assert (own.role, own.name) == ("founder", "laptop")
    again = Home.load(path)
    assert again.facts
    assert (again.mesh_name, again.node_name, again.mesh_id) == ("Tom's mesh", "laptop", home.mesh_id)
    assert again.identity.node_id == home.identity.node_id
    assert again.facts.digest() == home.facts.digest()
    assert again.root_key
    assert again.root_key.mesh_id == home.mesh_id
    assert repr(home) == f"Home('{path}')"


def test_only_the_owner_gets_in(tmp_path: Path) -> None:
    path = tmp_path / "home"
    home = init_home(path, "mesh", "node")
    home.save_invites()
    for entry in (path, *path.rglob("*")):
        assert entry.stat().st_mode & 0o777 == (0o700 if entry.is_dir() else 0o600)
    (path / "identity.pem").chmod(0o644)
    Home.load(path)
    assert (path / "identity.pem").stat().st_mode & 0o777 == 0o600


def test_a_mesh_is_not_overwritten(tmp_path: Path) -> None:
    init_home(tmp_path, "first", "node")
    before = contents(tmp_path)
    with pytest.raises(StateError, match="already") as caught:
        init_home(tmp_path, "second", "node")
    assert "--force" in str(caught.value.hint)
    assert contents(tmp_path) == before


def test_force_makes_another_mesh_of_the_same_node(tmp_path: Path) -> None:
    first = init_home(tmp_path, "first", "node")
    second = init_home(tmp_path, "second", "other", force=True)
    assert second.identity.node_id == first.identity.node_id
    assert second.mesh_id != first.mesh_id
    assert Home.load(tmp_path).node_name == "other"
    assert [folder.name for folder in tmp_path.glob("mesh-*")] == [f"mesh-{second.mesh_id.hex()}"]


def test_force_replaces_what_cannot_be_read(tmp_path: Path) -> None:
    first = init_home(tmp_path, "first", "node")
    (tmp_path / "mesh.json").write_bytes(b"torn")
    assert init_home(tmp_path, "second", "node", force=True).identity.node_id == first.identity.node_id
    (tmp_path / "identity.pem").write_bytes(b"torn")
    assert init_home(tmp_path, "third", "node", force=True).identity.node_id != first.identity.node_id


def test_a_guest_has_an_identity_alone(tmp_path: Path) -> None:
    home = Home.init_identity_only(tmp_path, "guest")
    assert (home.facts, home.root_key, home.mesh_id, home.mesh_name) == (None, None, b"", "")
    assert Home.init_identity_only(tmp_path, "guest").identity.node_id == home.identity.node_id
    assert Home.load(tmp_path).load_contacts() == []
    home.save_facts()
    with pytest.raises(StateError, match="no mesh"):
        home.save_invites()


def test_opening_begins_where_nothing_is(tmp_path: Path) -> None:
    home = Home.open(tmp_path / "new")
    assert home.node_name == default_name()
    assert Home.open(tmp_path / "new", "called").identity.node_id == home.identity.node_id
    assert Home.open(tmp_path / "new").node_name == "called"
    assert Home.open(tmp_path / "new", "called").node_name == "called"


def test_adopting_a_mesh(tmp_path: Path) -> None:
    home = Home.init_identity_only(tmp_path, "guest")
    root = RootKey.generate()
    facts = granted(home, root)
    home.adopt("theirs", facts, "renamed")
    again = Home.load(tmp_path)
    assert again.facts
    assert (again.mesh_name, again.node_name, again.mesh_id) == ("theirs", "renamed", root.mesh_id)
    assert again.root_key is None
    home.adopt("theirs", granted(home, root))
    assert home.facts
    assert len(home.facts) == 2, "what was known stays known"
    with pytest.raises(StateError, match="another mesh"):
        home.adopt("other", granted(home, RootKey.generate()))


def test_facts_invites_and_contacts_last(tmp_path: Path) -> None:
    home = init_home(tmp_path, "mesh", "node")
    assert home.facts
    assert home.root_key
    friend = Authority.root(home.root_key).membership(
        home.mesh_id, Identity.generate().public_key, "friend", issued=time.time()
    )
    home.facts.add(friend)
    home.save_facts()
    invite = home.invites.create(1, 0, time.time())
    home.save_invites()
    home.save_contacts([b"one", b"two"])
    again = Home.load(tmp_path)
    assert again.facts
    assert friend in again.facts
    assert again.invites.all() == [invite]
    assert again.load_contacts() == [b"one", b"two"]
    (tmp_path / f"mesh-{home.mesh_id.hex()}" / "contacts.json").write_bytes(b"torn")
    assert again.load_contacts() == []


def test_leaving_forgets_everything_but_the_configuration(tmp_path: Path) -> None:
    home = init_home(tmp_path, "mesh", "node")
    home.save_invites()
    (tmp_path / "config.toml").write_text("port = 1")
    home.forget()
    assert contents(tmp_path) == {"config.toml": b"port = 1"}
    assert (home.facts, home.root_key, home.mesh_id) == (None, None, b"")
    with pytest.raises(StateError, match="no node"):
        Home.load(tmp_path)
    home.forget()


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("identity.pem", b"garbage", "torn"),
        ("identity.pem", None, "missing"),
        ("node.json", b"garbage", "no file of"),
        ("mesh.json", b'{"format":"atmosphere mesh","version":1', "torn"),
        ("mesh.json", b'{"format":"atmosphere mesh","version":2,"checksum":"","body":{}}', "newer"),
        ("facts.json", b"", "no file of"),
        ("facts.json", None, "missing"),
        ("invites.json", b"{", "no file of"),
        ("root.pem", b"garbage", "torn"),
        ("root.pem", RootKey.generate().to_pem(), "another mesh's key"),
        ("root.pem", None, "missing"),
    ],
)
def test_a_bad_file_is_named_and_left_alone(tmp_path: Path, name: str, data: bytes | None, words: str) -> None:
    home = init_home(tmp_path, "mesh", "node")
    home.save_invites()
    file = next(tmp_path.rglob(name))
    if data is None:
        file.unlink()
    else:
        file.write_bytes(data)
    before = contents(tmp_path)
    for attempt in (Home.load, Home.open, lambda path: Home.init_identity_only(path, "node")):
        with pytest.raises(StateError) as caught:
            attempt(tmp_path)
        assert words in str(caught.value)
        assert str(file) in str(caught.value)
        assert caught.value.hint
    assert contents(tmp_path) == before


class Crash(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("survived", range(12))
def test_a_crash_loses_nothing(tmp_path: Path, survived: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The power fails before the n-th rename of making another mesh: the old mesh is there, or the new one."""
    first = init_home(tmp_path, "first", "node")
    first.invites.create(1, 0, time.time())
    first.save_invites()
    renames = 0
    real = Path.replace

    def replace(self: Path, target: Path) -> Path:
        nonlocal renames
        if renames == survived:
            raise Crash
        renames += 1
        return real(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", replace)
        try:
            init_home(tmp_path, "second", "renamed", force=True)
        except Crash:
            assert list(tmp_path.rglob(f".*{statefile.TEMPORARY}"))
    home = Home.load(tmp_path)
    assert home.root_key
    assert home.identity.node_id == first.identity.node_id
    if home.mesh_name == "first":
        assert home.mesh_id == first.mesh_id
        assert len(home.invites.all()) == 1
    else:
        assert home.mesh_name == "second"
    last = init_home(tmp_path, "third", "node", force=True)
    assert not list(tmp_path.rglob(f".*{statefile.TEMPORARY}"))
    assert [folder.name for folder in tmp_path.glob("mesh-*")] == [f"mesh-{last.mesh_id.hex()}"]


def test_a_torn_temporary_file_means_nothing(tmp_path: Path) -> None:
    home = init_home(tmp_path, "mesh", "node")
    (tmp_path / f".mesh.json.0000{statefile.TEMPORARY}").write_bytes(b"to")
    assert Home.load(tmp_path).mesh_id == home.mesh_id


def test_where_the_home_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATMOSPHERE_HOME", "~/there")
    assert default_home() == Path.home() / "there"
    monkeypatch.delenv("ATMOSPHERE_HOME")
    assert default_home().name == "atmosphere"


def test_a_machine_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "pi.example.org")
    assert default_name() == "pi"
    monkeypatch.setattr("socket.gethostname", lambda: "")
    assert default_name() == "node"


def test_names_that_are_none_get_the_machine_s(tmp_path: Path) -> None:
    home = init_home(tmp_path, "\n", "\x00")
    assert (home.mesh_name, home.node_name) == ("mesh", default_name())
    assert os.listdir(tmp_path)
