"""What is said on a stream while files travel. One stream carries one transfer.

Each message is a length (4, big-endian) and MessagePack, an array that begins with the message's number. A field that a
newer version adds comes last and is skipped. The sender says

    Begin            then for each thing that was named:
      Item           a file or a folder
        Folder       a folder in it, empty ones too; those above come first
        File         and, where it asks, waits for Answer or Done; then Start; then the content, then Sum
      ItemEnd
    End              and the end of its direction

Content is pieces, each a length (4) and so many bytes, and a length of 0 at the end: a file may grow and shrink while
it is read, and what comes from a pipe has no size. The receiver says, in the order of the files,

    Answer           to a File that asks: how much of it is here already, and its hash; the sender's Start says
                     whether it goes on from there or from 0
    Done             to each File: it is here and its hash is right, or why not; early, where the rest need not be sent
    Placed           to each ItemEnd: what it is called in the inbox

and ends its direction after the sender's.
"""

from __future__ import annotations

from typing import Annotated, Any, Protocol

import msgspec

from atmosphere.errors import DecodeError

VERSION = 1
STREAM = "atmosphere.files"
"""The name of a stream that carries files."""
MAX_MESSAGE = 65536
PIECE = 256 * 1024
"""Bytes of content that are read, sent and written at once."""
MAX_PIECE = 1 << 20

Size = Annotated[int, msgspec.Meta(ge=0, le=1 << 62)]
_Hash = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Path = Annotated[list[str], msgspec.Meta(max_length=256)]
_Token = Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]


class Begin(msgspec.Struct, tag=1, array_like=True, frozen=True):
    """What is coming: version of this protocol, number of files, their size (None: unknown)."""

    version: int
    files: Size
    size: Size | None


class Item(msgspec.Struct, tag=2, array_like=True, frozen=True):
    """A file or folder that was named to be sent; the token is the same when the same is sent again."""

    name: str
    folder: bool
    token: _Token


class Folder(msgspec.Struct, tag=3, array_like=True, frozen=True):
    """A folder within the item."""

    path: _Path


class File(msgspec.Struct, tag=4, array_like=True, frozen=True):
    """A file within the item (the path is empty where the item is the file); `ask`: wait for Answer or Done."""

    path: _Path
    size: Size | None
    executable: bool
    ask: bool


class Start(msgspec.Struct, tag=5, array_like=True, frozen=True):
    """From where the content goes on."""

    offset: Size


class Sum(msgspec.Struct, tag=6, array_like=True, frozen=True):
    """The SHA-256 of the whole file; or why there is no more of it."""

    sha256: _Hash
    error: str = ""


class ItemEnd(msgspec.Struct, tag=7, array_like=True, frozen=True):
    """That was all of the item."""


class End(msgspec.Struct, tag=8, array_like=True, frozen=True):
    """That was all."""


class Answer(msgspec.Struct, tag=16, array_like=True, frozen=True):
    """How much of a file is here already, and the SHA-256 of that much."""

    offset: Size
    sha256: _Hash


class Done(msgspec.Struct, tag=17, array_like=True, frozen=True):
    """A file is here, and what it is called within the item; or why it is not."""

    error: str = ""
    saved_as: str = ""


class Placed(msgspec.Struct, tag=18, array_like=True, frozen=True):
    """What the item is called in the inbox; or why it is not there."""

    name: str
    error: str = ""


Sent = Begin | Item | Folder | File | Start | Sum | ItemEnd | End
Returned = Answer | Done | Placed

_encoder = msgspec.msgpack.Encoder()
_sent = msgspec.msgpack.Decoder(Sent)
_returned = msgspec.msgpack.Decoder(Returned)


class StreamFace(Protocol):
    """What is used of atmosphere.channels.Stream."""

    async def read(self, n: int = -1) -> bytes:
        """Up to n bytes; b"" at the end."""
        ...

    async def readexactly(self, n: int) -> bytes:
        """Exactly n bytes, or asyncio.IncompleteReadError."""
        ...

    def write(self, data: bytes) -> None:
        """Queue bytes."""
        ...

    async def drain(self) -> None:
        """Wait until there is room for more."""
        ...

    async def write_eof(self) -> None:
        """End our direction."""
        ...

    async def close(self) -> None:
        """End both directions."""
        ...

    def reset(self, reason: str = "") -> None:
        """Give the stream up."""
        ...


def encode(message: Sent | Returned) -> bytes:
    """The message with its length in front."""
    data = _encoder.encode(message)
    return len(data).to_bytes(4) + data


def decode_sent(data: bytes) -> Sent:
    """The sender's message in these bytes, without the length; DecodeError for anything else."""
    message: Sent = _decode(_sent, data)
    return message


def decode_returned(data: bytes) -> Returned:
    """The receiver's message in these bytes, without the length; DecodeError for anything else."""
    message: Returned = _decode(_returned, data)
    return message


def _decode(decoder: msgspec.msgpack.Decoder[Any], data: bytes) -> Any:
    try:
        return decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise DecodeError("not a message about files") from error


async def read_sent(stream: StreamFace) -> Sent:
    """The sender's next message; DecodeError, asyncio.IncompleteReadError, or what ended the stream."""
    return decode_sent(await stream.readexactly(_length(await stream.readexactly(4), MAX_MESSAGE)))


async def read_returned(stream: StreamFace) -> Returned:
    """The receiver's next message; DecodeError, asyncio.IncompleteReadError, or what ended the stream."""
    return decode_returned(await stream.readexactly(_length(await stream.readexactly(4), MAX_MESSAGE)))


async def read_piece(stream: StreamFace) -> bytes:
    """The next piece of content, b"" at its end; DecodeError, asyncio.IncompleteReadError, or what ended the stream."""
    length = _length(await stream.readexactly(4), MAX_PIECE)
    return await stream.readexactly(length) if length else b""


def piece(data: bytes) -> bytes:
    """A piece of content as it travels; of b"" it is the end."""
    return len(data).to_bytes(4) + data


def printable(text: str) -> str:
    """A peer's words, fit to be shown."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:256])


def _length(head: bytes, most: int) -> int:
    length = int.from_bytes(head)
    if length > most:
        raise DecodeError(f"{length} bytes at once, of {most} that are allowed")
    return length
