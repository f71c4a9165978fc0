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
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Thread
from typing import TypeVar, cast

import aiosqlite
import anyio

from ..errors import StoreError
from .access import Row, SQLValue
from .faults import database_fault
from .statements import Statements
from .uninterrupted import uninterrupted

T = TypeVar("T")

BUSY_SECONDS = 5.0
"""How long a statement waits for another process's transaction."""

_JOURNAL_BYTES = 16 * 2**20


class Connection:
    """A connection; its statements run one after the other in the order they were asked for."""

    _statements: Statements

    def __init__(self, db: aiosqlite.Connection) -> None:
        self._db = db
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
        connection = cls(db)
        try:
            await uninterrupted(_opened(db))
            connection._statements = Statements(db._conn, path)
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

    async def run(self, work: Callable[[Statements], T]) -> T:
        """What *work* gives, which is run on the connection's thread.

        All that it does there is one trip; what is started is not called back.
        """
        if self._closed:
            raise StoreError("The store is closed.")
        # All that aiosqlite does goes through this; it has no public name for it.
        result: T = await self._db._execute(work, self._statements)  # type: ignore[no-untyped-call]
        return result

    async def fetch(self, sql: str, values: Sequence[SQLValue] = ()) -> list[Row]:
        """All rows of a statement."""
        return await self.run(lambda db: db.fetch(sql, values))

    async def execute(self, sql: str, values: Sequence[SQLValue] = ()) -> int:
        """Run one statement; returns how many rows it changed."""
        return await self.run(lambda db: db.execute(sql, values))

    async def execute_many(self, sql: str, rows: Iterable[Sequence[SQLValue]]) -> None:
        """Run one statement for each of *rows*."""
        await self.run(lambda db: db.execute_many(sql, rows))

    async def alone(self, sql: str, values: Sequence[SQLValue]) -> None:
        """Run one statement that is a transaction by itself."""
        await self.run(lambda db: db.alone(sql, values))

    async def begin(self) -> None:
        """Take the right to write, across all processes; not to be interrupted."""
        await uninterrupted(self.run(Statements.begin))

    async def commit(self) -> None:
        """Keep what was written; not to be interrupted. On failure nothing is kept."""
        await uninterrupted(self.run(Statements.commit))

    async def rollback(self) -> None:
        """Undo what was written, also by statements that still wait for their turn."""
        if not self._closed:  # closing has undone it
            await uninterrupted(self.run(Statements.rollback))

    async def close(self) -> None:
        """Close it; closing twice is fine."""
        if not self._closed:
            self._closed = True
            await uninterrupted(self._db.close())


async def _opened(db: aiosqlite.Connection) -> None:
    await db
