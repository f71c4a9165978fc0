"""Lists page by page: nothing twice, nothing missed, in both directions, at any length."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_ci_ext.errors import InvalidRequest
from jupyter_ci_ext.store.access import Access, Row, SQLValue
from jupyter_ci_ext.store.database import DATABASE, Store
from jupyter_ci_ext.store.messages import Messages
from jupyter_ci_ext.store.paging import Order
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.stored import StoredPage
from jupyter_ci_ext.wire.thread import Thread

from .harness import a_message, a_thread, asynchronous, opened


async def add_messages(store: Store, thread: Thread, count: int) -> list[str]:
    messages = [a_message(thread, f"message {n}") for n in range(count)]
    async with store.transaction() as tx:
        for message in messages:
            await tx.messages.insert(message)
    return [message.id for message in messages]


async def add_thread(store: Store) -> Thread:
    thread = a_thread()
    async with store.transaction() as tx:
        await tx.threads.insert(thread)
    return thread


def ids(page: StoredPage[Message]) -> list[str]:
    return [message.id for message in page.data]


@asynchronous
async def test_order_is_insertion_order_within_one_second(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread = await add_thread(store)
        added = await add_messages(store, thread, 30)
        newest = await store.messages.page(thread_id=thread.id)
        oldest = await store.messages.page(order="asc", thread_id=thread.id)
    assert ids(newest) == added[:9:-1]
    assert newest.has_more
    assert ids(oldest) == added[:20]


@asynchronous
async def test_before_is_the_previous_page_and_both_cursors_a_window(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread = await add_thread(store)
        m = await add_messages(store, thread, 10)

        async def page(order: Order, limit: int, **cursors: str) -> tuple[list[str], bool]:
            got = await store.messages.page(limit, order, thread_id=thread.id, **cursors)
            return ids(got), got.has_more

        assert await page("asc", 3, before=m[7]) == (m[4:7], True)
        assert await page("asc", 3, before=m[3]) == (m[0:3], False)
        assert await page("desc", 3, before=m[2]) == ([m[5], m[4], m[3]], True)
        assert await page("desc", 3, before=m[9]) == ([], False)
        assert await page("asc", 3, after=m[2], before=m[8]) == (m[3:6], True)
        assert await page("asc", 9, after=m[2], before=m[8]) == (m[3:8], False)
        assert await page("desc", 3, after=m[9]) == ([m[8], m[7], m[6]], True)
        assert await page("desc", 3, after=m[0]) == ([], False)


@asynchronous
async def test_a_cursor_must_lie_in_the_list(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread, other = await add_thread(store), await add_thread(store)
        [elsewhere] = await add_messages(store, other, 1)
        for cursor in (elsewhere, "msg_unknown", ""):
            with pytest.raises(InvalidRequest) as caught:
                await store.messages.page(thread_id=thread.id, after=cursor)
            assert caught.value.param == "after"
            with pytest.raises(InvalidRequest) as caught:
                await store.messages.page(thread_id=thread.id, before=cursor)
            assert caught.value.param == "before"


@asynchronous
async def test_messages_of_one_run(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread = await add_thread(store)
        await add_messages(store, thread, 3)
        mine = a_message(thread, role="assistant", run_id="run_x")
        async with store.transaction() as tx:
            await tx.messages.insert(mine)
        assert ids(await store.messages.page(thread_id=thread.id, run_id="run_x")) == [mine.id]
        assert ids(await store.messages.page(thread_id=thread.id, run_id="run_y")) == []


@settings(max_examples=40, deadline=None)
@given(
    order=st.sampled_from(["asc", "desc"]),
    turning_back=st.booleans(),
    at_first=st.integers(1, 12),
    limit=st.integers(1, 5),
    bursts=st.lists(st.integers(0, 4), max_size=8),
)
def test_walking_while_others_write(
    tmp_path_factory: pytest.TempPathFactory,
    order: Order,
    turning_back: bool,
    at_first: int,
    limit: int,
    bursts: list[int],
) -> None:
    """Whoever walks meets each row that was there at the start once, and new ones at most once."""

    async def scenario() -> None:
        async with opened(tmp_path_factory.mktemp("walk")) as store:
            thread = await add_thread(store)
            there = await add_messages(store, thread, at_first)
            writes = iter(bursts)
            met: list[str] = []
            first = await store.messages.page(
                1, "asc" if (order == "asc") != turning_back else "desc", thread_id=thread.id
            )
            cursor, more = first.data[0].id, True
            met.append(cursor)
            while more:
                count = next(writes, 0)
                cursors = {"before" if turning_back else "after": cursor}
                page, new = await asyncio.gather(
                    store.messages.page(limit, order, thread_id=thread.id, **cursors),
                    add_messages(store, thread, count),
                )
                there += new
                met += reversed(ids(page)) if turning_back else ids(page)
                more = page.has_more
                if page.data:
                    cursor = page.data[0 if turning_back else -1].id
        assert len(met) == len(set(met))
        if met[0] == there[0]:  # towards the newest: all but what came after the last page
            assert met == there[: len(met)]
            assert len(met) >= at_first
        else:
            assert met == there[at_first - 1 :: -1]

    asyncio.run(scenario())


class Walker:
    """A client that reads a list page by page, as the API's clients do.

    It goes on from the last object of a page; where that has been deleted meanwhile it is refused,
    and goes on from the newest of those before it that is still there, or begins anew.
    """

    def __init__(self, thread: Thread, order: Order, limit: int, cursor: str) -> None:
        self.met: list[str] = []
        self.over = False
        self._thread = thread
        self._order = order
        self._limit = limit
        self._name = cursor
        self._trail: list[str] = []

    async def step(self, store: Store) -> None:
        """Read one more page."""
        cursors = {self._name: self._trail[-1]} if self._trail else {}
        if self._name == "before" and not cursors:
            cursors = {"before": await self._furthest(store)}
        try:
            page = await store.messages.page(
                self._limit, self._order, thread_id=self._thread.id, **cursors
            )
        except InvalidRequest as refused:
            if refused.param != self._name or not self._trail:
                raise
            self._trail.pop()
            return
        found = ids(page) if self._name == "after" else ids(page)[::-1]
        self.met += found
        self._trail += found
        self.over = not page.has_more

    async def _furthest(self, store: Store) -> str:
        """The object at the end of the list, from which one turns back."""
        order: Order = "desc" if self._order == "asc" else "asc"
        [last] = ids(await store.messages.page(1, order, thread_id=self._thread.id))
        self.met.append(last)
        self._trail.append(last)
        return last


Change = tuple[bool, int]
"""True and how many are added, or false and which one is deleted, counted around."""


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    order=st.sampled_from(["asc", "desc"]),
    cursor=st.sampled_from(["after", "before"]),
    at_first=st.integers(1, 12),
    limit=st.integers(1, 5),
    changes=st.lists(
        st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=3), max_size=12
    ),
)
def test_walking_while_others_add_and_delete(
    tmp_path_factory: pytest.TempPathFactory,
    order: Order,
    cursor: str,
    at_first: int,
    limit: int,
    changes: list[list[Change]],
) -> None:
    """Nothing twice, in order, and all that was there from the first page to the last."""

    async def scenario() -> None:
        async with opened(tmp_path_factory.mktemp("walk")) as store:
            thread, other = await add_thread(store), await add_thread(store)
            all_ever = await add_messages(store, thread, at_first)
            there = list(all_ever)
            walker = Walker(thread, order, limit, cursor)
            await walker.step(store)
            left = iter(changes)
            for _ in range(200):
                if walker.over:
                    break
                reading = asyncio.ensure_future(walker.step(store))
                for adds, number in next(left, []):
                    if adds:
                        new = await add_messages(store, thread, 1 + number % 3)
                        await add_messages(store, other, 1)
                        all_ever += new
                        there += new
                    elif len(there) > 1:
                        gone = there.pop(number % len(there))
                        async with store.transaction() as tx:
                            assert await tx.messages.delete(gone)
                await reading
            assert walker.over, "the walk does not end"
        position = {id: n for n, id in enumerate(all_ever)}
        walked = [position[id] for id in walker.met]
        ascending = (order == "asc") == (cursor == "after")
        assert walked == sorted(set(walked), reverse=not ascending)
        stayed = {id for id in all_ever[:at_first] if id in there}
        assert stayed <= set(walker.met)

    asyncio.run(scenario())


class StepCounter(Access):
    """Reads a database and counts the steps that SQLite's machine takes for it."""

    def __init__(self, path: Path) -> None:
        self.steps = 0
        self._db = sqlite3.connect(path)
        self._db.set_progress_handler(self._step, 1)

    def _step(self) -> None:
        self.steps += 1

    def close(self) -> None:
        self._db.close()

    async def fetch(self, sql: str, values: Sequence[SQLValue] = (), /) -> list[Row]:
        return self._db.execute(sql, values).fetchall()

    async def execute(self, sql: str, values: Sequence[SQLValue] = (), /) -> int:
        raise AssertionError("a page writes nothing")

    async def execute_many(self, sql: str, rows: Iterable[Sequence[SQLValue]], /) -> None:
        raise AssertionError("a page writes nothing")

    async def keep_blob(self, sha256: str, /) -> None:
        raise AssertionError("a page has no content")

    def release_blob(self, sha256: str, /) -> None:
        raise AssertionError("a page has no content")


