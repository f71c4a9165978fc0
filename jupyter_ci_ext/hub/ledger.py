"""Who used how much on which day, in a SQLite database of the service's own.

One process has it open, and locks everybody else out: two services that count apart would grant
twice what they may. A request is written down when it is let through, with an estimate of its
prompt, and corrected when it is over; so what a crash leaves behind is counted, not lost.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiosqlite
import anyio

from ..errors import StoreError

BUSY_SECONDS = 10.0
"""How long a starting service waits for the one before it to let go."""

Migration = Callable[[aiosqlite.Connection], Awaitable[None]]


async def m0001_usage(db: aiosqlite.Connection) -> None:
    """Counts per day, caller and model."""
    await db.execute(
        """CREATE TABLE usage (
            day TEXT NOT NULL,
            caller TEXT NOT NULL,
            model TEXT NOT NULL,
            requests INTEGER NOT NULL DEFAULT 0,
            prompt_tokens INTEGER NOT NULL DEFAULT 0,
            completion_tokens INTEGER NOT NULL DEFAULT 0,
            estimated_tokens INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (day, caller, model)) WITHOUT ROWID"""
    )


MIGRATIONS: tuple[Migration, ...] = (m0001_usage,)
"""Numbered by their place; only ever appended to."""


@dataclass(frozen=True)
class Used:
    """What a caller has used on a day, requests that are under way included."""

    requests: int
    tokens: int


@dataclass(frozen=True)
class Entry:
    """A request that was let through: where it is counted, and with how many tokens so far."""

    day: str
    caller: str
    model: str
    reserved: int


class Ledger:
    """The counts; from `Ledger.open`. Everything here may raise `StoreError`."""

    def __init__(self, db: aiosqlite.Connection, path: Path) -> None:
        self._db = db
        self._path = path
        self._turn = asyncio.Lock()
        self._closed = False

    @classmethod
    async def open(cls, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> Ledger:
        """Open the database at *path*, which is made where it is missing; bring it up to date."""
        db = aiosqlite.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
        ledger = cls(db, path)
        try:
            await db
            # before the first access: then WAL needs no memory shared with other processes
            await ledger._all("PRAGMA locking_mode=EXCLUSIVE")
            await ledger._all("PRAGMA journal_mode=WAL")
            await ledger._all("PRAGMA synchronous=NORMAL")
            await ledger._migrate(migrations)
        except BaseException as error:
            await ledger.close()
            if isinstance(error, sqlite3.Error):
                raise StoreError(
                    f"The database {path} cannot be used ({error}). Is the service running twice?"
                ) from error
            raise
        return ledger

    async def close(self) -> None:
        """Close it; closing twice is fine."""
        async with self._turn:
            self._closed = True
            await self._db.close()

    async def admit(
        self,
        entry: Entry,
        allowed: Callable[[Used], None],
    ) -> Used:
        """Count *entry* unless *allowed*, told what was used before it, raises; what is used now.

        Looking and counting are one transaction: no two requests can take the last one's place.
        """
        async with self._transaction():
            used = await self._used(entry.day, entry.caller)
            allowed(used)
            await self._add(entry, 1, entry.reserved, 0, 0)
        return Used(used.requests + 1, used.tokens + entry.reserved)

    async def settle(self, entry: Entry, prompt: int, completion: int, *, estimated: bool) -> None:
        """Put the tokens of a request that is over in the place of what was reserved for it."""
        async with self._transaction():
            guess = prompt + completion if estimated else 0
            await self._add(entry, 0, prompt - entry.reserved, completion, guess)

    async def give_back(self, entry: Entry) -> None:
        """Take *entry* out of the counts: the model server did not take the request."""
        async with self._transaction():
            await self._add(entry, -1, -entry.reserved, 0, 0)
            # names of models that nobody has must not fill the table
            await self._db.execute(
                "DELETE FROM usage WHERE day = ? AND caller = ? AND model = ? AND requests <= 0",
                (entry.day, entry.caller, entry.model),
            )

    async def used(self, day: str, caller: str) -> Used:
        """What *caller* has used on *day*."""
        async with self._transaction():
            return await self._used(day, caller)

    async def forget(self, before: str) -> None:
        """Delete the counts of the days before *before*."""
        async with self._transaction():
            await self._db.execute("DELETE FROM usage WHERE day < ?", (before,))

    async def _used(self, day: str, caller: str) -> Used:
        [row] = await self._all(
            "SELECT coalesce(sum(requests), 0), "
            "coalesce(sum(prompt_tokens + completion_tokens), 0) "
            "FROM usage WHERE day = ? AND caller = ?",
            (day, caller),
        )
        return Used(*row)

    async def _add(
        self, entry: Entry, requests: int, prompt: int, completion: int, estimated: int
    ) -> None:
        await self._db.execute(
            "INSERT INTO usage VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
            "requests = requests + excluded.requests, "
            "prompt_tokens = prompt_tokens + excluded.prompt_tokens, "
            "completion_tokens = completion_tokens + excluded.completion_tokens, "
            "estimated_tokens = estimated_tokens + excluded.estimated_tokens",
            (entry.day, entry.caller, entry.model, requests, prompt, completion, estimated),
        )

    async def _migrate(self, migrations: Sequence[Migration]) -> None:
        async with self._transaction():
            await self._db.execute(
                "CREATE TABLE IF NOT EXISTS migrations "
                "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)"
            )
        [(taken,)] = await self._all("SELECT coalesce(max(number), 0) FROM migrations")
        if taken > len(migrations):
            raise StoreError(
                f"The database {self._path} was written by a newer version of this service "
                f"(schema {taken}, this version knows {len(migrations)})."
            )
        for number, step in enumerate(migrations, start=1):
            if number <= taken:
                continue
            async with self._transaction():
                await step(self._db)
                name = getattr(step, "__name__", str(number))
                await self._db.execute(
                    "INSERT INTO migrations VALUES (?, ?, ?)", (number, name, int(time.time()))
                )

    async def _all(self, sql: str, values: Sequence[str] = ()) -> list[sqlite3.Row]:
        return list(await self._db.execute_fetchall(sql, values))

    @asynccontextmanager
    async def _transaction(self) -> AsyncIterator[None]:
        """All or nothing, one after the other, and not to be broken off: each is short."""
        async with self._turn:
            if self._closed:
                raise StoreError(f"The database {self._path} is closed.")
            with anyio.CancelScope(shield=True):
                try:
                    await self._db.execute("BEGIN IMMEDIATE")
                    try:
                        yield
                    except BaseException:
                        await self._db.execute("ROLLBACK")
                        raise
                    await self._db.execute("COMMIT")
                except sqlite3.Error as error:
                    raise StoreError(f"The database {self._path} failed: {error}") from error
