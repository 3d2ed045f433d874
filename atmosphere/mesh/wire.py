"""The messages of the mesh's control channel (data channel 1 of every link), MessagePack.

Each message is a MessagePack array whose first element is the message's tag. Both sides open with `Hello`; a joiner
opens with `Redeem` instead and gets `Granted` or `Denied`. Everything after that may come in any order.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import msgspec
from msgspec import Meta

from atmosphere.errors import DecodeError

PROTOCOL = 1
"""The version of this protocol; a peer with another one is refused with a clear word."""

CONTROL_CHANNEL = 1
"""The negotiated data channel that carries these messages."""

MAX_MESSAGE = 192 * 1024

NodeIdText = Annotated[str, Meta(min_length=52, max_length=52)]
NameText = Annotated[str, Meta(min_length=1, max_length=64)]
FactBytes = Annotated[bytes, Meta(max_length=2048)]
FactBatch = Annotated[list[FactBytes], Meta(max_length=64)]
FactIds = Annotated[list[Annotated[bytes, Meta(max_length=32)]], Meta(max_length=4096)]
IpText = Annotated[str, Meta(max_length=45)]
Port = Annotated[int, Meta(ge=0, le=65535)]
Behaviour = Literal["none", "endpoint-independent", "address-dependent", "address-and-port-dependent", "unknown"]
Word = Annotated[str, Meta(max_length=16)]
ContactBytes = Annotated[bytes, Meta(max_length=4096)]


class Hello(msgspec.Struct, tag=1, array_like=True, frozen=True):
    """First word of a member: who it is; `chain` holds the facts that prove it."""

    protocol: int
    mesh_id: Annotated[str, Meta(max_length=64)]
    boot: Annotated[bytes, Meta(min_length=8, max_length=8)]
    version: Annotated[str, Meta(max_length=32)]
    chain: FactBatch


class Redeem(msgspec.Struct, tag=2, array_like=True, frozen=True):
    """First word of a joiner: the proof of an invite's secret, bound to this DTLS handshake."""

    protocol: int
    invite_id: Annotated[str, Meta(max_length=64)]
    proof: Annotated[bytes, Meta(max_length=64)]
    name: NameText


class Granted(msgspec.Struct, tag=3, array_like=True, frozen=True):
    """The joiner is a member: the mesh and the facts that make it so; `Hello` follows from both."""

    mesh_name: NameText
    root_public_key: Annotated[bytes, Meta(min_length=32, max_length=32)]
    chain: FactBatch


class Denied(msgspec.Struct, tag=4, array_like=True, frozen=True):
    """No, and why: `reason` is one of CodeError's reasons, or "member" (not one, or no longer), "protocol", "mesh"."""

    reason: Annotated[str, Meta(max_length=32)]
    text: Annotated[str, Meta(max_length=256)]


class Have(msgspec.Struct, tag=5, array_like=True, frozen=True):
    """The facts its sender holds; the receiver answers with those that are missing."""

    ids: FactIds


class Digest(msgspec.Struct, tag=12, array_like=True, frozen=True):
    """A digest of all the facts its sender holds; who holds others answers with Have."""

    digest: Annotated[bytes, Meta(min_length=32, max_length=32)]


class Facts(msgspec.Struct, tag=6, array_like=True, frozen=True):
    """Memberships and revocations that the receiver may lack."""

    facts: FactBatch


class Contacts(msgspec.Struct, tag=7, array_like=True, frozen=True):
    """Where members were last seen, each signed by the member itself."""

    contacts: Annotated[list[ContactBytes], Meta(max_length=32)]


class Signal(msgspec.Struct, tag=8, array_like=True, frozen=True):
    """A sealed signaling payload, to be handed on to `destination` when that member is a neighbour."""

    destination: NodeIdText
    source: NodeIdText
    payload: Annotated[bytes, Meta(max_length=12 * 1024)]


class Ping(msgspec.Struct, tag=9, array_like=True, frozen=True):
    """Answered at once by a Pong of the same number."""

    number: int


