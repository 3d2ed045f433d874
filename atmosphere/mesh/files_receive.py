"""The receiving side of a file transfer."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from atmosphere.errors import DecodeError, LinkError, StreamReset
from atmosphere.mesh import files_wire as wire
from atmosphere.mesh.files_send import FileResult, Progress, place
from atmosphere.mesh.files_source import reason
from atmosphere.mesh.inbox import RESERVE, Inbox, Incoming, Staging

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Limits:
    """What one transfer may bring."""

    files: int = 200_000
    """Files and folders."""
    size: int | None = None
    """Bytes in all; None: as the disk allows."""
    reserve: int = RESERVE
    """Bytes that stay free on the disk."""


async def receive_files(
    stream: wire.StreamFace,
    inbox: Path,
    *,
    peer_name: str,
    progress: Progress | None = None,
    limits: Limits | None = None,
) -> list[FileResult]:
    """Take one transfer into the inbox; what became of each file.

    `peer_name` tells whose interrupted transfers may be taken up: a name or an id that stays the same. LinkError when
    the stream ends before all is there; what has come waits to be taken up. The stream is ended or reset when this
    returns.
    """
    limits = limits or Limits()
    receiving = _Receiving(stream, Inbox(inbox, reserve=limits.reserve), peer_name, progress, limits)
    try:
        await receiving.run()
        if await stream.read(1):
            raise DecodeError("something after the end")
        await stream.close()
    except asyncio.IncompleteReadError as error:
        stream.reset("incomplete")
        raise StreamReset("the other side ended in the middle of a transfer") from error
    except DecodeError as error:
        stream.reset("not a message about files")
        raise LinkError(f"the other side sent what is no transfer: {error}") from error
    except BaseException:
        stream.reset("given up")
        raise
    return receiving.results


class _Receiving:
    """One transfer, heard in order."""

    def __init__(
        self, stream: wire.StreamFace, inbox: Inbox, peer: str, progress: Progress | None, limits: Limits
    ) -> None:
        self.results: list[FileResult] = []
        self._stream = stream
        self._inbox = inbox
        self._peer = peer
        self._progress = progress or (lambda name, done, total: None)
        self._limits = limits
        self._count = 0
        self._done = 0
        self._total: int | None = None

    async def run(self) -> None:
        begin = await wire.read_sent(self._stream)
        if not isinstance(begin, wire.Begin) or begin.version != wire.VERSION:
            raise DecodeError("a transfer of another version")
        self._total = begin.size
        while not isinstance(message := await wire.read_sent(self._stream), wire.End):
            if not isinstance(message, wire.Item):
                raise DecodeError("neither an item nor the end")
            await self._item(message)

    async def _item(self, item: wire.Item) -> None:
        """Take in an item; where it cannot be put anywhere, refuse each of its files."""
        receiving = _Item(item)
        try:
            key = item.token + self._peer.encode(errors="replace")
            receiving.staging = await asyncio.to_thread(self._inbox.stage, item.name, item.folder, key)
        except OSError as error:
            receiving.error = reason(error)
            logger.warning("the inbox %s cannot be written: %s", self._inbox.path, error)
        try:
            while not isinstance(message := await wire.read_sent(self._stream), wire.ItemEnd):
                self._count += 1
                if isinstance(message, wire.Folder):
                    await self._folder(receiving, message)
                elif isinstance(message, wire.File):
                    await self._file(receiving, message)
                else:
                    raise DecodeError("neither a file, nor a folder, nor the end of the item")
            await self._say(await asyncio.to_thread(receiving.place))
        finally:
            await asyncio.to_thread(receiving.release)

    async def _folder(self, item: _Item, message: wire.Folder) -> None:
        if item.staging is None or self._count > self._limits.files:
            return
        try:
            await asyncio.to_thread(item.staging.make_folder, message.path)
        except (OSError, DecodeError) as error:
            logger.info("a folder was not made: %s", error)

    async def _file(self, item: _Item, message: wire.File) -> None:
        result = FileResult(wire.printable("/".join((item.name, *message.path))), message.size or 0)
        self.results.append(result)
        item.results.append(result)
        incoming = None
        try:
            incoming = await asyncio.to_thread(self._open, item, message)
        except (OSError, DecodeError) as error:
            result.error = reason(error)
            await self._say(wire.Done(result.error))
            if message.ask:
                return
        try:
            if message.ask and incoming is not None:
                await self._agree(incoming, result)
            await self._content(item, incoming, result)
        finally:
            if incoming is not None:
                # What has no size came from a pipe, and will not come again.
                await asyncio.to_thread(incoming.discard if message.size is None else incoming.close)

    def _open(self, item: _Item, message: wire.File) -> Incoming:
        """Where a file goes; OSError or DecodeError when it is refused."""
        if item.staging is None:
            raise OSError(item.error)
        if self._count > self._limits.files:
            raise OSError(f"more than {self._limits.files} files at once")
        if self._limits.size is not None and self._done + (message.size or 0) > self._limits.size:
            raise OSError(f"more than {self._limits.size} bytes at once")
        return item.staging.file(message.path, message.size, executable=message.executable, resume=message.ask)

    async def _agree(self, incoming: Incoming, result: FileResult) -> None:
        """Say how much is here already and hear from where it goes on."""
        await self._say(wire.Answer(incoming.offset, incoming.digest.digest()))
        start = await wire.read_sent(self._stream)
        if not isinstance(start, wire.Start) or start.offset not in (0, incoming.offset):
            raise DecodeError("not the start of a file")
        if start.offset == 0:
            await asyncio.to_thread(incoming.restart)
        result.resumed_at = start.offset
        self._done += start.offset

    async def _content(self, item: _Item, incoming: Incoming | None, result: FileResult) -> None:
        """Take in the content; after a failure, which is told at once, let the rest go by."""
        while data := await wire.read_piece(self._stream):
            self._done += len(data)
            self._progress(result.name, self._done, self._total)
            if incoming is None or result.error:
                continue
            try:
                await asyncio.to_thread(self._write, item, incoming, data)
            except OSError as error:
                result.error = reason(error)
                await self._say(wire.Done(result.error))
        total = await wire.read_sent(self._stream)
        if not isinstance(total, wire.Sum):
            raise DecodeError("not the end of a file")
        if incoming is not None:
            await self._finish(incoming, total, result)

    def _write(self, item: _Item, incoming: Incoming, data: bytes) -> None:
        if self._limits.size is not None and self._done > self._limits.size:
            raise OSError(f"more than {self._limits.size} bytes at once")
        if item.staging is not None and not item.staging.has_room():
            raise OSError("there is not enough room on the disk")
        incoming.write(data)

    async def _finish(self, incoming: Incoming, total: wire.Sum, result: FileResult) -> None:
        told = bool(result.error)
        result.size = incoming.offset
        if not told and total.error:
            result.error = f"the sender could not read it: {wire.printable(total.error)}"
        elif not told and total.sha256 != incoming.digest.digest():
            result.error = "it arrived damaged"
        try:
            await asyncio.to_thread(incoming.discard if result.error else incoming.finish)
        except OSError as error:
            result.error = reason(error)
        if not result.error:
            result.saved_as = incoming.saved_as
        if not told:
            await self._say(wire.Done(result.error, result.saved_as))

    async def _say(self, message: wire.Returned) -> None:
        self._stream.write(wire.encode(message))
        await self._stream.drain()


class _Item:
    """An item that is arriving."""

    def __init__(self, message: wire.Item) -> None:
        self.name = message.name
        self.staging: Staging | None = None
        self.error = ""
        self.results: list[FileResult] = []

    def place(self) -> wire.Placed:
        """Put the item where it belongs, with what arrived of it."""
        name = ""
        if self.staging is not None:
            try:
                name = self.staging.place()
            except OSError as error:
                self.error = reason(error)
        place(self.results, name, self.error)
        return wire.Placed(name, self.error)

    def release(self) -> None:
        """Leave what there is for another time."""
        if self.staging is not None:
            self.staging.release()
