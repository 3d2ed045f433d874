"""The same questions behind real routers: what `gather_network_info` says of them, and which holes can be punched."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.coturn import PORT, start_coturn
from tests.lab.routers import KINDS, Kind
from tests.lab.topology import Lab, Machine

pytestmark = [pytest.mark.needs("netns", "coturn"), pytest.mark.lab]

ASK = """
import asyncio, sys
import msgspec
from atmosphere.network import gather_network_info
print(msgspec.json.encode(asyncio.run(gather_network_info(sys.argv[1:]))).decode())
"""

PUNCH = """
import asyncio, json, sys
from pathlib import Path
from atmosphere.network import NATTraversal

async def main(server, mine, theirs):
    async with NATTraversal(stun=[server], key=b"0123456789abcdef") as nat:
        Path(mine + ".new").write_text(f"{nat.public_endpoint.ip} {nat.public_endpoint.port}")
        Path(mine + ".new").rename(mine)
        while not Path(theirs).exists():
            await asyncio.sleep(0.02)
        host, port = Path(theirs).read_text().split()
        attempt = await nat.punch_hole("peer", host, int(port), timeout=4)
        direct = attempt.is_direct  # as it stands now: the other side may stop first
        if direct:
            await nat.send_to_peer("peer", b"hello")
            assert await asyncio.wait_for(nat.receive("peer"), 4) == b"hello"
            await asyncio.sleep(0.3)  # the other side may still be reading
        print(json.dumps({"direct": direct, "remote": attempt.remote}))

asyncio.run(main(*sys.argv[1:]))
"""

NAMES = {
    ("endpoint-independent", "endpoint-independent"): "full-cone",
    ("endpoint-independent", "address-dependent"): "restricted-cone",
    ("endpoint-independent", "address-and-port-dependent"): "port-restricted-cone",
    ("address-and-port-dependent", "address-and-port-dependent"): "symmetric",
}


def test_every_router_is_called_by_its_name() -> None:
    with Lab() as lab:
        box = lab.public("box", addresses=2)
        start_coturn(box, *box.addresses)
        machines = {kind: lab.home(kind, kind).machine(f"{kind}-machine") for kind in KINDS}
        for kind, behaviour in KINDS.items():
            found = network(machines[kind], f"{box.address}:{PORT}")
            assert (kind, found["nat"]["mapping"], found["nat"]["filtering"]) == (kind, *behaviour)
            assert found["nat"]["type"] == NAMES[behaviour], found["summary"]
            assert found["internet"] is True
        assert network(lab.public("host"), f"{box.address}:{PORT}")["nat"]["type"] == "open"
        blocked = network(lab.machine("blocked", "udp-blocked"), f"{box.address}:{PORT}")
        assert (blocked["nat"]["type"], blocked["internet"]) == ("udp-blocked", True)


def network(machine: Machine, server: str) -> Any:
    """What `gather_network_info` says on `machine`."""
    done = machine.run(*machine.python("-W", "error", "-c", ASK, server))
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize(
    ("one", "other", "direct"),
    [
        ("port-restricted", "port-restricted", True),
        ("symmetric", "full-cone", True),
        ("symmetric", "restricted-cone", True),
        ("full-cone", "full-cone", True),
        ("symmetric", "symmetric", False),
    ],
)
def test_punching(one: Kind, other: Kind, direct: bool) -> None:
    with Lab() as lab:
        box = lab.public("box")
        start_coturn(box)
        anna, bert = lab.machine("anna", one), lab.machine("bert", other)
        places = [str(lab.folder / name) for name in ("anna.txt", "bert.txt")]
        server = f"{box.address}:{PORT}"
        programs = [
            anna.start(*anna.python("-W", "error", "-c", PUNCH, server, *places)),
            bert.start(*bert.python("-W", "error", "-c", PUNCH, server, *reversed(places))),
        ]
        for program in programs:
            assert program.wait(30) == 0, program.output
            assert json.loads(program.lines[-2])["direct"] is direct, program.output
