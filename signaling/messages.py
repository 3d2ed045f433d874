"""Every message of the protocol: one JSON object a WebSocket text frame, named by its `type`.

A frame is at most MAX_MESSAGE bytes of UTF-8. Members not listed here are skipped, so a newer side may add some. Binary
frames do not exist. `ref` is a number chosen by the client; the answer to a request carries the request's `ref`.

Opening (nothing else is accepted before `welcome`):

    S→C challenge    protocol, nonce             `protocol` is 1; see auth.py for what is signed
    C→S hello        key, signature, got         base64 of the SubjectPublicKeyInfo (DER) and of the signature; `got`
                                                 true: this client says `got` for numbered messages
    S→C welcome      id, turn, limits, keepalive the id that was proved; TURN credentials; sizes; seconds between pings

Client to server, after that:

    send             to, payload, id, ref, ttl   to one node. `id` is the sender's own name for the message: the same id
                                                 is delivered once, so a resend is safe. `ttl`: seconds (0–120) to wait
                                                 for a receiver that is away; 0: now or never
    publish          topic, payload, id, ref     to everybody who is subscribed now, except the sender; never stored
    subscribe        topic, ref                  a topic is any string of 1–64 characters, opaque to the server
    unsubscribe      topic, ref
    watch            ids, ref                    replaces the whole set of ids whose presence is told; [] ends it
    got              seq                         has every message of this connection up to this number

Server to client:

    delivered        ref, receivers              written to the connection of that many nodes (`send`: 1), and safe
    queued           ref                         in the mailbox of a node that is away
    done             ref                         subscribe, unsubscribe or watch is in force
    error            code, text, ref             refused; without `ref`: the connection, or an unreadable frame
    message          sender, payload, id, topic, seq
                                                 `topic` only when published; with `seq`, counting up from 1, it is kept
                                                 and comes again, in a new connection, until the client says `got`
    presence         id, online                  once for each watched id, then at each change
    turn             turn                        new credentials, before those of `welcome` run out
    drain            within                      this server is going: leave at a random moment within so many seconds

`payload` is base64 (RFC 4648 §4, padded) and means nothing to the server.
"""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct

from signaling.errors import DecodeError
from signaling.printable import printable
from signaling.turn_credentials import TurnServer

PROTOCOL: Final = 1
MAX_MESSAGE: Final = 16 * 1024
MAX_PAYLOAD: Final = 12 * 1024
MAX_TTL: Final = 120.0
MAX_WATCHED: Final = 256

ERROR_CODES: Final = {
    "malformed": "the frame is no message of the protocol, or too long",
    "unauthorized": "the signature does not prove the key, or was made for another host or challenge",
    "timeout": "the hello did not come in time",
    "offline": "the receiver is away and the message was not to be stored",
    "full": "the receiver's mailbox, or the server's memory for mailboxes, is full",
    "forbidden": "this server serves a mesh; of others it takes only messages to its members",
    "limit": "more topics, subscribers or watched ids than the server allows",
    "busy": "more messages from this address, or in all, than the server takes; try again later",
    "replaced": "the same id connected again; this connection ends",
    "slow": "this connection does not read what it is sent; it ends",
}

NodeId = Annotated[str, Meta(pattern="^[a-z2-7]{52}\\Z")]
MessageId = Annotated[str, Meta(min_length=1, max_length=64)]
Topic = Annotated[str, Meta(min_length=1, max_length=64)]
Payload = Annotated[str, Meta(max_length=MAX_PAYLOAD, pattern="^[A-Za-z0-9+/=]*\\Z")]
Ref = Annotated[int, Meta(ge=0, le=2**53)]
Ttl = Annotated[float, Meta(ge=0, le=MAX_TTL)]
Seconds = Annotated[float, Meta(ge=0, le=3600)]
Text = Annotated[str, Meta(max_length=512)]
Base64 = Annotated[str, Meta(max_length=512, pattern="^[A-Za-z0-9+/=]*\\Z")]
TurnList = Annotated[list[TurnServer], Meta(max_length=8)]


class Message(Struct, frozen=True, tag_field="type", tag=str.lower, omit_defaults=True):
    """What all messages share: the name in `type`, and that they do not change."""


class Challenge(Message, frozen=True):
    """S→C, the first frame of a connection: prove who you are."""

    protocol: Annotated[int, Meta(ge=1, le=2**31)]
    nonce: Annotated[str, Meta(min_length=16, max_length=128, pattern="^[A-Za-z0-9+/=]*\\Z")]


