"""What the tables know beyond keeping objects: locks, cascades, searching, expiry."""

from __future__ import annotations

import asyncio
import re
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from jupyter_ci_ext.errors import InvalidRequest, NotFound, StoreError
from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.store.access import SQLValue
from jupyter_ci_ext.store.connection import Connection
from jupyter_ci_ext.store.containers import StoredContainer
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.store.formats import MIME_TYPES, mime_type
from jupyter_ci_ext.wire.assistant import Assistant
from jupyter_ci_ext.wire.file import File
from jupyter_ci_ext.wire.run import ACTIVE, Run, RunStatus
from jupyter_ci_ext.wire.thread import Thread
from jupyter_ci_ext.wire.tools import CodeInterpreterResources, ToolResources
from jupyter_ci_ext.wire.upload import Upload, UploadPart

from .harness import (
    NOW,
    a_file,
    a_message,
    a_run,
    a_step,
    a_thread,
    asynchronous,
    files_below,
    opened,
)


async def add_run(store: Store, thread: Thread, **values: object) -> Run:
    run = a_run(thread, **values)
    async with store.transaction() as tx:
        await tx.runs.insert(run)
    return run


async def add_thread(store: Store, *texts: str, title: str | None = None) -> Thread:
    thread = a_thread(title)
    async with store.transaction() as tx:
        await tx.threads.insert(thread)
        for text in texts:
            await tx.messages.insert(a_message(thread, text))
    return thread


async def add_file(store: Store, content: bytes = b"abc", **values: object) -> File:
    file = a_file(**values)
    blob = await store.blobs.put(content)
    async with store.transaction() as tx:
        await tx.files.insert(file, sha256=blob.sha256)
    return file


# ---- runs and the thread lock -----------------------------------------------------------------


