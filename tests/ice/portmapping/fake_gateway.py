"""A router on loopback that does as it is told, also what no real one does: PCP, NAT-PMP, SSDP and an IGD."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from atmosphere.ice.portmapping import pcp, xml
from atmosphere.ice.portmapping.http import HttpResponse
from atmosphere.ice.portmapping.igd import FIREWALL, MAPPERS
from atmosphere.ice.portmapping.keeper import Places
from atmosphere.udp.gateway import Link
from atmosphere.udp.socket import UdpSocket
from tests.ice.portmapping.test_igd import description
from tests.ice.portmapping.test_soap import fault, result

Address = tuple[str, int]
LINK = Link("127.0.0.1", "lo", 1, "127.0.0.1", (ipaddress.ip_network("127.0.0.0/8"),))
PROTOCOLS = {17: "udp", 6: "tcp"}


@dataclass
class FakeGateway:
    """`speaks` names the protocols that are answered. `mapped` is what stands: transport → outer port.

    `asked` counts requests by name. Change the fields at any time; `restart` forgets everything.
    """

    speaks: set[str] = field(default_factory=lambda: {"pcp", "nat-pmp", "upnp"})
    external: str = "203.0.113.9"
    lifetime: int = 7200
    result: int = 0
    offset: int = 0
    """Outer ports are ours plus this."""
    faults: dict[str, list[int]] = field(default_factory=dict)
    """UPnP action → error codes of its next calls, 0 for none."""
    permanent_only: bool = False
    taken: set[int] = field(default_factory=set)
    services: tuple[str, ...] = (MAPPERS[1], FIREWALL)
    description: bytes | None = None
    boot: int = 1
    epoch: float = 1000.0
    mapped: dict[str, int] = field(default_factory=dict)
    leases: dict[str, int] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    silent: bool = False

    async def start(self, address: str = "127.0.0.1") -> None:
        self.address = address
        self.control, self.ssdp = UdpSocket.bind(address), UdpSocket.bind(address)
        self.control.on_datagram = self._datagram
        self.ssdp.on_datagram = self._searched
        self.server = await asyncio.start_server(self._http, address, 0)
        self.http_port: int = self.server.sockets[0].getsockname()[1]
        spare = UdpSocket.bind(address)
        self.places = Places(self.control.port, (address, self.ssdp.port), (address, spare.port))
        spare.close()
        self._booted = asyncio.get_running_loop().time()

    async def stop(self) -> None:
        self.control.close()
        self.ssdp.close()
        self.server.close()
        await self.server.wait_closed()

    def restart(self) -> None:
        self.mapped.clear()
        self.leases.clear()
        self.epoch, self._booted = 0.0, asyncio.get_running_loop().time()
        self.boot += 1

    def _now(self) -> int:
        return int(self.epoch + asyncio.get_running_loop().time() - self._booted)

    # PCP and NAT-PMP

    def _datagram(self, data: bytes, source: Address) -> None:
        version = "pcp" if data[0] == 2 else "nat-pmp"
        self.asked.append(f"{version} {data[1]}")
        if self.silent:
            return
        if version in self.speaks:
            self.control.send(b"garbage", source)
            self.control.send(self._pcp(data) if version == "pcp" else self._nat_pmp(data), source)
        elif version == "pcp" and "nat-pmp" in self.speaks:
            self.control.send(struct.pack("!BBHI", 0, 0x80 | data[1], 1, self._now()), source)

    def _pcp(self, data: bytes) -> bytes:
        lifetime = int.from_bytes(data[4:8])
        head = struct.pack("!BBBBII12x", 2, 0x80 | data[1], 0, self.result, lifetime and self.lifetime, self._now())
        if data[1] == pcp.ANNOUNCE:
            return head
        protocol, port = data[36], int.from_bytes(data[40:42])
        if not self.result:
            self._keep(PROTOCOLS[protocol], port, lifetime)
        outside = struct.pack("!H16s", port + self.offset, pcp.packed(self.external))
        return head + data[24:42] + outside

    def _nat_pmp(self, data: bytes) -> bytes:
        head = struct.pack("!BBHI", 0, 0x80 | data[1], self.result, self._now())
        if data[1] == 0:
            return head + ipaddress.IPv4Address(self.external).packed
        port, lifetime = int.from_bytes(data[4:6]), int.from_bytes(data[8:12])
        if not self.result:
            self._keep("udp" if data[1] == 1 else "tcp", port, lifetime)
        return head + struct.pack("!HHI", port, port + self.offset, lifetime and self.lifetime)

    def _keep(self, transport: str, port: int, lifetime: int) -> None:
        if lifetime:
            self.mapped[transport] = port + self.offset
        else:
            self.mapped.pop(transport, None)

    # UPnP

    def _searched(self, data: bytes, source: Address) -> None:
        self.asked.append("search")
        if "upnp" in self.speaks and not self.silent:
            self.ssdp.send(self.found(), source)

    def found(self, host: str | None = None) -> bytes:
        """The answer to a search."""
        host = host or (f"[{self.address}]" if ":" in self.address else self.address)
        return (
            "HTTP/1.1 200 OK\r\nST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
            f"LOCATION: http://{host}:{self.http_port}/desc.xml\r\nBOOTID.UPNP.ORG: {self.boot}\r\n\r\n"
        ).encode()

    async def _http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:  # who asked has left
            writer.close()
            return
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")), 0)
        body = await reader.readexactly(length)
        if not self.silent:
            answer = self._answer(head, body)
            writer.write(
                b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n" % (answer.status, len(answer.body)) + answer.body
            )
        writer.close()

    def _answer(self, head: bytes, body: bytes) -> HttpResponse:
        if head.startswith(b"GET"):
            self.asked.append("description")
            return HttpResponse(200, self.description or description(*((kind, "/ctl") for kind in self.services)))
        action = next(iter(xml.parse(body).every("Body"))).children[0]
        self.asked.append(action.name)
        if self.faults.get(action.name) and (code := self.faults[action.name].pop(0)):
            return fault(code)
        values = {child.name: child.text for child in action.children}
        method: Callable[[dict[str, str]], HttpResponse] = getattr(self, f"_{action.name}")
        return method(values)

    def _GetExternalIPAddress(self, values: dict[str, str]) -> HttpResponse:
        return result("GetExternalIPAddress", NewExternalIPAddress=self.external)

    def _AddPortMapping(self, values: dict[str, str]) -> HttpResponse:
        port, lease = int(values["NewExternalPort"]), int(values["NewLeaseDuration"])
        if port in self.taken:
            return fault(718)
        if self.permanent_only and lease:
            return fault(725)
        self.mapped[values["NewProtocol"].lower()] = port
        self.leases[values["NewProtocol"].lower()] = lease
        return result("AddPortMapping")

    def _GetSpecificPortMappingEntry(self, values: dict[str, str]) -> HttpResponse:
        if self.mapped.get(values["NewProtocol"].lower()) != int(values["NewExternalPort"]):
            return fault(714)
        return result("GetSpecificPortMappingEntry")

    def _DeletePortMapping(self, values: dict[str, str]) -> HttpResponse:
        self.mapped.pop(values["NewProtocol"].lower(), None)
        return result("DeletePortMapping")

    def _AddPinhole(self, values: dict[str, str]) -> HttpResponse:
        transport = PROTOCOLS[int(values["Protocol"])]
        self.mapped[transport] = int(values["InternalPort"])
        return result("AddPinhole", UniqueID=values["Protocol"])

    def _UpdatePinhole(self, values: dict[str, str]) -> HttpResponse:
        return result("UpdatePinhole") if PROTOCOLS[int(values["UniqueID"])] in self.mapped else fault(704)

    def _DeletePinhole(self, values: dict[str, str]) -> HttpResponse:
        self.mapped.pop(PROTOCOLS[int(values["UniqueID"])], None)
        return result("DeletePinhole")


@asynccontextmanager
async def running(address: str = "127.0.0.1") -> AsyncIterator[FakeGateway]:
    """A gateway that runs."""
    gateway = FakeGateway()
    await gateway.start(address)
    try:
        yield gateway
    finally:
        await gateway.stop()
