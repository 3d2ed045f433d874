"""Two associations over a network in memory, in a time of their own: nothing here waits."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Any

from atmosphere.sctp.association import Association
from atmosphere.sctp.parameters import Features
from atmosphere.sctp.report import report

Packet = bytes
Judge = Callable[[bytes], bool]


@dataclass
class Weather:
    """What the network does to packets; parts of one, seconds, bytes a second."""

    loss: float = 0.0
    repeat: float = 0.0
    reorder: float = 0.0
    corrupt: float = 0.0
    delay: float = 0.005
    rate: float = 0.0
    queue: float = 0.0
    """Seconds of sending that the bottleneck's queue holds; 0 for no end."""


class Side:
    """One association and what it told."""

    def __init__(self, network: Network, *, client: bool, **options: Any) -> None:
        seed = random.Random(network.seed + client)
        self.association = Association(client=client, random=seed.randbytes, **options)
        self.network = network
        self.told: list[tuple[str, tuple[Any, ...]]] = []
        self.messages: list[tuple[int, bytes | str]] = []
        self.packets = 0
        self.probes: list[int] = []
        self.free_at = 0.0
        self.react: Callable[[str, tuple[Any, ...]], None] = lambda name, arguments: None
        self.collect = True

    def names(self) -> list[str]:
        return [name for name, _ in self.told]

    def send(self, handle: int, data: bytes | str) -> None:
        self.association.channels.send(handle, data, self.network.now)

    def pump(self) -> None:
        """Tell what happened and send what may be sent."""
        for _ in range(1000):
            told, self.association.told[:] = self.association.told[:], []
            for name, arguments in told:
                if name == "on_message":
                    if self.collect:
                        self.messages.append((arguments[0], arguments[1]))
                else:
                    self.told.append((name, arguments))
                self.react(name, arguments)
            bursts = self.association.transmit(self.network.now)
            if probe := self.association.probe_path(self.network.now):
                self.probes.append(len(probe))
                self.network.carry(self, probe)
            if not bursts and not self.association.told:
                return
            for data, segment in bursts:
                for start in range(0, len(data), segment):
                    self.network.carry(self, data[start : start + segment])
        raise AssertionError("an association always has something to send")


class Network:
    """The way between two sides, and the clock."""

    def __init__(self, weather: Weather | None = None, seed: int = 1, **options: Any) -> None:
        self.now = 100.0
        self.seed = seed
        self.random = random.Random(seed)
        self.weather = weather or Weather()
        self.one, self.other = Side(self, client=True, **options), Side(self, client=False, **options)
        self.lose: Judge = lambda packet: False
        self.width = 100_000
        """Bytes of the largest packet that passes; others vanish, and nobody says a word."""
        self.dropped = 0
        self.steps = 0
        self._order = count()
        self._way: list[tuple[float, int, Side, bytes]] = []

    def peer(self, side: Side) -> Side:
        return self.other if side is self.one else self.one

    def carry(self, side: Side, packet: bytes) -> None:
        side.packets += 1
        weather = self.weather
        if len(packet) > self.width or self.lose(packet) or self.random.random() < weather.loss:
            self.dropped += 1
            return
        at = self.now
        if weather.rate:
            start = max(self.now, side.free_at)
            if weather.queue and start - self.now > weather.queue:
                self.dropped += 1
                return
            at = side.free_at = start + (len(packet) + 65) / weather.rate
        for _ in range(1 + (self.random.random() < weather.repeat)):
            late = self.random.random() * 0.05 if self.random.random() < weather.reorder else 0.0
            if self.random.random() < weather.corrupt:
                place = self.random.randrange(len(packet))
                packet = packet[:place] + bytes((packet[place] ^ 0x55,)) + packet[place + 1 :]
            heapq.heappush(self._way, (at + weather.delay + late, next(self._order), self.peer(side), packet))

    def start(self) -> None:
        """Begin both handshakes."""
        for side in (self.one, self.other):
            side.association.start(self.now)
        self.settle()

    def presume(self, secret: bytes = bytes(range(16)), *, search: bool = False) -> None:
        for side in (self.one, self.other):
            side.association.presume(secret, search=search)
        self.settle()

    def settle(self) -> None:
        self.one.pump()
        self.other.pump()

    def step(self) -> bool:
        """Let the next thing happen; False when nothing ever will."""
        self.steps += 1
        times = [side.association.deadline() for side in (self.one, self.other)]
        timers = [time for time in times if time is not None]
        arrival = self._way[0][0] if self._way else None
        if arrival is None and not timers:
            return False
        if arrival is not None and all(arrival <= time for time in timers):
            self.now = max(self.now, arrival)
            while self._way and self._way[0][0] <= self.now:
                _, _, side, packet = heapq.heappop(self._way)
                side.association.receive(packet, len(packet), self.now)
                side.pump()
            return True
        self.now = max(self.now, min(timers))
        for side, time in zip((self.one, self.other), times, strict=True):
            if time is not None and time <= self.now:
                side.association.handle_timer(self.now)
        self.settle()
        return True

    def run(self, seconds: float = 60.0, until: Callable[[], bool] = lambda: False) -> None:
        """Go on until nothing is left to happen, `until` holds, or so much time has passed."""
        end = self.now + seconds
        self.settle()
        while self.now < end and not until() and self.step():
            pass

    def dump(self) -> str:
        return f"{report(self.one.association)}\n{report(self.other.association)}"


def connected(weather: Weather | None = None, seed: int = 1, *, features: Features | None = None) -> Network:
    """Two sides that have shaken hands over a good network; then the weather begins."""
    network = Network(seed=seed, offered=features)
    network.start()
    network.run(5.0, lambda: network.one.association.established and network.other.association.established)
    assert network.one.association.established and network.other.association.established
    network.weather = weather or Weather()
    return network
