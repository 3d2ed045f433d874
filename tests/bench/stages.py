"""Where the time of a packet goes: both ends of the data plane in one process, without sockets, stage by stage.

python -m tests.bench.stages [message size in bytes] [rounds] [packet size in bytes]
"""

from __future__ import annotations

import random
import sys
from time import perf_counter

from atmosphere.dtls.session import DtlsSession
from atmosphere.identity import Identity
from atmosphere.sctp import packet
from atmosphere.sctp.association import Association
from atmosphere.sctp.interface import ChannelOptions

ROUND_TRIP = 0.0002
QUEUED = 200_000
STAGES = ("build", "seal", "open", "receive", "acknowledge")


def sessions() -> tuple[DtlsSession, DtlsSession]:
    """Two ends of DTLS that have shaken hands."""
    client = DtlsSession(Identity.generate(), client=True, now=0.0)
    server = DtlsSession(Identity.generate(), client=False, now=0.0)
    while client.state == "handshaking" or server.state == "handshaking":
        for one, other in ((client, server), (server, client)):
            for datagram in one.datagrams():
                other.open(datagram, len(datagram), 0.0)
    return client, server


def associations(mtu: int) -> tuple[Association, Association]:
    """Two ends of SCTP that stand."""
    rng = random.Random(1)
    one, other = (Association(client=client, random=rng.randbytes, mtu=mtu) for client in (True, False))
    for each in (one, other):
        each.presume(bytes(range(16)))
    return one, other


def measure(size: int, rounds: int, mtu: int = packet.MTU) -> tuple[dict[str, float], int]:
    """Seconds in each stage, and how many packets passed."""
    client, server = sessions()
    one, other = associations(mtu)
    handle = one.channels.open(ChannelOptions("bulk"))
    spent = dict.fromkeys(STAGES, 0.0)
    data, now, packets = bytes(size), 1.0, 0

    def clock(stage: str, began: float) -> None:
        spent[stage] += perf_counter() - began

    for _ in range(rounds):
        while one.queue.buffered < QUEUED:
            one.channels.send(handle, data, now)
        began = perf_counter()
        while bursts := one.transmit(now):
            clock("build", began)
            for burst, segment in bursts:
                packets += -(-len(burst) // segment)
                began = perf_counter()
                sealed = client.seal(burst, segment)
                clock("seal", began)
                for records, length in sealed:
                    began = perf_counter()
                    opened = server.open(records, length, now)
                    clock("open", began)
                    for plain, part in opened:
                        began = perf_counter()
                        other.receive(plain, part, now)
                        other.told.clear()
                        clock("receive", began)
            began = perf_counter()
        now += ROUND_TRIP
        while bursts := other.transmit(now):
            for burst, segment in bursts:
                began = perf_counter()
                one.receive(burst, segment, now)
                clock("acknowledge", began)
    return spent, packets


def main() -> None:
    """Print microseconds a packet."""
    given = [int(word) for word in sys.argv[1:]]
    size, rounds, mtu = (*given, *(65_536, 1000, packet.MTU)[len(given) :])
    spent, packets = measure(size, rounds, mtu)
    stages = ", ".join(f"{stage} {spent[stage] / packets * 1e6:.2f}" for stage in STAGES)
    print(f"{packets} packets of messages of {size} bytes, µs a packet: {stages}")


if __name__ == "__main__":
    main()
