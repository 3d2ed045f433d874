"""What commands do to a home while no node runs for it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from atmosphere.errors import CodeError

if TYPE_CHECKING:
    from atmosphere.joincode import JoinCode
    from atmosphere.mesh.store import Home


def create(path: Path, mesh: str | None, name: str | None, *, force: bool) -> dict[str, Any]:
    """Make an identity and a new mesh in `path`; raises StateError where there is one, unless `force`."""
    from atmosphere.mesh.store import Lock, default_name, init_home

    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    with Lock(path):
        home = init_home(path, mesh or default_name(), name or default_name(), force)
    return {
        "mesh": {"id": home.mesh_id.hex(), "name": home.mesh_name},
        "node": {"id": home.identity.node_id, "name": home.node_name},
    }


def ensure_mesh(path: Path, name: str | None) -> None:
    """Make sure that the home in `path` is in a mesh: where it is not, it founds one called after this machine."""
    from atmosphere.mesh.store import default_name

    home = _load(path)
    if home is None or not home.mesh_id:
        create(path, default_name(), name, force=False)


def refuse_foreign(path: Path, code: JoinCode) -> None:
    """Refuse, before a node is started for it, a code of another mesh than the home is in; raises CodeError."""
    home = _load(path)
    if home is not None and home.mesh_id and home.mesh_id != code.mesh_id:
        wanted = f" ({code.mesh_name})" if code.mesh_name else ""
        raise CodeError(
            f"this code is for another mesh{wanted}; this home is in {home.mesh_name}",
            reason="foreign",
            hint="use another --home, or `atmosphere leave` first",
        )


def leave(path: Path) -> dict[str, Any]:
    """Forget the mesh of the home in `path`, whose node does not run; the others find out when they meet it no more."""
    from atmosphere.mesh.store import Lock

    home = _load(path)
    if home is None or not home.mesh_id:
        return {"left": None}
    left = {"id": home.mesh_id.hex(), "name": home.mesh_name}
    with Lock(path):
        home.forget()
    return {"left": left}


def _load(path: Path) -> Home | None:
    """The home in `path`; None where there is none yet. Raises StateError where it cannot be read."""
    from atmosphere.mesh.store import Home

    return Home.load(path) if (path / "identity.pem").exists() else None
