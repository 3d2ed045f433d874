"""`python -m tests.bench.relay_end PORT`: our relay alone on loopback, until its input ends."""

from __future__ import annotations

import asyncio
import sys

from atmosphere.turn.server.service import TurnService
from atmosphere.turn.server.settings import TurnSettings
from atmosphere.turn.server.users import StaticUsers
from atmosphere.udp.socket import UdpSocket
from tests.bench.turn_client import PASSWORD, USER

MANY = 10_000


async def serve(port: int) -> None:
    settings = TurnSettings(
        addresses={"127.0.0.1": "127.0.0.1"},
        allow_peers=("127.0.0.0/8",),
        allocations=MANY,
        allocations_per_user=MANY,
        allocations_per_address=MANY,
    )
    service = TurnService(settings, StaticUsers({USER: PASSWORD}))
    await service.start()
    service.listen(UdpSocket.bind("127.0.0.1", port))
    ended = asyncio.Event()
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), ended.set)
    await ended.wait()
    await service.stop()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1])))
