"""A thread's files as its code sees them: staged in before it runs, collected after."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import stat
import sys
from collections.abc import Container, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from jupyter_ci_ext import to_thread
from jupyter_ci_ext.errors import StoreError
from jupyter_ci_ext.kernels import collect, folders, record
from jupyter_ci_ext.kernels.collect import Copied
from jupyter_ci_ext.kernels.names import free_name, printable, safe_name
from jupyter_ci_ext.kernels.slots import Slot

NOTE_TOO_MANY_FILES = (
    "{count} files were made or changed; the first {limit} were saved, the others are in "
    "/mnt/data only. Put many files into one archive to have them all."
)
NOTE_NOT_SAVED = "{name} was not saved: it is {what}."
NOTE_UNREADABLE = "{name} was not saved: it cannot be read ({what})."
NOTE_TOO_MANY_ENTRIES = (
    "There are more than {limit} files in /mnt/data; new ones among the rest were not saved."
)

_FICLONE = 0x40049409

_COPIES = 4
"""Files that are copied out at a time; copying and hashing leave the interpreter to others."""


@dataclass(frozen=True)
class StagedFile:
    """A file to be seen by the code: *path* holds its bytes and is not changed.

    *aliases* are other ids that code may know it by.
    """

    id: str
    name: str
    path: Path
    size: int
    aliases: tuple[str, ...] = ()


@dataclass(frozen=True)
class NewFile:
    """A file the code wrote. *path* is a private copy; whoever takes it moves or deletes it.

    ``name`` is relative to /mnt/data. ``replaces`` is the id of the staged file it is a new
    version of, if it is one.
    """

    name: str
    path: Path
    size: int
    sha256: str
    replaces: str | None = None


@dataclass(frozen=True)
class Collected:
    """What one execution left; ``notes`` are sentences on what was not saved, and why."""

    files: list[NewFile] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Workspace:
    """The folder that is /mnt/data for one thread; survives its kernels."""

    def __init__(
        self, slot: Slot, incoming: Path, *, max_new_files: int, max_file_size: int
    ) -> None:
        self.path = slot.data
        """The folder on the host. What is in it is hostile: open nothing there by path."""
        self.names: dict[str, str] = {}
        """File id → name below /mnt/data, of the files staged so far."""
        self._slot = slot
        self._sizes: dict[str, int] = {}
        self._incoming = incoming
        self._max_new_files = max_new_files
        self._max_file_size = max_file_size
        self._sources: dict[str, Path] = {}
        self._hashes: dict[str, str] = {}
        self._seen: dict[str, collect.Signature] = {}

    async def load(self) -> None:
        """Take stock: what is there now is not new. Called once, before any code runs."""
        await to_thread.run_sync(self._load)

    async def stage(self, files: Sequence[StagedFile]) -> list[Path]:
        """Put *files* where the code finds them, by id and by name; returns the paths written.

        A file that is there stays as it is, even if code has changed it; one that was deleted
        comes back. Nothing else of that name is overwritten. One whose bytes are gone, because it
        was deleted meanwhile, is left out. Raises `StoreError` when the disk
        is full; what was staged until then is there.
        """
        if not files:
            return []
        # Not abandoned when cancelled: a thread that goes on copying could meet the next stage.
        return await to_thread.run_sync(self._stage, list(files))

    async def adopted(self) -> None:
        """Take note that the files were given to another user, which changes nothing in them."""
        await to_thread.run_sync(self._adopted)

    async def collect(self) -> Collected:
        """Copies of the files that are new or changed since the last call."""
        return await to_thread.run_sync(self._collect)

    def open_file(self, name: str) -> BinaryIO | None:
        """A file of the workspace, verified and open for reading; None if it is no plain file.

        *name* is relative to /mnt/data, or the id of a staged file.
        """
        return folders.open_file(self.path, self.names.get(name, name))

    async def remove(self, name: str) -> bool:
        """Delete a plain file, *name* relative to /mnt/data; False if there is none.

        Raises OSError where it cannot be deleted.
        """
        return await to_thread.run_sync(self._remove, name)

    # ---- in threads --------------------------------------------------------------------------

    def _root(self) -> AbstractContextManager[int]:
        return folders.opened_root(self.path)

    def _load(self) -> None:
        for file_id, entry in record.read(self._slot.record).items():
            self.names[file_id], self._sizes[file_id] = entry.name, entry.size
        with self._root() as root:
            self._seen = collect.snapshot(root).files

    def _stage(self, files: list[StagedFile]) -> list[Path]:
        written = []
        with self._root() as root:
            there = _There(root, {file.id for file in files})
            try:
                for file in files:
                    self._sources[file.id] = file.path
                    name = self.names.get(file.id)
                    # Before it is there, so that it is never taken for something code wrote.
                    self._sizes[file.id] = file.size
                    self._slot.put_bytes = record.taken(self._entries(self._sizes))
                    if name is None or not there.is_file(name):
                        try:
                            name = self._put(root, file, name or safe_name(file.name), there)
                        except FileNotFoundError:
                            if file.path.exists():
                                raise
                            continue  # deleted since somebody asked for it to be staged
                        written.append(self.path / name)
                    for file_id in (file.id, *file.aliases):
                        _link_id(root, file_id, name)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                raise StoreError(
                    f"There is no room on the disk for {file.name} in the session's workspace."
                ) from error
            finally:
                self._write_record()
        return written

    def _put(self, root: int, file: StagedFile, name: str, there: _There) -> str:
        copy = self._incoming / f"stage-{os.urandom(12).hex()}"
        try:
            _clone(file.path, copy)
            os.chmod(copy, 0o644)
            while True:
                name = free_name(name, there.taken_for(file.id, self.names))
                try:
                    # Unlike a rename, a link never replaces what code has just put there.
                    os.link(copy, name, dst_dir_fd=root, follow_symlinks=False)
                    break
                except FileExistsError:
                    continue
        finally:
            copy.unlink(missing_ok=True)
        self.names[file.id] = name
        self._seen[name] = collect.signature(os.stat(name, dir_fd=root, follow_symlinks=False))
        self._hashes.pop(name, None)
        return name

    def _write_record(self) -> None:
        entries = self._entries(self.names)
        self._slot.put_bytes = record.taken(entries)
        record.write(self._slot.record, entries)

    def _entries(self, ids: Iterable[str]) -> dict[str, record.Entry]:
        names, sizes = self.names, self._sizes
        return {id: record.Entry(names.get(id, ""), sizes.get(id, 0)) for id in ids}

    def _remove(self, name: str) -> bool:
        with self._root() as root:
            removed = collect.remove(root, name)
            for file_id in [each for each, path in self.names.items() if path == name]:
                del self.names[file_id]
                _unlink_id(root, file_id, name)
        self._write_record()
        return removed

    def _adopted(self) -> None:
        with self._root() as root:
            for path, mark in collect.snapshot(root).files.items():
                seen = self._seen.get(path)
                if seen is not None and seen._replace(ctime_ns=mark.ctime_ns) == mark:
                    self._seen[path] = mark

    def _collect(self) -> Collected:
        found = Collected()
        with self._root() as root:
            now = collect.snapshot(root)
            changed = [path for path, mark in now.files.items() if self._seen.get(path) != mark]
            changed.sort(key=lambda path: (now.files[path].mtime_ns, path))
            if not now.complete:
                found.notes.append(NOTE_TOO_MANY_ENTRIES.format(limit=collect.MAX_ENTRIES))
            over = len(changed) - self._max_new_files
            if over > 0:
                found.notes.append(
                    NOTE_TOO_MANY_FILES.format(count=len(changed), limit=self._max_new_files)
                )
            with ThreadPoolExecutor(_COPIES) as copying:
                copies = [
                    (path, copying.submit(self._copy, root, path))
                    for path in changed[: self._max_new_files]
                ]
            try:
                for path, copied in copies:
                    self._collect_one(path, copied, found)
            except BaseException:
                _discard(copied for _, copied in copies)
                raise
        self._seen = now.files
        return found

    def _copy(self, root: int, path: str) -> Copied:
        return collect.copy_out(root, path, self._incoming, self._max_file_size)

    def _collect_one(self, path: str, copied: Future[Copied], found: Collected) -> None:
        name, replaces = self._original(path)
        shown = printable(name)
        try:
            copy = copied.result()
        except collect.Refused as refusal:
            found.notes.append(NOTE_NOT_SAVED.format(name=shown, what=refusal))
            return
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreError(f"There is no room on the disk to save {shown}.") from error
            found.notes.append(NOTE_UNREADABLE.format(name=shown, what=error.strerror))
            return
        if copy.sha256 == self._known_hash(path, replaces):
            copy.path.unlink()  # written anew with the same bytes
            return
        self._hashes[path] = copy.sha256
        found.files.append(NewFile(shown, copy.path, copy.size, copy.sha256, replaces))

    def _original(self, path: str) -> tuple[str, str | None]:
        """The name a file is known by, and the id of the staged file that it was."""
        if path in self.names:
            return self.names[path], path
        for file_id, name in self.names.items():
            if name == path:
                return name, file_id
        return path, None

    def _known_hash(self, path: str, file_id: str | None) -> str | None:
        if path not in self._hashes and file_id in self._sources:
            source = collect.hash_file(self._sources[file_id])
            if source is not None:
                self._hashes[path] = source
        return self._hashes.get(path)


def _discard(copies: Iterable[Future[Copied]]) -> None:
    """Delete the copies that were made, as far as they are still there."""
    for copied in copies:
        if copied.exception() is None:
            copied.result().path.unlink(missing_ok=True)


class _There:
    """What a folder holds, asked name by name: it may hold more than one wants to list."""

    def __init__(self, root: int, ids: set[str]) -> None:
        self._root = root
        self._ids = ids

    def is_file(self, name: str) -> bool:
        mode = self._mode(name)
        return mode is not None and stat.S_ISREG(mode)

    def taken_for(self, file_id: str, names: dict[str, str]) -> Container[str]:
        """Names not free for *file_id*: what is there, other staged files, other files' ids."""
        others = {name for other, name in names.items() if other != file_id}
        return _Taken(self, (others | self._ids | names.keys()) - {file_id})

    def __contains__(self, name: object) -> bool:
        return self._mode(str(name)) is not None

    def _mode(self, name: str) -> int | None:
        try:
            return os.stat(name, dir_fd=self._root, follow_symlinks=False).st_mode
        except OSError:
            return None


class _Taken:
    def __init__(self, there: _There, others: set[str]) -> None:
        self._there = there
        self._others = others

    def __contains__(self, name: object) -> bool:
        return name in self._others or name in self._there


def _link_id(root: int, file_id: str, name: str) -> None:
    """Make *file_id* a symbolic link to *name*, unless code has put something else there."""
    try:
        if os.readlink(file_id, dir_fd=root) == name:
            return
        os.unlink(file_id, dir_fd=root)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno == errno.EINVAL:
            return  # no link: a file or folder of that name
        raise
    with suppress(FileExistsError):
        os.symlink(name, file_id, dir_fd=root)


def _unlink_id(root: int, file_id: str, name: str) -> None:
    """Remove the symbolic link that `_link_id` made, if it is still that."""
    with suppress(OSError):
        if os.readlink(file_id, dir_fd=root) == name:
            os.unlink(file_id, dir_fd=root)


def _clone(source: Path, target: Path) -> None:
    """Copy a file, sharing its blocks where the file system can."""
    with open(source, "rb") as reader, open(target, "xb") as writer:
        if sys.platform.startswith("linux"):
            with suppress(OSError):
                fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
                return
        shutil.copyfileobj(reader, writer, 1 << 20)
