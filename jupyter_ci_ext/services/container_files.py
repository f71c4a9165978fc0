"""Files in containers.

What code left in a workspace is read through the verified openings of the kernels' room, and named
by ids that are looked up among what is there: a client never names a path.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import BinaryIO

from .. import to_thread
from ..errors import InvalidRequest, NotFound, StoreError
from ..ids import PREFIX, new_id
from ..kernels.folders import FolderFile
from ..kernels.names import printable
from ..kernels.workspace import StagedFile
from ..store.blobs import Blob
from ..store.chunks import file_chunks
from ..store.database import Store
from ..wire.common import Deleted, ListPage
from ..wire.container import ContainerFile
from ..wire.container_params import CreateContainerFile
from ..wire.params import ListQuery
from .attached import page_of
from .containers import ContainerPool, Containers, Known
from .files import checked_name
from .lookup import require_files

BUSY_SECONDS = 30.0
"""How long a change of files waits for code that runs in the container."""

ROOT = "/mnt/data/"
"""Where the code finds its files."""


@dataclass(frozen=True)
class OpenedFile:
    """A file of a container, open for reading; whoever has it closes it."""

    name: str
    size: int
    version: str
    """Another one when the file has changed."""
    file: BinaryIO

    async def read(self, start: int, stop: int) -> AsyncIterator[bytes]:
        """The bytes from *start* up to but not including *stop*.

        Raises `StoreError` if code has made the file shorter than it was.
        """
        at = start
        async with aclosing(file_chunks(self.file.fileno(), start, stop)) as chunks:
            async for chunk in chunks:
                at += len(chunk)
                yield chunk
        if at < stop:
            raise StoreError(f"{self.name} became shorter while it was read.")

    async def close(self) -> None:
        """Close it."""
        await to_thread.run_sync(self.file.close)


class ContainerFiles:
    """The rules about files in containers."""

    def __init__(self, store: Store, pool: ContainerPool, containers: Containers) -> None:
        self._store = store
        self._pool = pool
        self._containers = containers

    async def list(self, container_id: str, query: ListQuery) -> ListPage[ContainerFile]:
        """One page of the container's plain files."""
        container = await self._containers.find(container_id)
        files = await self._pool.folders.files(container.key)
        return page_of([_shown(container, file) for file in files], query)

    async def get(self, container_id: str, id: str) -> ContainerFile:
        """The file; raises `NotFound`, also for one of another container."""
        container = await self._containers.find(container_id)
        return _shown(container, await self._find(container, id))

    async def upload(self, container_id: str, filename: str, blob: Blob) -> ContainerFile:
        """Put an uploaded content into the container; it is discarded from the store."""
        try:
            container = await self._containers.find(container_id)
            path = self._store.blobs.path(blob.sha256)
            id = new_id("container_file")
            return await self._put(
                container, StagedFile(id, checked_name(filename), path, blob.size)
            )
        finally:
            await self._store.discard(blob)

    async def add(self, container_id: str, params: CreateContainerFile) -> ContainerFile:
        """Copy a file of the API into the container; one that is there already stays as it is."""
        container = await self._containers.find(container_id)
        await require_files(self._store, [("file_id", params.file_id)])
        stored = (await self._store.files.get_many([params.file_id]))[params.file_id]
        return await self._put(container, self._containers.staged(stored))

    async def delete(self, container_id: str, id: str) -> Deleted:
        """Remove the file from the container; raises `NotFound`."""
        container = await self._containers.find(container_id)
        file = await self._find(container, id)
        try:
            removed = await self._pool.remove(container.key, file.name, BUSY_SECONDS)
        except TimeoutError:
            raise _busy(container) from None
        except OSError as error:
            name = printable(file.name)
            raise InvalidRequest(f"{name} cannot be deleted: {error.strerror}.") from error
        if not removed:
            raise _unknown(id)
        return Deleted(id=id, object="container.file.deleted")

    async def content(self, container_id: str, id: str) -> OpenedFile:
        """The file, verified and open; raises `NotFound`."""
        container = await self._containers.find(container_id)
        found = await self._find(container, id)
        file = await self._pool.folders.open_file(container.key, found.name)
        if file is None:
            raise _unknown(id)
        status = os.fstat(file.fileno())
        version = f"{status.st_ino:x}-{status.st_ctime_ns:x}-{status.st_size:x}"
        return OpenedFile(printable(found.name), status.st_size, version, file)

    # ---- inside --------------------------------------------------------------------------------

    async def _find(self, container: Known, id: str) -> FolderFile:
        for file in await self._pool.folders.files(container.key):
            if _id(container, file) == id:
                return file
        raise _unknown(id)

    async def _put(self, container: Known, file: StagedFile) -> ContainerFile:
        try:
            names = await self._pool.stage(container.key, [file], BUSY_SECONDS)
        except TimeoutError:
            raise _busy(container) from None
        try:
            await self._containers.touch(container)
        except NotFound:
            # It was deleted meanwhile: what was put there has made its folder anew.
            await self._pool.forget(container.key)
            raise
        files: Sequence[FolderFile] = await self._pool.folders.files(container.key)
        for found in files:
            if found.name == names[file.id]:
                return _shown(container, found)
        raise StoreError(f"{names[file.id]} is gone from the container.")


def _id(container: Known, file: FolderFile) -> str:
    """An id that stays the same as long as the path does, or that it was put there under."""
    if file.staged_as is not None and file.staged_as.startswith(PREFIX["container_file"]):
        return file.staged_as
    digest = hashlib.sha256(f"{container.id}/".encode() + os.fsencode(file.name))
    return PREFIX["container_file"] + digest.hexdigest()[:32]


def _shown(container: Known, file: FolderFile) -> ContainerFile:
    return ContainerFile(
        id=_id(container, file),
        created_at=int(file.modified),
        bytes=file.size,
        container_id=container.id,
        path=ROOT + printable(file.name),
        source="assistant" if file.staged_as is None else "user",
    )


def _unknown(id: str) -> NotFound:
    return NotFound(f"Container file with id '{id[:100]}' not found.")


def _busy(container: Known) -> InvalidRequest:
    return InvalidRequest(f"Container '{container.id}' is busy; try again when its code is done.")
