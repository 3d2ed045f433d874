"""A cable with weather: a program between two cards that delays, loses, doubles, reorders and throttles frames.

    python -m tests.lab.link CONTROL_SOCKET SEED

It runs in a namespace of its own and moves frames between the cards `left` and `right`. Control messages:
{"do": "set", "to": "left" | "right" | "both", …conditions}, answered with the frames counted so far.
"""

from __future__ import annotations

import dataclasses
import random
import selectors
import socket
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from tests.lab.control import Control, ask
from tests.lab.pipe import Conditions, Counts, Pipe

SIDES = ("left", "right")
Side = Literal["left", "right", "both"]
ETH_P_ALL, PACKET_OUTGOING = 3, 4
BATCH = 64
LONGEST_WAIT = 10.0


class Link:
    """The laboratory's hand on a running link."""

    def __init__(self, control: Path, conditions: Conditions) -> None:
        self._control = control
        self.conditions = conditions
        self.set()

    def set(self, to: Side = "both", **changes: Any) -> None:
        """Other conditions from now on, in the direction to one side or in both; see Conditions."""
        changed = dataclasses.replace(self.conditions, **changes)
        if to == "both":
            self.conditions = changed
        ask(self._control, {"do": "set", "to": to} | dataclasses.asdict(changed))

    def down(self) -> None:
        """Lose everything, without the cards noticing: a link that broke further away."""
        self.set(down=True)

    def up(self) -> None:
        """Carry again."""
        self.set(down=False)

    def counts(self) -> dict[str, Counts]:
        """What became of the frames to each side."""
        answer = ask(self._control, {"do": "count"})
        return {side: Counts(**counted) for side, counted in answer.items()}


class Pipes:
    """Both directions: which frames go out of which card, and when."""

    def __init__(self, chance: random.Random) -> None:
        self.to = {side: Pipe(Conditions(), chance) for side in SIDES}

    def obey(self, order: dict[str, Any]) -> object:
        """Do what a control message says; the answer."""
        given = dict(order)
        if given.pop("do") == "set":
            to = given.pop("to")
            for side in SIDES if to == "both" else (to,):
                self.to[side].change(Conditions(**given))
        return {side: dataclasses.asdict(pipe.counts) for side, pipe in self.to.items()}

    def wait(self, now: float) -> float:
        """Seconds until a frame arrives somewhere."""
        deadlines = [deadline for pipe in self.to.values() if (deadline := pipe.deadline()) is not None]
        return max(0.0, min(deadlines, default=now + LONGEST_WAIT) - now)


def open_card(name: str) -> socket.socket:
    """Every frame that arrives at a card."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8_000_000)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8_000_000)
    sock.bind((name, 0))
    sock.setblocking(False)
    return sock


def take(card: socket.socket, pipe: Pipe) -> None:
    """Put at most a batch of frames that wait at a card into a pipe."""
    for _ in range(BATCH):
        try:
            frame, (_, _, kind, *_) = card.recvfrom(65535)
        except BlockingIOError:
            return
        if kind != PACKET_OUTGOING:  # what we sent ourselves
            pipe.put(frame, time.monotonic())


def run(pipes: Pipes, control: Control) -> None:
    """Move frames for ever."""
    cards = {side: open_card(side) for side in SIDES}
    selector = selectors.DefaultSelector()
    selector.register(cards["left"], selectors.EVENT_READ, pipes.to["right"])
    selector.register(cards["right"], selectors.EVENT_READ, pipes.to["left"])
    selector.register(control.socket, selectors.EVENT_READ)
    print("READY", flush=True)
    while True:
        for key, _ in selector.select(pipes.wait(time.monotonic())):
            if isinstance(key.data, Pipe) and isinstance(key.fileobj, socket.socket):
                take(key.fileobj, key.data)
            elif (order := control.order()) is not None:
                control.answer(pipes.obey(order))
        for side, pipe in pipes.to.items():
            for frame in pipe.due(time.monotonic()):
                with suppress(OSError):  # the card is down, or its queue is full
                    cards[side].send(frame)


if __name__ == "__main__":
    run(Pipes(random.Random(sys.argv[2])), Control(sys.argv[1]))
