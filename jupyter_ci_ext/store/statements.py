"""What is done with a connection on the thread that it lives on, at once.

Every trip to that thread and back costs more than most statements do: two switches of threads. So
whatever belongs together makes one trip. The tables are written to wait for each statement; on the
thread itself there is nothing to wait for, and `run_through` runs such code from end to end.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Coroutine, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from .access import Row, SQLValue
from .faults import database_fault

T = TypeVar("T")


class Statements:
    """The statements; what SQLite complains about comes out as `StoreError`.

    Constraints and misuse are for the caller to see as they are.
    """

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._path = path

    def fetch(self, sql: str, values: Sequence[SQLValue] = ()) -> list[Row]:
        """All rows of a statement."""
        try:
            return self._db.execute(sql, values).fetchall()
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def execute(self, sql: str, values: Sequence[SQLValue] = ()) -> int:
        """Run one statement; returns how many rows it changed."""
        try:
            return self._db.execute(sql, values).rowcount
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def execute_many(self, sql: str, rows: Iterable[Sequence[SQLValue]]) -> None:
        """Run one statement for each of *rows*."""
        try:
            self._db.executemany(sql, rows)
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    def alone(self, sql: str, values: Sequence[SQLValue]) -> None:
        """Run one statement that is a transaction by itself."""
        self._leave()
        self.fetch(sql, values)

    def begin(self) -> None:
        """Take the right to write, across all processes."""
        self._leave()
        self.fetch("BEGIN IMMEDIATE")

    def _leave(self) -> None:
        """Leave the transaction before, if its rollback failed."""
        if self._db.in_transaction:
            self.rollback()

    def commit(self) -> None:
        """Keep what was written. On failure nothing is kept."""
        try:
            self.fetch("COMMIT")
        except BaseException:
            self.rollback()
            raise

    def rollback(self) -> None:
        """Undo what was written."""
        try:
            self._db.rollback()
        except sqlite3.Error as error:
            raise database_fault(error, self._path) from error

    def _told(self, error: sqlite3.DatabaseError) -> Exception:
        if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
            return error
        return database_fault(error, self._path)


class Immediate:
    """The statements as coroutines that never wait; for tables on the connection's thread."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    async def fetch(self, sql: str, values: Sequence[SQLValue] = ()) -> list[Row]:
        """All rows of a statement."""
        return self._statements.fetch(sql, values)

    async def execute(self, sql: str, values: Sequence[SQLValue] = ()) -> int:
        """Run one statement; returns how many rows it changed."""
        return self._statements.execute(sql, values)

    async def execute_many(self, sql: str, rows: Iterable[Sequence[SQLValue]]) -> None:
        """Run one statement for each of *rows*."""
        self._statements.execute_many(sql, rows)


def run_through(work: Coroutine[Any, Any, T]) -> T:
    """Run *work*, which has nothing to wait for, to its end; without an event loop.

    Raises RuntimeError when it waits for something after all.
    """
    try:
        work.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    work.close()
    raise RuntimeError("on a connection's thread there is nothing to wait for but its tables")
