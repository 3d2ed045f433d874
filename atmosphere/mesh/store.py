"""A node's home on disk: its identity, its mesh, what it knows of it, and the invites it gave.

    identity.pem            private key and certificate node.json               what the node is called mesh.json
    which mesh it belongs to: this file decides, and is written last mesh-<mesh id>/         what belongs to that
    mesh: root.pem (the founder's alone), facts.json, invites.json, contacts.json lock                    held while a
    node runs

Every file is written whole (atmosphere.mesh.statefile). A new mesh gets a folder of its own and counts once mesh.json
names it, so a crash at any moment leaves the old state or the new one, never a mixture and never neither. The methods
do disk I/O and return when the data is on the disk.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import msgspec
import platformdirs

from atmosphere.errors import DecodeError, StateError
from atmosphere.identity import Identity
from atmosphere.mesh import statefile
from atmosphere.mesh.facts import Facts
from atmosphere.mesh.invites import Invite, Invites
from atmosphere.mesh.lock import Lock
from atmosphere.mesh.membership import Authority
from atmosphere.mesh.root import MESH_ID_LENGTH, RootKey
from atmosphere.names import clean_name

__all__ = ["Home", "Lock", "default_home", "default_name", "init_home"]

VERSION = 1
"""Of every state file. A file of a higher version is refused, and left as it is."""

_IDENTITY, _NODE, _MESH = "identity.pem", "node.json", "mesh.json"
_ROOT, _FACTS, _INVITES, _CONTACTS = "root.pem", "facts.json", "invites.json", "contacts.json"
_INIT = "atmosphere init"


class _NodeBody(msgspec.Struct):
    name: str


class _MeshBody(msgspec.Struct):
    name: str
    root_public_key: Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
    founder: bool


def default_home() -> Path:
    """Where the home is unless somebody says otherwise: ATMOSPHERE_HOME, or the user's data folder."""
    chosen = os.environ.get("ATMOSPHERE_HOME")
    return Path(chosen).expanduser() if chosen else platformdirs.user_data_path("atmosphere", appauthor=False)


def default_name() -> str:
    """What a node is called unless somebody says otherwise: its machine's name."""
    return clean_name(socket.gethostname().partition(".")[0]) or "node"


def init_home(path: Path, mesh_name: str, node_name: str, force: bool = False) -> Home:
    """Make a mesh and its founder; an identity that exists is kept, a mesh only without `force` (StateError)."""
    if not force and (path / _MESH).exists():
        hint = "atmosphere init --force forgets that mesh and makes a new one"
        raise StateError(f"{path} belongs to a mesh already", hint=hint)
    home = Home.init_identity_only(path, node_name, force=force)
    home.found(mesh_name)
    return home


