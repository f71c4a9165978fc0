"""Looking at workspaces from outside, whether or not a kernel runs in them.

What is there is hostile, and may be changed or moved at any moment: nothing is opened but through
`jupyter_ci_ext.kernels.collect`, and what is gone when it is looked at counts as not there. The
functions here block and are called in threads.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from jupyter_ci_ext import to_thread
from jupyter_ci_ext.errors import PayloadTooLarge
from jupyter_ci_ext.kernels import collect, record
from jupyter_ci_ext.kernels.slots import Slots
from jupyter_ci_ext.sandbox.monitor import Count
from jupyter_ci_ext.sandbox.policy import human_size


@dataclass(frozen=True)
class FolderFile:
    """A plain file as it stood when it was listed.

    ``name`` is relative to /mnt/data, as the file system has it. ``modified`` is in seconds since
    the epoch, never in the future. ``staged_as`` is the id under which it was put there by
    somebody else than the code.
    """

    name: str
    size: int
    modified: float
    staged_as: str | None = None


@contextmanager
def opened_root(path: Path) -> Iterator[int]:
    """A descriptor of the workspace's folder at *path*."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    # Code may have taken the permissions of its own folder away.
    with suppress(PermissionError):
        os.chmod(path, 0o700)
    root = os.open(path, flags)
    try:
        yield root
    finally:
        os.close(root)


def open_file(path: Path, name: str) -> BinaryIO | None:
    """The file *name* below *path*, verified and open for reading; None if it is no plain file."""
    try:
        with opened_root(path) as root:
            return os.fdopen(collect.open_file(root, name), "rb")
    except (collect.Refused, OSError):
        return None


def check_room(path: Path, size: int, most: int) -> None:
    """Raise `PayloadTooLarge` if *size* more bytes at *path* would be more than *most* (0: any)."""
    count = Count(most)
    count.add(path)
    if most and count.size + size > most:
        raise PayloadTooLarge(
            f"There is no room for this in /mnt/data, whose files may take {human_size(most)}."
        )


class Folders:
    """The workspaces of all sessions, and of those that are over; also while code changes them."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots

    async def keys(self) -> list[str]:
        """Whose workspaces there are."""
        return await to_thread.run_sync(self._slots.keys)

    async def exists(self, key: str) -> bool:
        """Whether there is a workspace of *key*."""
        return await to_thread.run_sync(self._slots.find, key) is not None

    async def files(self, key: str) -> list[FolderFile]:
        """The plain files of *key*, oldest first; dotfiles and caches are left out."""
        return await to_thread.run_sync(self._files, key)

    async def open_file(self, key: str, name: str) -> BinaryIO | None:
        """A file of *key*, verified and open for reading; None if there is none."""
        return await to_thread.run_sync(self._open_file, key, name)

    def _files(self, key: str) -> list[FolderFile]:
        slot = self._slots.find(key)
        if slot is None:
            return []
        staged = {entry.name: file_id for file_id, entry in record.read(slot.record).items()}
        try:
            with opened_root(slot.data) as root:
                found = collect.snapshot(root).files
        except OSError:
            return []
        files = [
            FolderFile(name, mark.size, _modified(mark), staged.get(name))
            for name, mark in found.items()
        ]
        return sorted(files, key=lambda file: (file.modified, file.name))

    def _open_file(self, key: str, name: str) -> BinaryIO | None:
        slot = self._slots.find(key)
        return None if slot is None else open_file(slot.data, name)


def _modified(mark: collect.Signature) -> float:
    """Code may set a file's times as it likes, but for that of its last change."""
    return max(0, min(mark.mtime_ns, mark.ctime_ns)) / 1e9
