"""Clearing up: what goes, what stays, and what a crash in the middle leaves for the next time."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_ci_ext.cli import main
from jupyter_ci_ext.errors import StoreError
from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.kernels.leftovers import UNCLAIMED_SECONDS, Workspaces
from jupyter_ci_ext.kernels.slots import Slots
from jupyter_ci_ext.services.retention import DAY, Cleared, Housekeeping, Retention
from jupyter_ci_ext.store.containers import StoredContainer
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.file import File
from jupyter_ci_ext.wire.file_params import CreateUpload
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.thread import Thread
from jupyter_ci_ext.wire.thread_params import ModifyThread
from jupyter_ci_ext.wire.validation import parse

from .house import House, in_house

LATER = 40 * DAY
"""Seconds from now at which the tests clear up what is 30 days old."""


class Attic:
    """A house with threads in it, and their workspaces."""

    def __init__(self, house: House) -> None:
        self.house, self.store = house, house.store
        self.root = house.store.data_dir / "workspaces"
        self.slots = Slots(self.root)
        self.slots.prepare()
        self.workspaces = Workspaces(self.root)
        self.now = time.time() + LATER

    @property
    def retention(self) -> Retention:
        return Retention(self.store, self.workspaces, 30)

    async def clear(self) -> Cleared:
        return await self.retention.clear(self.now)

    async def made(self, thread: Thread, content: bytes) -> File:
        """A file that a run of the thread has written."""
        blob = await self.store.blobs.put(content)
        file = File(
            id=new_id("file"),
            purpose="assistants_output",
            filename="made.csv",
            bytes=blob.size,
            created_at=int(time.time()),
        )
        async with self.store.transaction() as tx:
            await tx.files.insert(file, sha256=blob.sha256, thread_id=thread.id)
        return file

    async def run(self, thread: Thread, status: str = "completed") -> Run:
        """A run with two events."""
        run = await self.house.run(thread, await self.house.assistant())
        async with self.store.transaction() as tx:
            await tx.events.append(run.id, [(1, "a", "{}"), (2, "b", "{}")])
            await tx.runs.update(run.model_copy(update={"status": status}))
        return run

    def workspace(self, key: str, content: bytes = b"x" * 5000) -> None:
        slot = self.slots.open(key)
        (slot.data / "left.bin").write_bytes(content)
        slot.release()

    async def touch(self, thread: Thread) -> None:
        """Somebody uses the thread shortly before it is cleared up."""
        async with self.store.transaction() as tx:
            values = (int(self.now - DAY), thread.id)
            await tx.execute("UPDATE threads SET touched_at = ? WHERE id = ?", values)

    async def rows(self, *tables: str) -> list[int]:
        return [await self.house.rows(table) for table in tables]


@in_house
async def test_what_goes_and_what_stays(house: House) -> None:
    attic = Attic(house)
    old, kept = await house.thread("an old question"), await house.thread("a question")
    upload, orphan = await house.file(b"sent,by,a,client\n"), await attic.made(old, b"only here")
    shown = await attic.made(old, b"shown elsewhere")
    tool = await attic.made(old, b"a tool of an assistant")
    attached = {"file_id": shown.id, "tools": [{"type": "code_interpreter"}]}
    message = house.message("see this", attachments=[attached])
    await house.services.messages.create(kept.id, message)
    resources = {"code_interpreter": {"file_ids": [tool.id]}}
    await house.assistant(tools=[{"type": "code_interpreter"}], tool_resources=resources)
    await attic.run(old)
    late = await attic.run(kept)
    own = await attic.made(kept, b"of a thread in use")
    for key in (old.id, kept.id, "thread_gone", "cntr_gone"):
        attic.workspace(key)
    await attic.touch(kept)
    before = await attic.rows("threads", "messages", "runs", "files", "events", "assistants")
    preview = await attic.retention.preview(attic.now)
    assert (
        await attic.rows("threads", "messages", "runs", "files", "events", "assistants") == before
    )
    done = await attic.clear()
    assert (done.threads, done.files, done.event_logs, done.workspaces) == (1, 1, 1, 3)
    assert done.workspace_bytes > 15_000
    assert done.content_bytes == len(b"only here")
    expected = {**preview.to_dict(), "event_logs": 1, "database_bytes": 0, "bytes": 0}
    assert expected == {**done.to_dict(), "database_bytes": 0, "bytes": 0}
    assert await house.store.threads.get(old.id) is None
    assert await house.store.files.get(orphan.id) is None
    for file in (upload, shown, tool, own):
        assert await house.store.files.get(file.id) is not None
    assert await house.store.events.since(late.id) == []
    assert await house.store.runs.get(late.id) is not None
    assert await attic.rows("assistants") == before[-1:]
    assert await attic.workspaces.keys() == [kept.id]
    again = await attic.clear()
    assert again.to_dict() == Cleared(database_bytes=again.database_bytes).to_dict()


@in_house
async def test_a_thread_is_kept_by_whatever_touches_it(house: House) -> None:
    attic = Attic(house)
    renamed, asked, busy, held = [await house.thread("hello") for _ in range(4)]
    attic.now = time.time() + 30 * DAY + 5
    async with house.store.transaction() as tx:
        await tx.execute("UPDATE threads SET touched_at = 0, created_at = 1")
        await tx.execute("UPDATE messages SET created_at = 1")
    await attic.run(busy, "requires_action")
    async with house.store.transaction() as tx:
        await tx.execute("UPDATE runs SET created_at = 1")
    modify = parse(ModifyThread, {"metadata": {"title": "mine"}})
    await house.services.threads.modify(renamed.id, modify)
    await house.services.messages.create(asked.id, house.message("more"))
    attic.workspace(held.id)
    slot = attic.slots.open(held.id)  # as a session does
    attic.now = time.time() + 29 * DAY
    assert (await attic.clear()).threads == 0
    slot.release()
    slot.record.write_text("{}")  # a client puts a file into the thread's container
    os.utime(slot.record, (attic.now, attic.now - 28 * DAY))
    assert (await attic.clear()).threads == 0
    os.utime(slot.record, (1, 1))
    assert (await attic.clear()).threads == 1
    assert await house.store.threads.get(held.id) is None
    assert await attic.rows("threads") == [3]


@in_house
async def test_without_a_retention_time_only_what_is_nobodys_goes(house: House) -> None:
    attic = Attic(house)
    thread = await house.thread("hello")
    await attic.run(thread)
    await attic.made(thread, b"made")
    attic.workspace(thread.id)
    attic.workspace("thread_gone")
    left = await house.store.blobs.put(b"no row was ever stored")
    house.store.blobs.let_go(left.sha256)
    retention = Retention(house.store, attic.workspaces, None)
    assert (await retention.preview()).content_bytes == left.size
    done = await retention.clear(attic.now)
    assert (done.threads, done.files, done.event_logs, done.workspaces) == (0, 0, 0, 1)
    assert done.content_bytes == left.size
    assert await attic.rows("threads", "files", "events") == [1, 1, 2]


@in_house
async def test_uploads_and_containers(house: House) -> None:
    attic = Attic(house)
    params = {"filename": "a", "bytes": 3, "mime_type": "text/csv", "purpose": "assistants"}
    pending = await house.services.uploads.create(parse(CreateUpload, params))
    blob = await house.store.blobs.put(b"abc")
    await house.services.uploads.add_part(pending.id, blob)
    for name, used in (("idle", 0.0), ("used", LATER - DAY)):
        container = StoredContainer(f"cntr_{name}", name, 1, int(time.time() + used))
        async with house.store.transaction() as tx:
            await tx.containers.insert(container)
        attic.workspace(container.id)
    preview = await attic.retention.preview(attic.now)
    done = await attic.clear()
    assert (done.uploads, done.containers, done.content_bytes) == (1, 1, 3)
    assert (preview.uploads, preview.containers, preview.content_bytes) == (1, 1, 3)
    assert [each.id for each in await house.store.containers.list()] == ["cntr_used"]
    assert await attic.workspaces.keys() == ["cntr_used"]


class CrashingWorkspaces(Workspaces):
    """The process dies when the first workspace is to be removed."""

    async def remove(self, key: str) -> int:
        raise StoreError("killed")


@in_house
async def test_a_crash_leaves_what_the_next_time_takes_away(house: House) -> None:
    attic = Attic(house)
    threads = [await house.thread("hello") for _ in range(3)]
    for thread in threads:
        await attic.made(thread, thread.id.encode())
        attic.workspace(thread.id)
    crashing = Retention(house.store, CrashingWorkspaces(attic.root), 30)
    with pytest.raises(StoreError):
        await crashing.clear(attic.now)
    assert await attic.rows("threads", "files") == [2, 3]
    done = await attic.clear()
    assert (done.threads, done.files, done.workspaces) == (2, 3, 3)
    assert await attic.workspaces.keys() == []


@in_house
async def test_slots_that_processes_left_go_a_day_later(house: House, monkeypatch: Any) -> None:
    attic = Attic(house)
    held, left = attic.slots.create(), attic.slots.create()
    left.release()
    assert await attic.workspaces.remove_unclaimed() == 0
    monkeypatch.setattr("jupyter_ci_ext.kernels.leftovers.UNCLAIMED_SECONDS", -UNCLAIMED_SECONDS)
    await attic.workspaces.remove_unclaimed()
    assert (held.path.exists(), left.path.exists()) == (True, False)
    held.release()


@in_house
async def test_the_database_gets_smaller(house: House) -> None:
    attic = Attic(house)
    for _ in range(8):
        run = await attic.run(await house.thread("x" * 60_000))
        async with house.store.transaction() as tx:
            events = [(n, "thread.message.delta", "y" * 4000) for n in range(3, 100)]
            await tx.events.append(run.id, events)
    assert (await attic.clear()).database_bytes > 2_000_000
    assert await attic.rows("threads", "assistants") == [0, 8]


class Log(logging.Handler):
    """Remembers what was logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@in_house