class Pong(msgspec.Struct, tag=10, array_like=True, frozen=True):
    """The answer to a Ping."""

    number: int


class Bye(msgspec.Struct, tag=11, array_like=True, frozen=True):
    """The sender goes on purpose: "stopped", "left", "duplicate", "removed"."""

    reason: Annotated[str, Meta(max_length=64)]


class Nat(msgspec.Struct, tag=13, array_like=True, frozen=True):
    """What its sender knows of its own NAT: how it maps and filters (RFC 4787), how it chooses ports and which it gave
    last (0: unknown), where servers see its socket ("" and 0: nowhere), whether UDP gets out at all, and whether the
    sender takes part in searches."""

    mapping: Behaviour
    filtering: Behaviour
    allocation: Literal["preserved", "sequential", "random", "unknown"]
    step: Annotated[int, Meta(ge=-64, le=64)]
    last_port: Port
    address: IpText
    port: Port
    udp_blocked: bool
    searches: bool


class Punch(msgspec.Struct, tag=14, array_like=True, frozen=True):
    """A search for a path through two NATs: "start" asks for one, "ready" agrees, "stop" refuses or ends it, and says
    why. The receiver may send to `address` and `port`; `ports` are what the sender's NAT gave last, newest at the end.
    Each side keeps to the smaller of its own limits and these. `ufrag` is the session's dialer's."""

    what: Literal["start", "ready", "stop"]
    number: Annotated[int, Meta(ge=0, lt=1 << 32)]
    ufrag: Annotated[str, Meta(max_length=256)]
    address: IpText = ""
    port: Port = 0
    ports: Annotated[list[Annotated[int, Meta(ge=1, le=65535)]], Meta(max_length=16)] = []
    sockets: Annotated[int, Meta(ge=0, le=256)] = 0
    probes: Annotated[int, Meta(ge=0, le=2000)] = 0
    reason: Annotated[str, Meta(max_length=160)] = ""


class About(msgspec.Struct, tag=17, array_like=True, frozen=True):
    """What its sender says of itself, so that the receiver can explain the link: its path policy, whether UDP gets out
    of its network (None: not known), and whether its router opened a port ("open", "none", "off"). Words that are not
    known mean nothing."""

    policy: Word = ""
    udp: bool | None = None
    mapping: Word = ""


NOTHING = About()
"""What a silent peer said."""


class Unknown(msgspec.Struct, frozen=True):
    """What a later version of this protocol says; whoever gets it does without."""

    tag: int


class _Tagged(msgspec.Struct, array_like=True, frozen=True):
    """The beginning of any message; what follows is skipped, and costs next to nothing."""

    tag: int


Message = (
    Hello
    | Redeem
    | Granted
    | Denied
    | Digest
    | Have
    | Facts
    | Contacts
    | Signal
    | Ping
    | Pong
    | Bye
    | Nat
    | Punch
    | About
)
TAGS = frozenset(type.__struct_config__.tag for type in get_args(Message))

_decoder = msgspec.msgpack.Decoder(Message)
_tag_decoder = msgspec.msgpack.Decoder(_Tagged)
_encoder = msgspec.msgpack.Encoder()


def encode(message: Message) -> bytes:
    """The bytes of one control message."""
    return _encoder.encode(message)


def decode(data: bytes | str) -> Message | Unknown:
    """The control message in `data`, `Unknown` where its tag is none of ours; raises DecodeError for anything else."""
    if isinstance(data, str):
        raise DecodeError("a control message is binary")
    if len(data) > MAX_MESSAGE:
        raise DecodeError(f"a control message of {len(data)} bytes is too long")
    try:
        message: Message = _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        tag = _tag_of(data)
        if tag is None or tag in TAGS:
            raise DecodeError(f"not a control message: {error}") from error
        return Unknown(tag)
    return message


def _tag_of(data: bytes) -> int | None:
    """The first element of an array, where it is a number."""
    try:
        return _tag_decoder.decode(data).tag
    except (msgspec.DecodeError, RecursionError):
        return None
