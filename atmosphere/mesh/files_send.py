"""The sending side of a file transfer."""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from atmosphere.errors import DecodeError, LinkError, StreamReset
from atmosphere.mesh import files_wire as wire
from atmosphere.mesh.files_source import Entry, Reading, Source, SourceItem, hash_beginning, look_up, reason
from atmosphere.tasks import Tasks

ASK_FROM = 1 << 20
"""Files of so many bytes are asked about before they are sent: it costs a round trip, and may save sending them."""

Progress = Callable[[str, int, int | None], None]
"""Told the name of what is under way, the bytes done, and the bytes in all (None: unknown)."""


class FileResult(msgspec.Struct):
    """What became of one file."""

    name: str
    """Its path, as the sender calls it."""
    size: int = 0
    saved_as: str = ""
    """Its path in the receiver's inbox."""
    error: str = ""
    """Why it is not there; empty when it is."""
    resumed_at: int = 0
    """How many bytes were there already."""

    @property
    def ok(self) -> bool:
        """Whether it arrived whole."""
        return not self.error


async def send_paths(
    stream: wire.StreamFace,
    paths: Sequence[Path | Source],
    *,
    as_name: str | None = None,
    progress: Progress | None = None,
) -> list[FileResult]:
    """Send files and folders over a stream of their own; what became of each, in order, also of what was left out.

    `as_name` renames the first. LinkError when the stream ends before all is done: then send the same again, and it
    goes on where it was. The stream is ended or reset when this returns.
    """
    items = [await asyncio.to_thread(look_up, path, None if number else as_name) for number, path in enumerate(paths)]
    answers = _Answers(stream)
    tasks = Tasks("sending files")
    tasks.spawn(answers.listen(), "answers")
    try:
        results = await _Sending(stream, answers, items, progress).run()
    except DecodeError as error:
        stream.reset("not a message about files")
        raise LinkError(f"the other side answered what makes no sense: {error}") from error
    except BaseException:
        stream.reset("given up")
        raise
    finally:
        await tasks.close()
    await stream.close()
    return results


class _Answers:
    """What the receiver says, and whom it concerns: it answers in the order in which it was told."""

    def __init__(self, stream: wire.StreamFace) -> None:
        self._stream = stream
        self._files: deque[FileResult] = deque()
        self._items: deque[list[FileResult]] = deque()
        self._offer: wire.Answer | None = None
        self._asking = False
        self._changed = asyncio.Event()
        self._failure: Exception | None = None

    def expect_file(self, result: FileResult) -> None:
        """A file was announced."""
        self._files.append(result)

    def expect_item(self, results: list[FileResult]) -> None:
        """An item was ended."""
        self._items.append(results)

    def is_expected(self, result: FileResult) -> bool:
        """Whether nothing final was said yet about a file that was announced."""
        self._raise_failure()
        return any(waiting is result for waiting in self._files)

    async def offer(self, result: FileResult) -> wire.Answer | None:
        """The answer about a file that asked; None when it is not wanted. DecodeError or LinkError."""
        self._asking = True
        while self.is_expected(result) and self._offer is None:
            await self._wait()
        self._asking, offer, self._offer = False, self._offer, None
        return offer

    async def all(self) -> None:
        """Wait until everything is answered. DecodeError or LinkError."""
        while self._files or self._items:
            self._raise_failure()
            await self._wait()

    async def listen(self) -> None:
        """Take in what the receiver says, until it ends."""
        try:
            while True:
                self._take(await wire.read_returned(self._stream))
                self._changed.set()
        except asyncio.IncompleteReadError:
            self._failure = StreamReset("the other side ended in the middle of a transfer")
        except (DecodeError, LinkError) as error:
            self._failure = error
        self._changed.set()

    def _take(self, message: wire.Returned) -> None:
        if isinstance(message, wire.Answer) and self._asking and self._offer is None:
            self._offer = message
        elif isinstance(message, wire.Done) and self._files:
            result = self._files.popleft()
            result.error, result.saved_as = wire.printable(message.error), wire.printable(message.saved_as)
        elif isinstance(message, wire.Placed) and self._items:
            place(self._items.popleft(), wire.printable(message.name), wire.printable(message.error))
        else:
            raise DecodeError("an answer that nobody asked for")

    async def _wait(self) -> None:
        """Wait for news. The end of the other side may be among them, and is no failure once all is answered."""
        self._changed.clear()
        await self._changed.wait()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure


