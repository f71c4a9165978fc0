"""One SQLite connection on a thread of its own, whose complaints come out as `StoreError`.

In WAL mode ``synchronous`` is NORMAL: a commit is in the kernel's page cache when it returns, so
that nothing acknowledged is lost when the process is killed, at a small part of the price of
FULL (a streamed answer commits dozens of times a second). A power cut may take the last commits,
whole ones, and leaves the database sound. Where the journal is a rollback journal NORMAL could
leave a damaged file behind, so there it is FULL.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Thread
from typing import cast

import aiosqlite
import anyio

from ..errors import StoreError
from .access import Row, SQLValue
from .faults import database_fault
from .uninterrupted import uninterrupted

BUSY_SECONDS = 5.0
"""How long a statement waits for another process's transaction."""

_JOURNAL_BYTES = 16 * 2**20


class Connection:
    """A connection; its statements run one after the other in the order they were asked for."""

    def __init__(self, db: aiosqlite.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._closed = False
        self.journal = ""

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        exclusive: bool = False,
        read_only: bool = False,
    ) -> Connection:
        """Open the database at *path*.

        *exclusive* keeps every other process out for as long as the connection lives and does
        without shared memory, as network file systems need it. Raises `StoreError`.
        """
        db = aiosqlite.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        # a server that is torn down without closing its store must still be able to exit
        thread: Thread = getattr(db, "_thread", None) or cast(Thread, db)
        thread.daemon = True
        connection = cls(db, path)
        try:
            await uninterrupted(_opened(db))
            await connection._set_up(exclusive=exclusive, read_only=read_only)
        except BaseException as error:
            await connection.close()
            if isinstance(error, sqlite3.Error):
                raise database_fault(error, path) from error
            raise
        return connection

    async def _set_up(self, *, exclusive: bool, read_only: bool) -> None:
        if exclusive:
            await self.fetch("PRAGMA locking_mode=EXCLUSIVE")
        if not read_only:
            self.journal = await self._set_journal("TRUNCATE" if exclusive else "WAL")
        await self.fetch(f"PRAGMA synchronous={'FULL' if exclusive else 'NORMAL'}")
        await self.fetch("PRAGMA foreign_keys=ON")
        await self.fetch(f"PRAGMA journal_size_limit={_JOURNAL_BYTES}")
        if read_only:
            await self.fetch("PRAGMA query_only=ON")
        if exclusive:  # the lock is taken by the first transaction that writes, and then kept
            await self.fetch("BEGIN EXCLUSIVE")
            await self.fetch("COMMIT")

    async def _set_journal(self, mode: str) -> str:
        """Set the journal's kind, or leave it where that cannot be had; returns what it is.

        SQLite does not wait for other processes here, as when two servers make a database at once.
        """
        give_up = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                [row] = await self._db.execute_fetchall(f"PRAGMA journal_mode={mode}")
                return str(row[0])
            except sqlite3.OperationalError as error:
                if "is locked" not in str(error) or time.monotonic() > give_up:
                    raise
            await anyio.sleep(0.02)

    async def fetch(self, sql: str, values: Sequence[SQLValue] = ()) -> list[Row]:
        """All rows of a statement."""
        self._check_open()
        try:
            return list(await self._db.execute_fetchall(sql, values))  # type: ignore[arg-type]
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    async def execute(self, sql: str, values: Sequence[SQLValue] = ()) -> int:
        """Run one statement; returns how many rows it changed."""
        self._check_open()
        try:
            async with self._db.execute(sql, values) as cursor:
                return cursor.rowcount
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    async def execute_many(self, sql: str, rows: Iterable[Sequence[SQLValue]]) -> None:
        """Run one statement for each of *rows*."""
        self._check_open()
        try:
            async with self._db.executemany(sql, rows):
                pass
        except sqlite3.DatabaseError as error:
            raise self._told(error) from error

    async def alone(self, sql: str, values: Sequence[SQLValue]) -> None:
        """Run one statement that is a transaction by itself; not to be interrupted."""
        await uninterrupted(self._alone(sql, values))

    async def _alone(self, sql: str, values: Sequence[SQLValue]) -> None:
        await self._leave()
        await self.fetch(sql, values)

    async def begin(self) -> None:
        """Take the right to write, across all processes; not to be interrupted."""
        await uninterrupted(self._begin())

    async def _begin(self) -> None:
        await self._leave()
        await self.fetch("BEGIN IMMEDIATE")

    async def _leave(self) -> None:
        """Leave the transaction before, if its rollback failed."""
        self._check_open()
        if self._db.in_transaction:
            await self._db.rollback()

    async def commit(self) -> None:
        """Keep what was written; not to be interrupted. On failure nothing is kept."""
        await uninterrupted(self._commit())

    async def _commit(self) -> None:
        try:
            await self.fetch("COMMIT")
        except BaseException:
            await self._rollback()
            raise

    async def rollback(self) -> None:
        """Undo what was written, also by statements that still wait for their turn."""
        await uninterrupted(self._rollback())

    async def _rollback(self) -> None:
        if self._closed:
            return  # closing has undone it
        try:
            await self._db.rollback()
        except sqlite3.Error as error:
            raise database_fault(error, self._path) from error

    async def close(self) -> None:
        """Close it; closing twice is fine."""
        if not self._closed:
            self._closed = True
            await uninterrupted(self._db.close())

    def _check_open(self) -> None:
        if self._closed:
            raise StoreError("The store is closed.")

    def _told(self, error: sqlite3.DatabaseError) -> Exception:
        """What to raise: constraints and misuse are for the caller to see as they are."""
        if isinstance(error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)):
            return error
        return database_fault(error, self._path)


async def _opened(db: aiosqlite.Connection) -> None:
    await db
