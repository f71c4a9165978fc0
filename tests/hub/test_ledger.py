"""The counts on disk: atomic, kept over a crash, for one service at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import aiosqlite
import pytest

from jupyter_ci_ext.errors import StoreError
from jupyter_ci_ext.hub import ledger as module
from jupyter_ci_ext.hub.ledger import MIGRATIONS, Entry, Ledger, Used

DAY = "2026-11-21"
ENTRY = Entry(DAY, "user/alice", "m", 50)


def anything(_used: Used) -> None:
    """No limit."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "usage.sqlite"


async def test_a_request_counts_from_when_it_is_let_through(path: Path) -> None:
    ledger = await Ledger.open(path)
    try:
        assert await ledger.admit(ENTRY, anything) == Used(1, 50)
    finally:
        await ledger.close()
    # as if the service had died meanwhile: the estimate of its prompt stays
    ledger = await Ledger.open(path)
    try:
        assert await ledger.used(DAY, "user/alice") == Used(1, 50)
        await ledger.settle(ENTRY, 40, 7, estimated=False)
        assert await ledger.used(DAY, "user/alice") == Used(1, 47)
        other = Entry(DAY, "user/alice", "n", 5)
        assert await ledger.admit(other, anything) == Used(2, 52)
        await ledger.give_back(other)
        assert await ledger.used(DAY, "user/alice") == Used(1, 47)
        assert await ledger.used(DAY, "user/bob") == Used(0, 0)
        assert await ledger.used("2026-11-22", "user/alice") == Used(0, 0)
        await ledger.forget("2026-11-22")
        assert await ledger.used(DAY, "user/alice") == Used(0, 0)
    finally:
        await ledger.close()
    await ledger.close()
    with pytest.raises(StoreError, match="closed"):
        await ledger.admit(ENTRY, anything)


async def test_two_requests_do_not_take_the_last_ones_place(path: Path) -> None:
    def one(used: Used) -> None:
        if used.requests:
            raise PermissionError

    ledger = await Ledger.open(path)
    try:
        tries = [ledger.admit(ENTRY, one) for _ in range(20)]
        done = await asyncio.gather(*tries, return_exceptions=True)
        assert sum(isinstance(each, Used) for each in done) == 1
        assert await ledger.used(DAY, "user/alice") == Used(1, 50)
    finally:
        await ledger.close()


async def test_a_second_service_is_kept_out(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = await Ledger.open(path)
    try:
        monkeypatch.setattr(module, "BUSY_SECONDS", 0.05)
        with pytest.raises(StoreError, match="running twice"):
            await Ledger.open(path)
        assert await ledger.admit(ENTRY, anything) == Used(1, 50)
    finally:
        await ledger.close()


async def test_steps_of_the_schema_are_taken_once_and_only_forward(path: Path) -> None:
    async def more(db: aiosqlite.Connection) -> None:
        await db.execute("ALTER TABLE usage ADD COLUMN note TEXT")

    await (await Ledger.open(path)).close()
    for _ in range(2):
        await (await Ledger.open(path, (*MIGRATIONS, more))).close()
    with pytest.raises(StoreError, match="newer version"):
        await Ledger.open(path)


async def test_a_step_that_fails_leaves_nothing_behind(path: Path) -> None:
    async def broken(db: aiosqlite.Connection) -> None:
        await db.execute("CREATE TABLE half (x)")
        await db.execute("this is no SQL")

    with pytest.raises(StoreError):
        await Ledger.open(path, (*MIGRATIONS, broken))
    async with aiosqlite.connect(path) as db:
        rows = await db.execute_fetchall("SELECT name FROM sqlite_master")
        assert "half" not in [name for (name,) in rows]


async def test_a_file_that_is_no_database_is_told(path: Path) -> None:
    path.write_text("this is no database, but long enough for one" * 20)  # noqa: ASYNC240
    with pytest.raises(StoreError, match=r"usage\.sqlite"):
        await Ledger.open(path)
