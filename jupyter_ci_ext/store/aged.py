"""What nobody has touched for long, and what nothing refers to: for whoever clears up."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from .access import Access, SQLValue

_BATCH = 500

# Touched is a thread by being made or changed, by a message, by a run.
_UNTOUCHED = """created_at < :before AND touched_at < :before
    AND NOT EXISTS (SELECT 1 FROM messages
        WHERE messages.thread_id = threads.id AND messages.created_at >= :before)
    AND NOT EXISTS (SELECT 1 FROM runs
        WHERE runs.thread_id = threads.id AND (runs.created_at >= :before OR runs.active = 1))"""

_FILE_ID = re.compile(r"file-[A-Za-z0-9_-]+")


@dataclass(frozen=True)
class AgedFile:
    """A file that a run has written, and its content."""

    id: str
    sha256: str
    thread_id: str


@dataclass(frozen=True)
class Seen:
    """Ids of files that are mentioned, and up to which rows that has been looked at."""

    ids: frozenset[str]
    messages: int = 0
    runs: int = 0


class Aged:
    """Questions across tables; times are Unix seconds, *before* is when something was last used."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def threads(self, before: int) -> list[str]:
        """Threads untouched since *before*, without a run at work or waiting; oldest first."""
        rows = await self._access.fetch(
            f"SELECT id FROM threads WHERE {_UNTOUCHED.replace(':before', '?')} ORDER BY seq",
            (before,) * 4,
        )
        return [str(row[0]) for row in rows]

    async def is_untouched(self, thread_id: str, before: int) -> bool:
        """Whether the thread is there and would be among `threads`."""
        rows = await self._access.fetch(
            f"SELECT 1 FROM threads WHERE id = ? AND {_UNTOUCHED.replace(':before', '?')}",
            (thread_id, *(before,) * 4),
        )
        return bool(rows)

    async def containers(self, before: int) -> list[str]:
        """Containers of clients unused since *before*."""
        rows = await self._access.fetch(
            "SELECT id FROM containers WHERE last_active_at < ? ORDER BY seq", (before,)
        )
        return [str(row[0]) for row in rows]

    async def uploads(self, before: int) -> list[str]:
        """Uploads made before then that are completed, cancelled or expired."""
        rows = await self._access.fetch(
            "SELECT id FROM uploads WHERE created_at < ? AND status <> 'pending' ORDER BY seq",
            (before,),
        )
        return [str(row[0]) for row in rows]

    async def files(self, before: int, gone: Collection[str] = ()) -> list[AgedFile]:
        """Files that runs wrote before then, on threads that are gone or count as such.

        Whether anything still refers to them is another question: `mentioned`.
        """
        rows = await self._access.fetch(
            "SELECT id, sha256, thread_id, thread_id IN (SELECT id FROM threads) FROM files "
            "WHERE thread_id IS NOT NULL AND created_at < ? ORDER BY seq",
            (before,),
        )
        return [
            AgedFile(str(id), str(sha256), str(thread))
            for id, sha256, thread, there in rows
            if not there or str(thread) in gone
        ]

    async def mentioned(self, gone: Collection[str] = (), seen: Seen | None = None) -> Seen:
        """The files that assistants, threads, messages and runs mention, but for threads *gone*.

        With what was *seen* before, only messages and runs that are newer are looked at.
        """
        ids = set(seen.ids) if seen else set()
        for table in ("assistants", "threads"):
            await self._scan(table, "id", 0, ids, gone)
        messages = await self._scan(
            "messages", "thread_id", seen.messages if seen else 0, ids, gone
        )
        runs = await self._scan("runs", "thread_id", seen.runs if seen else 0, ids, gone)
        return Seen(frozenset(ids), messages, runs)

    async def _scan(
        self, table: str, owner: str, after: int, ids: set[str], gone: Collection[str]
    ) -> int:
        while rows := await self._access.fetch(
            f"SELECT seq, {owner}, body FROM {table} WHERE seq > ? ORDER BY seq LIMIT {_BATCH}",
            (after,),
        ):
            for seq, of, body in rows:
                after = int(seq or 0)
                if of not in gone:
                    ids.update(_FILE_ID.findall(str(body)))
        return after

    async def runs_with_events(self, before: int) -> list[str]:
        """Runs created before then that are over and still have their events."""
        rows = await self._access.fetch(
            "SELECT id FROM runs WHERE created_at < ? AND active = 0 "
            "AND EXISTS (SELECT 1 FROM events WHERE run_id = runs.id) ORDER BY seq",
            (before,),
        )
        return [str(row[0]) for row in rows]

    async def known(self, keys: Sequence[str]) -> set[str]:
        """Which of *keys* are the ids of threads or of containers."""
        found: set[str] = set()
        for at in range(0, len(keys), _BATCH):
            some: tuple[SQLValue, ...] = tuple(keys[at : at + _BATCH])
            marks = ", ".join("?" * len(some))
            for table in ("threads", "containers"):
                rows = await self._access.fetch(
                    f"SELECT id FROM {table} WHERE id IN ({marks})", some
                )
                found |= {str(row[0]) for row in rows}
        return found
