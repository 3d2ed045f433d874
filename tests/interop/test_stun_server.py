"""Our STUN server asked by others: coturn's clients on loopback, and three probers from behind real routers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from atmosphere.ice.nat_probe import probe_nat
from atmosphere.network.stun_service import StunService
from tests.lab.ipv6 import give_ipv6
from tests.lab.routers import KINDS
from tests.lab.topology import Lab, Machine, run_in

ADDRESSES = ("127.0.0.1", "127.0.0.2", "::1")
PORT = 3478

PROBER = str(Path(__file__).parent.parent / "lab" / "prober.py")
SERVE = """
import asyncio, sys
from atmosphere.network import StunService

async def main():
    async with StunService(sys.argv[1:], discovery=True) as service:
        print("serving", service.others, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""
ASK = """
import asyncio, json, sys
from atmosphere.network import gather_network_info
import msgspec
print(msgspec.json.encode(asyncio.run(gather_network_info(sys.argv[1:]))).decode())
"""
ASK_ONE = """
import asyncio, dataclasses, json, sys
from atmosphere.ice.nat_probe import probe_nat
print(json.dumps(dataclasses.asdict(asyncio.run(probe_nat([(sys.argv[1], 3478)])).behaviour)))
"""
WORDS = {
    "endpoint-independent": "Endpoint Independent",
    "address-dependent": "Address Dependent",
    "address-and-port-dependent": "Address and Port Dependent",
}
"""How coturn's prober says what RFC 4787 calls otherwise."""


@pytest.fixture
async def service() -> AsyncIterator[StunService]:
    async with StunService(ADDRESSES, 0, discovery=True, other_port=0) as started:
        yield started


async def run(program: str, *arguments: str) -> str:
    """What `program` prints; it must end well, and soon (coturn's wait for ever where an answer does not come)."""
    process = await asyncio.create_subprocess_exec(
        program, *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(30):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.communicate()
        raise
    assert process.returncode == 0, output.decode()
    return output.decode()


@pytest.mark.needs("turnutils_stunclient")
async def test_stunclient(service: StunService) -> None:
    """It asks once, then for an answer from the opposite socket, then for one to another port (RESPONSE-PORT)."""
    said = await run("turnutils_stunclient", "-p", str(service.port), "127.0.0.1")
    (_, other), (second, _) = service.others
    assert second == "127.0.0.2"
    assert said.count("UDP reflexive addr: 127.0.0.1:") == 3
    assert said.count(f"Other addr: : 127.0.0.2:{other}") == 3
    assert f"Response origin: : 127.0.0.1:{service.port}" in said
    assert f"Response origin: : 127.0.0.2:{other}" in said
    assert service.answered == 3


@pytest.mark.needs("turnutils_stunclient")
async def test_stunclient_over_ipv6(service: StunService) -> None:
    """One address of that family: an answer, and no second address."""
    said = await run("turnutils_stunclient", "-p", str(service.port), "::1")
    assert "UDP reflexive addr: ::1:" in said
    assert "Other addr" not in said


@pytest.mark.needs("turnutils_natdiscovery")
@pytest.mark.parametrize("padding", [(), ("-P",)])
async def test_natdiscovery(service: StunService, padding: tuple[str, ...]) -> None:
    arguments = ("-m", "-f", *padding, "-L", "127.0.0.1", "-p", str(service.port), "127.0.0.1")
    said = await run("turnutils_natdiscovery", *arguments)
    assert "No NAT! (Endpoint Independent Mapping)" in said
    assert "NAT with Endpoint Independent Filtering!" in said
    assert f"Response origin: : 127.0.0.2:{service.port}" in said
    assert f"Response origin: : 127.0.0.2:{service.others[0][1]}" in said


@pytest.mark.needs("turnutils_natdiscovery")
async def test_natdiscovery_of_lifetime_collision_and_hairpinning(service: StunService) -> None:
    server = ("-L", "127.0.0.1", "-p", str(service.port), "127.0.0.1")
    assert "Received a request" in await run("turnutils_natdiscovery", "-H", *server)
    said = await run("turnutils_natdiscovery", "-t", "-T", "1", *server)
    assert said.count("UDP reflexive addr: 127.0.0.1:") == 2
    said = await run("turnutils_natdiscovery", "-c", "-A", "127.0.0.3", *server)
    assert "UDP reflexive addr: 127.0.0.3:" in said


async def test_our_own_prober(service: StunService) -> None:
    report = await probe_nat([("127.0.0.1", service.port)])
    found = report.behaviour
    assert (found.mapping, found.filtering, found.type) == ("none", "none", "open")


def serve(machine: Machine, *addresses: str) -> None:
    """Our server on two addresses of a machine."""
    machine.start(*machine.python("-c", SERVE, *addresses)).wait_for("serving", 20)


class Box:
    """A machine in public that runs our server on two addresses."""

    def __init__(self, lab: Lab) -> None:
        self.machine = lab.public("box", addresses=2)
        serve(self.machine, *self.machine.addresses)

    def asked_by_the_standard_library(self, machine: Machine) -> tuple[object, object]:
        found = json.loads(machine.run(*machine.python(PROBER, self.machine.address, str(PORT))).stdout)
        return found["mapping"], found["filtering"]

    def asked_by_us(self, machine: Machine) -> tuple[object, object]:
        found = json.loads(machine.run(*machine.python("-c", ASK, f"{self.machine.address}:{PORT}")).stdout)
        return found["nat"]["mapping"], found["nat"]["filtering"]

    def asked_by_coturn(self, machine: Machine) -> str:
        command = ("turnutils_natdiscovery", "-m", "-f", "-L", machine.address, "-p", str(PORT), self.machine.address)
        return machine.run(*command, timeout=60).stdout


@pytest.mark.needs("netns", "turnutils_natdiscovery")
@pytest.mark.lab
def test_every_router_is_told_apart() -> None:
    with Lab() as lab:
        box = Box(lab)
        for kind, (mapping, filtering) in KINDS.items():
            machine = lab.home(kind, kind).machine(f"{kind}-machine")
            assert (kind, *box.asked_by_the_standard_library(machine)) == (kind, mapping, filtering)
            assert (kind, *box.asked_by_us(machine)) == (kind, mapping, filtering)
            said = box.asked_by_coturn(machine)
            assert f"NAT with {WORDS[mapping]} Mapping!" in said, (kind, said)
            assert f"NAT with {WORDS[filtering]} Filtering!" in said, (kind, said)


@pytest.mark.needs("netns", "turnutils_natdiscovery")
@pytest.mark.lab
def test_two_addresses_of_ipv6() -> None:
    """In one household, where nothing stands between."""
    with Lab() as lab:
        home = lab.home("home", "port-restricted")
        box, host = home.machine("box"), home.machine("host")
        first, own = give_ipv6(lab, home, box, host)
        second = f"{first.rpartition('::')[0]}::99"
        run_in(box.namespace, "ip", "-6", "address", "add", f"{second}/64", "dev", "eth0", "nodad")
        serve(box, first, second)
        found = json.loads(host.run(*host.python("-c", ASK_ONE, first)).stdout)
        assert (found["mapping"], found["filtering"], found["type"]) == ("none", "none", "open")
        said = host.run("turnutils_natdiscovery", "-m", "-f", "-L", own, "-p", str(PORT), first, timeout=60).stdout
        assert "No NAT! (Endpoint Independent Mapping)" in said
        assert "NAT with Endpoint Independent Filtering!" in said
        assert f"Other addr: : {second}:{PORT + 1}" in said