class Home:
    """What is on disk, in memory. `facts`, `invites` and `root_key` are the mesh's: none before the first join."""

    def __init__(self, path: Path, identity: Identity, node_name: str) -> None:
        self.path = path
        self.identity = identity
        self.node_name = node_name
        self.mesh_name = ""
        self.facts: Facts | None = None
        self.root_key: RootKey | None = None
        self.invites = Invites()

    def __repr__(self) -> str:
        return f"Home({str(self.path)!r})"

    @property
    def mesh_id(self) -> bytes:
        """The mesh's id, 20 bytes; empty before the first join."""
        return self.facts.mesh_id if self.facts else b""

    # Opening.

    @classmethod
    def open(cls, path: Path, node_name: str | None = None) -> Home:
        """The home at `path`, begun with an identity alone where there is none; a name given here is kept."""
        if not _is_begun(path):
            return cls.init_identity_only(path, node_name or default_name())
        home = cls.load(path)
        if node_name and node_name != home.node_name:
            home.rename(node_name)
        return home

    @classmethod
    def load(cls, path: Path) -> Home:
        """The home at `path`; StateError names the file that is missing, torn, foreign or newer than this version."""
        pem = statefile.read(path / _IDENTITY)
        if pem is None and _is_begun(path):
            raise StateError(
                f"{path / _IDENTITY} is missing", hint="Restore it from a copy, or leave: atmosphere leave"
            )
        if pem is None:
            raise StateError(f"there is no node in {path} yet", hint=_INIT)
        statefile.tighten(path / _IDENTITY)
        try:
            identity = Identity.from_pem(pem)
        except DecodeError as error:
            raise statefile.damaged(path / _IDENTITY, f"torn ({error})") from error
        node = statefile.load(path / _NODE, "node", VERSION, _NodeBody)
        home = cls(path, identity, node.name if node else default_name())
        mesh = statefile.load(path / _MESH, "mesh", VERSION, _MeshBody)
        if mesh is not None:
            home._load_mesh(mesh)
        return home

    @classmethod
    def init_identity_only(cls, path: Path, node_name: str, force: bool = False) -> Home:
        """A home with an identity and no mesh, for a node that is about to join one; what exists is kept.

        With `force` an identity that cannot be read is replaced.
        """
        statefile.make_folder(path)
        try:
            home = cls.load(path)
        except StateError:
            if _is_begun(path) and not force:
                raise
            identity = _read_identity(path / _IDENTITY) or Identity.generate()
            statefile.write(path / _IDENTITY, identity.to_pem())
            home = cls(path, identity, "")
        if home.node_name != (clean_name(node_name) or default_name()):
            home.rename(node_name)
        return home

    def _load_mesh(self, mesh: _MeshBody) -> None:
        facts = Facts(mesh.root_public_key)
        folder = self._folder(facts.mesh_id)
        encoded = statefile.load(folder / _FACTS, "facts", VERSION, list[bytes])
        if encoded is None:
            raise StateError(f"{folder / _FACTS} is missing", hint="Restore it from a copy, or leave: atmosphere leave")
        facts.merge(encoded)
        invites = statefile.load(folder / _INVITES, "invites", VERSION, list[Invite])
        self.root_key = self._load_root(folder / _ROOT, facts.mesh_id) if mesh.founder else None
        self.mesh_name, self.facts, self.invites = mesh.name, facts, Invites(invites)

    def _load_root(self, path: Path, mesh_id: bytes) -> RootKey:
        pem = statefile.read(path)
        if pem is None:
            raise StateError(f"{path} is missing: without it nobody can manage the mesh", hint="Restore it from a copy")
        statefile.tighten(path)
        try:
            key = RootKey.from_pem(pem)
        except DecodeError as error:
            raise statefile.damaged(path, f"torn ({error})") from error
        if key.mesh_id != mesh_id:
            raise statefile.damaged(path, "another mesh's key")
        return key

    # Changing.

    def rename(self, node_name: str) -> None:
        """Call the node something else, from its next membership on."""
        name = clean_name(node_name) or default_name()
        statefile.save(self.path / _NODE, "node", VERSION, _NodeBody(name))
        self.node_name = name

    def found(self, mesh_name: str) -> None:
        """Make a new mesh with this node as its founder; one that the home belonged to is forgotten."""
        root_key = RootKey.generate()
        facts = Facts(root_key.public_key)
        founder = Authority.root(root_key).membership(
            root_key.mesh_id, self.identity.public_key, self.node_name, issued=time.time(), role="founder"
        )
        facts.add(founder)
        folder = self._make_mesh_folder(facts)
        statefile.write(folder / _ROOT, root_key.to_pem())
        self._belong_to(clean_name(mesh_name) or "mesh", facts, root_key)

    def adopt(self, mesh_name: str, facts: Facts, node_name: str = "") -> None:
        """Belong to the mesh of these facts, as just granted; StateError when the home belongs to another."""
        if self.facts is not None and self.facts.mesh_id != facts.mesh_id:
            hint = "Leave it first, or use another home: atmosphere leave, atmosphere --home DIR"
            raise StateError(f"{self.path} belongs to another mesh already", hint=hint)
        if node_name and node_name != self.node_name:
            self.rename(node_name)
        if self.facts is not None:
            facts.merge(self.facts.encoded())
        self._make_mesh_folder(facts)
        self._belong_to(clean_name(mesh_name) or "mesh", facts, self.root_key)

    def save_facts(self) -> None:
        """Have the facts on disk."""
        if self.facts is not None:
            self._save(_FACTS, "facts", self.facts.encoded())

    def save_invites(self) -> None:
        """Have the invites on disk: before any of their uses is granted."""
        self._save(_INVITES, "invites", self.invites.all())

    def save_contacts(self, contacts: Iterable[bytes]) -> None:
        """Have on disk where the members were last seen."""
        self._save(_CONTACTS, "contacts", list(contacts))

    def load_contacts(self) -> list[bytes]:
        """Where the members were last seen. Only a hint, so a file that cannot be read counts as none."""
        with contextlib.suppress(StateError):
            if self.facts is not None:
                return statefile.load(self._folder(self.mesh_id) / _CONTACTS, "contacts", VERSION, list[bytes]) or []
        return []

    def forget(self) -> None:
        """Forget the mesh and the identity: nothing secret is left. The configuration and the log stay."""
        for name in (_MESH, _IDENTITY, _NODE):
            (self.path / name).unlink(missing_ok=True)
        statefile.sync_folder(self.path)
        self._sweep(keep=None)
        self.mesh_name, self.facts, self.root_key, self.invites = "", None, None, Invites()

    # How.

    def _folder(self, mesh_id: bytes) -> Path:
        return self.path / f"mesh-{mesh_id.hex()}"

    def _make_mesh_folder(self, facts: Facts) -> Path:
        folder = self._folder(facts.mesh_id)
        statefile.make_folder(folder)
        statefile.save(folder / _FACTS, "facts", VERSION, facts.encoded())
        return folder

    def _belong_to(self, mesh_name: str, facts: Facts, root_key: RootKey | None) -> None:
        """Make the mesh whose folder is ready the home's own: one rename decides."""
        body = _MeshBody(mesh_name, facts.root_public_key, root_key is not None)
        statefile.save(self.path / _MESH, "mesh", VERSION, body)
        if self.facts is None or self.facts.mesh_id != facts.mesh_id:
            self.invites = Invites()
        self.mesh_name, self.facts, self.root_key = mesh_name, facts, root_key
        self._sweep(keep=self._folder(facts.mesh_id))

    def _save(self, name: str, kind: str, body: object) -> None:
        if self.facts is None:
            raise StateError(f"{self.path} belongs to no mesh", hint=_INIT)
        statefile.save(self._folder(self.mesh_id) / name, kind, VERSION, body)

    def _sweep(self, keep: Path | None) -> None:
        """Remove the folders of former meshes, and what a crash left half written."""
        for folder in self.path.glob("mesh-*"):
            if folder != keep and len(folder.name) == len("mesh-") + 2 * MESH_ID_LENGTH and folder.is_dir():
                shutil.rmtree(folder, ignore_errors=True)
        for pattern in (f".*{statefile.TEMPORARY}", f"mesh-*/.*{statefile.TEMPORARY}"):
            for leftover in self.path.glob(pattern):
                leftover.unlink(missing_ok=True)


def _is_begun(path: Path) -> bool:
    return (path / _IDENTITY).exists() or (path / _MESH).exists()


def _read_identity(path: Path) -> Identity | None:
    try:
        return Identity.from_pem(statefile.read(path) or b"")
    except DecodeError:
        return None
