"""Pages of a table, written once.

The order of every list is the order of insertion (column ``seq``, an alias of the rowid): it
breaks the ties of ``created_at``, which counts in whole seconds, and as there is one transaction
at a time new rows only ever come at the end. So whoever walks a list with ``after`` or ``before``
meets every row once, however much is written meanwhile. A page costs one look into an index and
the rows it returns, not the rows it skips.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeVar

from ..errors import InvalidRequest
from ..wire.common import WireObject
from ..wire.stored import StoredPage
from .access import Access, SQLValue

T = TypeVar("T", bound=WireObject)

Order = Literal["asc", "desc"]

Condition = tuple[str, tuple[SQLValue, ...]]
"""A piece of SQL and the values of its question marks."""


async def page_of(
    access: Access,
    table: str,
    model: type[T],
    *,
    scope: Sequence[Condition] = (),
    filters: Sequence[Condition] = (),
    limit: int,
    order: Order,
    after: str | None,
    before: str | None,
) -> StoredPage[T]:
    """One page of a table of objects.

    *scope* says whose list it is (a thread's messages): a cursor must lie within it. *filters*
    choose among its rows. With *before* alone the page is the one that ends just before the
    cursor, as somebody who turns back expects it, and more means earlier ones.
    """
    conditions = [*scope, *filters]
    later, earlier = (">", "<") if order == "asc" else ("<", ">")
    if after is not None:
        position = await _position(access, table, scope, after, "after")
        conditions.append((f"seq {later} ?", (position,)))
    if before is not None:
        position = await _position(access, table, scope, before, "before")
        conditions.append((f"seq {earlier} ?", (position,)))
    turning_back = before is not None and after is None
    ascending = (order == "asc") != turning_back
    where, values = _joined(conditions)
    rows = await access.fetch(
        f"SELECT id, body FROM {table} WHERE {where} "
        f"ORDER BY seq {'ASC' if ascending else 'DESC'} LIMIT ?",
        (*values, limit + 1),
    )
    page = rows[:limit]
    if turning_back:
        page.reverse()
    return StoredPage(model, [(str(id), str(body)) for id, body in page], len(rows) > limit)


async def _position(
    access: Access, table: str, scope: Sequence[Condition], cursor: str, param: str
) -> int:
    where, values = _joined([("id = ?", (cursor,)), *scope])
    rows = await access.fetch(f"SELECT seq FROM {table} WHERE {where}", values)
    if not rows:
        raise InvalidRequest(
            f"Invalid '{param}': no object with id '{cursor}' in this list.",
            param=param,
            code="invalid_value",
        )
    position = rows[0][0]
    assert isinstance(position, int)
    return position


def _joined(conditions: Sequence[Condition]) -> tuple[str, tuple[SQLValue, ...]]:
    where = " AND ".join(f"({sql})" for sql, _ in conditions) or "1"
    return where, tuple(value for _, values in conditions for value in values)
