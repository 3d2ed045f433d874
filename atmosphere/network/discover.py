"""Our public address, as STUN servers see it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from atmosphere.network.servers import Address, family_of, parse_servers, resolve_one
from atmosphere.stun.client import BindingTransaction
from atmosphere.stun.defaults import DEFAULT_STUN_SERVERS
from atmosphere.stun.exchange import Exchange
from atmosphere.tasks import Tasks
from atmosphere.turn.uri import ServerUri
from atmosphere.udp.socket import UdpSocket

TIMEOUT = 3.0


@dataclass(frozen=True)
class PublicEndpoint:
    """Where a server sees us: `ip`, `port`, `family` 4 or 6, the `server` that said so, `rtt_ms` to it."""

    ip: str
    port: int
    family: int
    server: str
    rtt_ms: float


async def discover_public_ip(
    servers: Iterable[str | ServerUri] = DEFAULT_STUN_SERVERS,
    *,
    family: int | None = None,
    timeout: float = TIMEOUT,
    strict: bool = False,
    local_port: int = 0,
) -> PublicEndpoint | None:
    """The public address of this machine, or None when no server answers within `timeout` seconds.

    All `servers` are asked at once and the first answer counts; with `strict` two servers must agree on the address,
    so that a single liar is not believed. `family` 4 or 6 asks over that only. The port is that of a socket which is
    closed again (bound to `local_port`, 0: any); `NATTraversal` keeps its own. Raises DecodeError for a server that is
    written wrong, OSError when `local_port` is taken.
    """
    uris = parse_servers(servers)
    families = (4, 6) if family is None else (family,)
    with ExitStack() as stack:
        return await _first(uris, _sockets(families, local_port, stack), timeout=timeout, strict=strict)


async def ask_over(
    exchange: Exchange, servers: Iterable[ServerUri], *, timeout: float = TIMEOUT
) -> PublicEndpoint | None:
    """The public endpoint of `exchange`'s own socket: the first server's word, or None."""
    return await _first(list(servers), {exchange.socket.family: exchange}, timeout=timeout, strict=False)


def _sockets(families: Iterable[int], port: int, stack: ExitStack) -> dict[int, Exchange]:
    """One socket a family; a machine without one of them does without."""
    found, error = {}, None
    for family in families:
        try:
            found[family] = Exchange(UdpSocket.bind("::" if family == 6 else "0.0.0.0", port))  # noqa: S104 - it asks
        except OSError as failure:
            error = failure
            continue
        stack.callback(found[family].close)
    if not found and error:
        raise error
    return found


async def _first(
    uris: list[ServerUri], exchanges: dict[int, Exchange], *, timeout: float, strict: bool
) -> PublicEndpoint | None:
    """The first answer, or with `strict` the first that another server agrees with; None when there is none in time."""
    seen: dict[str, PublicEndpoint] = {}
    found: asyncio.Queue[PublicEndpoint | None] = asyncio.Queue()
    tasks = Tasks("discover")
    tasks.spawn(_ask_all(uris, exchanges, timeout, found), "ask")
    try:
        async with asyncio.timeout(timeout):
            while (answer := await found.get()) is not None:
                first = seen.setdefault(answer.ip, answer)
                if not strict or first.server != answer.server:
                    return first
    except TimeoutError:
        return None
    finally:
        await tasks.close()
    return None


async def _ask_all(
    uris: list[ServerUri],
    exchanges: dict[int, Exchange],
    timeout: float,
    found: asyncio.Queue[PublicEndpoint | None],
) -> None:
    """Put each server's word into `found` as it comes, and None when there is no more."""

    async def ask(uri: ServerUri, address: Address) -> None:
        transaction = await exchanges[family_of(address)].ask(address, timeout=timeout)
        if endpoint := endpoint_of(transaction, str(uri)):
            found.put_nowait(endpoint)

    async def one(uri: ServerUri) -> None:
        server = await resolve_one(uri, timeout=timeout)
        places = [item for item in server.addresses if family_of(item) in exchanges]
        await asyncio.gather(*(ask(uri, item) for item in places))

    await asyncio.gather(*(one(uri) for uri in uris))
    found.put_nowait(None)


def endpoint_of(transaction: BindingTransaction, server: str) -> PublicEndpoint | None:
    """What a finished transaction says about us; None when it was not answered."""
    if transaction.mapped is None or transaction.rtt is None:
        return None
    ip, port = transaction.mapped
    return PublicEndpoint(ip, port, family_of(transaction.mapped), server, round(transaction.rtt * 1000, 1))
