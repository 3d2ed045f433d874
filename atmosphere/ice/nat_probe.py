"""Finding out what the NAT does: all servers at once, out of few sockets, within a few seconds (RFC 5780 §4).

Socket A asks every server, and a server's second address where it has one: that tells the mapping. Socket B, whose
mapping has never been used for anybody else, asks one such server to answer from elsewhere: that tells the filtering.
Socket C and A send to each other's public address: that tells hairpinning.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from atmosphere.ice.nat import NatBehaviour, Seen, filtering_of, mapping_of, type_of
from atmosphere.stun.client import BindingTransaction
from atmosphere.stun.exchange import Exchange
from atmosphere.udp.address_class import address_class, is_usable_remote
from atmosphere.udp.route import source_for
from atmosphere.udp.socket import UdpSocket

__all__ = ["NatReport", "probe_nat"]

TIMEOUT = 3.0
CHANGE_PORT, CHANGE_BOTH = 0x2, 0x6
FILTER_TIMEOUT = 1.2
HAIRPIN_TIMEOUT = 0.8
HAIRPIN_INTERVAL = 0.2

Address = tuple[str, int]


@dataclass
class NatReport:
    """One address family: the NAT's `behaviour`, our `public` address (as the fastest server saw it), `answers`."""

    behaviour: NatBehaviour = field(default_factory=NatBehaviour)
    public: Address | None = None
    answers: dict[Address, BindingTransaction] = field(default_factory=dict)


async def probe_nat(
    servers: Sequence[Address], *, timeout: float = TIMEOUT, local: str | None = None, hairpin: bool = True
) -> NatReport:
    """Ask `servers` (literal addresses of one family) what the NAT does; ends within `timeout` seconds, never raises.

    `local` is the address to ask from, by default the one that the system routes to the first server from.
    """
    source = local or (source_for(servers[0]) if servers else None)
    if source is None:
        return NatReport()
    with ExitStack() as stack:
        try:
            a, b, c = (_open(source, stack) for _ in range(3))
        except OSError:
            return NatReport()
        return await _Probe(a, b, c, tuple(dict.fromkeys(servers)), timeout).run(hairpin=hairpin)


def _open(address: str, stack: ExitStack) -> Exchange:
    exchange = Exchange(UdpSocket.bind(address))
    stack.callback(exchange.close)
    return exchange


class _Probe:
    """One run: `a` for the mapping, `b` for the filtering, `c` with `a` for hairpinning."""

    def __init__(self, a: Exchange, b: Exchange, c: Exchange, servers: tuple[Address, ...], timeout: float) -> None:
        self._a, self._b, self._c, self._servers = a, b, c, servers
        self._deadline = asyncio.get_running_loop().time() + timeout
        self._report = NatReport()
        self._seen: list[Seen] = []
        self._first: asyncio.Future[Seen] = asyncio.get_running_loop().create_future()
        self._two_addresses: asyncio.Future[Address] = asyncio.get_running_loop().create_future()
        self._from_elsewhere: bool | None = None
        self._from_other_port: bool | None = None
        self._hairpinning: bool | None = None

    async def run(self, *, hairpin: bool) -> NatReport:
        """Everything at once, then the conclusions."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._filtering())
            if hairpin:
                group.create_task(self._hairpin())
            await asyncio.gather(*(self._ask(server) for server in self._servers))
            self._two_addresses.cancel()  # nothing is left that could set them: who waits for them is done
            self._first.cancel()
        return self._conclude()

    async def _ask(self, server: Address) -> None:
        answer = await self._a.ask(server, timeout=self._left())
        self._report.answers[server] = answer
        self._note(answer)
        other = _second_address(answer)
        if other is None:
            return
        if not self._two_addresses.done():
            self._two_addresses.set_result(server)
        more = [(other[0], server[1]), other, (server[0], other[1])]
        for again in await asyncio.gather(*(self._a.ask(to, timeout=min(self._left(), FILTER_TIMEOUT)) for to in more)):
            self._note(again)

    def _note(self, answer: BindingTransaction) -> None:
        if answer.mapped:
            self._seen.append(Seen(answer.server, answer.mapped))
            if not self._first.done():
                self._first.set_result(self._seen[0])

    async def _filtering(self) -> None:
        server = await self._two_addresses
        limit = min(self._left(), FILTER_TIMEOUT)
        elsewhere, port = await asyncio.gather(
            *(
                self._b.ask(server, timeout=limit, attributes={"CHANGE-REQUEST": change}, any_source=True)
                for change in (CHANGE_BOTH, CHANGE_PORT)
            )
        )
        if elsewhere.error_code or port.error_code:  # it has two addresses and still refuses
            return
        # An answer from the very address we asked says that the server did not do as it was told.
        self._from_elsewhere = elsewhere.mapped is not None and elsewhere.responder != server
        self._from_other_port = port.mapped is not None and port.responder != server

    async def _hairpin(self) -> None:
        """C's public address is asked of whoever answered A first; then both knock at each other's door."""
        first = await self._first
        if first.mapped == (self._a.socket.address, self._a.socket.port):
            return
        answer = await self._c.ask(first.server, timeout=min(self._left(), HAIRPIN_TIMEOUT))
        if answer.mapped:
            self._hairpinning = await self._knock(first.mapped, answer.mapped)

    async def _knock(self, public_a: Address, public_c: Address) -> bool:
        token, arrived = b"\xf1hairpin" + os.urandom(16), asyncio.Event()

        def received(data: bytes, source: Address) -> None:
            if data == token:
                arrived.set()

        self._a.on_other = self._c.on_other = received
        tries = max(1, round(min(self._left(), HAIRPIN_TIMEOUT) / HAIRPIN_INTERVAL))
        for _ in range(tries):
            self._a.socket.send(token, public_c)
            self._c.socket.send(token, public_a)
            try:
                async with asyncio.timeout(HAIRPIN_INTERVAL):
                    await arrived.wait()
            except TimeoutError:
                continue
            return True
        return False

    def _conclude(self) -> NatReport:
        local = (self._a.socket.address, self._a.socket.port)
        mapping = mapping_of(local, self._seen)
        filtering = filtering_of(mapping, from_elsewhere=self._from_elsewhere, from_other_port=self._from_other_port)
        answers = [answer for answer in self._report.answers.values() if answer.mapped]
        kind = type_of(mapping, filtering, asked=len(self._servers), answered=len(answers))
        self._report.behaviour = NatBehaviour(mapping, filtering, self._hairpinning, kind)
        if answers:  # a server on our side of the NAT sees our own address, which is not the public one
            self._report.public = min(answers, key=lambda answer: (answer.mapped == local, answer.rtt)).mapped
        return self._report

    def _left(self) -> float:
        return max(0.05, self._deadline - asyncio.get_running_loop().time())


def _second_address(answer: BindingTransaction) -> Address | None:
    """The server's second address where we may send to it: a server must not aim us at somebody's private network."""
    other = answer.other
    if other is None or other[0] == answer.server[0] or not other[1] or not is_usable_remote(other[0]):
        return None
    if (":" in other[0]) != (":" in answer.server[0]):
        return None
    if address_class(answer.server[0]) == "public" and address_class(other[0]) != "public":
        return None
    return other
