"""What relaying costs: our relay and coturn through the same flows of ChannelData, one after the other.

The load is made here, and only the relay's process is looked at. Bulk is datagrams of 1,200 bytes in bursts, as a
network card's GRO gives them; small packets are of many clients in turn, so that there is nothing to be put together.
"""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress

from tests.bench.plan import Plan
from tests.bench.relay_process import RelayProcess, available, running
from tests.bench.samples import (
    OURS,
    RELAY_ALLOCATE,
    RELAY_BOTH,
    RELAY_CONTROL,
    RELAY_IN,
    RELAY_MEMORY,
    RELAY_OUT,
    RELAY_SMALL,
    Samples,
)
from tests.bench.turn_client import TurnClient, drain, send_burst, udp

PAYLOAD = 1200
BURST = 50
BULK_RATE = 50e6
"""Bytes a second in each direction: far below what either relay can, so that nothing is lost and nothing spins."""
SMALL = 100
FLOWS = 50
SMALL_RATE = 10_000
"""Datagrams a second of all flows together."""
NUMBER = 0x4000
WARM = 50
Send = Callable[[], None]


async def measure(plan: Plan, samples: Samples) -> None:
    """Rounds in turns; the order changes with each."""
    stacks = [stack for stack in (OURS, RELAY_CONTROL) if available(stack)]
    for turn in range(plan.relay_rounds):
        for stack in stacks if turn % 2 else reversed(stacks):
            with running(stack) as relay:
                outward, inward, both = bulk(relay, plan.relay_seconds)
                samples.add(RELAY_OUT, stack, outward)
                samples.add(RELAY_IN, stack, inward)
                samples.add(RELAY_BOTH, stack, both)
                samples.add(RELAY_SMALL, stack, small(relay, plan.relay_seconds))
            with running(stack) as relay:
                memory, processor = idle(relay, plan.relay_allocations)
                samples.add(RELAY_MEMORY, stack, memory / 1e3)
                samples.add(RELAY_ALLOCATE, stack, processor * 1e6)


def bulk(relay: RelayProcess, seconds: float) -> tuple[float, float, float]:
    """Processor seconds a GB: client → peer, peer → client, both at once."""
    client, peer = TurnClient(relay.address), udp()
    client.allocate()
    client.bind(NUMBER, peer.getsockname())
    frames = (struct.pack("!HH", NUMBER, PAYLOAD) + bytes(PAYLOAD)) * BURST
    data = bytes(PAYLOAD * BURST)

    def outward() -> None:
        with suppress(BlockingIOError):
            send_burst(client.sock, frames, PAYLOAD + 4)

    def inward() -> None:
        with suppress(BlockingIOError):
            send_burst(peer, data, PAYLOAD, client.relayed)

    each = PAYLOAD * BURST / BULK_RATE
    with peer:
        found = [
            _cost(relay, ways, [client.sock, peer], each, seconds, 1e9)
            for ways in ([outward], [inward], [outward, inward])
        ]
        client.close()
    return found[0], found[1], found[2]


def small(relay: RelayProcess, seconds: float) -> float:
    """Processor seconds a million datagrams of `SMALL` bytes, from `FLOWS` clients to as many peers."""
    with ExitStack() as stack:
        clients = [TurnClient(relay.address) for _ in range(FLOWS)]
        peers = [stack.enter_context(udp()) for _ in clients]
        for client, peer in zip(clients, peers, strict=True):
            client.allocate()
            client.bind(NUMBER, peer.getsockname())
        frame = struct.pack("!HH", NUMBER, SMALL) + bytes(SMALL)

        def one_of_each() -> None:
            for client in clients:
                with suppress(BlockingIOError):
                    client.sock.send(frame)

        cost = _cost(relay, [one_of_each], peers, FLOWS / SMALL_RATE, seconds, 1e6 * SMALL)
        for client in clients:
            client.close()
        return cost


def _cost(
    relay: RelayProcess, ways: list[Send], receivers: list[socket.socket], every: float, seconds: float, unit: float
) -> float:
    """The relay's processor seconds for each `unit` of bytes that arrive, while all `ways` send `every` so often."""
    for receiver in receivers:
        drain(receiver)
    received = 0
    before, began = relay.processor(), time.monotonic()
    following = began
    while (now := time.monotonic()) < began + seconds:
        if now < following:
            time.sleep(following - now)
        for send in ways:
            send()
        following = max(following + every, now - every)
        received += sum(drain(receiver)[0] for receiver in receivers)
    time.sleep(0.05)
    received += sum(drain(receiver)[0] for receiver in receivers)
    if not received:
        raise RuntimeError("the relay passed nothing on")
    return (relay.processor() - before) / (received / unit)


def idle(relay: RelayProcess, count: int) -> tuple[float, float]:
    """Bytes of memory, and processor seconds, for each of `count` allocations that nobody uses."""
    clients = [TurnClient(relay.address) for _ in range(WARM + count)]
    for client in clients[:WARM]:
        client.allocate()
    memory, processor = relay.resident(), relay.processor()
    for client in clients[WARM:]:
        client.allocate()
    memory, processor = relay.resident() - memory, relay.processor() - processor
    for client in clients:
        client.sock.close()
    return memory / count, processor / count
