"""The schema, as numbered steps that are only ever appended to.

Each step and the note that it was taken are one transaction, so a process that dies in the middle
leaves the schema at a step's beginning or end. A released step is never edited: databases that
have taken it would not take it again.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path

from ..errors import StoreError
from .connection import Connection

Migration = Callable[[Connection], Awaitable[None]]


async def m0001_objects(db: Connection) -> None:
    """The tables of the API's objects, events of runs, and instances."""
    for statement in (
        """CREATE TABLE instances (
            id TEXT PRIMARY KEY,
            started_at INTEGER NOT NULL,
            pid INTEGER NOT NULL,
            host TEXT NOT NULL)""",
        """CREATE TABLE assistants (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            body TEXT NOT NULL)""",
        # title and words are case-folded, for searching; excerpt is for showing
        """CREATE TABLE threads (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            title TEXT NOT NULL,
            body TEXT NOT NULL)""",
        """CREATE TABLE messages (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
            run_id TEXT,
            role TEXT NOT NULL,
            excerpt TEXT NOT NULL,
            words TEXT NOT NULL,
            body TEXT NOT NULL)""",
        "CREATE INDEX messages_of_thread ON messages (thread_id)",
        "CREATE INDEX messages_of_run ON messages (thread_id, run_id)",
        """CREATE TABLE runs (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            thread_id TEXT NOT NULL REFERENCES threads (id) ON DELETE CASCADE,
            assistant_id TEXT NOT NULL,
            status TEXT NOT NULL,
            active INTEGER NOT NULL,
            owner TEXT NOT NULL,
            body TEXT NOT NULL)""",
        "CREATE INDEX runs_of_thread ON runs (thread_id)",
        "CREATE UNIQUE INDEX runs_active ON runs (thread_id) WHERE active = 1",
        "CREATE INDEX runs_created ON runs (created_at)",
        """CREATE TABLE steps (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            status TEXT NOT NULL,
            body TEXT NOT NULL)""",
        "CREATE INDEX steps_of_run ON steps (run_id)",
        """CREATE TABLE events (
            run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
            seq INTEGER NOT NULL,
            name TEXT NOT NULL,
            data TEXT NOT NULL,
            PRIMARY KEY (run_id, seq)) WITHOUT ROWID""",
        """CREATE TABLE files (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            purpose TEXT NOT NULL,
            expires_at INTEGER,
            sha256 TEXT NOT NULL,
            mime TEXT NOT NULL,
            thread_id TEXT,
            run_id TEXT,
            step_id TEXT,
            body TEXT NOT NULL)""",
        "CREATE INDEX files_of_purpose ON files (purpose)",
        "CREATE INDEX files_of_content ON files (sha256)",
        "CREATE INDEX files_of_thread ON files (thread_id) WHERE thread_id IS NOT NULL",
        "CREATE INDEX files_expiring ON files (expires_at) WHERE expires_at IS NOT NULL",
        """CREATE TABLE uploads (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            status TEXT NOT NULL,
            expires_at INTEGER NOT NULL,
            mime TEXT NOT NULL,
            expires_after INTEGER,
            body TEXT NOT NULL)""",
        "CREATE INDEX uploads_pending ON uploads (expires_at) WHERE status = 'pending'",
        """CREATE TABLE upload_parts (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            upload_id TEXT NOT NULL REFERENCES uploads (id) ON DELETE CASCADE,
            sha256 TEXT NOT NULL,
            bytes INTEGER NOT NULL)""",
        "CREATE INDEX parts_of_upload ON upload_parts (upload_id)",
        "CREATE INDEX parts_of_content ON upload_parts (sha256)",
    ):
        await db.execute(statement)


async def m0002_containers(db: Connection) -> None:
    """The containers that clients made."""
    await db.execute(
        """CREATE TABLE containers (
            seq INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            created_at INTEGER NOT NULL,
            last_active_at INTEGER NOT NULL,
            name TEXT NOT NULL,
            memory_limit TEXT,
            idle_minutes INTEGER)"""
    )
    await db.execute("CREATE INDEX containers_of_name ON containers (name)")


async def m0003_touched(db: Connection) -> None:
    """When threads were last changed; those from before have their messages and runs to tell."""
    await db.execute("ALTER TABLE threads ADD COLUMN touched_at INTEGER NOT NULL DEFAULT 0")


MIGRATIONS: tuple[Migration, ...] = (m0001_objects, m0002_containers, m0003_touched)


async def migrate(db: Connection, path: Path, migrations: Sequence[Migration] = MIGRATIONS) -> None:
    """Take the steps that the database has not taken yet.

    Two processes may do this at once. Raises `StoreError` for a database that a newer version of
    this package has written.
    """
    if await _taken(db) == len(migrations):
        return
    for number, step in enumerate(migrations, start=1):
        await db.begin()
        try:
            await db.execute(
                "CREATE TABLE IF NOT EXISTS migrations "
                "(number INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL)"
            )
            taken = await _taken(db)
            if taken > len(migrations):
                raise StoreError(
                    f"The database {path} was written by a newer version of jupyter_ci_ext "
                    f"(schema {taken}, this version knows {len(migrations)}). Upgrade the "
                    "package, or use another data directory."
                )
            if taken < number:
                await step(db)
                await db.execute(
                    "INSERT INTO migrations VALUES (?, ?, ?)",
                    (number, getattr(step, "__name__", str(number)), int(time.time())),
                )
        except BaseException:
            await db.rollback()
            raise
        await db.commit()


async def _taken(db: Connection) -> int:
    """Number of the last step taken; 0 for a new database."""
    if not await db.fetch("SELECT 1 FROM sqlite_master WHERE name = 'migrations'"):
        return 0
    number = (await db.fetch("SELECT coalesce(max(number), 0) FROM migrations"))[0][0]
    assert isinstance(number, int)
    return number
