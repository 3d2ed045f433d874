"""The join code: everything a machine needs to reach a host, prove that it was invited, and know whom it reached.

The text is `atm1` + base32 (atmosphere.codetext gives the frame). The body, integers big-endian:

    flags (1)          bits 7-4: whoever does not know a bit that is set must refuse (newer); bits 3-0: may ignore it
    expires (4)        Unix seconds; 0: never
    mesh id (20)
    host id (32)       the bytes that the host's node id spells: SHA-256 of its SubjectPublicKeyInfo
    secret (16)        the invite's; ICE credentials and keys are derived from it (atmosphere.credentials)
    then fields of tag (1), length (1), value, in any order; unknown tags are skipped
      1  mesh name     UTF-8
      2  candidate     kind (1), address (4, 16, or a host name in ASCII), port (2); best first
                       kind: bits 7-6 family (0 IPv4, 1 IPv6, 2 name), 5-3 type (0 host, 1 srflx, 2 prflx, 3 relay),
                       2-0 protocol (0 udp, 1 tcp); a candidate of any other kind is skipped
      3  signaling     scheme (1), the rest of the URL in ASCII
                       scheme: 0 none, 1 ws://, 2 wss://, 3 http://, 4 https://, 5 mqtt://, 6 mqtts://,
                       7 wss+mqtt://, 8 ws+mqtt://; no user name and no password

The ICE ufrag and passwords, and the DTLS fingerprint (by way of the host id) follow from these, so the code is the
host's whole offer.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass, field

from atmosphere import base32, codetext
from atmosphere.credentials import DialSecret
from atmosphere.errors import CodeError, DecodeError
from atmosphere.names import is_name

PREFIX = "atm"
MAX_CANDIDATES = 8
MAX_SIGNALING = 4

_HEAD = struct.Struct("!BI20s32s16s")
_MUST_UNDERSTAND = 0xF0
_NAME, _CANDIDATE, _SIGNALING = 1, 2, 3
_TYPES = ("host", "srflx", "prflx", "relay")
_PROTOCOLS = ("udp", "tcp")
_SCHEMES = ("", "ws://", "wss://", "http://", "https://", "mqtt://", "mqtts://", "wss+mqtt://", "ws+mqtt://")
_MAX_ADDRESS = 200
_HOST_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789-._ABCDEFGHIJKLMNOPQRSTUVWXYZ")


@dataclass(frozen=True)
class CodeCandidate:
    """An address at which the host may be reached: an IP address or a host name, and a port."""

    type: str
    """host, srflx, prflx or relay."""
    address: str
    port: int
    protocol: str = "udp"
    """udp or tcp."""

    def __post_init__(self) -> None:
        if self.type not in _TYPES or self.protocol not in _PROTOCOLS or not 0 < self.port < 65536:
            raise ValueError(f"no candidate for a join code: {self.type} {self.protocol} port {self.port}")
        object.__setattr__(self, "address", _address_of(*_address_bytes(self.address)))


@dataclass(frozen=True)
class JoinCode:
    """An invitation into a mesh; `str(code)` is the text to hand over. Its repr hides the secret.

    Candidates beyond the first 8 and signaling URLs beyond the first 4 are left out. ValueError for values that no
    code can hold.
    """

    mesh_id: bytes
    host_id: str
    secret: bytes = field(repr=False)
    mesh_name: str = ""
    expires_at: int = 0
    """Unix seconds; 0: never."""
    candidates: tuple[CodeCandidate, ...] = ()
    signaling: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(self.mesh_id) != 20 or len(self.secret) != 16 or len(base32.decode(self.host_id)) != 32:
            raise ValueError("a join code has a mesh id of 20 bytes, a host id of 32 and a secret of 16")
        if self.mesh_name and not is_name(self.mesh_name):
            raise ValueError("not a name for a mesh")
        if not 0 <= self.expires_at < 1 << 32:
            raise ValueError("a join code expires within Unix time's first 32 bits")
        object.__setattr__(self, "candidates", tuple(self.candidates)[:MAX_CANDIDATES])
        object.__setattr__(self, "signaling", tuple(self.signaling)[:MAX_SIGNALING])
        for url in self.signaling:
            _url_bytes(url)

    def __str__(self) -> str:
        return codetext.wrap(PREFIX, self._body())

    @property
    def dial_secret(self) -> DialSecret:
        """What both sides derive their credentials from."""
        return DialSecret(self.secret)

    @property
    def invite_id(self) -> str:
        """The invite's public name: 16 hexadecimal digits."""
        return self.dial_secret.id

    @classmethod
    def parse(cls, text: str, now_unix: float) -> JoinCode:
        """The code in a text that a person copied.

        CodeError says why not: malformed (no join code at all), truncated, mistyped, newer (than we are), expired.
        """
        if codetext.looks_like("atr", text):
            hint = "Use it where the join code was made: atmosphere accept REPLY"
            raise CodeError("that is a reply code, not a join code", reason="malformed", hint=hint)
        try:
            code = cls._decode(codetext.unwrap(PREFIX, text, "join code"))
        except DecodeError as error:
            raise CodeError(f"the join code makes no sense: {error}", reason="malformed") from error
        if code.expires_at and now_unix >= code.expires_at:
            ago = _duration(now_unix - code.expires_at)
            hint = "Ask for a new one: atmosphere join, on a machine of the mesh"
            raise CodeError(f"the join code expired {ago} ago", reason="expired", hint=hint)
        return code

    def _body(self) -> bytes:
        head = _HEAD.pack(0, self.expires_at, self.mesh_id, base32.decode(self.host_id), self.secret)
        parts = [codetext.field(_NAME, self.mesh_name.encode())] if self.mesh_name else []
        parts += [codetext.field(_CANDIDATE, _candidate_bytes(candidate)) for candidate in self.candidates]
        parts += [codetext.field(_SIGNALING, _url_bytes(url)) for url in self.signaling]
        return head + b"".join(parts)

    @classmethod
    def _decode(cls, body: bytes) -> JoinCode:
        if len(body) < _HEAD.size:
            raise DecodeError("it is too short")
        flags, expires_at, mesh_id, host, secret = _HEAD.unpack_from(body)
        if flags & _MUST_UNDERSTAND:
            raise codetext.newer("join code")
        found: dict[int, list[bytes]] = {_NAME: [], _CANDIDATE: [], _SIGNALING: []}
        for tag, value in codetext.fields(body[_HEAD.size :]):
            found.get(tag, []).append(value)
        candidates = tuple(known for value in found[_CANDIDATE] if (known := _candidate_of(value)))
        signaling = tuple(url for value in found[_SIGNALING] if (url := _url_of(value)))
        name = _name_of(found[_NAME])
        return cls(mesh_id, base32.encode(host), secret, name, expires_at, candidates, signaling)


