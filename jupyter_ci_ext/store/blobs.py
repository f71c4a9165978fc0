"""Contents of files on disk, each stored once under its SHA-256: ``blobs/ab/<sha256>``.

A content is written beside its place, in ``blobs/tmp/<instance>/``, synced, and renamed when it is
whole: a blob is there completely or not at all. Hashing and writing happen on threads, a chunk at
a time. Whoever breaks off leaves nothing behind, and what a killed process left in its own ``tmp``
is swept by the next one that starts.

Between writing a content and storing the row that refers to it a blob is *held*, so that the
deletion of another file of equal content does not take it away.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import time
from collections.abc import (
    AsyncGenerator,
    AsyncIterable,
    AsyncIterator,
    Callable,
    Iterable,
    Sequence,
)
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .. import to_thread
from ..errors import PayloadTooLarge, StoreError
from . import contents
from .chunks import file_chunks
from .contents import CHUNK, Draft
from .faults import disk_fault
from .uninterrupted import on_disk, uninterrupted

HOLD_SECONDS = 900.0
"""How long a content without a row is held for whoever wrote it."""

_STRIDE = 16 * CHUNK
"""Bytes of a file that are copied at a time; as long giving up may take."""


@dataclass(frozen=True)
class Blob:
    """A stored content; ``md5`` only where it was asked for."""

    sha256: str
    size: int
    md5: str | None = None


class OwnFile(NamedTuple):
    """A file that nobody else can write to, its hash and size being known."""

    path: Path
    sha256: str
    size: int


class Blobs:
    """The contents below one directory, as one server instance sees them."""

    def __init__(self, root: Path, instance: str) -> None:
        self.root = root
        self.freed = 0
        """Bytes of all contents that this instance has deleted."""
        self._tmp = root / "tmp"
        self._instance = instance
        self._held: dict[str, list[float]] = {}
        self._placing = asyncio.Lock()

    def path(self, sha256: str) -> Path:
        """Where the content is on disk; for reading only."""
        if not contents.SHA256.fullmatch(sha256):
            raise ValueError(f"not a SHA-256: {sha256!r}")
        return self.root / sha256[:2] / sha256

    @asynccontextmanager
    async def writer(
        self, *, max_bytes: int | None = None, md5: bool = False
    ) -> AsyncIterator[BlobWriter]:
        """Take a content piece by piece; without `BlobWriter.finish` nothing is kept."""
        tmp = self._tmp / self._instance / secrets.token_hex(8)
        writer = BlobWriter(self, tmp, max_bytes, md5)
        try:
            yield writer
        finally:
            await writer.abandon()

    async def put(
        self,
        source: AsyncIterable[bytes] | bytes | Path | int,
        *,
        max_bytes: int | None = None,
        md5: bool = False,
    ) -> Blob:
        """Store what an async iterator, a path or a file descriptor gives, or some bytes.

        A path must be a regular file and no symlink; it is left in place. A descriptor is read
        from its beginning and stays open. Raises `PayloadTooLarge` beyond *max_bytes* and
        `StoreError`; then nothing is kept.
        """
        async with self.writer(max_bytes=max_bytes, md5=md5) as writer:
            if isinstance(source, bytes):
                await writer.write(source)
            elif isinstance(source, int):
                await writer.copy(source)
            elif isinstance(source, Path):
                async with _opened(source) as descriptor:
                    await writer.copy(descriptor)
            else:
                async for chunk in source:
                    await writer.write(chunk)
            return await writer.finish()

    async def adopt(self, files: Sequence[OwnFile]) -> list[Blob]:
        """Store files of our own by moving them here; many at once cost less than one by one.

        Nobody else may be able to write to them. A file is gone from its path afterwards, or,
        where the content was there already or the path is on another file system, the caller's
        to delete. When it fails that is so of all of them.
        """
        if not files:
            return []
        paths = [file.path for file in files]
        beside = await on_disk(partial(contents.synced_beside, paths, self.root), self.root)
        await self._settle(
            [file for file, is_beside in zip(files, beside, strict=True) if is_beside]
        )
        return [
            Blob(file.sha256, file.size) if is_beside else await self.put(file.path)
            for file, is_beside in zip(files, beside, strict=True)
        ]

    async def read(
        self, sha256: str, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The content from byte *start* up to but not including *end*, in chunks."""
        async with _opened(self.path(sha256)) as descriptor:
            try:
                async with aclosing(file_chunks(descriptor, start, end)) as chunks:
                    async for chunk in chunks:
                        yield chunk
            except OSError as error:
                raise _unreadable(error) from error

    async def exists(self, sha256: str) -> bool:
        """Whether the content is there."""
        return await to_thread.run_sync(self.is_there, sha256)

    def is_there(self, sha256: str) -> bool:
        """The same where one may wait for the disk: on a connection's thread."""
        return self.path(sha256).is_file()

    async def place(self, draft: Draft) -> None:
        """Give a synced draft its name, unless its content is there; and hold it."""
        await self._settle([OwnFile(draft.path, draft.sha256, draft.size)])

    async def _settle(self, files: Sequence[OwnFile]) -> None:
        moves = [contents.Move(path, self.path(sha256), size) for path, sha256, size in files]
        async with self._placing:
            await on_disk(partial(contents.settle, moves), self.root)
            for file in files:
                self._held.setdefault(file.sha256, []).append(time.monotonic())

    def let_go(self, sha256: str) -> None:
        """End one hold of a content: its row is stored, or never will be."""
        holds = self._held.get(sha256, [])
        del holds[:1]
        if not holds:
            self._held.pop(sha256, None)

    def let_go_all(self) -> set[str]:
        """End all holds; returns the contents that were held."""
        held, self._held = set(self._held), {}
        return held

    async def remove(self, hashes: Iterable[str]) -> None:
        """Delete contents that are not held; the caller knows that no row refers to them."""
        async with self._placing:
            now = time.monotonic()
            for sha256, holds in list(self._held.items()):
                self._held[sha256] = [since for since in holds if now - since < HOLD_SECONDS]
            paths = [self.path(sha256) for sha256 in hashes if not self._held.get(sha256)]
            self.freed += await on_disk(partial(contents.unlink, paths), self.root)

    async def list(self, older_than: float) -> list[str]:
        """The hashes of all contents written before *older_than* (Unix time in seconds)."""
        return await on_disk(partial(contents.listed, self.root, older_than), self.root)

    async def sweep(self, alive: Callable[[str], bool]) -> None:
        """Remove what instances that are not *alive* left unfinished."""
        await on_disk(partial(contents.sweep, self._tmp, alive), self.root)