class Hello(Message, frozen=True):
    """C→S: the public key and the signature over the challenge (auth.py)."""

    key: Base64
    signature: Base64
    got: bool = False


class Limits(Struct, frozen=True):
    """What the server takes: bytes a frame, characters a payload, topics and watched ids a node, seconds stored."""

    max_message: Annotated[int, Meta(ge=1, le=2**31)]
    max_payload: Annotated[int, Meta(ge=0, le=2**31)] = MAX_PAYLOAD
    max_topics: Annotated[int, Meta(ge=0, le=2**31)] = 0
    max_watched: Annotated[int, Meta(ge=0, le=2**31)] = 0
    max_ttl: Annotated[float, Meta(ge=0, le=86400)] = MAX_TTL


class Welcome(Message, frozen=True):
    """S→C: the id that was proved, and everything a client needs from here on."""

    id: NodeId
    limits: Limits
    keepalive: Seconds
    turn: TurnList = []


class Send(Message, frozen=True):
    """C→S: a message for one node."""

    to: NodeId
    payload: Payload
    id: MessageId
    ref: Ref
    ttl: Ttl = 30.0


class Publish(Message, frozen=True):
    """C→S: a message for all who are subscribed to a topic now."""

    topic: Topic
    payload: Payload
    id: MessageId
    ref: Ref


class Subscribe(Message, frozen=True):
    """C→S: from now on, what is published to a topic."""

    topic: Topic
    ref: Ref


class Unsubscribe(Message, frozen=True):
    """C→S: no more of a topic."""

    topic: Topic
    ref: Ref


class Watch(Message, frozen=True):
    """C→S: the whole set of ids whose presence is wanted."""

    ids: Annotated[list[NodeId], Meta(max_length=MAX_WATCHED)]
    ref: Ref


class Got(Message, frozen=True):
    """C→S: every numbered message of this connection up to `seq` has arrived."""

    seq: Ref


class Delivered(Message, frozen=True):
    """S→C: written to that many connections."""

    ref: Ref
    receivers: Annotated[int, Meta(ge=0, le=2**31)] = 1


class Queued(Message, frozen=True):
    """S→C: waiting in the receiver's mailbox."""

    ref: Ref


class Done(Message, frozen=True):
    """S→C: a subscribe, unsubscribe or watch is in force."""

    ref: Ref


class Error(Message, frozen=True):
    """S→C: refused, and why; `code` is one of ERROR_CODES."""

    code: Annotated[str, Meta(min_length=1, max_length=32)]
    text: Text = ""
    ref: Ref | None = None


class Incoming(Message, frozen=True, tag="message"):
    """S→C: what a node sent or published."""

    sender: NodeId
    payload: Payload
    id: MessageId
    topic: Topic | None = None
    seq: Ref | None = None


class Presence(Message, frozen=True):
    """S→C: whether a watched id has a connection to this server, or to another of its cluster."""

    id: NodeId
    online: bool


class Turn(Message, frozen=True):
    """S→C: TURN credentials that replace the former ones."""

    turn: TurnList


class Drain(Message, frozen=True):
    """S→C: leave, at a random moment within so many seconds."""

    within: Seconds = 2.0


ClientMessage = Hello | Send | Publish | Subscribe | Unsubscribe | Watch | Got
ServerMessage = (
    Challenge | Welcome | Delivered | Queued | Done | Error | Incoming | Presence | Turn | Drain
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_from_client: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_from_server: msgspec.json.Decoder[ServerMessage] = msgspec.json.Decoder(ServerMessage)


def encode(message: ClientMessage | ServerMessage) -> bytes:
    """One frame's UTF-8 text."""
    return _encoder.encode(message)


def decode_client(frame: str | bytes) -> ClientMessage:
    """What a client sent; raises DecodeError for anything else."""
    message: ClientMessage = _decode(_from_client, frame)
    return message


def decode_server(frame: str | bytes) -> ServerMessage:
    """What a server sent; raises DecodeError for anything else."""
    message: ServerMessage = _decode(_from_server, frame)
    return message


def _decode(decoder: msgspec.json.Decoder[Any], frame: str | bytes) -> Any:
    if len(frame) > MAX_MESSAGE:
        raise DecodeError(f"{len(frame)} bytes, but a message has at most {MAX_MESSAGE}")
    try:
        return decoder.decode(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        # RecursionError: an unknown member may be nested ever so deeply.
        raise DecodeError(printable(str(error))) from None
