"""Stored first, then published, in order; and what happens when the store refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyter_ci_ext.engine import live
from jupyter_ci_ext.engine.journal import Journal
from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.errors import StoreError
from jupyter_ci_ext.events import RunLog
from jupyter_ci_ext.llm.base import TextDelta
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.store.transaction import Transaction
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.thread import Thread

from .house import eventually, house_in, runs
from .models import ScriptedLLM, says
from .sessions import ScriptedSessions


class FullDisk:
    """A store that refuses to write while it is ``full``."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.full = False
        self.refused = 0

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        if self.full:
            self.refused += 1
            raise StoreError("The disk is full.")
        async with self._store.transaction() as tx:
            yield tx

    async def writing(self, work: Callable[[Transaction], Coroutine[Any, Any, Any]]) -> Any:
        if self.full:
            self.refused += 1
            raise StoreError("The disk is full.")
        return await self._store.writing(work)

    async def append_events(self, run_id: str, events: Sequence[tuple[int, str, str]]) -> None:
        if self.full:
            self.refused += 1
            raise StoreError("The disk is full.")
        await self._store.append_events(run_id, events)


@asynccontextmanager
async def opened(folder: Path) -> AsyncIterator[tuple[Store, Run]]:
    store = await Store.open(folder / "data")
    run = Run(id="run_1", created_at=1, assistant_id="a", thread_id="thread_1", model="m")
    async with store.transaction() as tx:
        await tx.threads.insert(Thread(id="thread_1", created_at=1))
        await tx.runs.insert(run)
    yield store, run
    await store.close()


@runs
async def test_pieces_are_stored_with_the_commit_that_follows_and_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, run):
        log = RunLog(run.id)
        journal = Journal(store, log)
        await journal.say("delta", "", lambda _: "1")
        assert log.last_seq == 0, "nobody hears of what is not stored"
        done = run.model_copy(update={"status": "completed"})

        async def write(tx: Transaction) -> None:
            await tx.runs.update(done)

        await journal.commit([("end", "2")], write)
        assert [(e.seq, e.name, e.data) for e in log.since(0)] == [
            (1, "delta", "1"),
            (2, "end", "2"),
        ]
        assert await store.events.since(run.id) == [(1, "delta", "1"), (2, "end", "2")]
        stored = await store.runs.get(run.id)
        assert stored == done


@runs
async def test_pieces_that_can_be_joined_are(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, run):
        log = RunLog(run.id)
        journal = Journal(store, log)
        for text in ("a", "b", "c"):
            await journal.say("logs", text, lambda text: f"<{text}>", join=1)
        await journal.say("logs", "d", lambda text: f"<{text}>", join=2)
        await journal.flush()
        assert [event.data for event in log.since(0)] == ["<abc>", "<d>"]


@runs
async def test_a_refused_commit_changes_nothing_and_loses_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, run):
        disk, log = FullDisk(store), RunLog(run.id)
        journal = Journal(disk, log)  # type: ignore[arg-type]
        disk.full = True
        await journal.say("delta", "", lambda _: "1")
        with pytest.raises(StoreError):
            await journal.commit([("end", "2")])
        assert log.last_seq == 0
        disk.full = False
        await journal.commit([("end", "2")])
        assert [event.data for event in log.since(0)] == ["1", "2"]


@runs
async def test_cancelling_the_writer_stores_no_event_twice(tmp_path: Path) -> None:
    async with opened(tmp_path) as (store, run):
        log = RunLog(run.id)
        journal = Journal(store, log, beat=0.0)
        for round in range(20):
            writer = asyncio.ensure_future(journal.write())
            await journal.say("delta", "", lambda _: "x")
            for _ in range(round):
                await asyncio.sleep(0)
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
        await journal.commit([("end", "y")])
        stored = await store.events.since(run.id)
        assert [row[0] for row in stored] == list(range(1, 22))
        assert [tuple(event) for event in log.since(0)] == stored


@runs
async def test_halves_are_stored_when_nothing_more_comes(tmp_path: Path) -> None:
    limits = RunLimits(snapshot=0.01)
    llm = ScriptedLLM([TextDelta("So far"), asyncio.Event()])
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w"), limits) as house:
        run = await house.start(await house.thread())

        async def grown() -> bool:
            return (await house.recorded(run)).text == "So far"

        await eventually(grown)


def test_a_run_ends_as_soon_as_the_store_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_PATIENCE", (0.01,))

    @runs
    async def go() -> None:
        gate = asyncio.Event()
        llm = ScriptedLLM([TextDelta("Hello"), gate, *says(" there")])
        async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
            disk = FullDisk(house.store)
            house.supervisor._store = disk  # type: ignore[assignment]
            run = await house.start(await house.thread())

            async def said() -> bool:
                return bool((await house.recorded(run)).messages)

            await eventually(said)
            disk.full = True
            gate.set()

            async def refused_often() -> bool:
                return disk.refused > 5

            await eventually(refused_often)
            disk.full = False
            done = await house.finish(run)
        assert done.run.status == "failed"
        assert done.run.last_error is not None
        assert done.run.last_error.message == "The disk is full."
        assert done.text.startswith("Hello")
        assert done.messages[0].status == "incomplete"

    go()


@runs
async def test_a_run_that_cannot_be_announced_fails(tmp_path: Path) -> None:
    async with house_in(tmp_path, ScriptedLLM(), ScriptedSessions(tmp_path / "w")) as house:
        disk = FullDisk(house.store)
        house.supervisor._store = disk  # type: ignore[assignment]
        run = await house.queue(await house.thread())
        disk.full = True
        with pytest.raises(StoreError):
            await house.supervisor.submit(run)
        disk.full = False
        await house.until(run, "failed")
        stored = await house.store.runs.get(run.id)
        assert stored is not None
        assert stored.status == "failed"
