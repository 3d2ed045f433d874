"""Two real nodes on this machine, from nothing to a file that arrived: what `make demo` shows.

Every step is a command that a user would type, in a home of its own under a temporary folder; everything is stopped
and removed at the end, and the exit code is 0 only if every step worked.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ATMOSPHERE = [sys.executable, "-m", "atmosphere"]
HERE = "127.0.0.1"
FILE_SIZE = 5_000_000
PATIENCE = 60.0


class Failed(Exception):
    """A step of the demo did not do what it should; the message is for the person who watches."""


class Terminal:
    """One of the two machines: its own home, and the commands typed there."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self.folder = folder / name
        self.folder.mkdir()
        self.port = free_port()
        clean = {key: value for key, value in os.environ.items() if not key.startswith("ATMOSPHERE_")}
        self._environment = clean | {
            "ATMOSPHERE_HOME": str(self.folder / "home"),
            "NO_COLOR": "1",
            "COLUMNS": "120",
            "PYTHONUNBUFFERED": "1",
        }

    def type(self, *arguments: str, show: bool = True, quote: bool = False) -> str:
        """Run `atmosphere …` to its end; what it said (with `quote`, on stdout only). Failed when it exits badly."""
        if show:
            self._prompt(arguments)
        done = subprocess.run(
            [*ATMOSPHERE, *arguments],
            env=self._environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if quote else subprocess.STDOUT,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        if show:
            say(done.stdout + (done.stderr or ""))
        if done.returncode:
            raise Failed(f"atmosphere {arguments[0]} ended with exit code {done.returncode}")
        return done.stdout

    def start(self, *arguments: str) -> Service:
        """Start `atmosphere …` and wait until it says READY."""
        self._prompt(arguments)
        return Service(
            subprocess.Popen(
                [*ATMOSPHERE, *arguments],
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            ),
            arguments[0],
        )

    def _prompt(self, arguments: tuple[str, ...]) -> None:
        shown = [re.sub(r"^(atm1.{12}).*", r"\1…", argument) for argument in arguments]
        print(f"\n{self.name}$ atmosphere {shlex.join(shown).replace(chr(39), '')}", flush=True)


class Service:
    """A program that keeps running: it said READY, and `stop` ends it."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self._process = process
        self._name = name
        self.said: list[str] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()
        if not self._ready.wait(PATIENCE) or not any("READY" in line for line in self.said):
            self.stop()
            raise Failed(f"atmosphere {name} did not get ready:\n{''.join(self.said)}")
        time.sleep(0.2)  # the advice that follows READY belongs to the picture
        say("".join(self.said))

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said.append(line)
            if line.startswith("READY"):
                self._ready.set()
        self._ready.set()

    def stop(self) -> None:
        """End it as Ctrl-C would."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(10)
        self._thread.join(5)


def say(text: str) -> None:
    """Print what a command said, a little to the right."""
    for line in text.rstrip().splitlines():
        print(f"    {line}", flush=True)


def free_port() -> int:
    """A port that nobody uses now, for UDP and TCP."""
    with socket.socket() as tcp, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        tcp.bind(("127.0.0.1", 0))
        udp.bind(("127.0.0.1", tcp.getsockname()[1]))
        return int(tcp.getsockname()[1])


def digest(path: Path) -> str:
    """A file's SHA-256 in hex."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def connected(terminal: Terminal, name: str) -> bool:
    """Whether the member called `name` is connected."""
    peers = json.loads(terminal.type("--json", "peers", show=False, quote=True))
    return any(peer["name"] == name and peer["state"] == "connected" for peer in peers)


def wait_until_connected(terminal: Terminal, name: str) -> None:
    """Ask until `name` is connected; Failed when it is not within half a minute."""
    deadline = time.monotonic() + 30
    while not connected(terminal, name):
        if time.monotonic() > deadline:
            raise Failed(f"{terminal.name} is not connected to {name}")
        time.sleep(0.2)


def show(anna: Terminal, ben: Terminal, relay: Terminal) -> None:
    """The whole story, step by step."""
    services = [relay.start("relay", "--host", HERE, "--port", str(relay.port))]
    servers = (
        *("--host", HERE, "--no-port-mapping"),
        *("--signaling", f"ws://{HERE}:{relay.port}", "--stun", f"stun:{HERE}:{relay.port}"),
    )
    try:
        anna.type("init", "demo", "--name", "anna")
        services.append(anna.start("serve", "--port", str(anna.port), *servers))
        code = anna.type("join", quote=True).strip()
        ben.type("join", code, "--name", "ben", "--port", str(ben.port), *servers)
        wait_until_connected(anna, "ben")
        ben.type("peers")
        ben.type("ping", "anna", "-c", "3")
        letter = ben.folder / "letter.bin"
        letter.write_bytes(os.urandom(FILE_SIZE))
        ben.type("send", letter.name, "anna")
        compare(letter, anna)
        anna.type("peers")
    finally:
        stop(ben)
        for service in reversed(services):
            service.stop()


def compare(sent: Path, receiver: Terminal) -> None:
    """Find the file in the receiver's inbox and compare the hashes."""
    arrived = [path for path in receiver.folder.rglob(sent.name) if path.is_file()]
    if len(arrived) != 1:
        raise Failed(f"{receiver.name} has {len(arrived)} files called {sent.name}")
    print()
    say(f"sent      {digest(sent)}  {sent.name}\narrived   {digest(arrived[0])}  {arrived[0].name}")
    if digest(sent) != digest(arrived[0]):
        raise Failed("the hashes differ")


def stop(terminal: Terminal) -> None:
    """End the node that `join` left in the background, if it got that far."""
    try:
        terminal.type("stop")
    except (Failed, subprocess.TimeoutExpired) as error:
        say(str(error))


def main() -> int:
    """Show it; the exit code."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="atmosphere-demo-", ignore_cleanup_errors=True) as folder:
        terminals = [Terminal(name, Path(folder)) for name in ("anna", "ben", "relay")]
        try:
            show(*terminals)
        except (Failed, subprocess.TimeoutExpired) as error:
            print(f"\nThe demo failed: {error}", file=sys.stderr)
            return 1
    print(f"\nTwo nodes, one code, one file, the same hash: done in {time.monotonic() - started:.1f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
