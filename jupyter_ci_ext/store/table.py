"""What every table of objects can do.

A row holds the whole object as JSON (``body``, the v2 wire form as it stands in lists) beside the
columns that are queried. ``body`` stands last, so that reading the others never walks through a
long one.
"""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Sequence
from typing import ClassVar, Generic, Protocol, TypeVar, cast

from ..wire.common import WireObject
from ..wire.stored import StoredPage, as_stored
from .access import Access, SQLValue
from .paging import Condition, Order, page_of


class _Identified(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> int: ...


T = TypeVar("T", bound=WireObject)


class Table(Generic[T]):
    """Objects of one kind; reads anywhere, writes on a transaction's tables only."""

    name: ClassVar[str]
    model: type[T]

    def __init__(self, access: Access) -> None:
        self._access = access

    def columns(self, obj: T) -> dict[str, SQLValue]:
        """The columns of *obj* beside its body; those a kind is queried by are added to these."""
        identified = cast(_Identified, obj)
        return {"id": identified.id, "created_at": identified.created_at}

    async def delete(self, id: str) -> bool:
        """Remove the object and what is below it; False when there was none."""
        return await self._access.execute(f"DELETE FROM {self.name} WHERE id = ?", (id,)) > 0

    async def update(self, obj: T) -> bool:
        """Replace the stored object of the same id; False when it is gone."""
        values = {**self.columns(obj), "body": as_stored(obj)}
        assignments = ", ".join(f"{column} = ?" for column in values)
        changed = await self._access.execute(
            f"UPDATE {self.name} SET {assignments} WHERE id = ?", (*values.values(), values["id"])
        )
        return changed > 0

    async def _insert(self, obj: T, **more: SQLValue) -> None:
        values = {**self.columns(obj), **more, "body": as_stored(obj)}
        await self._access.execute(
            f"INSERT INTO {self.name} ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
            tuple(values.values()),
        )

    async def _get(self, id: str, *scope: Condition) -> T | None:
        found = await self._select([("id = ?", (id,)), *scope])
        return found[0] if found else None

    async def _select(self, conditions: Sequence[Condition]) -> list[T]:
        where = " AND ".join(f"({sql})" for sql, _ in conditions)
        values = [value for _, each in conditions for value in each]
        # the plus keeps SQLite from walking the whole table in order, for the few rows there are
        rows = await self._access.fetch(
            f"SELECT body FROM {self.name} WHERE {where} ORDER BY +seq", values
        )
        return [self._read(row[0]) for row in rows]

    async def _page(
        self,
        scope: Sequence[Condition],
        filters: Sequence[Condition],
        limit: int,
        order: Order,
        after: str | None,
        before: str | None,
    ) -> StoredPage[T]:
        return await page_of(
            self._access,
            self.name,
            self.model,
            scope=scope,
            filters=filters,
            limit=limit,
            order=order,
            after=after,
            before=before,
        )

    def _read(self, body: SQLValue) -> T:
        assert isinstance(body, str)
        return self.model.model_validate_json(body)


def on_thread(thread_id: str | None) -> list[Condition]:
    """The condition that a row belongs to the thread; none where it does not matter."""
    return [] if thread_id is None else [("thread_id = ?", (thread_id,))]


def lacks_parent(error: sqlite3.IntegrityError) -> bool:
    """Whether a row could not be inserted because what it belongs to is gone."""
    return "FOREIGN KEY" in str(error)


def folded(text: str) -> str:
    """The form in which texts are compared when searching: no case, no compatibility forms."""
    return unicodedata.normalize("NFKC", text).casefold()
