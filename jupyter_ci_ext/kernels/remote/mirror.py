"""The same files here and in a kernel on another machine, without a file system both see.

The workspace's folder on this machine is what lasts. What is new or changed in it is pushed; what code
made or changed there is fetched into it, where it is collected like any other session's. So the rules
of collecting are written once. What comes is hostile: names are checked, sizes believed only up to
limits, and nothing here is written through a link.
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio

from jupyter_ci_ext import to_thread
from jupyter_ci_ext.errors import StoreError
from jupyter_ci_ext.kernels import collect, folders
from jupyter_ci_ext.kernels.collect import Signature
from jupyter_ci_ext.kernels.remote.asking import IN_FLIGHT, NONSENSE, Asking, HelperFailed
from jupyter_ci_ext.kernels.workspace import (
    NOTE_NOT_SAVED,
    NOTE_TOO_MANY_ENTRIES,
    NOTE_TOO_MANY_FILES,
)
from jupyter_ci_ext.sandbox.policy import human_size

NOTE_BROKEN = "{name} was not saved: fetching it from the remote kernel failed ({what})."
NOTE_NO_ROOM = "{name} was not saved: the session's files would take more than {limit}."
NOTE_STRANGE = "{count} files were not saved: their names are not allowed."

_PATH_BYTES, _NAME_BYTES = 1024, 255
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

T = TypeVar("T")


@dataclass(frozen=True)
class MirrorLimits:
    """Most files fetched after an execution, most bytes of one, and of all of a session (0: any)."""

    files: int
    file_size: int
    disk: int


class Mirror:
    """Keeps *folder* and the files of one kernel alike; *put_bytes* of it were put in by people."""

    def __init__(self, folder: Path, limits: MirrorLimits, put_bytes: Callable[[], int]) -> None:
        self._folder = folder
        self._limits = limits
        self._put_bytes = put_bytes
        self._here: dict[str, Signature] = {}
        self._there: dict[str, Signature] = {}
        self._links: dict[str, str] = {}

    def forget(self) -> None:
        """Begin with a kernel that has no files."""
        self._here, self._there, self._links = {}, {}, {}

    async def push(self, asking: Asking) -> None:
        """Bring over what is new, changed or gone here; raises `HelperFailed`, `SessionLost`."""
        files, links = await to_thread.run_sync(self._look)
        changed = [path for path, mark in files.items() if self._here.get(path) != mark]
        with folders.opened_root(self._folder) as root:
            await _each(changed, lambda path: self._push_file(asking, root, path, files[path]))
        for path in [path for path in self._here if path not in files]:
            await asking.ask({"op": "remove", "path": path})
            self._there.pop(path, None)
            del self._here[path]
        fresh = [item for item in links.items() if self._links.get(item[0]) != item[1]]
        await _each(fresh, lambda item: self._push_link(asking, *item))
        for name in [name for name in self._links if name not in links]:
            await asking.ask({"op": "remove", "path": name})
            del self._links[name]

    async def fetch(self, asking: Asking) -> list[str]:
        """Bring here what code made, changed or deleted; notes on what was not saved, and why.

        Raises `StoreError` when the disk is full, `HelperFailed` and `SessionLost`.
        """
        notes: list[str] = []
        said, content = await asking.ask({"op": "list"})
        listed, strange = _listing(content)
        changed = [path for path, mark in listed.items() if self._there.get(path) != mark]
        changed.sort(key=lambda path: (listed[path].mtime_ns, path))
        complete = said.get("complete") is True
        if not complete:
            notes.append(NOTE_TOO_MANY_ENTRIES.format(limit=len(listed)))
        if strange:
            notes.append(NOTE_STRANGE.format(count=strange))
        most = self._limits.files
        if len(changed) > most:
            notes.append(NOTE_TOO_MANY_FILES.format(count=len(changed), limit=most))
        room = await to_thread.run_sync(self._room)
        wanted: list[str] = []
        for path in changed[:most]:
            size = listed[path].size
            if size > self._limits.file_size:
                what = f"larger than the limit of {self._limits.file_size} bytes"
                notes.append(NOTE_NOT_SAVED.format(name=path, what=what))
            elif room is not None and size > room:
                limit = human_size(self._limits.disk)
                notes.append(NOTE_NO_ROOM.format(name=path, limit=limit))
            else:
                room = None if room is None else room - size
                wanted.append(path)
        with folders.opened_root(self._folder) as root:
            await _each(
                wanted, lambda path: self._fetch_file(asking, root, path, listed[path].size, notes)
            )
            if complete:
                gone = [path for path in self._there if path not in listed]
                await to_thread.run_sync(self._remove, root, gone)
        self._there = listed if complete else self._there | listed
        return notes

    # ---- one file ------------------------------------------------------------------------------

    async def _push_file(self, asking: Asking, root: int, path: str, mark: Signature) -> None:
        try:
            source = await to_thread.run_sync(collect.open_file, root, path)
        except (collect.Refused, OSError):
            return  # gone since it was looked at
        put = {"op": "put", "path": path, "token": os.urandom(12).hex()}

        chunk = asking.chunk

        async def piece(offset: int, last: bool = False) -> dict[str, object]:
            async with asking.slots:
                data = await to_thread.run_sync(os.pread, source, chunk, offset)
                return (await asking.ask(put | {"offset": offset, "last": last}, data))[0]

        try:
            *before, last = range(0, max(1, mark.size), chunk)
            await _each(before, piece)
            said = await piece(last, last=True)
        finally:
            os.close(source)
        there = _signature(said.get("signature"))
        if there is None:
            raise HelperFailed(NONSENSE)
        self._here[path], self._there[path] = mark, there

    async def _push_link(self, asking: Asking, name: str, target: str) -> None:
        await asking.ask({"op": "link", "name": name, "target": target})
        self._links[name] = target

    async def _fetch_file(
        self, asking: Asking, root: int, path: str, size: int, notes: list[str]
    ) -> None:
        copy = self._folder.parent / f"fetch-{os.urandom(12).hex()}"
        out = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            pieces = range(0, size, asking.chunk)
            width = asking.chunk
            await _each(pieces, lambda at: _get(asking, out, path, at, min(width, size - at)))
            self._here[path] = await to_thread.run_sync(_place, root, path, copy)
        except HelperFailed as error:
            notes.append(NOTE_BROKEN.format(name=path, what=error.message))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StoreError(f"There is no room on the disk to save {path}.") from error
            notes.append(NOTE_BROKEN.format(name=path, what=error.strerror))
        finally:
            os.close(out)
            copy.unlink(missing_ok=True)

    # ---- in threads ----------------------------------------------------------------------------

    def _look(self) -> tuple[dict[str, Signature], dict[str, str]]:
        """The plain files of the folder, and the links from ids to names beside them."""
        links: dict[str, str] = {}
        with folders.opened_root(self._folder) as root:
            files = collect.snapshot(root).files
            with os.scandir(root) as entries:
                for entry in entries:
                    if entry.is_symlink():
                        target = os.readlink(entry.name, dir_fd=root)
                        if target in files and "/" not in target:
                            links[entry.name] = target
        return files, links

    def _room(self) -> int | None:
        if not self._limits.disk:
            return None
        files, _ = self._look()
        return self._limits.disk + self._put_bytes() - sum(mark.size for mark in files.values())

    def _remove(self, root: int, gone: Iterable[str]) -> None:
        for path in gone:
            with suppress(OSError):
                collect.remove(root, path)
            self._here.pop(path, None)


async def _get(asking: Asking, out: int, path: str, offset: int, size: int) -> None:
    """Fetch *size* bytes of *path* from *offset* on, into the same place of *out*."""
    end = offset + size
    while offset < end:
        wanted = min(end - offset, asking.chunk)
        request = {"op": "get", "path": path, "offset": offset, "size": wanted}
        async with asking.slots:
            _, data = await asking.ask(request)
            if not 0 < len(data) <= wanted:
                raise HelperFailed("it changed meanwhile")
            await to_thread.run_sync(_write_at, out, data, offset)
        offset += len(data)


def _write_at(out: int, data: bytes, offset: int) -> None:
    view = memoryview(data)
    while view:
        written = os.pwrite(out, view, offset)
        view, offset = view[written:], offset + written


def _place(root: int, path: str, copy: Path) -> Signature:
    """Move *copy* to *path* below *root*, whose folders are made and are no links."""
    *parents, name = path.split("/")
    folder = os.dup(root)
    try:
        for parent in parents:
            with suppress(FileExistsError):
                os.mkdir(parent, 0o755, dir_fd=folder)
            inner = os.open(parent, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = inner
        os.rename(copy, name, dst_dir_fd=folder)
        return collect.signature(os.stat(name, dir_fd=folder, follow_symlinks=False))
    finally:
        os.close(folder)


def _listing(content: bytes) -> tuple[dict[str, Signature], int]:
    """The files a kernel says it has, and how many have names that nothing can be saved under."""
    try:
        entries = json.loads(content)
    except ValueError:
        entries = None
    if not isinstance(entries, list):
        raise HelperFailed(NONSENSE)
    files: dict[str, Signature] = {}
    strange = 0
    for entry in entries[: collect.MAX_ENTRIES]:
        path, mark = (entry[0], _signature(entry[1:])) if isinstance(entry, list) else ("", None)
        if mark is None or not isinstance(path, str) or not _allowed(path):
            strange += 1
        else:
            files[path] = mark
    return files, strange


def _allowed(path: str) -> bool:
    parts = path.split("/")
    try:
        sizes = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return False
    return (
        "\0" not in path
        and sum(sizes) <= _PATH_BYTES
        and len(parts) <= collect.MAX_DEPTH
        and all(0 < size <= _NAME_BYTES for size in sizes)
        and not any(part.startswith(".") or part in collect.SKIPPED for part in parts)
    )


def _signature(value: object) -> Signature | None:
    if not isinstance(value, list) or len(value) != 4:
        return None
    if not all(isinstance(each, int) and 0 <= each < 1 << 64 for each in value):
        return None
    return Signature(*value)


async def _each(items: Iterable[T], work: Callable[[T], Awaitable[object]]) -> None:
    """*work* on all of *items*, a few at a time; the first error ends it and is raised."""
    rest: Iterator[T] = iter(items)
    failed: list[Exception] = []
    async with anyio.create_task_group() as group:

        async def take() -> None:
            for item in rest:
                try:
                    await work(item)
                except Exception as error:
                    failed.append(error)
                    group.cancel_scope.cancel()
                    return

        for _ in range(IN_FLIGHT):
            group.start_soon(take)
    if failed:
        raise failed[0]