class BlobWriter:
    """Takes one content piece by piece; from `Blobs.writer`."""

    def __init__(self, blobs: Blobs, tmp: Path, max_bytes: int | None, md5: bool) -> None:
        self.size = 0
        self._blobs = blobs
        self._draft = Draft(tmp, md5=md5)
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._pending = 0
        self._working: asyncio.Future[Any] | None = None

    async def write(self, data: bytes) -> None:
        """Add *data*; small pieces are gathered, memory stays at about two chunks.

        One chunk is hashed and written while the next one comes, so trouble is heard of later.
        Raises `PayloadTooLarge` beyond the limit, `StoreError` when the disk refuses.
        """
        self._count(len(data))
        self._pieces.append(bytes(data))
        self._pending += len(data)
        if self._pending >= CHUNK:
            await self._worked()
            self._flush()

    async def copy(self, descriptor: int) -> None:
        """Add the open file *descriptor*, from its beginning to its end; raises as `write` does."""
        self._flush()
        at, count = 0, -1
        while count:
            await self._worked()
            # of what is too long, one byte too many is read
            most = _STRIDE if self._max_bytes is None else self._max_bytes - self.size + 1
            read = to_thread.start(self._draft.append_from, descriptor, at, min(most, _STRIDE))
            self._working = read
            await self._worked()
            count = read.result()
            self._count(count)
            at += count

    async def finish(self) -> Blob:
        """Make the content whole and durable under its name, held until a row refers to it."""
        await self._worked()
        self._flush()
        await self._worked()
        draft = self._draft
        await on_disk(draft.sync, self._blobs.root)
        await self._blobs.place(draft)
        return Blob(draft.sha256, draft.size, draft.md5)

    async def abandon(self) -> None:
        """Remove what is left of the temporary file."""
        await uninterrupted(self._abandon())

    async def _abandon(self) -> None:
        if self._working is not None:
            await asyncio.gather(self._working, return_exceptions=True)
        if self._draft.made:
            await on_disk(self._draft.close, self._blobs.root)

    def _count(self, more: int) -> None:
        self.size += more
        if self._max_bytes is not None and self.size > self._max_bytes:
            raise PayloadTooLarge(f"The file is larger than the limit of {self._max_bytes} bytes.")

    def _flush(self) -> None:
        pieces, self._pieces, self._pending = self._pieces, [], 0
        if pieces:
            self._working = to_thread.start(self._draft.append, pieces)

    async def _worked(self) -> None:
        """Wait for the thread, to its end whoever gives up waiting."""
        if self._working is None:
            return
        await asyncio.sleep(0)  # a turn for others, and for a cancellation, also if it is done
        try:
            await uninterrupted(self._working)
        except OSError as error:
            raise disk_fault(error, self._blobs.root) from error
        self._working = None


@asynccontextmanager
async def _opened(path: Path) -> AsyncIterator[int]:
    """A descriptor of the regular file at *path*."""
    try:
        descriptor = await uninterrupted(to_thread.start(contents.open_regular, path))
    except OSError as error:
        raise _unreadable(error) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _unreadable(error: OSError) -> StoreError:
    return StoreError(f"A stored file cannot be read: {error.strerror}.")
