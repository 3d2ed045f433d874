"""Names of servers to addresses of both families, without blocking the loop and without holding up the program's end.

`loop.getaddrinfo` runs in asyncio's thread pool: six names that no server answers for would fill it, and a program
that ends would wait for all of them. Here each look-up has a daemon thread of its own, `MOST` at a time.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading

from atmosphere.errors import Unreachable

__all__ = ["resolve"]

TIMEOUT = 5.0
MOST = 16

Address = tuple[str, int]

_slots = threading.BoundedSemaphore(MOST)


async def resolve(host: str, port: int, *, timeout: float = TIMEOUT) -> list[Address]:
    """At most one address of each family, in the system's order of preference; raises Unreachable with one line."""
    try:
        return [(str(ipaddress.ip_address(host)), port)]
    except ValueError:
        pass
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[str]] = loop.create_future()
    if not _slots.acquire(blocking=False):
        raise Unreachable("too many names are being looked up")
    threading.Thread(target=_look_up, args=(host, loop, answer), daemon=True, name=f"resolve {host}").start()
    try:
        async with asyncio.timeout(timeout):
            found = await answer
    except TimeoutError:
        raise Unreachable(f"no answer from DNS for {host}") from None
    except (OSError, UnicodeError) as error:
        raise Unreachable(f"no address for {host} in DNS") from error
    return [(address, port) for address in found]


def _look_up(host: str, loop: asyncio.AbstractEventLoop, answer: asyncio.Future[list[str]]) -> None:
    found: list[str] | Exception
    try:
        infos = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        by_family = {family: str(name[0]) for family, _, _, _, name in reversed(infos)}
        order = dict.fromkeys(family for family, *_ in infos)
        found = [by_family[family] for family in order if family in (socket.AF_INET, socket.AF_INET6)]
    except (OSError, UnicodeError) as error:
        found = error
    finally:
        _slots.release()
    try:
        loop.call_soon_threadsafe(_tell, answer, found)
    except RuntimeError:
        return  # the loop has ended meanwhile


def _tell(answer: asyncio.Future[list[str]], found: list[str] | Exception) -> None:
    if answer.done():
        return
    if isinstance(found, Exception):
        answer.set_exception(found)
    else:
        answer.set_result(found)
