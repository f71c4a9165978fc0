"""Containers: sessions with the code interpreter, those of threads and those that clients make.

A thread's container has the thread's id in place of its own, so that it needs no row, and stays the
same through all the kernels the thread has; it is there as soon as code has run. A container that a
client made has a row, and its own id is the key of its session.
"""

from __future__ import annotations

import builtins
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

import anyio

from ..errors import InvalidRequest, NotFound, SandboxUnavailable
from ..ids import PREFIX, container_id, new_id
from ..kernels.folders import Folders
from ..kernels.limits import SessionLimits
from ..kernels.workspace import StagedFile
from ..store.containers import StoredContainer
from ..store.database import Store
from ..store.files import StoredFile
from ..wire.common import Deleted, ListPage
from ..wire.container import Container, ExpiresAfter
from ..wire.container_params import ContainerListQuery, CreateContainer
from .attached import page_of
from .lookup import now, require_files
from .sessions import LiveSession, SessionPool

START_SECONDS = 120.0
"""How long a container may wait for a session to be free, and for its kernel to start."""

STOP_SECONDS = 15.0
"""How long a container that is deleted waits for whoever uses it."""

_MIB = 1 << 20
_MEMORY = {"1g": 1 << 30, "4g": 4 << 30, "16g": 16 << 30, "64g": 64 << 30}


class ContainerPool(SessionPool, Protocol):
    """What containers need of `jupyter_ci_ext.kernels.pool.Sessions`."""

    limits: SessionLimits
    folders: Folders

    def use(
        self, key: str, limits: SessionLimits | None = None
    ) -> AbstractAsyncContextManager[Any]: ...
    async def stage(
        self, key: str, files: Sequence[StagedFile], patience: float | None = None
    ) -> dict[str, str]: ...
    async def remove(self, key: str, name: str, patience: float | None = None) -> bool: ...


@dataclass(frozen=True)
class Known:
    """A container there is; ``key`` is its session's in the pool."""

    id: str
    key: str
    name: str
    created_at: int
    limits: SessionLimits
    last_active_at: int | None = None

    @property
    def of_thread(self) -> bool:
        """Whether it is a thread's, whose id is the key."""
        return self.key != self.id


