"""Prints what an endpoint can be reached at, at each change of it, with the moment: for tests that change its network.

    python watcher.py STUN-URI

One JSON document a line: {"at": monotonic seconds, "candidates": ["host 192.0.2.1", …]} or {"at": …, "changed": true}.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Any

from atmosphere.ice.endpoint import IceEndpoint
from atmosphere.ice.settings import IceSettings, parse_stun


def say(**what: Any) -> None:
    """One line, with the clock that all of a machine's namespaces share."""
    print(json.dumps({"at": time.monotonic(), **what}), flush=True)


async def main(stun: str) -> None:
    """Watch until somebody ends the program."""
    async with IceEndpoint(IceSettings(port=7777, stun=(parse_stun(stun),))) as endpoint:
        endpoint.on_change.append(lambda: say(changed=True))
        known: list[str] = []
        while True:
            now = [f"{one.type} {one.address}" for one in endpoint.candidates]
            if now != known:
                known = now
                say(candidates=known)
            await asyncio.sleep(0.01)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
