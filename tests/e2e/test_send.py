"""Files and folders between two real nodes."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import time
from pathlib import Path

import pytest

from atmosphere.cli.control import client, messages
from tests.e2e.machine import Machine

pytestmark = pytest.mark.xdist_group("e2e send")

SIZE = 3_000_000


def filled(path: Path, size: int, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


def same(first: Path, second: Path) -> bool:
    return hashlib.sha256(first.read_bytes()).digest() == hashlib.sha256(second.read_bytes()).digest()


def landed(inbox: Path) -> set[Path]:
    """What arrived whole, whatever it is called."""
    return {path for path in inbox.glob("*") if path.is_file()}


def waiting(inbox: Path) -> int:
    """Bytes of files that have not arrived whole yet."""
    return sum(path.stat().st_size for path in inbox.rglob(".*/**/*") if path.is_file())


def test_a_file_and_never_over_another(lasting_pair: tuple[Machine, Machine], tmp_path: Path) -> None:
    desk, laptop = lasting_pair
    film, inbox = filled(tmp_path / "film.bin", SIZE), desk.home / "inbox"
    sent = laptop.json("send", str(film), "desk")
    assert (sent["peer"], sent["files"], sent["bytes"]) == ("desk", 1, SIZE)
    assert same(film, inbox / "film.bin")
    filled(film, 1000, seed=2)
    again = laptop.run("send", str(film), "desk")
    assert "sent 1 file (1.0 kB) to desk" in again.stdout
    assert (inbox / "film.bin").stat().st_size == SIZE
    assert len([path for path in inbox.iterdir() if path.suffix == ".bin"]) == 2


def test_folders_and_stdin(lasting_pair: tuple[Machine, Machine], tmp_path: Path) -> None:
    desk, laptop = lasting_pair
    filled(tmp_path / "pics" / "sub" / "b.jpg", 70_000)
    filled(tmp_path / "pics" / "a.jpg", 10)
    (tmp_path / "pics" / "empty").mkdir()
    laptop.run("send", str(tmp_path / "pics"), "desk")
    inbox = desk.home / "inbox"
    assert same(tmp_path / "pics" / "sub" / "b.jpg", inbox / "pics" / "sub" / "b.jpg")
    assert (inbox / "pics" / "empty").is_dir()
    laptop.run("send", "-", "desk", "--as", "notes.txt", input="from a pipe\n")
    assert (inbox / "notes.txt").read_text() == "from a pipe\n"


def test_hostile_names_stay_in_the_inbox(lasting_pair: tuple[Machine, Machine], tmp_path: Path) -> None:
    """The command refuses such a name; whoever means ill has another command, and the inbox is there for that."""
    desk, laptop = lasting_pair
    before, evil = set(os.listdir(desk.home)), filled(tmp_path / "evil", 1000)
    arrived = landed(desk.home / "inbox")
    for name in ("../../identity.pem", "../identity.pem", "..", "/etc/evil", "a/../../b"):
        assert "not a path" in laptop.run("send", str(evil), "desk", "--as", name, code=2).stderr
        client.call(laptop.home, messages.Send("desk", [bytes(evil)], name))
    assert set(os.listdir(desk.home)) - before <= {"inbox"}
    assert b"PRIVATE KEY" in (desk.home / "identity.pem").read_bytes()
    assert not Path("/etc/evil").exists()
    fresh = landed(desk.home / "inbox") - arrived
    assert len(fresh) == 5
    assert all(same(evil, path) for path in fresh)


def test_to_nobody(lasting_pair: tuple[Machine, Machine], tmp_path: Path) -> None:
    _, laptop = lasting_pair
    film = filled(tmp_path / "film.bin", 10)
    assert "desk" in laptop.run("send", str(film), "nobody", code=1).stderr
    assert laptop.run("send", str(tmp_path / "missing"), "desk", code=1).stderr.startswith("Error: No such file")


def test_what_was_interrupted_goes_on(lasting_pair: tuple[Machine, Machine], tmp_path: Path) -> None:
    desk, laptop = lasting_pair
    film, inbox = filled(tmp_path / "long.bin", 24_000_000), desk.home / "inbox"
    sending = laptop.spawn("send", str(film), "desk")
    deadline = time.monotonic() + 30
    while waiting(inbox) < 2_000_000:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    sending.send_signal(signal.SIGINT)
    _, err = sending.communicate(timeout=20)
    assert (sending.returncode, err) == (6, "Error: interrupted\n")
    assert not (inbox / "long.bin").exists()
    again = laptop.json("send", str(film), "desk")
    assert again["results"][0]["resumed_at"] > 0
    assert same(film, inbox / "long.bin")