def _duration(seconds: float) -> str:
    """A time in the one unit that people would say it in."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"


def _name_of(values: list[bytes]) -> str:
    try:
        name = values[0].decode() if values else ""
    except UnicodeDecodeError as error:
        raise DecodeError("the mesh's name is not UTF-8") from error
    if name and not is_name(name):
        raise DecodeError("the mesh's name is none")
    return name


def _address_bytes(address: str) -> tuple[int, bytes]:
    """The family's number and the bytes of an address or host name."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        if not 0 < len(address) <= _MAX_ADDRESS or not _HOST_CHARACTERS.issuperset(address):
            raise ValueError(f"neither an address nor a host name: {address!r}") from None
        return 2, address.encode("ascii")
    if parsed.version == 6 and parsed.scope_id:
        raise ValueError("an address with a scope means nothing on another machine")
    return (0 if parsed.version == 4 else 1), parsed.packed


def _candidate_bytes(candidate: CodeCandidate) -> bytes:
    family, address = _address_bytes(candidate.address)
    kind = family << 6 | _TYPES.index(candidate.type) << 3 | _PROTOCOLS.index(candidate.protocol)
    return bytes((kind,)) + address + candidate.port.to_bytes(2)


def _candidate_of(value: bytes) -> CodeCandidate | None:
    """The candidate in a field, or None for one of a kind that only a newer version knows, or of no sense."""
    if len(value) < 4:
        return None
    kind, packed, port = value[0], value[1:-2], int.from_bytes(value[-2:])
    try:
        address = _address_of(kind >> 6, packed)
        return CodeCandidate(_TYPES[kind >> 3 & 7], address, port, _PROTOCOLS[kind & 7])
    except (ValueError, IndexError):
        return None


def _address_of(family: int, packed: bytes) -> str:
    if family == 2:
        return packed.decode("ascii")
    if len(packed) != (4, 16)[family]:
        raise ValueError("an address of the wrong length")
    return str(ipaddress.ip_address(packed))


def _url_bytes(url: str) -> bytes:
    scheme = next(number for number in range(len(_SCHEMES) - 1, -1, -1) if url.startswith(_SCHEMES[number]))
    rest = url.removeprefix(_SCHEMES[scheme])
    if "@" in rest.partition("/")[0]:
        raise ValueError("a signaling URL with a user name or a password does not belong into a join code")
    if not 0 < len(rest) <= _MAX_ADDRESS or not all("!" <= letter <= "~" for letter in rest):
        raise ValueError(f"not a signaling URL for a join code: {url!r}")
    return bytes((scheme,)) + rest.encode("ascii")


def _url_of(value: bytes) -> str | None:
    """The URL in a field, or None for one that only a newer version knows, or of no sense."""
    try:
        url = _SCHEMES[value[0]] + value[1:].decode("ascii")
        return url if _url_bytes(url) == value else None
    except (ValueError, IndexError):
        return None
