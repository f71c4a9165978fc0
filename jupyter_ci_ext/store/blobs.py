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
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from .. import to_thread
from ..errors import PayloadTooLarge, StoreError
from .uninterrupted import on_disk, uninterrupted

T = TypeVar("T")

CHUNK = 2**20
"""Bytes that are hashed, written or read on a thread at a time."""

HOLD_SECONDS = 900.0
"""How long a content without a row is held for whoever wrote it."""

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Blob:
    """A stored content; ``md5`` only where it was asked for."""

    sha256: str
    size: int
    md5: str | None = None


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
        if not _SHA256.fullmatch(sha256):
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
            elif isinstance(source, (Path, int)):
                async with aclosing(_file_chunks(source)) as chunks:
                    async for chunk in chunks:
                        await writer.write(chunk)
            else:
                async for chunk in source:
                    await writer.write(chunk)
            return await writer.finish()

    async def adopt(self, path: Path, sha256: str, size: int) -> Blob:
        """Store a file of our own by moving it here, its hash and size being known.

        Nobody else may be able to write to it. It is gone from *path* afterwards, or, where the
        content was there already or *path* is on another file system, the caller's to delete.
        """
        if not await on_disk(partial(_synced_beside, path, self.root), self.root):
            return await self.put(path)
        await self.place(path, sha256, size)
        return Blob(sha256, size)

    async def read(
        self, sha256: str, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """The content from byte *start* up to but not including *end*, in chunks."""
        async with aclosing(_file_chunks(self.path(sha256), start, end)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def exists(self, sha256: str) -> bool:
        """Whether the content is there."""
        return await to_thread.run_sync(self.path(sha256).is_file)

    async def place(self, tmp: Path, sha256: str, size: int) -> None:
        """Give a synced temporary file its name, unless its content is there; and hold it."""
        async with self._placing:
            await on_disk(partial(_place, tmp, self.path(sha256), size), self.root)
            self._held.setdefault(sha256, []).append(time.monotonic())

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
            self.freed += await on_disk(partial(_unlink, paths), self.root)

    async def list(self, older_than: float) -> list[str]:
        """The hashes of all contents written before *older_than* (Unix time in seconds)."""
        return await on_disk(partial(_listed, self.root, older_than), self.root)

    async def sweep(self, alive: Callable[[str], bool]) -> None:
        """Remove what instances that are not *alive* left unfinished."""
        await on_disk(partial(_sweep, self._tmp, alive), self.root)


class BlobWriter:
    """Takes one content piece by piece; from `Blobs.writer`."""

    def __init__(self, blobs: Blobs, tmp: Path, max_bytes: int | None, md5: bool) -> None:
        self.size = 0
        self._blobs = blobs
        self._tmp = tmp
        self._max_bytes = max_bytes
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._pieces: list[bytes] = []
        self._pending = 0
        self._fd = -1
        self._flushing: asyncio.Task[None] | None = None

    async def write(self, data: bytes) -> None:
        """Add *data*; small pieces are gathered, memory stays at about two chunks.

        One chunk is hashed and written while the next one comes, so trouble is heard of later.
        Raises `PayloadTooLarge` beyond the limit, `StoreError` when the disk refuses.
        """
        self.size += len(data)
        if self._max_bytes is not None and self.size > self._max_bytes:
            raise PayloadTooLarge(f"The file is larger than the limit of {self._max_bytes} bytes.")
        self._pieces.append(bytes(data))
        self._pending += len(data)
        if self._pending >= CHUNK:
            await uninterrupted(self._flushed())
            pieces, self._pieces, self._pending = self._pieces, [], 0
            flushing = on_disk(partial(self._flush, pieces), self._blobs.root)
            self._flushing = asyncio.ensure_future(flushing)

    async def finish(self) -> Blob:
        """Make the content whole and durable under its name, held until a row refers to it."""
        await uninterrupted(self._flushed())
        await on_disk(self._sync, self._blobs.root)
        sha256 = self._sha256.hexdigest()
        await self._blobs.place(self._tmp, sha256, self.size)
        return Blob(sha256, self.size, self._md5.hexdigest() if self._md5 else None)

    async def abandon(self) -> None:
        """Remove what is left of the temporary file."""
        await uninterrupted(self._abandon())

    async def _abandon(self) -> None:
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)
        if self._fd >= 0:
            await on_disk(self._clean_up, self._blobs.root)

    async def _flushed(self) -> None:
        if self._flushing is not None:
            await self._flushing

    def _flush(self, pieces: list[bytes]) -> None:
        if self._fd < 0:
            self._tmp.parent.mkdir(mode=0o700, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(self._tmp, flags, 0o600)
        for piece in pieces:
            self._sha256.update(piece)
            if self._md5 is not None:
                self._md5.update(piece)
            rest = memoryview(piece)
            while rest:
                rest = rest[os.write(self._fd, rest) :]

    def _sync(self) -> None:
        self._flush(self._pieces)
        os.fsync(self._fd)

    def _clean_up(self) -> None:
        fd, self._fd = self._fd, -1
        os.close(fd)
        self._tmp.unlink(missing_ok=True)


async def _file_chunks(
    source: Path | int, start: int = 0, end: int | None = None
) -> AsyncGenerator[bytes, None]:
    try:
        fd = await _opened(source) if isinstance(source, Path) else source
        try:
            at = start
            while end is None or at < end:
                count = CHUNK if end is None else min(CHUNK, end - at)
                # uninterrupted: the descriptor must not be closed under a thread that reads it
                chunk = await uninterrupted(to_thread.run_sync(os.pread, fd, count, at))
                if not chunk:
                    return
                at += len(chunk)
                yield chunk
        finally:
            if isinstance(source, Path):
                os.close(fd)
    except OSError as error:
        raise StoreError(f"A stored file cannot be read: {error.strerror}.") from error


async def _opened(path: Path) -> int:
    return await uninterrupted(to_thread.run_sync(_open_regular, path))


def _open_regular(path: Path) -> int:
    # O_NONBLOCK: opening a FIFO must not wait for its writer
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(0, "not a regular file")
    return fd


def _synced_beside(path: Path, root: Path) -> bool:
    """Whether *path* is on the file system of *root*; if so it has been synced."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if os.fstat(fd).st_dev != root.stat().st_dev:
            return False
        os.fsync(fd)
        return True
    finally:
        os.close(fd)


def _place(tmp: Path, place: Path, size: int) -> None:
    try:
        if place.stat().st_size == size:
            return
    except FileNotFoundError:
        place.parent.mkdir(mode=0o700, exist_ok=True)
    tmp.rename(place)
    directory = os.open(place.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _unlink(paths: Iterable[Path]) -> int:
    freed = 0
    for path in paths:
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            continue
        freed += size
    return freed


def _listed(root: Path, older_than: float) -> list[str]:
    found: list[str] = []
    for directory in root.iterdir():
        if len(directory.name) == 2:
            with os.scandir(directory) as entries:
                found += [
                    entry.name
                    for entry in entries
                    if _SHA256.fullmatch(entry.name) and entry.stat().st_mtime < older_than
                ]
    return found


def _sweep(tmp: Path, alive: Callable[[str], bool]) -> None:
    for directory in tmp.iterdir():
        if not alive(directory.name):
            shutil.rmtree(directory, ignore_errors=True)
