"""One running node for a home: a lock that the system gives back however the process ends."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from atmosphere.errors import StateError
from atmosphere.mesh.statefile import PRIVATE, make_folder

NAME = "lock"


class Lock:
    """The lock of a home, held from `acquire` to `release`."""

    def __init__(self, home: Path) -> None:
        self.path = home / NAME
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Take the lock; StateError, naming the process, when another node has it."""
        make_folder(self.path.parent)
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE)
        except OSError as error:
            raise StateError(f"{self.path} cannot be opened: {error.strerror or error}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = _holder(descriptor)
            os.close(descriptor)
            by = f" (process {holder})" if holder else ""
            message = f"a node is already running in {self.path.parent}{by}"
            raise StateError(message, hint="Stop it first: atmosphere stop") from error
        self._descriptor = descriptor
        # Only for people to read: the lock holds on a full disk too.
        with contextlib.suppress(OSError):
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Give the lock back; nothing happens when it is not held."""
        if self._descriptor is not None:
            # Emptied, not removed: whoever waits on a removed file would hold a lock that nobody else sees.
            with contextlib.suppress(OSError):
                os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Lock:
        self.acquire()
        return self

    def __exit__(self, *exception: object) -> None:
        self.release()


def _holder(descriptor: int) -> int | None:
    written = os.pread(descriptor, 32, 0).strip()
    return int(written) if written.isdigit() else None
