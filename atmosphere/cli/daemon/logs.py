"""Where a node's log goes: stderr in the foreground, a bounded file in the home in the background."""

from __future__ import annotations

import logging
import logging.handlers
import os
from io import TextIOWrapper
from pathlib import Path

logger = logging.getLogger("atmosphere")

LOG = "node.log"
"""The file's name in the home."""

MAX_BYTES = 4_000_000
FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


class _PrivateFile(logging.handlers.RotatingFileHandler):
    """A log that only its owner reads, after it was rotated too."""

    def _open(self) -> TextIOWrapper:
        return open(self.baseFilename, "a", encoding=self.encoding, opener=_private)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def keep(home: Path, error: BaseException) -> None:
    """Have the traceback of an unexpected error in the log of `home`, if that can be."""
    import traceback

    try:
        with open(home / LOG, "a", encoding="utf-8", opener=_private) as log:
            log.writelines(traceback.format_exception(error))
    except OSError as failure:
        logger.debug("the log cannot be written: %s", failure)


def to_stderr(level: str, *, as_json: bool = False) -> None:
    """Log `level` and above to stderr; the level of --debug, which has set the root already, wins."""
    root = logging.getLogger()
    if as_json:
        from signaling.logs import configure

        configure("debug" if root.handlers and root.level == logging.DEBUG else level, as_json=True)
    elif not root.handlers:
        logging.basicConfig(level=level.upper(), format=FORMAT)


def to_file(path: Path, level: str) -> None:
    """Log `level` and above to `path`, kept below 4 MB with one older file beside it."""
    handler = _PrivateFile(path, maxBytes=MAX_BYTES, backupCount=1, encoding="utf-8")
    logging.basicConfig(level=level.upper(), format=FORMAT, handlers=[handler])
