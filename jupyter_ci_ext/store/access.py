"""What a table needs of a database: the seam between the table modules and `database`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

SQLValue = str | int | float | bytes | None
Row = tuple[SQLValue, ...]


class Access(ABC):
    """A way to the rows: outside of transactions for reading, inside of one for everything."""

    instance: str
    """Id of this server instance; the owner of the runs it starts."""

    @abstractmethod
    async def fetch(self, sql: str, values: Sequence[SQLValue] = (), /) -> list[Row]:
        """All rows of a SELECT."""

    @abstractmethod
    async def execute(self, sql: str, values: Sequence[SQLValue] = (), /) -> int:
        """Run one statement that changes rows; returns how many it changed.

        Raises RuntimeError outside of a transaction.
        """

    @abstractmethod
    async def execute_many(self, sql: str, rows: Iterable[Sequence[SQLValue]], /) -> None:
        """Run one statement for each of *rows*; raises RuntimeError outside of a transaction."""

    @abstractmethod
    async def keep_blob(self, sha256: str, /) -> None:
        """A row that is being written refers to this content.

        Raises `StoreError` when the content is not there (any more).
        """

    @abstractmethod
    def release_blob(self, sha256: str, /) -> None:
        """A row that referred to this content goes; with the last of them goes the content."""