async def test_a_server_clears_up_once_a_day(house: House) -> None:
    attic, log, logger = Attic(house), Log(), logging.getLogger("housekeeping")
    logger.setLevel("INFO")
    logger.addHandler(log)
    attic.workspace("thread_gone")
    stamp = house.store.data_dir / "last-cleared"
    keeper = Housekeeping(attic.retention, stamp, logger, lambda: False, first=0, look=0.001)
    task = asyncio.create_task(keeper.keep())
    try:
        await until(lambda: len(log.lines) == 1)
        assert await attic.workspaces.keys() == []
        attic.workspace("thread_gone")
        await asyncio.sleep(0.05)
        assert len(log.lines) == 1
        os.utime(stamp, (1, 1))
        await until(lambda: len(log.lines) == 2)
        assert "'workspaces': 1" in log.lines[1]
    finally:
        task.cancel()
        await asyncio.wait([task])


async def until(true: Callable[[], bool]) -> None:
    for _ in range(3000):
        if true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come true")


HOLDER = """
import asyncio, sys
from pathlib import Path
from jupyter_ci_ext.store.database import Store
async def main():
    store = await Store.open(Path(sys.argv[1]))
    print("open", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    async with store.transaction() as tx:
        await tx.instances.ids()
    await store.close()
    print("closed", flush=True)
asyncio.run(main())
"""


