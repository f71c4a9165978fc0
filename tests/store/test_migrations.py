"""The schema grows by steps; databases of every earlier schema open."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from pydantic_core import to_json

from jupyter_ci_ext.errors import StoreError
from jupyter_ci_ext.store.connection import Connection
from jupyter_ci_ext.store.database import DATABASE, Store
from jupyter_ci_ext.store.migrations import MIGRATIONS, migrate
from jupyter_ci_ext.wire.common import ListPage
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.stored import StoredPage
from jupyter_ci_ext.wire.thread import Thread

from .harness import a_message, asynchronous, opened

SCHEMAS = sorted((Path(__file__).parent / "data").glob("schema-*.sql"))


def restore(dump: Path, path: Path) -> None:
    old = sqlite3.connect(path)
    old.executescript(dump.read_text(encoding="utf-8"))
    old.close()


async def lists(store: Store, thread: Thread, run: Run) -> list[StoredPage[Any]]:
    return [
        await store.assistants.page(),
        await store.threads.page(),
        await store.messages.page(thread_id=thread.id),
        await store.runs.page(thread_id=thread.id),
        await store.steps.page(run_id=run.id),
        await store.files.page(),
    ]


def as_read(page: StoredPage[Any]) -> bytes:
    """The answer that is made of the objects, with all fields they have now."""
    return to_json(ListPage.of(page.data, page.has_more), indent=2)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda path: path.stem)
@asynchronous
async def test_an_old_database_opens_with_what_is_in_it(tmp_path: Path, schema: Path) -> None:
    """The dumps were written by the versions that had these schemas; they are never edited."""
    restore(schema, tmp_path / DATABASE)
    async with opened(tmp_path) as store:
        [thread] = (await store.threads.page(search="größe")).data
        [assistant] = (await store.assistants.page()).data
        page = await store.messages.page(order="asc", thread_id=thread.id)
        [run] = (await store.runs.page(thread_id=thread.id)).data
        [step] = (await store.steps.page(run_id=run.id)).data
        [file] = (await store.files.page()).data
        upload = await store.uploads.get("upload_old")
        events = await store.events.since(run.id)
        containers = await store.containers.list()
        listed = await lists(store, thread, run)
        assert [page.to_json().encode() for page in listed] == [as_read(page) for page in listed]
        assert assistant.name == "Analyst"
        assert [message.role for message in page.data] == ["user", "assistant"]
        assert (run.status, step.status) == ("in_progress", "in_progress")
        assert await store.runs.get_owner(run.id) == "0123456789abcdef"
        assert await store.dead_instances() == ["0123456789abcdef"]
        stored = await store.files.get(file.id)
        assert stored is not None
        assert (stored.mime, stored.file) == ("text/csv", file)
        assert file.filename == "größe.csv"
        assert upload is not None
        assert [part.size for part in await store.uploads.parts("upload_old")] == [3]
        assert events == [(1, "thread.run.created", "{}"), (2, "thread.run.queued", "{}")]
        if schema.stem >= "schema-2":
            [container] = containers
            assert (container.id, container.name, container.idle_minutes) == (
                "cntr_old",
                "größe",
                20,
            )
        async with store.transaction() as tx:
            await tx.messages.insert(a_message(thread))
            assert await tx.threads.delete(thread.id)
        assert await store.runs.get(run.id) is None


def test_there_is_a_dump_of_every_schema() -> None:
    assert [path.stem for path in SCHEMAS] == [f"schema-{n + 1}" for n in range(len(MIGRATIONS))]


async def one(db: Connection) -> None:
    await db.execute("CREATE TABLE one (x)")


async def two(db: Connection) -> None:
    await db.execute("ALTER TABLE one ADD COLUMN y")
    await db.execute("INSERT INTO one VALUES (1, 2)")


async def broken(db: Connection) -> None:
    await db.execute("CREATE TABLE half (x)")
    await db.execute("INSERT INTO nowhere VALUES (1)")


@asynchronous
async def test_each_step_is_taken_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "steps.db"
    db = await Connection.open(path)
    try:
        await migrate(db, path, [one])
        await migrate(db, path, [one, two])
        await migrate(db, path, [one, two])
        with pytest.raises(StoreError):
            await migrate(db, path, [one, two, broken])
        assert await db.fetch("SELECT * FROM one") == [(1, 2)]
        assert await db.fetch("SELECT number, name FROM migrations") == [(1, "one"), (2, "two")]
        assert await db.fetch("SELECT 1 FROM sqlite_master WHERE name = 'half'") == []
    finally:
        await db.close()


@asynchronous
async def test_a_database_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "steps.db"
    db = await Connection.open(path)
    try:
        await migrate(db, path, [one, two])
        with pytest.raises(StoreError, match="newer version"):
            await migrate(db, path, [one])
        assert await db.fetch("SELECT * FROM one") == [(1, 2)]
    finally:
        await db.close()
