"""The two ways to have a port opened by datagrams, PCP and NAT-PMP, as the keeper drives them. I/O.

A `Method` opens and closes ports at one router, and tells whether the router still knows of them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Protocol as Interface

from atmosphere.ice.portmapping import natpmp, pcp
from atmosphere.ice.portmapping.ask import Asker
from atmosphere.ice.portmapping.epoch import Epoch
from atmosphere.ice.portmapping.model import LIFETIME, Address, Grant, NoMapping, Protocol, Wish

__all__ = ["Method", "NatPmp", "Pcp"]

CLOSE_WAITS = (0.15, 0.25, 0.4)
"""Three sends within the second that closing may take."""
LOOK_EVERY = 60.0
"""Seconds between two looks at the router's clock: two small datagrams that never leave the house."""


class Method(Interface):
    """One way to open ports; its calls raise NoMapping or DecodeError."""

    protocol: Protocol

    look_every: float
    """Seconds between looks whether the router remembers."""
    boot: str
    """UPnP's name for the time since the router started; empty for the others."""

    async def offers(self) -> None:
        """Find out whether the router speaks it; NoMapping where it does not."""

    async def map(self, wish: Wish, suggested: Address | None) -> Grant:
        """Open a port, or keep it open."""

    async def unmap(self, wish: Wish, grant: Grant) -> None:
        """Close it."""

    async def remembers(self, wish: Wish, grant: Grant) -> bool:
        """Whether the router, asked now, has not lost its state since it was last asked."""


class Pcp:
    """PCP. `seed` makes the nonces, so that the same node may renew after it was killed (RFC 6887 §11.2: others with
    another nonce are refused)."""

    protocol: Protocol = "pcp"
    boot = ""
    look_every = LOOK_EVERY

    def __init__(self, asker: Asker, seed: bytes) -> None:
        self._asker = asker
        self._seed = seed
        self._clock = Epoch()

    async def offers(self) -> None:
        """The first request tells."""

    async def map(self, wish: Wish, suggested: Address | None) -> Grant:
        """Open a port, or keep it open."""
        answer = await self._map(wish, LIFETIME, suggested)
        if answer.result != pcp.SUCCESS or answer.mapping is None:
            raise NoMapping(pcp.RESULTS.get(answer.result, f"PCP error {answer.result}"), hold=answer.lifetime)
        if not answer.mapping.external[1] or not answer.lifetime:
            raise NoMapping("the router opened no port")
        return Grant(*answer.mapping.external, answer.lifetime)

    async def unmap(self, wish: Wish, grant: Grant) -> None:
        """Close it."""
        await self._map(wish, 0, None, CLOSE_WAITS)

    async def remembers(self, wish: Wish, grant: Grant) -> bool:
        """Ask for the router's clock."""

        def take(data: bytes) -> pcp.PcpAnswer | None:
            answer = pcp.decode(data)
            return answer if answer.opcode == pcp.ANNOUNCE and answer.version == 2 else None

        answer = await self._asker.ask(pcp.announce_request(wish.address), take)
        self._clock.hear(answer.epoch, _now())
        return not self._clock.lost()

    async def _map(
        self, wish: Wish, lifetime: int, suggested: Address | None, waits: Sequence[float] | None = None
    ) -> pcp.PcpAnswer:
        nonce = hashlib.sha256(b"|".join((self._seed, repr(wish).encode()))).digest()[:12]

        def take(data: bytes) -> pcp.PcpAnswer | None:
            answer = pcp.decode(data)
            if answer.version != 2 or (answer.opcode == pcp.MAP and answer.mapping is None):
                return answer
            mapping = answer.mapping
            ours = mapping is not None and (mapping.nonce, mapping.internal_port) == (nonce, wish.port)
            return answer if ours else None

        request = pcp.map_request(wish, nonce, lifetime, suggested)
        answer = await self._asker.ask(request, take, waits)
        if answer.version == 2:
            self._clock.hear(answer.epoch, _now())
        return answer


class NatPmp:
    """NAT-PMP."""

    protocol: Protocol = "nat-pmp"
    boot = ""
    look_every = LOOK_EVERY

    def __init__(self, asker: Asker) -> None:
        self._asker = asker
        self._clock = Epoch()
        self.public: str | None = None

    async def offers(self) -> None:
        """Whether the router speaks it: raises NoMapping when not. Learns the outer address."""
        answer = await self._asker.ask(natpmp.ADDRESS_REQUEST, _address_answer)
        self._clock.hear(answer.epoch, _now())
        self._take(answer)

    async def map(self, wish: Wish, suggested: Address | None) -> Grant:
        """Open a port, or keep it open."""
        answer = await self._map(wish, suggested[1] if suggested else wish.port, LIFETIME)
        if answer.result != natpmp.SUCCESS:
            raise NoMapping(natpmp.RESULTS.get(answer.result, f"NAT-PMP error {answer.result}"))
        if not answer.external_port or not answer.lifetime:
            raise NoMapping("the router opened no port")
        return Grant(self.public, answer.external_port, answer.lifetime)

    async def unmap(self, wish: Wish, grant: Grant) -> None:
        """Close it."""
        await self._map(wish, 0, 0, CLOSE_WAITS)

    async def remembers(self, wish: Wish, grant: Grant) -> bool:
        """Ask for the router's clock and outer address: another one means that every mapping is another too."""
        answer = await self._asker.ask(natpmp.ADDRESS_REQUEST, _address_answer)
        self._clock.hear(answer.epoch, _now())
        before = self.public
        self._take(answer)
        return not self._clock.lost() and self.public == before

    def _take(self, answer: natpmp.AddressAnswer) -> None:
        if answer.result not in (natpmp.SUCCESS, 3):
            raise NoMapping(natpmp.RESULTS.get(answer.result, f"NAT-PMP error {answer.result}"))
        self.public = answer.public

    async def _map(
        self, wish: Wish, external: int, lifetime: int, waits: Sequence[float] | None = None
    ) -> natpmp.MapAnswer:
        def take(data: bytes) -> natpmp.MapAnswer | None:
            answer = natpmp.decode(data)
            if not isinstance(answer, natpmp.MapAnswer) or answer.transport != wish.transport:
                return None
            # An error may come without the ports.
            return answer if answer.internal_port in (wish.port, 0) else None

        request = natpmp.map_request(wish.transport, wish.port, external, lifetime)
        answer = await self._asker.ask(request, take, waits)
        self._clock.hear(answer.epoch, _now())
        return answer


def _address_answer(data: bytes) -> natpmp.AddressAnswer | None:
    answer = natpmp.decode(data)
    return answer if isinstance(answer, natpmp.AddressAnswer) else None


def _now() -> float:
    return asyncio.get_running_loop().time()
