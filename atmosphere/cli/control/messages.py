"""What passes over the control socket: one JSON document a line.

The client sends one request. The server answers with any number of `progress` lines and then one `done` or `failed`.
Closing the connection cancels the request.
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from atmosphere.errors import DecodeError

MAX_REQUEST = 1 << 20
"""Bytes of one request line; the longest one holds the paths of a `send`."""

MAX_REPLY = 64 << 20
"""Bytes of one reply line; the longest one holds the members of a large mesh."""

Text = Annotated[str, Meta(max_length=4096)]
PeerText = Annotated[str, Meta(min_length=1, max_length=256)]
Seconds = Annotated[float, Meta(gt=0, le=1e9)]


class Invite(msgspec.Struct, tag="invite", tag_field="op"):
    """Make a join code."""

    uses: Annotated[int, Meta(ge=1, le=100_000)] = 1
    expires: Seconds = 3600.0


class Invites(msgspec.Struct, tag="invites", tag_field="op"):
    """List the outstanding join codes."""


class Revoke(msgspec.Struct, tag="revoke", tag_field="op"):
    """Make a join code worthless."""

    id: Text


class Peers(msgspec.Struct, tag="peers", tag_field="op"):
    """List the members."""


class Watch(msgspec.Struct, tag="watch", tag_field="op"):
    """List the members again whenever something changed; with `figures` also every `interval` seconds, since round-trip
    times and bytes change without an event. A change that has no event is looked for as often."""

    interval: Seconds = 2.0
    figures: bool = True


class Status(msgspec.Struct, tag="status", tag_field="op"):
    """This node, its mesh, listeners and servers."""


class Config(msgspec.Struct, tag="config", tag_field="op"):
    """The settings the node runs with."""


class Join(msgspec.Struct, tag="join", tag_field="op"):
    """Join the mesh of `code`; with `manual` the first progress is the reply code to carry back.

    `or_stop`: the node was started for this alone, so it ends when joining fails or nobody waits for it any more.
    """

    code: Text
    name: Text | None = None
    manual: bool = False
    or_stop: bool = False
    timeout: Seconds = 30.0


class Accept(msgspec.Struct, tag="accept", tag_field="op"):
    """Complete a manual join with its reply code."""

    reply: Text


class Ping(msgspec.Struct, tag="ping", tag_field="op"):
    """Ping `peer` `count` times (0: until the client goes) or until the path is direct; progress is a `Pong` each.

    `timeout` and `interval` are each ping's, `within` limits all of them together.
    """

    peer: PeerText
    count: Annotated[int, Meta(ge=0, le=1_000_000)] = 4
    timeout: Seconds = 5.0
    interval: Seconds = 1.0
    until_direct: bool = False
    within: Seconds | None = None


class Explain(msgspec.Struct, tag="explain", tag_field="op"):
    """Why `peer` is reached as it is."""

    peer: PeerText


class Bench(msgspec.Struct, tag="bench", tag_field="op"):
    """Measure the throughput to `peer`, or from it with `reverse`."""

    peer: PeerText
    seconds: Annotated[float, Meta(gt=0, le=600)] = 5.0
    reverse: bool = False
    streams: Annotated[int, Meta(ge=1, le=64)] = 1


class Send(msgspec.Struct, tag="send", tag_field="op"):
    """Send files and folders into the inbox of `peer`; `as_name` renames a single file.

    The paths are absolute, and bytes as the system has them, for a name need not be text.
    """

    peer: PeerText
    paths: Annotated[list[Annotated[bytes, Meta(max_length=4096)]], Meta(min_length=1, max_length=100_000)]
    as_name: Text | None = None


class Remove(msgspec.Struct, tag="remove", tag_field="op"):
    """Revoke the membership of `peer`."""

    peer: PeerText


class Promote(msgspec.Struct, tag="promote", tag_field="op"):
    """Make `peer` an admin."""

    peer: PeerText


class Leave(msgspec.Struct, tag="leave", tag_field="op"):
    """Leave the mesh, forget it, and end the node."""


class Stop(msgspec.Struct, tag="stop", tag_field="op"):
    """End the node; answered when it has ended."""


Request = (
    Invite | Invites | Revoke | Peers | Watch | Status | Config | Join | Accept | Ping | Explain | Bench | Send
    | Remove | Promote | Leave | Stop
)  # fmt: skip


class Pong(msgspec.Struct, frozen=True):
    """One ping and its answer; `rtt_ms` is None when there was none, `route` what its path looks like to people.

    `kind` is None where there was no path, or another one by the time the answer came.
    """

    number: int
    rtt_ms: float | None
    kind: str | None
    route: str
    peer: str


class Progress(msgspec.Struct, tag="progress", tag_field="reply"):
    """Something on the way to the result."""

    data: Any


class Done(msgspec.Struct, tag="done", tag_field="reply"):
    """The result."""

    data: Any = None


class Failed(msgspec.Struct, tag="failed", tag_field="reply"):
    """An error: `kind` as in failures.KINDS, `reason` a CodeError's."""

    kind: str
    message: str
    hint: str | None = None
    reason: str = ""


Reply = Progress | Done | Failed

_encoder = msgspec.json.Encoder(enc_hook=str)
_requests = msgspec.json.Decoder(Request)
_replies = msgspec.json.Decoder(Reply)


def encode(message: Request | Reply) -> bytes:
    """`message` as one line."""
    return _encoder.encode(message) + b"\n"


def decode_request(line: bytes) -> Request:
    """The request of one line; DecodeError for anything else."""
    return _decode(_requests, line, "request")  # type: ignore[no-any-return]


def decode_reply(line: bytes) -> Reply:
    """The reply of one line; DecodeError for anything else."""
    return _decode(_replies, line, "reply")  # type: ignore[no-any-return]


def _decode(decoder: msgspec.json.Decoder[Any], line: bytes, what: str) -> Any:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DecodeError(f"not a control {what}: {error}") from error
