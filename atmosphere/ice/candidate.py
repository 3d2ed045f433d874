"""ICE candidates: where a node may be reached, how good that is, and its line of SDP (RFC 8445 §5.1, RFC 8839 §5.1).

candidate-attribute = foundation SP component SP transport SP priority SP address SP port SP "typ" SP type
                      [SP "raddr" SP address] [SP "rport" SP port] *(SP name SP value)

Those of TCP say who connects (RFC 6544 §4.5): SP "tcptype" SP ("active" / "passive" / "so").
"""

from __future__ import annotations

import hashlib
import ipaddress
import re
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from atmosphere.errors import DecodeError

__all__ = [
    "Candidate",
    "CandidateType",
    "RelayProtocol",
    "TcpType",
    "candidate_priority",
    "foundation",
    "peer_reflexive_priority",
    "tcp_priority",
]

CandidateType = Literal["host", "srflx", "prflx", "relay"]
RelayProtocol = Literal["udp", "tcp", "tls", "ws"]
TcpType = Literal["active", "passive", "so"]

_TYPE_PREFERENCE: Final[dict[CandidateType, int]] = {"host": 126, "prflx": 110, "srflx": 100, "relay": 0}
_TCP_TYPE_PREFERENCE: Final[dict[CandidateType, int]] = {"host": 90, "prflx": 80, "srflx": 70, "relay": 0}
"""Below every direct type of UDP, above every relay: over TCP one lost packet delays all that follow."""
_DIRECTION: Final[dict[TcpType, tuple[int, int]]] = {"active": (6, 4), "passive": (4, 2), "so": (2, 6)}
"""Direction preference of a host candidate, and of one beyond a NAT, which only simultaneous-open crosses."""
_RELAYED_BELOW: Final = 64
"""Type preferences under this one are relays: libwebrtc's relays have 0 to 2, its worst direct type (TCP prflx) 80."""
_MAX_SDP: Final = 512
_TOKEN: Final = re.compile(r"[A-Za-z0-9+/]{1,32}\Z")
_DIGITS: Final = re.compile(r"[0-9]{1,10}\Z", re.ASCII)


def candidate_priority(kind: CandidateType, local_preference: int = 65535, component: int = 1) -> int:
    """The priority of a candidate, 1 to 2**31 - 1 (RFC 8445 §5.1.2.1).

    Priorities are unique when `local_preference` (0 to 65535) is unique among a node's candidates of one type: number
    them in the order they should be preferred.
    """
    return (_TYPE_PREFERENCE[kind] << 24) | (local_preference << 8) | (256 - component)


def tcp_priority(kind: CandidateType, tcp_type: TcpType, other: int = 8191) -> int:
    """The priority of a TCP candidate; `other` (0 to 8191) is unique among those of one type (RFC 6544 §4.2)."""
    direction = _DIRECTION[tcp_type][kind != "host"]
    return (_TCP_TYPE_PREFERENCE[kind] << 24) | (direction << 21) | (other << 8) | 255


def peer_reflexive_priority(base: Candidate) -> int:
    """The PRIORITY of a check sent from `base`: what a candidate discovered by it would have (RFC 8445 §7.1.1).

    From a relayed base it stays a relay's priority, although the RFC has one preference for every peer-reflexive
    candidate. Else a peer that hears the check before it hears of the relay would take the relay for a direct address
    and prefer it to the server-reflexive ones.
    """
    if base.tcp_type is not None:
        return tcp_priority("prflx", base.tcp_type, (base.priority >> 8) & 8191)
    kind: CandidateType = "relay" if base.type == "relay" else "prflx"
    return (_TYPE_PREFERENCE[kind] << 24) | (base.priority & 0xFFFFFF)


