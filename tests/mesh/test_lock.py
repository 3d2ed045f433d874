from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from atmosphere.errors import StateError
from atmosphere.mesh.lock import Lock


def test_one_at_a_time(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with Lock(home) as lock:
        assert lock.path.read_text() == f"{os.getpid()}\n"
        with pytest.raises(StateError, match=f"already running in .*process {os.getpid()}") as caught:
            Lock(home).acquire()
        assert caught.value.hint
    assert lock.path.read_text() == ""
    lock.release()
    with Lock(home):
        pass


def test_a_lock_without_a_name(tmp_path: Path) -> None:
    with Lock(tmp_path) as lock:
        lock.path.write_text("")
        with pytest.raises(StateError, match=r"already running in [^(]*$"):
            Lock(tmp_path).acquire()


def test_a_process_that_dies_gives_it_back(tmp_path: Path) -> None:
    program = (
        "import os, sys; from pathlib import Path; from atmosphere.mesh.lock import Lock\n"
        "Lock(Path(sys.argv[1])).acquire(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=False)
    assert (tmp_path / "lock").read_text().strip().isdigit()
    with Lock(tmp_path):
        pass


def test_a_lock_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with pytest.raises(StateError, match="cannot be opened"):
        Lock(tmp_path).acquire()


def test_a_full_disk_does_not_keep_it_from_holding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with Lock(tmp_path), pytest.raises(StateError, match="already running"):
        Lock(tmp_path).acquire()
