"""Nodes that time themselves and carry one long stream (`tests.lab.courier`), from the test's side."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.lab.processes import Program
from tests.lab.topology import Machine

FILM = 20_000_000
Told = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Silence:
    """The longest time without a byte, and when it was (CLOCK_MONOTONIC)."""

    seconds: float
    began: float
    ended: float


class Courier:
    """A node on a machine, run with the library."""

    program: Program

    def __init__(self, machine: Machine, *options: str) -> None:
        self.machine = machine
        self._options = (*options, "--name", machine.name)
        self._home = str(machine.folder / "courier")

    def found(self) -> str:
        """Start it as the founder of a mesh; its join code."""
        self._start("found", self._home, *self._options)
        code = self.told("code")["code"]
        assert isinstance(code, str)
        return code

    def join(self, code: str, *, until_direct: float = 0.0, send: int = 0, rate: float = 4e6) -> None:
        """Start it as a joiner, who sends `send` bytes once its path is direct, or so many seconds have passed."""
        wanted = ("--until-direct", str(until_direct), "--send", str(send), "--rate", str(rate))
        self._start("join", self._home, code, *self._options, *wanted)

    def told(self, key: str, timeout: float = 20.0) -> Told:
        """The first thing it tells that has `key`."""
        return self.until(lambda what: key in what, key, timeout)

    def until(self, accepts: Callable[[Told], bool], what: str, timeout: float = 20.0) -> Told:
        """The first thing it tells that `accepts` likes."""
        line = self.program.wait_until(lambda line: line.startswith("{") and accepts(json.loads(line)), what, timeout)
        return dict(json.loads(line))

    def events(self) -> list[Told]:
        """What happened to it so far."""
        told = [json.loads(line) for line in list(self.program.lines) if line.startswith("{")]
        return [what for what in told if "event" in what]

    def _start(self, *words: str) -> None:
        self.program = self.machine.start(sys.executable, "-m", "tests.lab.courier", *words)


class Transfer:
    """A film on its way from `sender` to `receiver`."""

    def __init__(self, sender: Courier, receiver: Courier, length: int) -> None:
        self.sender, self.receiver, self.length = sender, receiver, length

    def under_way(self, received: int = 4_000_000) -> None:
        """Wait until so many bytes have arrived: the moment is in the middle of the transfer."""
        told = self.receiver.until(lambda what: what.get("received", 0) >= received, f"received {received}", 60)
        assert told["received"] < self.length

    def finished(self, timeout: float = 60.0) -> Silence:
        """Wait until the whole stream has arrived; what the receiver's longest silence was.

        AssertionError where it ended otherwise, or the link did: streams never notice.
        """
        ended = self.receiver.until(lambda what: "done" in what or "failed" in what, "done", timeout)
        assert "done" in ended, ended
        confirmed = self.sender.until(lambda what: "done" in what or "failed" in what, "done", timeout)
        assert confirmed.get("done") == ended["done"], confirmed
        assert ended["received"] == confirmed["sent"] == self.length
        for courier in (self.sender, self.receiver):
            assert [what for what in courier.events() if what["event"] == "PeerDisconnected"] == []
        return Silence(**ended["silence"])


def transferring(
    receiver: Courier, sender: Courier, kind: str = "direct", *, length: int = FILM, rate: float = 4e6
) -> Transfer:
    """Two nodes connected by a path of `kind`, and the transfer begun over it."""
    sender.join(receiver.found(), until_direct=30.0 * (kind == "direct"), send=length, rate=rate)
    joined = sender.told("joined", 60)
    assert joined["path"][0] == kind, joined
    return Transfer(sender, receiver, length)
