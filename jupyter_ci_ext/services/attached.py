"""Pages of the few files that belong to one object; the store has no rows for these."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from ..errors import InvalidRequest
from ..wire.common import ListPage
from ..wire.params import ListQuery


class _Identified(Protocol):
    @property
    def id(self) -> str: ...


T = TypeVar("T", bound=_Identified)


def page_of(items: Sequence[T], query: ListQuery) -> ListPage[T]:
    """One page of *items*, which stand in the order they were attached in."""
    rows = list(items) if query.order == "asc" else list(reversed(items))
    start = 0 if query.after is None else _position(rows, query.after, "after") + 1
    end = len(rows) if query.before is None else _position(rows, query.before, "before")
    window = rows[start:end]
    if query.before is not None and query.after is None:
        return ListPage.of(window[-query.limit :], has_more=len(window) > query.limit)
    return ListPage.of(window[: query.limit], has_more=len(window) > query.limit)


def _position(rows: Sequence[_Identified], cursor: str, param: str) -> int:
    for n, row in enumerate(rows):
        if row.id == cursor:
            return n
    raise InvalidRequest(
        f"Invalid '{param}': no object with id '{cursor[:100]}' in this list.",
        param=param,
        code="invalid_value",
    )
