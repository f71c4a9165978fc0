"""Objects as they are stored, which is as they stand in lists: these need not read what they send.

Rows have `as_stored`, byte for byte what stands in the answer, so that a list is made by putting
texts together. A row of another make, of an earlier version of this package, tells itself by being
one line, and is read and written anew on its way out. So whoever adds a field to an object, or
changes a default, adds a migration that takes the line ends out of the rows there are:
`jupyter_ci_ext.store.migrations`. A test knows all fields, and says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Generic, TypeVar

from pydantic import BaseModel
from pydantic_core import to_json

T = TypeVar("T", bound=BaseModel)

_DEEPER = "\n    "
_FIRST = "{" + _DEEPER
_HEAD = '{\n  "object": "list",\n  "data": ['


def as_stored(value: BaseModel) -> str:
    """The object as a row holds it: JSON, nulls kept, keys in their order, indented for a list."""
    # line ends within texts are escaped, so all of these are between the tokens
    return value.model_dump_json(indent=2).replace("\n", _DEEPER)


class StoredPage(Generic[T]):
    """A `jupyter_ci_ext.wire.common.ListPage` of rows, whose objects are read when asked for."""

    def __init__(
        self, model: type[T], rows: Sequence[tuple[str, str]], has_more: bool = False
    ) -> None:
        """*rows* are ids and what is stored, in the order that was asked for."""
        self.has_more = has_more
        self._model = model
        self._rows = rows

    @cached_property
    def data(self) -> list[T]:
        """The objects."""
        return [self._model.model_validate_json(text) for _, text in self._rows]

    @property
    def first_id(self) -> str | None:
        """Id of the first object; None when the page is empty."""
        return self._rows[0][0] if self._rows else None

    @property
    def last_id(self) -> str | None:
        """Id of the last object; None when the page is empty."""
        return self._rows[-1][0] if self._rows else None

    def changed(self, concerns: Callable[[str], bool], change: Callable[[T], T]) -> StoredPage[T]:
        """The page with *change* made to the objects of whose text *concerns* is true."""

        def changed(text: str) -> str:
            if not concerns(text):
                return text
            return as_stored(change(self._model.model_validate_json(text)))

        rows = [(id, changed(text)) for id, text in self._rows]
        return StoredPage(self._model, rows, self.has_more)

    def to_json(self) -> str:
        """The page as it is answered."""
        tail = (
            f'"first_id": {_json(self.first_id)},\n  "last_id": {_json(self.last_id)},\n'
            f'  "has_more": {_json(self.has_more)}\n}}'
        )
        if not self._rows:
            return f"{_HEAD}],\n  {tail}"
        items = [self._current(text) for _, text in self._rows]
        # one copy of what may be long
        items[0] = f"{_HEAD}{_DEEPER}{items[0]}"
        items[-1] += f"\n  ],\n  {tail}"
        return f",{_DEEPER}".join(items)

    def _current(self, text: str) -> str:
        if text.startswith(_FIRST):
            return text
        return as_stored(self._model.model_validate_json(text))


def _json(value: str | bool | None) -> str:
    return to_json(value).decode()