def test_the_command_beside_a_server_at_work(tmp_path: Path, capsys: Any) -> None:
    """Another process has the store open: what is due goes, and that process goes on."""
    data = tmp_path / "data"

    async def fill() -> str:
        store = await Store.open(data)
        thread = Thread(id=new_id("thread"), created_at=1)
        async with store.transaction() as tx:
            await tx.threads.insert(thread)
            await tx.execute("UPDATE threads SET touched_at = 1")
        await store.close()
        return thread.id

    thread = asyncio.run(fill())
    arguments = ["--json", "--days=30", f"--data-dir={data}"]
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline() == "open\n"
        assert main(["gc", "--dry-run", *arguments]) == 0
        assert json.loads(capsys.readouterr().out)["threads"] == 1
        assert main(["gc", *arguments]) == 0
        found = json.loads(capsys.readouterr().out)
        assert (found["threads"], found["dry_run"], found["retention_days"]) == (1, False, 30)
        holder.stdin.write("\n")
        holder.stdin.flush()
        assert holder.stdout.readline() == "closed\n"
    assert main(["gc", f"--data-dir={data}"]) == 0
    assert "all threads are kept" in capsys.readouterr().out

    async def gone() -> bool:
        store = await Store.open(data)
        try:
            return await store.threads.get(thread) is None
        finally:
            await store.close()

    assert asyncio.run(gone())


def test_the_command_where_nothing_is(tmp_path: Path, capsys: Any) -> None:
    assert main(["gc", f"--data-dir={tmp_path}"]) == 0
    assert "nothing" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "state.db").write_text("no database, but long enough to be taken for one" * 100)
    assert main(["gc", f"--data-dir={tmp_path}"]) == 1
    assert "not a database" in capsys.readouterr().err
