"""A process that holds ends and does what it is asked: one line of JSON in, one out.

    {"end": "name", "call": "dial", "with": ["text"]}  ->  {"result": …} or {"error": "…"}

With an empty "end" the call is about the process. `python -m tests.bench.worker STACK`, see `factory`.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from atmosphere.sctp import pathmtu
from tests.bench import process
from tests.bench.delay import delay
from tests.bench.end import End

ABOUT_PROCESS: dict[str, Callable[..., Any]] = {
    "rss": process.resident,
    "forget_peak": process.forget_peak,
    "peak": process.peak,
    "cpu": process.processor_time,
    "delay": delay,
}


def factory(stack: str) -> Callable[[], End]:
    """What makes an end of that stack; the other stack is not even imported."""
    if stack == "aiortc":
        from tests.bench.aiortc_end import AiortcEnd

        return AiortcEnd
    if stack == "hub":
        from tests.bench.hub_end import HubEnd

        return HubEnd
    if stack == "TLS":
        from tests.bench.tls_end import TlsEnd

        return TlsEnd
    if stack.startswith("TCP"):
        from tests.bench.tls_end import TcpEnd

        return partial(TcpEnd, stack.partition(" ")[2])
    if stack == "bare loop":
        from tests.bench.bare_end import BareEnd

        return BareEnd
    if stack == "atmosphere, 1200":
        pathmtu.STEPS = ()
    from tests.bench.atmosphere_end import AtmosphereEnd

    return AtmosphereEnd


async def work(stack: str) -> None:
    """Answer until the input ends."""
    make, ends = factory(stack), dict[str, End]()
    reader = asyncio.StreamReader(limit=1 << 20)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        try:
            answer = {"result": await perform(json.loads(line), make, ends)}
        except Exception as error:  # noqa: BLE001 (whoever asked shall hear what went wrong)
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)
    for end in ends.values():
        await end.close()


async def perform(order: dict[str, Any], make: Callable[[], End], ends: dict[str, End]) -> Any:
    name, call = order["end"], order["call"]
    if not name:
        return ABOUT_PROCESS[call](*order["with"])
    end = ends.get(name) or ends.setdefault(name, make())
    if call == "close":
        del ends[name]
    return await getattr(end, call)(*order["with"])


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1]))
    sys.stdout.flush()
    os._exit(0)  # nothing is left to do; aiortc's threads would take a second to notice
