"""Where a node's log goes: stderr in the foreground, a bounded file in the home in the background."""

from __future__ import annotations

import logging
import logging.handlers
from pathlib import Path

logger = logging.getLogger("atmosphere")

MAX_BYTES = 4_000_000
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def to_stderr(level: str) -> None:
    """Log `level` and above to stderr; --debug, which has set the root already, wins."""
    if not logging.getLogger().handlers:
        logging.basicConfig(level=level.upper(), format=FORMAT)


def to_file(path: Path, level: str) -> None:
    """Log `level` and above to `path`, kept below 4 MB with one older file beside it."""
    path.touch(mode=0o600, exist_ok=True)
    handler = logging.handlers.RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8")
    logging.basicConfig(level=level.upper(), format=FORMAT, handlers=[handler])
