"""The table of containers that clients made; those of threads need no row."""

from __future__ import annotations

from dataclasses import dataclass

from .access import Access, Row


@dataclass(frozen=True)
class StoredContainer:
    """A container as it was asked for; times are Unix seconds."""

    id: str
    name: str
    created_at: int
    last_active_at: int
    """When it was last made use of through the API."""
    memory_limit: str | None = None
    """As it was asked for, such as ``4g``; None: nothing was said."""
    idle_minutes: int | None = None
    """Minutes of idleness as they were asked for; None: nothing was said."""


_COLUMNS = "id, name, created_at, last_active_at, memory_limit, idle_minutes"


class Containers:
    """Containers made by clients."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def insert(self, container: StoredContainer) -> None:
        """Store a new container."""
        await self._access.execute(
            f"INSERT INTO containers ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)",
            (
                container.id,
                container.name,
                container.created_at,
                container.last_active_at,
                container.memory_limit,
                container.idle_minutes,
            ),
        )

    async def get(self, id: str) -> StoredContainer | None:
        """The container, or None."""
        rows = await self._access.fetch(f"SELECT {_COLUMNS} FROM containers WHERE id = ?", (id,))
        return _read(rows[0]) if rows else None

    async def list(self, name: str | None = None) -> list[StoredContainer]:
        """All containers, or those of that name; oldest first."""
        where, values = ("name = ?", (name,)) if name is not None else ("1", ())
        rows = await self._access.fetch(
            f"SELECT {_COLUMNS} FROM containers WHERE {where} ORDER BY seq", values
        )
        return [_read(row) for row in rows]

    async def touch(self, id: str, now: int) -> bool:
        """Note that it was made use of at *now* (Unix time in seconds); False when it is gone."""
        changed = await self._access.execute(
            "UPDATE containers SET last_active_at = ? WHERE id = ?", (now, id)
        )
        return changed > 0

    async def delete(self, id: str) -> bool:
        """Remove the container; False when there was none."""
        return await self._access.execute("DELETE FROM containers WHERE id = ?", (id,)) > 0


def _read(row: Row) -> StoredContainer:
    id, name, created_at, last_active_at, memory_limit, idle_minutes = row
    assert isinstance(created_at, int)
    assert isinstance(last_active_at, int)
    return StoredContainer(
        str(id),
        str(name),
        created_at,
        last_active_at,
        None if memory_limit is None else str(memory_limit),
        idle_minutes if isinstance(idle_minutes, int) else None,
    )
