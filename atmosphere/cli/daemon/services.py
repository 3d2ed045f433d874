"""What a node of the command line does for its peers: it takes files, and it takes part in measurements."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from atmosphere.mesh import bench

if TYPE_CHECKING:
    from atmosphere.cli.daemon.faces import NodeFace

FILES = "atmosphere.files"


def register(node: NodeFace, inbox: Path) -> None:
    """Let the members of the mesh send files into `inbox` and measure."""
    node.on_stream(bench.STREAM, bench.serve)