@asynchronous
async def test_a_thread_has_one_active_run(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread, other = await add_thread(store), await add_thread(store)
        for status in sorted(ACTIVE):
            run = await add_run(store, thread, status=status)
            text = f"Thread {thread.id} already has an active run {run.id}."
            with pytest.raises(InvalidRequest, match=re.escape(text)):
                await add_run(store, thread)
            assert await store.runs.get_active(thread.id) == run
            over = run.model_copy(update={"status": "completed"})
            async with store.transaction() as tx:
                assert await tx.runs.update(over)
            assert await store.runs.get(run.id) == over
        await add_run(store, thread)
        await add_run(store, other)
        assert len((await store.runs.page(thread_id=thread.id)).data) == 5


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled", "incomplete", "expired"])
@asynchronous
async def test_a_run_that_is_over_does_not_lock(tmp_path: Path, status: RunStatus) -> None:
    async with opened(tmp_path) as store:
        thread = await add_thread(store)
        await add_run(store, thread, status=status)
        await add_run(store, thread, status=status)
        assert await store.runs.get_active(thread.id) is None
        assert await store.runs.unfinished() == []


@asynchronous
async def test_no_message_under_an_active_run(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread = await add_thread(store)
        async with store.transaction() as tx:
            await tx.runs.require_idle(thread.id)
        run = await add_run(store, thread)
        text = f"Can't add messages to {thread.id} while a run {run.id} is active."
        async with store.transaction() as tx:
            with pytest.raises(InvalidRequest, match=re.escape(text)):
                await tx.runs.require_idle(thread.id)


@asynchronous
async def test_runs_know_who_works_on_them(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        mine = await add_run(store, await add_thread(store))
        thread = await add_thread(store)
        theirs = a_run(thread)
        async with store.transaction() as tx:
            await tx.runs.insert(theirs, owner="somebody")
        assert await store.runs.unfinished() == [mine, theirs]
        assert await store.runs.unfinished(store.instance) == [mine]
        assert await store.runs.unfinished("somebody") == [theirs]
        assert await store.dead_instances() == ["somebody"]
        async with store.transaction() as tx:
            assert await tx.runs.update(theirs)  # an update leaves the owner as it is
            assert await tx.runs.get_owner(theirs.id) == "somebody"
            assert await tx.runs.take_over(theirs.id)
            assert not await tx.runs.take_over("run_unknown")
        assert await store.runs.unfinished(store.instance) == [mine, theirs]
        assert await store.dead_instances() == []
        assert await store.runs.get_owner("run_unknown") is None


@asynchronous
async def test_the_newest_run_tells_a_threads_state(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        quiet, busy, failed = [await add_thread(store) for _ in range(3)]
        await add_run(store, busy, status="completed")
        await add_run(store, busy, status="in_progress")
        await add_run(store, failed, status="failed")
        ids = [quiet.id, busy.id, failed.id]
        assert await store.runs.latest_status(ids) == {busy.id: "in_progress", failed.id: "failed"}
        assert await store.runs.latest_status([]) == {}


# ---- parents and children ---------------------------------------------------------------------


@asynchronous
async def test_objects_are_found_below_their_parent_only(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread, other = await add_thread(store), await add_thread(store)
        run, message = a_run(thread), a_message(thread)
        step = a_step(run)
        async with store.transaction() as tx:
            await tx.messages.insert(message)
            await tx.runs.insert(run)
            await tx.steps.insert(step)
        assert await store.messages.get(message.id, thread_id=thread.id) == message
        assert await store.messages.get(message.id, thread_id=other.id) is None
        assert await store.runs.get(run.id, thread_id=thread.id) == run
        assert await store.runs.get(run.id, thread_id=other.id) is None
        assert await store.steps.get(step.id, run_id=run.id) == step
        assert await store.steps.get(step.id, run_id="run_other") is None


@asynchronous
async def test_nothing_is_added_to_what_is_gone(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        gone = a_thread()
        run = a_run(gone)
        part = UploadPart(id=new_id("part"), created_at=NOW, upload_id="upload_gone")
        blob = await store.blobs.put(b"part")
        async with store.transaction() as tx:
            with pytest.raises(NotFound, match=f"No thread found with id '{gone.id}'"):
                await tx.messages.insert(a_message(gone))
            with pytest.raises(NotFound, match=f"No thread found with id '{gone.id}'"):
                await tx.runs.insert(run)
            with pytest.raises(NotFound, match=f"No run found with id '{run.id}'"):
                await tx.steps.insert(a_step(run))
            with pytest.raises(NotFound, match=f"No run found with id '{run.id}'"):
                await tx.events.append(run.id, [(1, "thread.run.created", "{}")])
            with pytest.raises(NotFound, match="No upload found with id 'upload_gone'"):
                await tx.uploads.add_part(part, sha256=blob.sha256, size=4)
            assert not await tx.messages.update(a_message(gone))
            assert not await tx.threads.delete(gone.id)


@asynchronous
async def test_a_deleted_thread_takes_all_that_is_below_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        thread, other = await add_thread(store, "hello"), await add_thread(store, "stays")
        run = await add_run(store, thread)
        kept = await add_run(store, other)
        async with store.transaction() as tx:
            await tx.steps.insert(a_step(run))
            await tx.steps.insert(a_step(kept))
            await tx.events.append(run.id, [(1, "a", "{}"), (2, "b", "{}")])
            await tx.events.append(kept.id, [(1, "a", "{}")])
        async with store.transaction() as tx:
            assert await tx.threads.delete(thread.id)
        for table in ("threads", "messages", "runs", "steps", "events"):
            assert await store.fetch(f"SELECT count(*) FROM {table}") == [(1,)], table


# ---- events -----------------------------------------------------------------------------------


@asynchronous
async def test_events_are_read_from_any_number_on(tmp_path: Path) -> None:
    events = [(n, "thread.message.delta", f'{{"n":{n}}}') for n in range(1, 8)]
    async with opened(tmp_path) as store:
        run = await add_run(store, await add_thread(store))
        async with store.transaction() as tx:
            await tx.events.append(run.id, events[:3])
            await tx.events.append(run.id, events[3:])
            await tx.events.append(run.id, [])
        assert await store.events.since(run.id) == events
        assert await store.events.since(run.id, 5) == events[5:]
        assert await store.events.since(run.id, 2, limit=2) == events[2:4]
        assert await store.events.since(run.id, 7) == []
        assert await store.events.last_seq(run.id) == 7
        assert await store.events.last_seq("run_other") == 0


@asynchronous
async def test_only_events_of_old_runs_that_are_over_are_pruned(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        old = await add_run(store, await add_thread(store), status="completed", created_at=100)
        waiting = await add_run(store, await add_thread(store), created_at=100)
        new = await add_run(store, await add_thread(store), status="failed", created_at=200)
        async with store.transaction() as tx:
            for run in (old, waiting, new):
                await tx.events.append(run.id, [(1, "a", "{}"), (2, "b", "{}")])
        async with store.transaction() as tx:
            assert await tx.aged.runs_with_events(150) == [old.id]
            assert await tx.events.forget(old.id) == 2
        assert [await store.events.last_seq(run.id) for run in (old, waiting, new)] == [0, 2, 2]


# ---- searching --------------------------------------------------------------------------------


@asynchronous
async def test_threads_are_found_by_title_and_messages(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        banks = await add_thread(store, "Load the table", "Now plot it", title="Failed BANKS")
        street = await add_thread(store, "What is a Straße? 100%")
        untitled = await add_thread(store)

        async def found(words: str) -> list[str]:
            return [thread.id for thread in (await store.threads.page(search=words)).data]

        assert await found("failed banks") == [banks.id]
        assert await found("BANKS plot") == [banks.id]  # one in the title, one in a message
        assert await found("table straße") == []
        assert await found("STRASSE") == [street.id]
        assert await found("100%") == [street.id]
        assert await found("%") == [street.id]  # no wildcard
        assert await found("a") == [street.id, banks.id]
        assert await found("  ") == [untitled.id, street.id, banks.id]
        async with store.transaction() as tx:
            await tx.threads.update(untitled.model_copy(update={"metadata": {"title": "Table 2"}}))
        assert await found("table") == [untitled.id, banks.id]
        page = await store.threads.page(1, search="table")
        assert page.has_more
        rest = await store.threads.page(1, after=page.data[0].id, search="table")
        assert ([thread.id for thread in rest.data], rest.has_more) == ([banks.id], False)


@asynchronous
async def test_excerpts_are_the_first_words_of_the_user(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        long = await add_thread(store, "  Größe  " + "x" * 5000, "second")
        empty = await add_thread(store)
        answered = await add_thread(store)
        async with store.transaction() as tx:
            await tx.messages.insert(a_message(answered, "Welcome", role="assistant"))
            await tx.messages.insert(a_message(answered, "Hi"))
        excerpts = await store.messages.excerpts([long.id, empty.id, answered.id])
        assert excerpts[long.id].startswith("Größe  xxx")
        assert len(excerpts[long.id]) == 200
        assert excerpts[answered.id] == "Hi"
        assert empty.id not in excerpts


# ---- files ------------------------------------------------------------------------------------


@asynchronous
async def test_files_of_equal_content_share_it(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first, second = await add_file(store), await add_file(store, filename="copy.CSV")
        stored = await store.files.get(first.id)
        assert stored is not None
        assert (stored.file, stored.mime, stored.thread_id) == (first, "text/csv", None)
        assert set(await store.files.get_many([first.id, second.id, "file-x"])) == {
            first.id,
            second.id,
        }
        content = store.blobs.path(stored.sha256)
        async with store.transaction() as tx:
            assert await tx.files.delete(first.id)
            assert not await tx.files.delete(first.id)
        assert files_below(tmp_path / "blobs") == [f"{stored.sha256[:2]}/{stored.sha256}"]
        async with store.transaction() as tx:
            assert await tx.files.delete(second.id)
        assert files_below(tmp_path / "blobs") == [], content


@asynchronous
async def test_a_deletion_that_is_undone_keeps_the_content(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        file = await add_file(store)

        async def fail() -> None:
            async with store.transaction() as tx:
                await tx.files.delete(file.id)
                raise KeyError

        with pytest.raises(KeyError):
            await fail()
        stored = await store.files.get(file.id)
        assert stored is not None
        assert [chunk async for chunk in store.blobs.read(stored.sha256)] == [b"abc"]


@asynchronous
async def test_a_file_needs_its_content(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        async with store.transaction() as tx:
            with pytest.raises(StoreError, match="send it again"):
                await tx.files.insert(a_file(), sha256="0" * 64)
        assert (await store.files.page()).data == []


@asynchronous
async def test_what_a_run_wrote_is_known_by_its_thread(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        blob = await store.blobs.put(b"png")
        file = a_file("plot.png", purpose="assistants_output")
        async with store.transaction() as tx:
            stored = await tx.files.insert(
                file, sha256=blob.sha256, thread_id="thread_x", run_id="run_x", step_id="step_x"
            )
        assert await store.files.of_thread("thread_x") == [stored]
        assert (stored.thread_id, stored.run_id, stored.step_id) == ("thread_x", "run_x", "step_x")
        assert await store.files.of_thread("thread_y") == []


@asynchronous
async def test_files_by_purpose_page_by_page(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        mine = [await add_file(store) for _ in range(3)]
        seen = [await add_file(store, purpose="vision") for _ in range(2)]
        everything = await store.files.page(order="asc")
        assert everything.data == mine + seen
        page = await store.files.page(2, purpose="assistants")
        assert (page.data, page.has_more) == ([mine[2], mine[1]], True)
        page = await store.files.page(2, after=mine[1].id, purpose="assistants")
        assert (page.data, page.has_more) == ([mine[0]], False)


@asynchronous
async def test_an_expired_file_is_gone_before_it_is_deleted(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        now = int(time.time())
        for_ever = await add_file(store, b"a")
        later = await add_file(store, b"b", expires_at=now + 3600)
        over = await add_file(store, b"c", expires_at=now - 1)
        assert await store.files.get(over.id) is None
        assert [each.id for each in (await store.files.page()).data] == [later.id, for_ever.id]
        assert await store.files.next_expiry() == now - 1
        assert len(files_below(tmp_path / "blobs")) == 3
        async with store.transaction() as tx:
            assert await tx.files.delete_expired() == [over.id]
        assert await store.files.next_expiry() == now + 3600
        assert len(files_below(tmp_path / "blobs")) == 2


@asynchronous
async def test_who_mentions_a_file(tmp_path: Path) -> None:
    resources = ToolResources(code_interpreter=CodeInterpreterResources(file_ids=["file-1"]))
    async with opened(tmp_path) as store:
        thread, other = a_thread(tool_resources=resources), a_thread()
        assistant = Assistant(id="asst_1", created_at=NOW, model="demo", tool_resources=resources)
        async with store.transaction() as tx:
            await tx.threads.insert(thread)
            await tx.threads.insert(other)
            await tx.assistants.insert(assistant)
        assert await store.threads.mentioning("file-1") == [thread]
        assert await store.assistants.mentioning("file-1") == [assistant]
        assert await store.assistants.mentioning("file-2") == []


def test_types_follow_the_table_of_supported_formats() -> None:
    documented = (
        "c cs cpp csv doc docx html java json md pdf php pptx py rb tex txt css js sh ts "
        "jpeg jpg gif png tar xlsx xml zip"
    )
    assert set(MIME_TYPES) == set(documented.split())
    assert mime_type("Report.PDF") == "application/pdf"
    assert mime_type("a.b.csv") == "text/csv"
    for name in ("data.parquet", "README", "csv", "", "trailing.", "ä.ß"):
        assert mime_type(name) == "application/octet-stream", name


# ---- uploads ----------------------------------------------------------------------------------


async def add_upload(store: Store, *contents: bytes) -> Upload:
    upload = Upload(
        id=new_id("upload"),
        bytes=sum(map(len, contents)),
        created_at=NOW,
        filename="big.bin",
        purpose="user_data",
        expires_at=NOW + 3600,
    )
    async with store.transaction() as tx:
        await tx.uploads.insert(upload, mime="text/csv", expires_after=3600)
    for content in contents:
        blob = await store.blobs.put(content)
        part = UploadPart(id=new_id("part"), created_at=NOW, upload_id=upload.id)
        async with store.transaction() as tx:
            await tx.uploads.add_part(part, sha256=blob.sha256, size=blob.size)
    return upload


@pytest.mark.parametrize("end", ["completed", "cancelled", "expired"])
@asynchronous
async def test_an_upload_that_is_over_gives_up_its_parts(tmp_path: Path, end: str) -> None:
    async with opened(tmp_path) as store:
        upload = await add_upload(store, b"one", b"two", b"one")
        stored = await store.uploads.get(upload.id)
        assert stored is not None
        assert (stored.upload, stored.mime, stored.expires_after) == (upload, "text/csv", 3600)
        assert [part.size for part in await store.uploads.parts(upload.id)] == [3, 3, 3]
        assert len(files_below(tmp_path / "blobs")) == 2
        over = upload.model_copy(update={"status": end})
        async with store.transaction() as tx:
            assert await tx.uploads.update(over)
        stored = await store.uploads.get(upload.id)
        assert stored is not None
        assert stored.upload == over
        assert await store.uploads.parts(upload.id) == []
        assert files_below(tmp_path / "blobs") == []


@asynchronous
async def test_uploads_come_due(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        upload = await add_upload(store, b"one")
        assert await store.uploads.due(NOW + 3599) == []
        [due] = await store.uploads.due(NOW + 3600)
        assert due.upload == upload
        async with store.transaction() as tx:
            assert await tx.uploads.delete(upload.id)
            assert not await tx.uploads.delete(upload.id)
        assert files_below(tmp_path / "blobs") == []


@asynchronous
async def test_containers(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first = StoredContainer("cntr_1", "a", NOW, NOW, "4g", 20)
        second = StoredContainer("cntr_2", "b", NOW, NOW)
        async with store.transaction() as tx:
            await tx.containers.insert(first)
            await tx.containers.insert(second)
        assert await store.containers.list() == [first, second]
        assert await store.containers.list("b") == [second]
        assert await store.containers.get("cntr_1") == first
        assert await store.containers.get("cntr_3") is None
        async with store.transaction() as tx:
            assert await tx.containers.touch("cntr_2", NOW + 5)
            assert await tx.containers.delete("cntr_1")
            assert not await tx.containers.delete("cntr_1")
            assert not await tx.containers.touch("cntr_1", NOW)
        assert await store.containers.list() == [replace(second, last_active_at=NOW + 5)]


@asynchronous
async def test_when_threads_were_made(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        threads = [a_thread() for _ in range(600)]
        async with store.transaction() as tx:
            for thread in threads:
                await tx.threads.insert(thread)
        ids = [thread.id for thread in threads]
        assert await store.threads.created([*ids, "thread_unknown"]) == dict.fromkeys(ids, NOW)
        assert await store.threads.created([]) == {}


@asynchronous
async def test_events_of_many_runs_are_stored_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever comes while the connection is busy shares the next statement; one refused run does
    no harm to the others."""
    statements = []
    alone = Connection.alone

    async def counted(connection: Connection, sql: str, values: Sequence[SQLValue]) -> None:
        statements.append(values)
        await alone(connection, sql, values)

    async with opened(tmp_path) as store:
        runs = [(await add_run(store, await add_thread(store))).id for _ in range(20)]
        monkeypatch.setattr(Connection, "alone", counted)

        def events(first: int) -> list[tuple[int, str, str]]:
            return [(first + n, "thread.message.delta", f'{{"n":{first + n}}}') for n in range(15)]

        await asyncio.gather(*(store.append_events(run, events(1)) for run in runs))
        # 300 events: as many statements as it takes, and the first, before which nobody waited
        assert len(statements) <= 4
        answers = await asyncio.gather(
            *(store.append_events(run, events(16)) for run in [*runs[:5], "run_gone", *runs[5:]]),
            return_exceptions=True,
        )
        assert [type(answer) for answer in answers if answer is not None] == [NotFound]
        assert isinstance(answers[5], NotFound)
        for run in runs:
            assert await store.events.since(run) == events(1) + events(16)


@asynchronous
async def test_events_are_stored_without_a_transaction_of_the_caller(tmp_path: Path) -> None:
    events = [(n, "thread.message.delta", f'{{"n":{n}}}') for n in range(1, 701)]
    async with opened(tmp_path) as store:
        run = await add_run(store, await add_thread(store))
        await store.append_events(run.id, events[:3])
        await store.append_events(run.id, events[3:650])
        with pytest.raises(sqlite3.IntegrityError):
            await store.append_events(run.id, [*events[650:], events[0]])
        assert await store.events.since(run.id) == events[:650], "all or none"
        await store.append_events(run.id, events[650:])
        assert await store.events.since(run.id) == events
        with pytest.raises(NotFound, match="No run found with id 'run_gone'"):
            await store.append_events("run_gone", events[:1])
        async with store.transaction() as tx:
            assert await tx.threads.delete(run.thread_id)
        assert await store.events.since(run.id) == []
