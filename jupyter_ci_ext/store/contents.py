"""Files of contents: what is done to them on threads. Everything here blocks."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from .writeback import WriteBack

CHUNK = 2**20
"""Bytes that are read, hashed and written at a time."""

SHA256 = re.compile(r"[0-9a-f]{64}")

# Of more pieces than this a chunk is made: one call of the system for each would cost more.
_MOST_PIECES = 16

_SYNCS = 4
"""Files that are synced at a time."""


class Draft:
    """A content that is not whole yet: a temporary file at *path*, and its hashes.

    The file is made with the first bytes. One thread at a time may use it.
    """

    def __init__(self, path: Path, *, md5: bool) -> None:
        self.path = path
        self.size = 0
        self._sha256 = hashlib.sha256()
        self._md5 = hashlib.md5(usedforsecurity=False) if md5 else None
        self._fd = -1
        self._writeback = WriteBack(-1)

    @property
    def made(self) -> bool:
        """Whether there is a file to close."""
        return self._fd >= 0

    @property
    def sha256(self) -> str:
        """Of the bytes so far."""
        return self._sha256.hexdigest()

    @property
    def md5(self) -> str | None:
        """Of the bytes so far, if it was asked for."""
        return None if self._md5 is None else self._md5.hexdigest()

    def append(self, pieces: Sequence[bytes]) -> None:
        """Add *pieces*, in this order."""
        if not self.made:
            self._open()
        for piece in pieces if len(pieces) <= _MOST_PIECES else [b"".join(pieces)]:
            self._append(piece)
        self._writeback.reached(self.size)

    def append_from(self, source: int, at: int, most: int) -> int:
        """Add at most *most* bytes of the file *source* from *at* on; how many it were."""
        if not self.made:
            self._open()
        end = at
        while end < at + most:
            chunk = os.pread(source, min(CHUNK, at + most - end), end)
            if not chunk:
                break
            end += len(chunk)
            self._append(chunk)
        self._writeback.reached(self.size)
        return end - at

    def sync(self) -> None:
        """Wait until all of it is on the disk."""
        self.append(())  # an empty content has a file as well
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file and remove it from its place, if it is still there; it is `made`."""
        fd, self._fd = self._fd, -1
        os.close(fd)
        self.path.unlink(missing_ok=True)

    def _open(self) -> None:
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        self._fd = os.open(self.path, flags, 0o600)
        self._writeback = WriteBack(self._fd)

    def _append(self, piece: bytes) -> None:
        self._sha256.update(piece)
        if self._md5 is not None:
            self._md5.update(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._fd, rest) :]
        self.size += len(piece)


def open_regular(path: Path) -> int:
    """A descriptor of the regular file at *path* for reading; OSError if it is anything else."""
    # O_NONBLOCK: opening a FIFO must not wait for its writer
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise OSError(0, "not a regular file")
    return fd


def synced_beside(paths: Sequence[Path], root: Path) -> list[bool]:
    """Which of the files are on the file system of *root*; those have been synced.

    Several at a time: a file system writes down together what it is asked for together.
    """
    device = root.stat().st_dev
    with ThreadPoolExecutor(min(_SYNCS, len(paths))) as syncing:
        return list(syncing.map(partial(_synced, device=device), paths))


def _synced(path: Path, device: int) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        if os.fstat(fd).st_dev != device:
            return False
        os.fsync(fd)
        return True
    finally:
        os.close(fd)


class Move(NamedTuple):
    """A synced file of *size* bytes at *tmp*, to be renamed to *place*."""

    tmp: Path
    place: Path
    size: int


def settle(moves: Iterable[Move]) -> None:
    """Rename files for good, but for those whose content is in its place already."""
    changed: set[Path] = set()
    for tmp, place, size in moves:
        folder = place.parent
        try:
            there = place.stat().st_size == size
        except FileNotFoundError:
            there = False
            if not folder.exists():
                folder.mkdir(mode=0o700, exist_ok=True)
                changed.add(folder.parent)
        if not there:
            tmp.rename(place)
        changed.add(folder)  # also of what is there: whoever put it may not have come so far
    # After all of the renames: the first sync writes them all down, and finds little left to do.
    for folder in changed:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def unlink(paths: Iterable[Path]) -> int:
    """Delete files, those that are there; how many bytes they had."""
    freed = 0
    for path in paths:
        try:
            size = path.stat().st_size
            path.unlink()
        except FileNotFoundError:
            continue
        freed += size
    return freed


def listed(root: Path, older_than: float) -> list[str]:
    """The hashes of the contents below *root* that were written before *older_than*."""
    found: list[str] = []
    for directory in root.iterdir():
        if len(directory.name) == 2:
            with os.scandir(directory) as entries:
                found += [
                    entry.name
                    for entry in entries
                    if SHA256.fullmatch(entry.name) and entry.stat().st_mtime < older_than
                ]
    return found


def sweep(tmp: Path, alive: Callable[[str], bool]) -> None:
    """Delete the directories in *tmp* of those that are not *alive*."""
    for directory in tmp.iterdir():
        if not alive(directory.name):
            shutil.rmtree(directory, ignore_errors=True)
