"""Retention: deleting what nobody has touched for so many days, and what nothing refers to.

Every thread, container and batch of files goes in a transaction of its own, in which it is looked
at again: what is used meanwhile stays, nobody who works waits for long, and a crash in between
leaves what the next time takes away. Assistants are never deleted, nor a file that clients have
sent, before its own expiry, nor one that an assistant, a thread, a message or a run mentions.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from .. import to_thread
from ..errors import CodeInterpreterError
from ..ids import PREFIX
from ..quiet import kind
from ..store.aged import AgedFile
from ..store.database import Store
from .files import drop_expired

DAY = 86_400.0
_BATCH = 50

FIRST_SECONDS = 300.0
"""After the server came up; its start is no time for this."""
LOOK_SECONDS = 3600.0
"""Between two looks at whether a day is over."""


class WorkspaceKeeper(Protocol):
    """What is used of `jupyter_ci_ext.kernels.leftovers.Workspaces`."""

    async def keys(self) -> list[str]: ...
    async def in_use(self, key: str, since: float) -> bool: ...
    async def size(self, key: str) -> int: ...
    async def remove(self, key: str) -> int: ...
    async def unclaimed(self) -> int: ...
    async def remove_unclaimed(self) -> int: ...


@dataclass
class Cleared:
    """How much went, or would go: counts, and bytes on disk.

    ``database_bytes`` are known only once it is done.
    """

    threads: int = 0
    containers: int = 0
    files: int = 0
    uploads: int = 0
    event_logs: int = 0
    workspaces: int = 0
    workspace_bytes: int = 0
    content_bytes: int = 0
    database_bytes: int = 0

    @property
    def bytes(self) -> int:
        """All bytes together."""
        return self.workspace_bytes + self.content_bytes + self.database_bytes

    def to_dict(self) -> dict[str, int]:
        """Everything by name."""
        return {**asdict(self), "bytes": self.bytes}


class Retention:
    """Clears up a store and its workspaces. *days* None or 0: only what nothing refers to."""

    def __init__(self, store: Store, workspaces: WorkspaceKeeper, days: float | None) -> None:
        self._store = store
        self._workspaces = workspaces
        self._days = days or 0.0

    async def preview(self, now: float | None = None) -> Cleared:
        """What `clear` would do at *now* (Unix time in seconds), changing nothing."""
        found, before = Cleared(), self._before(now)
        aged = self._store.aged
        threads = await self._idle(await aged.threads(before), before)
        containers = await self._idle(await aged.containers(before), before)
        files = await self._unneeded(before, set(threads))
        expired = await self._store.files.expired()
        due = [each.upload.id for each in await self._store.uploads.due(int(_now(now)))]
        uploads = {*await aged.uploads(before)} if before else set()
        parts = [part.id for id in due for part in await self._store.uploads.parts(id)]
        gone = {*expired, *(file.id for file in files), *parts}
        keys = {*threads, *containers, *await self._orphans()}
        found.threads, found.containers = len(threads), len(containers)
        found.files = len({*expired, *(file.id for file in files)})
        found.uploads = len({*uploads, *due})
        found.event_logs = len(await aged.runs_with_events(before)) if before else 0
        for key in keys:
            size = await self._workspaces.size(key)
            found.workspaces += bool(size)
            found.workspace_bytes += size
        found.workspace_bytes += await self._workspaces.unclaimed()
        hashes = await self._store.unreferenced(gone)
        found.content_bytes = await to_thread.run_sync(self._content_bytes, hashes)
        return found

    async def clear(self, now: float | None = None, *, quiet: bool = True) -> Cleared:
        """Delete what is due at *now*; *quiet* says that the database may be rewritten.

        Raises `StoreError`; what was done until then stays done.
        """
        done, before = Cleared(), self._before(now)
        freed = self._store.blobs.freed
        await self._clear_threads(before, done)
        await self._clear_containers(before, done)
        await self._clear_uploads(before, int(_now(now)), done)
        await self._clear_files(before, done)
        await self._clear_events(before, done)
        for key in await self._orphans():
            await self._remove_workspace(key, done)
        done.workspace_bytes += await self._workspaces.remove_unclaimed()
        await self._store.collect_garbage()
        done.content_bytes = self._store.blobs.freed - freed
        done.database_bytes = await self._store.compact(quiet=quiet)
        return done

    # ---- one kind after the other --------------------------------------------------------------

    async def _clear_threads(self, before: int, done: Cleared) -> None:
        for id in await self._store.aged.threads(before):
            if await self._workspaces.in_use(id, before):
                continue
            async with self._store.transaction() as tx:
                gone = await tx.aged.is_untouched(id, before) and await tx.threads.delete(id)
            if gone:
                done.threads += 1
                await self._remove_workspace(id, done)

    async def _clear_containers(self, before: int, done: Cleared) -> None:
        for id in await self._store.aged.containers(before):
            if await self._workspaces.in_use(id, before):
                continue
            async with self._store.transaction() as tx:
                gone = id in await tx.aged.containers(before) and await tx.containers.delete(id)
            if gone:
                done.containers += 1
                await self._remove_workspace(id, done)

    async def _clear_uploads(self, before: int, now: int, done: Cleared) -> None:
        due = {each.upload.id for each in await self._store.uploads.due(now)}
        old = {*await self._store.aged.uploads(before)} if before else set()
        for some in _batches(sorted(due)):
            async with self._store.transaction() as tx:
                for id in some:
                    stored = await tx.uploads.get(id)
                    if stored is not None and stored.upload.status == "pending":
                        expired = stored.upload.model_copy(update={"status": "expired"})
                        await tx.uploads.update(expired)
        for some in _batches(sorted(old)):
            async with self._store.transaction() as tx:
                for id in some:
                    await tx.uploads.delete(id)
        done.uploads = len(due | old)

    async def _clear_files(self, before: int, done: Cleared) -> None:
        async with self._store.transaction() as tx:
            expired = await tx.files.expired()
            await drop_expired(tx)
        done.files += len(expired)
        seen = await self._store.aged.mentioned()
        files = [file for file in await self._store.aged.files(before) if file.id not in seen.ids]
        for at in range(0, len(files), _BATCH):
            async with self._store.transaction() as tx:
                seen = await tx.aged.mentioned(seen=seen)
                for file in files[at : at + _BATCH]:
                    if file.id not in seen.ids:
                        done.files += await tx.files.delete(file.id)

    async def _clear_events(self, before: int, done: Cleared) -> None:
        for id in await self._store.aged.runs_with_events(before) if before else ():
            async with self._store.transaction() as tx:
                done.event_logs += bool(await tx.events.forget(id))

    async def _remove_workspace(self, key: str, done: Cleared) -> None:
        freed = await self._workspaces.remove(key)
        done.workspaces += bool(freed)
        done.workspace_bytes += freed

    # ---- looking -------------------------------------------------------------------------------

    def _before(self, now: float | None) -> int:
        """When something was last touched that is due; 0, which nothing was, to keep for ever."""
        return int(_now(now) - self._days * DAY) if self._days else 0

    async def _idle(self, keys: list[str], before: int) -> list[str]:
        return [key for key in keys if not await self._workspaces.in_use(key, before)]

    async def _unneeded(self, before: int, gone: set[str]) -> list[AgedFile]:
        """Files that runs wrote on threads that are *gone*, and that nothing else mentions."""
        files = await self._store.aged.files(before, gone)
        seen = await self._store.aged.mentioned(gone) if files else None
        return [file for file in files if seen is not None and file.id not in seen.ids]

    async def _orphans(self) -> list[str]:
        """Workspaces of threads and containers that are no more."""
        ours = (PREFIX["thread"], PREFIX["container"])
        keys = [key for key in await self._workspaces.keys() if key.startswith(ours)]
        known = await self._store.aged.known(keys)
        return [key for key in keys if key not in known]

    def _content_bytes(self, hashes: set[str]) -> int:
        total = 0
        for sha256 in hashes:
            try:
                total += self._store.blobs.path(sha256).stat().st_size
            except OSError:
                continue
        return total


class Housekeeping:
    """Clears up once a day for as long as a server runs; a file's time says when it last did."""

    def __init__(
        self,
        retention: Retention,
        stamp: Path,
        log: logging.Logger,
        busy: Callable[[], bool],
        *,
        first: float = FIRST_SECONDS,
        look: float = LOOK_SECONDS,
    ) -> None:
        self._retention = retention
        self._stamp = stamp
        self._log = log
        self._busy = busy
        self._first = first
        self._look = look

    async def keep(self) -> None:
        """Never returns; what goes wrong is logged, and tried again a day later."""
        await asyncio.sleep(self._first)
        while True:
            if await to_thread.run_sync(self._due):
                try:
                    done = await self._retention.clear(quiet=not self._busy())
                except (CodeInterpreterError, OSError) as error:
                    self._log.warning("Clearing up failed: %s", kind(error))
                else:
                    self._log.info("Cleared up: %s", done.to_dict())
            await asyncio.sleep(self._look)

    def _due(self) -> bool:
        """Whether a day is over; then the next one begins, also for others on the directory."""
        try:
            if time.time() - self._stamp.stat().st_mtime < DAY:
                return False
        except OSError:
            pass
        try:
            self._stamp.touch(mode=0o600)
            os.utime(self._stamp)
        except OSError as error:
            self._log.warning("The time of clearing up was not noted: %s", kind(error))
        return True


def _now(now: float | None) -> float:
    return time.time() if now is None else now


def _batches(ids: list[str]) -> Iterator[list[str]]:
    return (ids[at : at + _BATCH] for at in range(0, len(ids), _BATCH))
