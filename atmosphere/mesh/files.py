"""Files and folders between two nodes: `send_paths` on one side, `receive_files` on the other, over one stream each."""

from __future__ import annotations

from atmosphere.mesh.files_receive import Limits, receive_files
from atmosphere.mesh.files_send import FileResult, Progress, send_paths
from atmosphere.mesh.files_source import Source
from atmosphere.mesh.files_wire import STREAM

__all__ = ["STREAM", "FileResult", "Limits", "Progress", "Source", "receive_files", "send_paths"]