@pytest.mark.parametrize("run_id", [None, "run_x"])
@asynchronous
async def test_a_page_costs_the_same_in_a_long_thread(tmp_path: Path, run_id: str | None) -> None:
    """A page in the middle of 20 000 messages takes as many steps as one of a short thread."""
    async with opened(tmp_path) as store:
        short, long = await add_thread(store), await add_thread(store)
        async with store.transaction() as tx:
            for thread, count in ((short, 99), (long, 20_000)):
                await tx.messages.insert(a_message(thread, run_id="run_x"))
                await tx.execute(
                    "WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
                    "INSERT INTO messages "
                    "(id, created_at, thread_id, run_id, role, excerpt, words, body) "
                    "SELECT 'msg_' || ? || '_' || i, 0, thread_id, run_id, role, '', '', body "
                    "FROM messages, n WHERE thread_id = ?",
                    (count, count, thread.id),
                )
        counter = StepCounter(tmp_path / DATABASE)
        try:
            messages = Messages(counter)
            steps = []
            for thread, cursor in ((short, "msg_99_50"), (long, "msg_20000_10000")):
                counter.steps = 0
                page = await messages.page(20, after=cursor, thread_id=thread.id, run_id=run_id)
                assert (len(page.data), page.has_more) == (20, True)
                steps.append(counter.steps)
        finally:
            counter.close()
    assert steps[1] <= steps[0] * 1.1