def place(results: list[FileResult], name: str, error: str) -> None:
    """Tell the files of an item, which know where they are within it, where it was put; or why nowhere."""
    for result in results:
        if result.ok and name:
            result.saved_as = f"{name}/{result.saved_as}".rstrip("/")
        else:
            result.error, result.saved_as = result.error or error or "it was not kept", ""


class _Sending:
    """One transfer, told in order."""

    def __init__(
        self, stream: wire.StreamFace, answers: _Answers, items: list[SourceItem], progress: Progress | None
    ) -> None:
        self._stream = stream
        self._answers = answers
        self._items = items
        self._progress = progress or (lambda name, done, total: None)
        sizes = [item.size for item in items]
        self._total = None if None in sizes else sum(size or 0 for size in sizes)
        self._done = 0
        self._results: list[FileResult] = []

    async def run(self) -> list[FileResult]:
        """Send everything and hear that it is there."""
        files = sum(not entry.folder for item in self._items for entry in item.entries)
        await self._say(wire.Begin(wire.VERSION, files, self._total))
        for item in self._items:
            self._results += [FileResult(name, error=why) for name, why in item.left_out]
            if item.entries:
                await self._item(item)
        await self._say(wire.End())
        await self._stream.write_eof()
        await self._answers.all()
        return self._results

    async def _item(self, item: SourceItem) -> None:
        results: list[FileResult] = []
        await self._say(wire.Item(item.name, item.folder, item.token))
        for entry in item.entries:
            if entry.folder:
                await self._say(wire.Folder(list(entry.path)))
                continue
            result = FileResult("/".join((item.name, *entry.path)), entry.size or 0)
            self._results.append(result)
            before = self._done
            await self._file(entry, result, results)
            if entry.size is not None:  # whether it was sent or not, that much is behind us
                self._done = before + entry.size
            self._progress(result.name, self._done, self._total)
        self._answers.expect_item(results)
        await self._say(wire.ItemEnd())

    async def _file(self, entry: Entry, result: FileResult, announced: list[FileResult]) -> None:
        """Send one file; those of which the receiver is told join `announced`."""
        assert entry.source is not None  # noqa: S101 - every file has one
        try:
            reading = await asyncio.to_thread(Reading, entry.source)
        except OSError as error:
            result.error = reason(error)
            return
        announced.append(result)
        try:
            ask = (entry.size or 0) >= ASK_FROM
            self._answers.expect_file(result)
            await self._say(wire.File(list(entry.path), entry.size, entry.executable, ask))
            digest = await self._agree(reading, result) if ask else hashlib.sha256()
            if digest is not None:
                await self._content(reading, result, digest)
        finally:
            await asyncio.to_thread(reading.close)

    async def _agree(self, reading: Reading, result: FileResult) -> hashlib._Hash | None:
        """Hear how much is there already; the hash of what need not be sent, or None when nothing is wanted."""
        offer = await self._answers.offer(result)
        if offer is None:
            return None
        digest = await asyncio.to_thread(hash_beginning, reading.read, offer.offset)
        result.resumed_at = offer.offset
        if digest.digest() != offer.sha256:
            await asyncio.to_thread(reading.rewind)
            digest, result.resumed_at = hashlib.sha256(), 0
        self._done += result.resumed_at
        await self._say(wire.Start(result.resumed_at))
        return digest

    async def _content(self, reading: Reading, result: FileResult, digest: hashlib._Hash) -> None:
        """Send what there is to read, until the receiver has had enough of it."""
        error, size = "", result.resumed_at
        while self._answers.is_expected(result):
            try:
                data = await asyncio.to_thread(_read, reading, digest)
            except OSError as failure:
                error = reason(failure)
                break
            if not data:
                break
            self._stream.write(wire.piece(data))
            await self._stream.drain()
            size += len(data)
            self._done += len(data)
            self._progress(result.name, self._done, self._total)
        result.size = size
        self._stream.write(wire.piece(b""))
        await self._say(wire.Sum(digest.digest(), error))

    async def _say(self, message: wire.Sent) -> None:
        self._stream.write(wire.encode(message))
        await self._stream.drain()


def _read(reading: Reading, digest: hashlib._Hash) -> bytes:
    data = reading.read(wire.PIECE)
    digest.update(data)
    return data
