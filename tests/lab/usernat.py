"""A NAT in user space, for what nftables cannot do: sequential ports, address-dependent mapping, hairpinning.

    python -m tests.lab.usernat OUTSIDE_ADDRESS KIND CONTROL_SOCKET [--hairpin] [--timeout SECONDS] [--step PORTS]

It runs in the router's namespace between two TUN devices, `inside` and `outside`: the kernel hands it what goes out on
the one and what comes in on the other (`tests.lab.routers.divert`), and routes what it writes. KIND is
"MAPPING-FILTERING-ALLOCATION" (`NatKind.parse`). Control messages: {"do": "forget"}, {"do": "move", "address": …}.
"""

from __future__ import annotations

import argparse
import dataclasses
import fcntl
import os
import random
import selectors
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from tests.lab.control import Control
from tests.lab.packets import (
    Flow,
    error_inside,
    flow_of,
    one_more_hop,
    redirect_error,
    replace_destination,
    replace_source,
)
from tests.lab.translation import NatKind, Table

INSIDE, OUTSIDE = "inside", "outside"
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000  # linux/if_tun.h
Way = Callable[[bytearray, float], tuple[str, bytearray] | None]
BATCH = 64
"""Packets read from one device before the other has its turn."""


class Translator:
    """Packets in, packets out; no device and no clock."""

    def __init__(self, address: str, table: Table) -> None:
        self.address = address
        self.table = table

    def outgoing(self, packet: bytearray, now: float) -> tuple[str, bytearray] | None:
        """A packet of the household: the device to write it to and what to write; None when it goes nowhere."""
        flow = flow_of(packet)
        if flow is None:
            return None
        hairpin = flow.destination[0] == self.address
        if hairpin and not self.table.kind.hairpin:
            return None
        port = self.table.outbound(flow.protocol, flow.source, flow.destination, now)
        if port is None:
            return None
        replace_source(packet, (self.address, port))
        if hairpin:
            return self._deliver(packet, Flow(flow.protocol, (self.address, port), flow.destination), now)
        one_more_hop(packet)
        return OUTSIDE, packet

    def incoming(self, packet: bytearray, now: float) -> tuple[str, bytearray] | None:
        """A packet of the internet, likewise."""
        flow = flow_of(packet)
        return self._error(packet, now) if flow is None else self._deliver(packet, flow, now)

    def _deliver(self, packet: bytearray, flow: Flow, now: float) -> tuple[str, bytearray] | None:
        owner = self.table.inbound(flow.protocol, flow.source, flow.destination[1], now)
        if owner is None:
            return None
        replace_destination(packet, owner)
        one_more_hop(packet)
        return INSIDE, packet

    def _error(self, packet: bytearray, now: float) -> tuple[str, bytearray] | None:
        """RFC 5508 §4: an ICMP error goes to whoever sent the packet that it quotes."""
        start = error_inside(packet)
        quoted = None if start is None else packet[start:]
        flow = None if quoted is None else flow_of(quoted)
        if start is None or quoted is None or flow is None or flow.source[0] != self.address:
            return None
        owner = self.table.owner(flow.protocol, flow.source[1], now)
        if owner is None:
            return None
        redirect_error(packet, start, owner)
        one_more_hop(packet)
        return INSIDE, packet

    def obey(self, order: dict[str, Any]) -> object:
        """Do what the laboratory wants of the router; the answer."""
        if order["do"] == "move":
            self.address = order["address"]
        if order["do"] in ("forget", "move"):
            self.table.forget()
        return len(self.table)


def open_tun(name: str) -> int:
    """A file descriptor of an existing TUN device: packets without a header (IFF_NO_PI), read without waiting."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH14x", name.encode(), IFF_TUN | IFF_NO_PI))
    return device


def run(translator: Translator, control: Control) -> None:
    """Carry packets for ever."""
    devices = {INSIDE: open_tun(INSIDE), OUTSIDE: open_tun(OUTSIDE)}
    ways = {devices[INSIDE]: translator.outgoing, devices[OUTSIDE]: translator.incoming}
    selector = selectors.DefaultSelector()
    for device in ways:
        selector.register(device, selectors.EVENT_READ)
    selector.register(control.socket, selectors.EVENT_READ)
    print("READY", flush=True)
    cleaned = time.monotonic()
    while True:
        for key, _ in selector.select():
            if key.fd in ways:
                carry(key.fd, ways[key.fd], devices)
            elif (order := control.order()) is not None:
                control.answer(translator.obey(order))
        if time.monotonic() - cleaned > 5:
            cleaned = time.monotonic()
            translator.table.expire(cleaned)


def carry(device: int, way: Way, devices: dict[str, int]) -> None:
    """Move at most a batch of packets that wait at `device`."""
    for _ in range(BATCH):
        try:
            packet = os.read(device, 65535)
        except BlockingIOError:
            return
        moved = way(bytearray(packet), time.monotonic())
        if moved is not None:
            with suppress(BlockingIOError):  # a full queue loses packets
                os.write(devices[moved[0]], moved[1])


def main() -> None:
    """Read the command line and run."""
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("kind", type=NatKind.parse)
    parser.add_argument("control")
    parser.add_argument("--hairpin", action="store_true")
    parser.add_argument("--timeout", type=float, default=120.0)
    parser.add_argument("--step", type=int, default=1)
    given = parser.parse_args()
    kind = dataclasses.replace(given.kind, hairpin=given.hairpin, timeout=given.timeout, step=given.step)
    run(Translator(given.address, Table(kind, random.Random())), Control(given.control))


if __name__ == "__main__":
    main()