def foundation(kind: CandidateType, base_address: str, server: str = "", protocol: str = "udp") -> str:
    """A name shared by candidates of one type, base address, server and protocol (RFC 8445 §5.1.1.3)."""
    return hashlib.sha256(f"{kind}|{base_address}|{server}|{protocol}".encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One address (an IP literal, no name) and port that a node may be reached at.

    `related_address` and `related_port` say what it was learned from; `relay_protocol` how a relay's owner reaches it;
    `tcp_type` who connects, where `transport` is tcp.
    """

    foundation: str
    component: int
    transport: Literal["udp", "tcp"]
    priority: int
    address: str
    port: int
    type: CandidateType
    related_address: str | None = None
    related_port: int | None = None
    relay_protocol: RelayProtocol | None = None
    tcp_type: TcpType | None = None

    @property
    def endpoint(self) -> tuple[str, int]:
        """Address and port."""
        return (self.address, self.port)

    @property
    def family(self) -> Literal[4, 6]:
        """The IP version."""
        return 6 if ":" in self.address else 4

    @property
    def is_relayed(self) -> bool:
        """Whether data to it goes through a relay: it is one, or is peer-reflexive with a relay's priority."""
        return self.type == "relay" or (self.type == "prflx" and self.priority >> 24 < _RELAYED_BELOW)

    @property
    def is_usable(self) -> bool:
        """Whether a check can be sent to it: a unicast IP literal without a zone, a port, component 1, a priority.

        Nobody can connect to one of TCP that is active, and nobody relays TCP (RFC 6062) here.
        """
        return (
            _is_unicast(self.address)
            and 1 <= self.port <= 65535
            and self.component == 1
            and (self._is_reached_over_tcp if self.transport == "tcp" else self.tcp_type is None)
            and 1 <= self.priority < 1 << 31
        )

    @property
    def _is_reached_over_tcp(self) -> bool:
        return self.tcp_type in ("passive", "so") and self.type != "relay"

    def to_sdp(self) -> str:
        """The candidate as SDP has it, without the leading `candidate:`."""
        text = (
            f"{self.foundation} {self.component} {self.transport} {self.priority} "
            f"{self.address} {self.port} typ {self.type}"
        )
        if self.related_address is not None and self.related_port is not None:
            text += f" raddr {self.related_address} rport {self.related_port}"
        if self.relay_protocol is not None:
            text += f" relay-protocol {self.relay_protocol}"
        if self.tcp_type is not None:
            text += f" tcptype {self.tcp_type}"
        return text

    @classmethod
    def from_sdp(cls, text: str) -> Candidate:
        """The candidate in a line of SDP, or `DecodeError`.

        A leading `a=` and `candidate:` are forgiven and unknown extensions skipped. Host names (mDNS among them) and
        anything that is not `is_usable` are refused, active TCP candidates too: who has them connects by itself.
        """
        words = text[:_MAX_SDP].removeprefix("a=").removeprefix("candidate:").split()
        if len(text) > _MAX_SDP or len(words) < 8 or words[6] != "typ":
            raise DecodeError("not a candidate")
        transport = words[2].lower()
        if not _TOKEN.match(words[0]) or transport not in ("udp", "tcp") or words[7] not in _TYPE_PREFERENCE:
            raise DecodeError("a candidate of a transport or type that is not used here")
        candidate = cls(
            foundation=words[0],
            component=_number(words[1], 256),
            transport="tcp" if transport == "tcp" else "udp",
            priority=_number(words[3], 2**31 - 1),
            address=_address(words[4]),
            port=_number(words[5], 65535),
            type=words[7],
            **_extensions(words[8:], transport),
        )
        if not candidate.is_usable:
            raise DecodeError("a candidate that nothing can be sent to")
        return candidate


def _extensions(words: list[str], transport: str) -> dict[str, Any]:
    """The optional fields among name–value pairs; the related address is dropped when it is hidden or half there."""
    found = dict(zip(words[::2], words[1::2], strict=False))
    fields: dict[str, Any] = {}
    if "raddr" in found and "rport" in found:
        fields["related_address"] = _address(found["raddr"])
        fields["related_port"] = _number(found["rport"], 65535)
    if found.get("relay-protocol") in get_args(RelayProtocol):
        fields["relay_protocol"] = found["relay-protocol"]
    if transport == "tcp" and found.get("tcptype") in get_args(TcpType):
        fields["tcp_type"] = found["tcptype"]
    return fields


def _number(word: str, most: int) -> int:
    if not _DIGITS.match(word) or int(word) > most:
        raise DecodeError("a number in a candidate is out of range")
    return int(word)


def _address(word: str) -> str:
    try:
        return str(ipaddress.ip_address(word))
    except ValueError:
        raise DecodeError("a candidate's address is not an IP address") from None


def _is_unicast(address: str) -> bool:
    try:
        ip = ipaddress.ip_address(address)
    except ValueError:
        return False
    return not (ip.is_multicast or ip.is_unspecified or "%" in address or address == "255.255.255.255")
