"""The table of files: the API's objects, where their content is, and where they came from."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..wire.file import File
from ..wire.stored import StoredPage, as_stored
from .access import Access, Row, SQLValue
from .formats import mime_type
from .paging import Condition, Order, page_of

_COLUMNS = "body, sha256, mime, thread_id, run_id, step_id"


@dataclass(frozen=True)
class StoredFile:
    """A file with what clients do not see of it."""

    file: File
    sha256: str
    mime: str
    thread_id: str | None = None
    """The thread whose run wrote it; None for uploads."""
    run_id: str | None = None
    step_id: str | None = None

    @property
    def id(self) -> str:
        """The id of the file."""
        return self.file.id


class Files:
    """Files; one whose time is over is not found any more, whether or not it was deleted yet."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def insert(
        self,
        file: File,
        *,
        sha256: str,
        thread_id: str | None = None,
        run_id: str | None = None,
        step_id: str | None = None,
    ) -> StoredFile:
        """Store a new file whose content is a blob; what a run wrote names thread, run, step.

        Raises `StoreError` when the content is not there.
        """
        await self._access.keep_blob(sha256)
        mime = mime_type(file.filename)
        values: dict[str, SQLValue] = {
            "id": file.id,
            "created_at": file.created_at,
            "purpose": file.purpose,
            "expires_at": file.expires_at,
            "sha256": sha256,
            "mime": mime,
            "thread_id": thread_id,
            "run_id": run_id,
            "step_id": step_id,
            "body": as_stored(file),
        }
        await self._access.execute(
            f"INSERT INTO files ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
            tuple(values.values()),
        )
        return StoredFile(file, sha256, mime, thread_id, run_id, step_id)

    async def get(self, id: str) -> StoredFile | None:
        """The file, or None."""
        found = await self._select(("id = ?", (id,)))
        return found[0] if found else None

    async def get_many(self, ids: list[str]) -> dict[str, StoredFile]:
        """Those of the files that are there, by id."""
        marks = ", ".join("?" * len(ids))
        return {each.id: each for each in await self._select((f"id IN ({marks})", tuple(ids)))}

    async def of_thread(self, thread_id: str) -> list[StoredFile]:
        """Files that runs of the thread wrote, oldest first."""
        return await self._select(("thread_id = ?", (thread_id,)))

    async def delete(self, id: str) -> bool:
        """Remove the file, and its content unless another file shares it; False: no such file."""
        rows = await self._access.fetch("SELECT sha256 FROM files WHERE id = ?", (id,))
        if not rows:
            return False
        self._access.release_blob(str(rows[0][0]))
        return await self._access.execute("DELETE FROM files WHERE id = ?", (id,)) > 0

    async def expired(self) -> list[str]:
        """Ids of the files whose time is over."""
        rows = await self._access.fetch(
            "SELECT id FROM files WHERE expires_at <= ?", (int(time.time()),)
        )
        return [str(row[0]) for row in rows]

    async def delete_expired(self) -> list[str]:
        """Remove the files whose time is over; returns their ids."""
        ids = await self.expired()
        for id in ids:
            await self.delete(id)
        return ids

    async def next_expiry(self) -> int | None:
        """When the next file will expire (Unix time in seconds); None: none will."""
        rows = await self._access.fetch(
            "SELECT min(expires_at) FROM files WHERE expires_at IS NOT NULL"
        )
        soonest = rows[0][0]
        return soonest if isinstance(soonest, int) else None

    async def page(
        self,
        limit: int = 10_000,
        order: Order = "desc",
        after: str | None = None,
        before: str | None = None,
        *,
        purpose: str | None = None,
    ) -> StoredPage[File]:
        """One page of all files, or of those of one purpose."""
        filters = [_current()]
        if purpose is not None:
            filters.append(("purpose = ?", (purpose,)))
        return await page_of(
            self._access,
            "files",
            File,
            filters=filters,
            limit=limit,
            order=order,
            after=after,
            before=before,
        )

    async def _select(self, condition: Condition) -> list[StoredFile]:
        current, now = _current()
        where, values = condition
        rows = await self._access.fetch(
            f"SELECT {_COLUMNS} FROM files WHERE {where} AND ({current}) ORDER BY seq",
            (*values, *now),
        )
        return [_read(row) for row in rows]


def _current() -> Condition:
    return "expires_at IS NULL OR expires_at > ?", (int(time.time()),)


def _read(row: Row) -> StoredFile:
    body, sha256, mime, *origin = row
    thread_id, run_id, step_id = (None if each is None else str(each) for each in origin)
    file = File.model_validate_json(str(body))
    return StoredFile(file, str(sha256), str(mime), thread_id, run_id, step_id)
