"""The table of runs' events, from which a stream is taken up again where it broke off."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

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


@dataclass
class Append:
    """New events of one run that wait for the connection, and what became of them."""

    run_id: str
    events: Sequence[tuple[int, str, str]]
    over: bool = False
    error: BaseException | None = None

    def result(self) -> None:
        """Raise what went wrong, if anything did."""
        if self.error is not None:
            raise self.error


def batches(waiting: Iterable[Append]) -> Iterator[list[Append]]:
    """All of *waiting* in their order, so many together as one `insertion` takes."""
    batch: list[Append] = []
    size = 0
    for append in waiting:
        if batch and size + len(append.events) > AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(append)
        size += len(append.events)
    if batch:
        yield batch


def insertion(appends: Sequence[Append]) -> tuple[str, list[SQLValue]]:
    """One statement that stores the events of all *appends*, or none; its values."""
    rows = [(append.run_id, *event) for append in appends for event in append.events]
    marks = ", ".join(["(?, ?, ?, ?)"] * len(rows))
    values: list[SQLValue] = [value for row in rows for value in row]
    return f"INSERT INTO events (run_id, seq, name, data) VALUES {marks}", values


def told(error: sqlite3.IntegrityError, run_id: str) -> Exception:
    """What to raise where events were refused."""
    return NotFound(f"No run found with id '{run_id}'.") if lacks_parent(error) else error
