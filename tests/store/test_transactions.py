"""All or nothing, one after the other, whoever is cancelled at whatever moment."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import anyio
import pytest

from jupyter_ci_ext.errors import StoreError
from jupyter_ci_ext.store.database import DATABASE, Store
from jupyter_ci_ext.store.transaction import Tables, Transaction
from jupyter_ci_ext.store.uninterrupted import uninterrupted
from jupyter_ci_ext.wire.thread import Thread

from .harness import a_file, a_thread, asynchronous, opened

ENDLESS = "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300000) SELECT max(i) FROM n"


async def works(store: Store) -> None:
    """The store takes a transaction and nothing of an earlier one is left in it."""
    thread = a_thread()
    with anyio.fail_after(20):
        async with store.transaction() as tx:
            await tx.threads.insert(thread)
    assert await store.threads.get(thread.id) == thread


async def stored(store: Store) -> set[str]:
    return {thread.id for thread in (await store.threads.page(10_000)).data}


@asynchronous
async def test_an_exception_undoes_everything(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        kept, undone = a_thread("kept"), a_thread("undone")
        async with store.transaction() as tx:
            await tx.threads.insert(kept)

        async def fail() -> None:
            async with store.transaction() as tx:
                await tx.threads.insert(undone)
                await tx.threads.delete(kept.id)
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert await stored(store) == {kept.id}
        await works(store)


@asynchronous
async def test_a_failing_statement_undoes_everything(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread = a_thread()
        with pytest.raises(sqlite3.IntegrityError):
            await write_three(store, [thread, thread])
        assert await stored(store) == set()
        await works(store)


@asynchronous
async def test_the_writing_task_reads_what_it_wrote_and_others_what_is_committed(
    tmp_path: Path,
) -> None:
    async with opened(tmp_path) as store:
        thread = a_thread("old")
        async with store.transaction() as tx:
            await tx.threads.insert(thread)
        new = thread.model_copy(update={"metadata": {"title": "new"}})
        async with store.transaction() as tx:
            assert await tx.threads.update(new)
            assert await tx.threads.get(thread.id) == new
            assert await store.threads.get(thread.id) == new
            assert await asyncio.create_task(store.threads.get(thread.id)) == thread
        assert await store.threads.get(thread.id) == new


@asynchronous
async def test_transactions_of_many_tasks_follow_one_another(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread = a_thread("0")
        async with store.transaction() as tx:
            await tx.threads.insert(thread)

        async def count_up() -> None:
            async with store.transaction() as tx:
                now = await tx.threads.get(thread.id)
                assert now is not None
                title = str(int(now.metadata["title"]) + 1)
                await tx.threads.update(now.model_copy(update={"metadata": {"title": title}}))

        await asyncio.gather(*(count_up() for _ in range(40)))
        counted = await store.threads.get(thread.id)
        assert counted is not None
        assert counted.metadata["title"] == "40"


@asynchronous
async def test_misuse_is_refused(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        with pytest.raises(RuntimeError, match="only read"):
            await store.threads.insert(a_thread())
        with pytest.raises(RuntimeError, match="only read"):
            await store.events.append("run_x", [(1, "a", "{}")])
        async with store.transaction() as tx:
            with pytest.raises(RuntimeError, match="nest"):
                async with store.transaction():
                    pass
        with pytest.raises(RuntimeError, match="over"):
            await tx.threads.insert(a_thread())
        await works(store)


# ---- in one trip to the connection's thread ---------------------------------------------------


@asynchronous
async def test_a_transaction_in_one_trip(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread, other = a_thread("first"), a_thread("second")

        async def write(tx: Transaction) -> int:
            await tx.threads.insert(thread)
            await tx.threads.insert(other)
            assert await tx.threads.get(thread.id) == thread
            return threading.get_ident()

        assert await store.writing(write) != threading.get_ident()

        async def read(tables: Tables) -> list[Thread | None]:
            return [await tables.threads.get(thread.id), await tables.threads.get("nothing")]

        assert await store.reading(read) == [thread, None]
        assert await stored(store) == {thread.id, other.id}


@asynchronous
async def test_what_fails_in_one_trip_undoes_everything(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread = a_thread()

        async def fail(tx: Transaction) -> None:
            await tx.threads.insert(thread)
            await tx.threads.insert(thread)

        async def wait(tx: Transaction) -> None:
            await tx.threads.insert(thread)
            await asyncio.sleep(0)

        kept: list[Transaction] = []

        async def keep(tx: Transaction) -> None:
            kept.append(tx)

        with pytest.raises(sqlite3.IntegrityError):
            await store.writing(fail)
        with pytest.raises(RuntimeError, match="nothing to wait for"):
            await store.writing(wait)
        await store.writing(keep)
        with pytest.raises(RuntimeError, match="over"):
            await kept[0].threads.insert(thread)
        with pytest.raises(RuntimeError, match="only read"):
            await store.reading(lambda tables: tables.threads.insert(thread))
        assert await stored(store) == set()
        await works(store)


@asynchronous
async def test_contents_are_kept_in_one_trip(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        blob = await store.blobs.put(b"content")
        file, lost = a_file(), a_file()
        await store.writing(lambda tx: tx.files.insert(file, sha256=blob.sha256))
        with pytest.raises(StoreError, match="gone from the disk"):
            await store.writing(lambda tx: tx.files.insert(lost, sha256="0" * 64))
        await store.collect_garbage()
        assert await store.blobs.exists(blob.sha256)
        assert await store.files.get(lost.id) is None


@asynchronous
async def test_trips_within_a_transaction_belong_to_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread = a_thread()
        async with store.transaction() as tx:
            await tx.threads.insert(thread)
            assert await store.reading(lambda tables: tables.threads.get(thread.id)) == thread
            with pytest.raises(RuntimeError, match="nest"):
                await store.writing(lambda inner: inner.threads.insert(a_thread()))
        assert await stored(store) == {thread.id}


@asynchronous
async def test_contents_go_with_the_rows_that_are_deleted_in_one_trip(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        blob, file = await store.blobs.put(b"abc"), a_file()
        async with store.transaction() as tx:
            await tx.files.insert(file, sha256=blob.sha256)
        assert await store.blobs.exists(blob.sha256)
        assert await store.writing(lambda tx: tx.files.delete(file.id))
        assert not await store.blobs.exists(blob.sha256)


# ---- cancellation -----------------------------------------------------------------------------


async def write_three(store: Store, threads: list[Thread]) -> None:
    async with store.transaction() as tx:
        for thread in threads:
            await tx.threads.insert(thread)


async def write_three_at_once(store: Store, threads: list[Thread]) -> None:
    async def write(tx: Transaction) -> None:
        for thread in threads:
            await tx.threads.insert(thread)

    await store.writing(write)


@pytest.mark.parametrize("write", [write_three, write_three_at_once])
@pytest.mark.parametrize("kind", ["task", "scope"])
@asynchronous
async def test_cancelled_at_any_moment_it_is_all_or_nothing(
    tmp_path: Path, kind: str, write: Callable[[Store, list[Thread]], Coroutine[Any, Any, None]]
) -> None:
    moments = random.Random(7)
    outcomes = {"all": 0, "nothing": 0}
    async with opened(tmp_path) as store:
        for _ in range(150):
            threads = [a_thread() for _ in range(3)]
            delay = moments.uniform(0, 0.0015)
            if kind == "task":
                task = asyncio.create_task(write(store, threads))
                await asyncio.sleep(delay)
                task.cancel()
                await asyncio.wait([task], timeout=20)
                assert task.done()
            else:
                with anyio.move_on_after(delay):
                    await write(store, threads)
            found = {thread.id for thread in threads} & await stored(store)
            assert len(found) in (0, 3)
            outcomes["all" if found else "nothing"] += 1
        await works(store)
    # a trip that has begun is made to its end
    assert outcomes["nothing" if write is write_three else "all"], outcomes


@asynchronous
async def test_cancelled_while_it_waits_for_another_process(tmp_path: Path) -> None:
    """BEGIN cannot be called back: it is waited for and undone."""
    async with opened(tmp_path) as store:
        other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(write_three(store, [a_thread()]))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0.05)
        assert not task.done()
        other.execute("ROLLBACK")
        other.close()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await stored(store) == set()
        await works(store)


@asynchronous
async def test_cancelled_in_the_middle_of_a_statement(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:

        async def slow() -> None:
            async with store.transaction() as tx:
                await tx.threads.insert(a_thread())
                await tx.fetch(ENDLESS)
                await tx.threads.insert(a_thread())

        task = asyncio.create_task(slow())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await stored(store) == set()
        await works(store)


@asynchronous
async def test_cancelled_while_it_waits_for_its_turn(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        waiting = a_thread()
        async with store.transaction() as tx:
            task = asyncio.create_task(write_three(store, [waiting]))
            await asyncio.sleep(0.01)
            task.cancel()
            await tx.threads.insert(a_thread())
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await store.threads.get(waiting.id) is None
        await works(store)


@asynchronous
async def test_a_cancelled_reader_does_not_hold_up_the_others(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        slow = [asyncio.create_task(store.fetch(ENDLESS)) for _ in range(3)]
        await asyncio.sleep(0.01)
        for task in slow:
            task.cancel()
        await works(store)


@asynchronous
async def test_uninterrupted_work_ends_before_the_cancellation_is_raised() -> None:
    ended = []

    async def work(fail: bool) -> None:
        await asyncio.sleep(0.03)
        ended.append(fail)
        if fail:
            raise StoreError("it did not work")

    for fail, expected in ((False, asyncio.CancelledError), (True, StoreError)):
        task = asyncio.create_task(uninterrupted(work(fail)))
        for _ in range(3):
            await asyncio.sleep(0.002)
            task.cancel()
        with pytest.raises(expected):
            await task
    with anyio.move_on_after(0.001) as scope:
        await uninterrupted(work(False))
    assert scope.cancelled_caught
    assert ended == [False, True, False]


@asynchronous
async def test_uninterrupted_work_inside_such_work() -> None:
    ended = []

    async def inner() -> None:
        await asyncio.sleep(0.03)
        ended.append("inner")

    async def outer() -> None:
        with anyio.move_on_after(0.001) as scope:
            await uninterrupted(inner())
        assert scope.cancelled_caught
        await uninterrupted(inner())
        ended.append("outer")

    task = asyncio.create_task(uninterrupted(outer()))
    await asyncio.sleep(0.002)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["inner", "inner", "outer"]


# ---- opening and closing ----------------------------------------------------------------------


@asynchronous
async def test_cancelled_while_opening_leaves_the_directory_usable(tmp_path: Path) -> None:
    for step in range(12):
        with anyio.move_on_after(step * 0.001):
            store = await Store.open(tmp_path / "data")
            await store.close()
    async with opened(tmp_path / "data") as store:
        await works(store)
        assert await store.instances.ids() == [store.instance]


@asynchronous
async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await works(store)
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.threads.page()
    with pytest.raises(StoreError, match="closed"):
        await write_three(store, [a_thread()])


@asynchronous
async def test_close_waits_for_a_transaction(tmp_path: Path) -> None:
    thread = a_thread()
    async with opened(tmp_path) as store:
        async with store.transaction() as tx:
            closing = asyncio.create_task(store.close())
            await asyncio.sleep(0.02)
            await tx.threads.insert(thread)
        await closing
    async with opened(tmp_path) as store:
        assert await store.threads.get(thread.id) == thread


@asynchronous
async def test_only_the_owner_can_look_inside(tmp_path: Path) -> None:
    data_dir = tmp_path / "new" / "data"
    async with opened(data_dir) as store:
        blob = await store.blobs.put(b"abc")
        await works(store)
        assert data_dir.stat().st_mode & 0o777 == 0o700
        modes = {path.stat().st_mode & 0o777 for path in data_dir.rglob("*") if path.is_file()}
        assert modes == {0o600}
        assert (data_dir / f"{DATABASE}-wal").exists()
        assert store.blobs.path(blob.sha256).parent.stat().st_mode & 0o777 == 0o700
