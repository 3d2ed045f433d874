"""How long a NAT remembers a mapping that nobody uses (RFC 5780 §4.6), within a time that the caller sets.

    socket X     asks the server once, then is silent: the server saw its mapping
    socket Y     asks, when some seconds have passed, that the answer goes to X's mapping (RESPONSE-PORT)

If the answer arrives at X the mapping lived that long. What arrives refreshes the mapping, so each number of seconds is
tried with a socket of its own, all beside each other: it takes as long as the longest of them, not as a search does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import ExitStack, suppress

from atmosphere.stun.exchange import Exchange
from atmosphere.stun.message import binding_request, encode
from atmosphere.udp.route import source_for
from atmosphere.udp.socket import UdpSocket

__all__ = ["MOST", "probe_lifetime"]

STEPS = (5.0, 10.0, 15.0, 20.0, 25.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 240.0, 300.0)
"""Seconds of silence that are tried; Linux forgets after 30 and 120, RFC 4787 §4.3 asks for two minutes at least."""
MOST = STEPS[-1]
SENDS, INTERVAL = 3, 0.3
TIMEOUT = 2.0
IN_USE = 3.0
"""Seconds between two questions that make a mapping one in use: Linux takes a flow for one after two."""
SUCCESS = b"\x01\x01"
"""The first bytes of a Binding success response."""

Address = tuple[str, int]


async def probe_lifetime(
    server: Address, limit: float, *, local: str | None = None, used: bool = False
) -> float | None:
    """Seconds that a silent mapping lives at the least, as far as it was tried: up to `limit`, 300 at the most.

    `used`: of a mapping that was in use before, as a path's is, which many routers remember for longer than one that
    carried one question. 0 where it did not live through the first try; None where it cannot be told: without NAT, or
    where `server` does not answer to another port. Ends soon after the first mapping that is found dead. Never raises.
    """
    source = local or source_for(server)
    steps = [*(step for step in STEPS if step < limit), min(limit, MOST)]
    if source is None:
        return None
    with ExitStack() as stack:
        try:
            asker, first = _open(source, stack), _open(source, stack)
            (port,) = await _mapped([first], server) or (0,)
            if not port or not await _arrives(asker, first, server, port):
                return None
            return await _lived(asker, [_open(source, stack) for _ in steps], server, steps, used=used)
        except OSError:
            return None


def _open(address: str, stack: ExitStack) -> Exchange:
    exchange = Exchange(UdpSocket.bind(address))
    stack.callback(exchange.close)
    return exchange


async def _mapped(sockets: Sequence[Exchange], server: Address) -> list[int] | None:
    """The port as which `server` sees each of them; None where one had no answer, or is seen as it is."""
    answers = await asyncio.gather(*(one.ask(server, timeout=TIMEOUT) for one in sockets))
    seen = [answer.mapped for answer in answers if answer.mapped is not None]
    here = [(one.socket.address, one.socket.port) for one in sockets]
    if len(seen) < len(here) or any(mapped == own for mapped, own in zip(seen, here, strict=True)):
        return None
    return [port for _, port in seen]


async def _lived(
    asker: Exchange, silent: Sequence[Exchange], server: Address, steps: Sequence[float], *, used: bool
) -> float | None:
    ports = await _mapped(silent, server)
    if ports is not None and used:
        await asyncio.sleep(IN_USE)
        ports = await _mapped(silent, server)
    if ports is None:
        return None
    loop, lived = asyncio.get_running_loop(), 0.0
    started = loop.time()
    for step, one, port in zip(steps, silent, ports, strict=True):
        await asyncio.sleep(max(0.0, started + step - loop.time()))
        if not await _arrives(asker, one, server, port):
            break
        lived = step
    return lived


async def _arrives(asker: Exchange, silent: Exchange, server: Address, port: int) -> bool:
    """Whether an answer that `asker` lets the server send to `port` gets to `silent`."""
    request, arrived = binding_request({"RESPONSE-PORT": port}), asyncio.Event()

    def received(data: bytes, source: Address) -> None:
        if data[:2] == SUCCESS and data[8:20] == request.transaction_id:
            arrived.set()

    silent.on_other = received
    for _ in range(SENDS):
        asker.socket.send(encode(request), server)
        with suppress(TimeoutError):
            async with asyncio.timeout(INTERVAL):
                await arrived.wait()
                return True
    return False
