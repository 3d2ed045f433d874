"""The messages that find a router which opens ports on request. Pure.

NAT-PMP (RFC 6886 §3.2)   to the gateway's UDP port 5351: version 0, opcode 0
    answer  version 0 | opcode 128 | result (16) | epoch (32) | public address (32)
PCP ANNOUNCE (RFC 6887 §7, §14.1)   to the same port: version 2, opcode 0, our address in 16 bytes
    answer  version 2 | 0x80 | reserved (8) | result (8) | lifetime (32) | epoch (32) | reserved (96)
UPnP (SSDP, UPnP Device Architecture 1.1 §1.3)   M-SEARCH by multicast to 239.255.255.250:1900, text like HTTP
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from atmosphere.errors import DecodeError

PORT = 5351
SSDP = ("239.255.255.250", 1900)
MAX_SSDP = 4096

NAT_PMP_REQUEST = b"\0\0"
UPNP_TARGETS = (
    "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
    "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
)

_SUCCESS = 0


@dataclass(frozen=True)
class NatPmpAnswer:
    """A NAT-PMP router's answer: `result` 0 is success, `public` its outer address (None unless success)."""

    result: int
    public: str | None


@dataclass(frozen=True)
class PcpAnswer:
    """A PCP router's answer: `result` 0 is success, 1 an unsupported version, 2 not authorized."""

    version: int
    result: int


@dataclass(frozen=True)
class SsdpAnswer:
    """A UPnP device's answer: what it is, and where its description is."""

    target: str
    location: str

    @property
    def is_gateway(self) -> bool:
        """Whether it is an Internet gateway."""
        return "InternetGatewayDevice:" in self.target or "WANIPConnection:" in self.target


def pcp_announce(our_address: str) -> bytes:
    """The ANNOUNCE request from `our_address` (a literal; IPv4 goes mapped into IPv6, RFC 6887 §5)."""
    ip = ipaddress.ip_address(our_address)
    packed = ip.packed if ip.version == 6 else b"\0" * 10 + b"\xff\xff" + ip.packed
    return struct.pack("!BBHI16s", 2, 0, 0, 0, packed)


def m_search(target: str) -> bytes:
    """The search for a device or service; answers may take a second (MX)."""
    lines = (
        "M-SEARCH * HTTP/1.1",
        f"HOST: {SSDP[0]}:{SSDP[1]}",
        'MAN: "ssdp:discover"',
        "MX: 1",
        f"ST: {target}",
        "",
        "",
    )
    return "\r\n".join(lines).encode()


def decode_nat_pmp(data: bytes) -> NatPmpAnswer:
    """The answer in `data`, or DecodeError. An error answer may end after its epoch."""
    if len(data) < 8 or data[0] != 0 or data[1] != 128:
        raise DecodeError("not a NAT-PMP answer")
    result = int.from_bytes(data[2:4])
    if result != _SUCCESS:
        return NatPmpAnswer(result, None)
    if len(data) < 12:
        raise DecodeError("a NAT-PMP answer without its address")
    return NatPmpAnswer(result, str(ipaddress.IPv4Address(data[8:12])))


def decode_pcp(data: bytes) -> PcpAnswer:
    """The answer to ANNOUNCE in `data`, or DecodeError. A NAT-PMP router says version 0 and an unsupported version."""
    if len(data) >= 4 and data[0] in (0, 1) and data[1] & 0x80:
        return PcpAnswer(data[0], 1)
    if not 24 <= len(data) <= 1100 or len(data) % 4 or data[0] < 2 or data[1] & 0x80 == 0:
        raise DecodeError("not a PCP answer")
    return PcpAnswer(data[0], data[3])


def decode_ssdp(data: bytes) -> SsdpAnswer:
    """The answer to a search in `data`, or DecodeError."""
    if len(data) > MAX_SSDP:
        raise DecodeError(f"SSDP answer of {len(data)} bytes")
    lines = data.decode("latin-1").splitlines()
    if not lines or lines[0].split()[:2] not in (["HTTP/1.1", "200"], ["HTTP/1.0", "200"]):
        raise DecodeError("not an SSDP answer")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    if not headers.get("st") or not headers.get("location", "").startswith(("http://", "https://")):
        raise DecodeError("an SSDP answer without what or where it is")
    return SsdpAnswer(headers["st"], headers["location"])
