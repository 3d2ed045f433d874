"""The settings of a node, as the command line gathers them and as they travel to a background process."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from atmosphere.errors import DecodeError

if TYPE_CHECKING:
    from atmosphere.cli.daemon.faces import NodeFace


class NodeOptions(msgspec.Struct):
    """What `serve` and `join CODE` were told; `origins` says where each value came from."""

    port: int = 7777
    host: str | None = None
    signaling: list[str] = []
    stun: list[str] = []
    turn: list[str] = []
    path_policy: Literal["any", "direct", "relay"] = "any"
    no_relay: bool = False
    no_port_mapping: bool = False
    no_hard_nat: bool = False
    inbox: str | None = None
    name: str | None = None
    log_level: str = "warning"
    any_port: bool = False
    """Take a free port when `port` is in use: for a joining node, whose port nobody chose."""
    origins: dict[str, str] = {}

    def inbox_of(self, home: Path) -> Path:
        """Where files arrive."""
        return Path(self.inbox).expanduser().absolute() if self.inbox else home / "inbox"

    def public(self) -> dict[str, dict[str, Any]]:
        """Each setting with its value and origin, passwords left out."""
        from signaling.mqtt.url import redact

        values = msgspec.to_builtins(self)
        origins = values.pop("origins")
        del values["any_port"]
        values["signaling"] = [redact(url) for url in self.signaling]
        values["turn"] = [without_password(uri) for uri in self.turn]
        return {name: {"value": value, "origin": origins.get(name, "default")} for name, value in values.items()}


def without_password(uri: str) -> str:
    """`uri` with its password, which is what follows the last colon before the last `@`, as `***`."""
    credentials, at, host = uri.rpartition("@")
    return f"{credentials.rpartition(':')[0]}:***{at}{host}" if at else uri


def stun_servers(uris: list[str]) -> tuple[str, ...] | None:
    """None for the defaults, an empty tuple for `none`."""
    if not uris:
        return None
    return tuple(uri for uri in uris if uri != "none")


def make_node(home: Path, options: NodeOptions) -> NodeFace:
    """The node of `home`, not yet started."""
    from atmosphere.mesh.node import Node

    return Node(
        home,
        port=options.port,
        host=options.host,
        signaling=tuple(options.signaling),
        stun=stun_servers(options.stun),
        turn=tuple(options.turn),
        path_policy=options.path_policy,
        relay=not options.no_relay,
        port_mapping=not options.no_port_mapping,
        hard_nat=not options.no_hard_nat,
        inbox=options.inbox_of(home),
        name=options.name,
    )


class Start(msgspec.Struct):
    """What a background process is told on its stdin."""

    home: bytes
    options: NodeOptions


class Ready(msgspec.Struct):
    """What a node says once it listens."""

    id: str
    name: str
    mesh_id: str | None
    mesh_name: str | None
    port: int
    addresses: list[str]
    pid: int

    def line(self) -> str:
        """The line that starts with READY."""
        mesh = f"in mesh {self.mesh_name}" if self.mesh_name else "in no mesh yet"
        listening = " ".join(self.addresses) or f"port {self.port}"
        return f"READY {self.name} ({self.id[:8]}) {mesh}, listening on {listening}"

    def document(self) -> dict[str, Any]:
        """The same for machines."""
        mesh = {"id": self.mesh_id, "name": self.mesh_name} if self.mesh_id else None
        node = {"id": self.id, "name": self.name}
        return {"node": node, "mesh": mesh, "port": self.port, "addresses": self.addresses, "pid": self.pid}


_starts = msgspec.json.Decoder(Start)


def decode_start(data: bytes) -> Start:
    """The Start in `data`; raises DecodeError."""
    try:
        return _starts.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DecodeError(f"not a node's settings: {error}") from error