class Containers:
    """The rules about containers."""

    def __init__(self, store: Store, pool: ContainerPool) -> None:
        self._store = store
        self._pool = pool

    async def create(self, params: CreateContainer) -> Container:
        """A new container that runs, with the files in it.

        What it asks for beyond the server's own limits is cut to these. Raises
        `SandboxUnavailable` when no kernel can be had; then nothing is left.
        """
        stamp, expiry = now(), params.expires_after
        stored = StoredContainer(
            id=new_id("container"),
            name=params.name,
            created_at=stamp,
            last_active_at=stamp,
            memory_limit=params.memory_limit,
            idle_minutes=None if expiry is None else expiry.minutes,
        )
        ids = list(dict.fromkeys(params.file_ids or ()))
        async with self._store.transaction() as tx:
            await require_files(tx, [(f"file_ids[{n}]", id) for n, id in enumerate(ids)])
            files = await tx.files.get_many(ids)
            await tx.containers.insert(stored)
        container = self._made(stored)
        try:
            if ids:
                await self._pool.stage(container.key, [self.staged(files[id]) for id in ids])
            await self._start(container)
        except BaseException:
            with anyio.move_on_after(STOP_SECONDS, shield=True):
                await self._forget(container)
            raise
        return self._shown(container)

    async def get(self, id: str) -> Container:
        """The container; raises `NotFound`."""
        return self._shown(await self.find(id))

    async def list(self, query: ContainerListQuery) -> ListPage[Container]:
        """One page of all containers, or of those of one name."""
        page = page_of(await self._all(query.name), query)
        return ListPage.of([self._shown(each) for each in page.data], page.has_more)

    async def delete(self, id: str) -> Deleted:
        """End the container and remove its files; a thread goes on with an empty one.

        Raises `InvalidRequest` while a run of the thread is active.
        """
        container = await self.find(id)
        if container.of_thread:
            run = await self._store.runs.get_active(container.key)
            if run is not None:
                raise InvalidRequest(
                    f"Container '{id}' is used by run '{run.id}'; cancel it first."
                )
        try:
            with anyio.fail_after(STOP_SECONDS):
                await self._forget(container)
        except TimeoutError:
            raise InvalidRequest(f"Container '{id}' is in use; try again later.") from None
        return Deleted(id=id, object="container.deleted")

    async def restart(self, id: str) -> Container:
        """Throw the variables away, or start the container again if it has expired."""
        container = await self.find(id)
        if self._live(container.key) is not None:
            await self._pool.restart(container.key)
        if self._live(container.key) is None:
            await self._start(container)
        await self.touch(container)
        return self._shown(container)

    async def interrupt(self, id: str) -> Container:
        """Stop the code that runs; raises `InvalidRequest` when the container has expired."""
        container = await self.find(id)
        if self._live(container.key) is None:
            raise InvalidRequest("Container is expired.")
        await self._pool.interrupt(container.key)
        return self._shown(container)

    # ---- for the files of containers -----------------------------------------------------------

    async def find(self, id: str) -> Known:
        """What is known of the container; raises `NotFound`."""
        stored = await self._store.containers.get(id)
        if stored is not None:
            return self._made(stored)
        if id.startswith(PREFIX["container"]):
            found = await self._of_threads([PREFIX["thread"] + id[len(PREFIX["container"]) :]])
            if found:
                return found[0]
        raise NotFound(f"Container with id '{id[:100]}' not found.")

    async def touch(self, container: Known) -> None:
        """Take note that the container was used; raises `NotFound` if it is gone by now."""
        if container.of_thread:
            await self.find(container.id)
            return
        async with self._store.transaction() as tx:
            if not await tx.containers.touch(container.id, now()):
                raise NotFound(f"Container with id '{container.id}' not found.")

    def staged(self, stored: StoredFile) -> StagedFile:
        """A file of the API as the kernels' room takes it."""
        path = self._store.blobs.path(stored.sha256)
        return StagedFile(stored.id, stored.file.filename, path, stored.file.bytes)

    # ---- inside --------------------------------------------------------------------------------

    async def _all(self, name: str | None) -> builtins.list[Known]:
        """The containers there are, oldest first."""
        if name is None:
            keys = await self._pool.folders.keys()
            threads = [key for key in keys if key.startswith(PREFIX["thread"])]
        else:
            threads = [name]
        found = [self._made(stored) for stored in await self._store.containers.list(name)]
        found += await self._of_threads(threads)
        return sorted(found, key=lambda each: (each.created_at, each.id))

    async def _of_threads(self, ids: builtins.list[str]) -> builtins.list[Known]:
        """The containers of those of the threads that are there and have one."""
        return [
            Known(container_id(id), id, id, created_at, self._pool.limits)
            for id, created_at in (await self._store.threads.created(ids)).items()
            if await self._pool.folders.exists(id)
        ]

    def _made(self, stored: StoredContainer) -> Known:
        asked = SessionLimits(
            _MEMORY.get(stored.memory_limit or "", 0), 60 * (stored.idle_minutes or 0)
        )
        return Known(
            stored.id,
            stored.id,
            stored.name,
            stored.created_at,
            asked.within(self._pool.limits),
            stored.last_active_at,
        )

    def _live(self, key: str) -> LiveSession | None:
        """The session, if it has a kernel, or is about to."""
        live = self._pool.get(key)
        return None if live is None or live.state == "lost" else live

    async def _start(self, container: Known) -> None:
        try:
            with anyio.fail_after(START_SECONDS):
                async with self._pool.use(container.key, container.limits):
                    pass
        except TimeoutError:
            raise SandboxUnavailable(
                "All sessions of the code interpreter are in use, so the container could not be "
                "started. Try again when one of them is idle."
            ) from None

    async def _forget(self, container: Known) -> None:
        await self._pool.forget(container.key)
        async with self._store.transaction() as tx:
            await tx.containers.delete(container.id)

    def _shown(self, container: Known) -> Container:
        live = self._live(container.key)
        values: dict[str, Any] = {}
        active = container.last_active_at
        if live is not None:
            active = max(active or 0, int(live.last_active_at))
            values = {"kernel_id": live.kernel_id, "isolation": live.isolation, "usage": live.usage}
            values["expires_at"] = None if live.expires_at is None else int(live.expires_at)
        limits = container.limits
        values |= {
            "last_active_at": active,
            "memory_limit": _memory_text(limits.memory),
            "expires_after": _expiry(limits.idle_timeout),
        }
        return Container(
            id=container.id,
            created_at=container.created_at,
            status="expired" if live is None else "running",
            name=container.name,
            **{key: value for key, value in values.items() if value},
        )


def _memory_text(size: int) -> str | None:
    """A size in bytes as the API writes it; whole mebibytes where it is not whole gibibytes."""
    if not size:
        return None
    mebibytes = max(1, size // _MIB)
    return f"{mebibytes}m" if mebibytes % 1024 else f"{mebibytes // 1024}g"


def _expiry(seconds: float) -> ExpiresAfter | None:
    return ExpiresAfter(minutes=max(1, round(seconds / 60))) if seconds else None
