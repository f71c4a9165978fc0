"""The table of runs' events, from which a stream is taken up again where it broke off."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence

from ..errors import NotFound
from .access import Access, SQLValue
from .table import lacks_parent

AT_ONCE = 200
"""Events of one `insertion` at most; the values of a statement are limited."""


class Events:
    """Events of runs: a number from 1, a name, and one line of JSON."""

    def __init__(self, access: Access) -> None:
        self._access = access

    async def append(self, run_id: str, events: Iterable[tuple[int, str, str]]) -> None:
        """Store new events of a run; raises `NotFound` when the run is gone."""
        try:
            await self._access.execute_many(
                "INSERT INTO events (run_id, seq, name, data) VALUES (?, ?, ?, ?)",
                [(run_id, seq, name, data) for seq, name, data in events],
            )
        except sqlite3.IntegrityError as error:
            raise told(error, run_id) from error

    async def since(
        self, run_id: str, seq: int = 0, limit: int | None = None
    ) -> list[tuple[int, str, str]]:
        """The events after number *seq* in their order, at most *limit*."""
        rows = await self._access.fetch(
            "SELECT seq, name, data FROM events WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?",
            (run_id, seq, -1 if limit is None else limit),
        )
        return [(int(seq or 0), str(name), str(data)) for seq, name, data in rows]

    async def last_seq(self, run_id: str) -> int:
        """The number of the run's newest event; 0 when there is none."""
        rows = await self._access.fetch(
            "SELECT coalesce(max(seq), 0) FROM events WHERE run_id = ?", (run_id,)
        )
        return int(rows[0][0] or 0)

    async def forget(self, run_id: str) -> int:
        """Delete the events of a run that is over; how many went.

        What the run did stays: its steps and messages hold it.
        """
        return await self._access.execute("DELETE FROM events WHERE run_id = ?", (run_id,))


def insertion(run_id: str, events: Sequence[tuple[int, str, str]]) -> tuple[str, list[SQLValue]]:
    """One statement that stores all of *events*, or none; its values."""
    marks = ", ".join(["(?, ?, ?, ?)"] * len(events))
    values: list[SQLValue] = [value for event in events for value in (run_id, *event)]
    return f"INSERT INTO events (run_id, seq, name, data) VALUES {marks}", values


def told(error: sqlite3.IntegrityError, run_id: str) -> Exception:
    """What to raise where events were refused."""
    return NotFound(f"No run found with id '{run_id}'.") if lacks_parent(error) else error
