"""What the instances of a cluster say to each other (pure): MessagePack, many events in one frame.

A frame is an array `[1, instance, seq, [event, …]]`. Frames for everybody are numbered from 1 by each instance, so that
a gap is noticed; frames for one instance have the number 0. Every event is an array whose first element is its tag.

    to one instance
     1 Keep       to, sender, id, payload, left, holders   keep this message `left` seconds, and write it when `to` is
                                                           connected with you; `holders` have copies, the first answers
                                                           for it
     2 Have       to, sender, id, written                  it is kept (and was written to `to`)
     3 Full       to, sender, id                           it is not: a limit
    11 Ask                                                 say your Roster again

    to all
     4 Gone       to, sender, id                           the receiver has it: forget your copies, refuse repetitions
     5 Here       node, stamp                              is connected with me; the higher (stamp, instance) counts
     6 Left       node, stamp                              is not any more
     7 Interest   topic, subscribers                       so many here
     8 Published  topic, sender, id, payload
     9 Used       what, amounts                            rates that addresses used here since the last Used
    10 Roster     first, last, nodes, topics               all that Here and Interest have said, in parts
    12 Beat                                                I live
    13 Bye                                                 I do not any more

NATS, and whoever may publish there, is trusted as the servers are: it sees node ids, opaque topics, sealed payloads and
addresses, and can refuse service or withhold messages, but read or forge none. Frames are decoded totally and bounded
all the same, for a mistake of one instance must not break the others.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from signaling.errors import DecodeError
from signaling.messages import MAX_PAYLOAD, MAX_TTL
from signaling.printable import printable

PROTOCOL: Final = 1
MAX_FRAME: Final = 512 * 1024
MAX_EVENTS: Final = 4096
ROSTER_PART: Final = 1000
"""Nodes, and topics, in one Roster."""

MAX_HOLDERS: Final = 8
MAX_ADDRESSES: Final = 256
HANDSHAKES: Final = "handshakes"
MESSAGES: Final = "messages"

Instance = Annotated[str, Meta(min_length=16, max_length=16)]
Node = Annotated[str, Meta(min_length=52, max_length=52)]
Id = Annotated[str, Meta(min_length=1, max_length=64)]
Topic = Annotated[str, Meta(min_length=1, max_length=64)]
Payload = Annotated[str, Meta(max_length=MAX_PAYLOAD)]
Stamp = Annotated[int, Meta(ge=0, le=2**62)]
Count = Annotated[int, Meta(ge=0, le=2**31)]
Left_ = Annotated[float, Meta(ge=0, le=MAX_TTL)]
Amount = Annotated[float, Meta(ge=0, le=1e9)]
Address = Annotated[str, Meta(max_length=64)]


class Event(Struct, frozen=True, array_like=True):
    """What all events share."""


class Keep(Event, frozen=True, tag=1):
    """Keep a copy of a message, and deliver it."""

    to: Node
    sender: Node
    id: Id
    payload: Payload
    left: Left_
    holders: Annotated[list[Instance], Meta(max_length=MAX_HOLDERS)]


class Have(Event, frozen=True, tag=2):
    """A copy is kept."""

    to: Node
    sender: Node
    id: Id
    written: bool


class Full(Event, frozen=True, tag=3):
    """No copy is kept, for want of room."""

    to: Node
    sender: Node
    id: Id


class Gone(Event, frozen=True, tag=4):
    """The receiver has it."""

    to: Node
    sender: Node
    id: Id


class Here(Event, frozen=True, tag=5):
    """A node has connected."""

    node: Node
    stamp: Stamp


class Left(Event, frozen=True, tag=6):
    """A node has gone."""

    node: Node
    stamp: Stamp


class Interest(Event, frozen=True, tag=7):
    """How many are subscribed to a topic here."""

    topic: Topic
    subscribers: Count


class Published(Event, frozen=True, tag=8):
    """For all who are subscribed."""

    topic: Topic
    sender: Node
    id: Id
    payload: Payload


class Used(Event, frozen=True, tag=9):
    """What addresses took of a rate (`HANDSHAKES` or `MESSAGES`)."""

    what: Annotated[str, Meta(max_length=32)]
    amounts: Annotated[dict[Address, Amount], Meta(max_length=MAX_ADDRESSES)]


class Roster(Event, frozen=True, tag=10):
    """A part of everything an instance has to tell."""

    first: bool
    last: bool
    nodes: Annotated[list[tuple[Node, Stamp]], Meta(max_length=ROSTER_PART)]
    topics: Annotated[list[tuple[Topic, Count]], Meta(max_length=ROSTER_PART)]


class Ask(Event, frozen=True, tag=11):
    """Say your roster."""


class Beat(Event, frozen=True, tag=12):
    """I live."""


class Bye(Event, frozen=True, tag=13):
    """I leave."""


AnyEvent = Keep | Have | Full | Gone | Here | Left | Interest | Published | Used | Roster | Ask | Beat | Bye


class Frame(Struct, frozen=True, array_like=True):
    """Events of one instance, in order."""

    protocol: Annotated[int, Meta(ge=PROTOCOL, le=PROTOCOL)]
    instance: Instance
    seq: Annotated[int, Meta(ge=0, le=2**62)]
    events: Annotated[list[AnyEvent], Meta(max_length=MAX_EVENTS)]


_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Frame] = msgspec.msgpack.Decoder(Frame)


def encode_frame(frame: Frame) -> bytes:
    """One frame's bytes."""
    return _encoder.encode(frame)


def decode_frame(data: bytes) -> Frame:
    """The frame in `data`; raises DecodeError for anything else."""
    if len(data) > MAX_FRAME:
        raise DecodeError(f"{len(data)} bytes, but a frame has at most {MAX_FRAME}")
    try:
        return _decoder.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise DecodeError(printable(str(error))) from None


def weight(event: AnyEvent) -> int:
    """How many bytes an event has in a frame at most."""
    match event:
        case Keep() | Published():
            return 768 + len(event.payload)
        case Roster():
            return 64 + 72 * len(event.nodes) + 272 * len(event.topics)
        case Used():
            return 192 + 272 * len(event.amounts)
        case _:
            return 384
