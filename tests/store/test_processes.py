"""Several servers on one data directory, and servers that are killed."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jupyter_ci_ext.errors import InvalidRequest
from jupyter_ci_ext.store.database import Store

from .harness import a_file, a_run, a_thread, asynchronous, files_below, opened, python

WRITER = """
import asyncio, sys
from pathlib import Path
from jupyter_ci_ext.store.database import Store
from tests.store.harness import *

async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    store = await Store.open(Path(sys.argv[1]))
    thread = a_thread(sys.argv[2])
    async with store.transaction() as tx:
        await tx.threads.insert(thread)
    for n in range(int(sys.argv[3])):
        message = a_message(thread, str(n))
        async with store.transaction() as tx:
            await tx.messages.insert(message)
        print(message.id, flush=True)
    await store.close()

asyncio.run(main())
"""

SERVER = """
import asyncio, sys
from pathlib import Path
from jupyter_ci_ext.store.database import Store
from tests.store.harness import *

async def main():
    store = await Store.open(Path(sys.argv[1]))
    thread = a_thread()
    run = a_run(thread, status="in_progress")
    await store.blobs.put(b"without a row")
    async with store.transaction() as tx:
        await tx.threads.insert(thread)
        await tx.runs.insert(run)
    async with store.blobs.writer() as writer:
        await writer.write(bytes(2 * 2**20))
        print(store.instance, thread.id, run.id, flush=True)
        await asyncio.to_thread(sys.stdin.read)
    await store.close()

asyncio.run(main())
"""


@contextmanager
def processes(*started: subprocess.Popen[str]) -> Iterator[list[subprocess.Popen[str]]]:
    """The processes, ended at the end."""
    try:
        yield list(started)
    finally:
        for process in started:
            process.kill()
            process.communicate()


def said(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("go on\n")
    process.stdin.flush()


def last_words(process: subprocess.Popen[str]) -> set[str]:
    """Kill the process; the lines it had written and nobody had read yet."""
    process.kill()
    assert process.stdout is not None
    return set(process.stdout.read().split())


async def message_ids(store: Store) -> set[str]:
    found: set[str] = set()
    for thread in (await store.threads.page(100)).data:
        page = await store.messages.page(10_000, thread_id=thread.id)
        found |= {message.id for message in page.data}
    return found


def test_what_was_acknowledged_survives_sigkill(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    with processes(*(python(WRITER, tmp_path, n, 100_000) for n in range(2))) as writers:
        for writer in writers:
            assert said(writer) == "ready"
            tell(writer)
        for round_ in range(60):
            for writer in writers:
                acknowledged.add(said(writer))
            if round_ == 30:
                acknowledged |= last_words(writers.pop(0))
        acknowledged |= last_words(writers.pop())

    async def look() -> None:
        async with opened(tmp_path) as store:
            assert await store.fetch("PRAGMA integrity_check") == [("ok",)]
            stored = await message_ids(store)
            assert acknowledged <= stored
            assert len(stored - acknowledged) <= 2  # done, but killed before saying so

    assert len(acknowledged) > 60
    asyncio.run(look())


def test_two_processes_make_one_database_and_write_at_once(tmp_path: Path) -> None:
    with processes(*(python(WRITER, tmp_path, n, 40) for n in range(3))) as writers:
        for writer in writers:
            assert said(writer) == "ready"
        for writer in writers:
            tell(writer)
        written = [set(writer.communicate(timeout=60)[0].split()) for writer in writers]
        assert [writer.returncode for writer in writers] == [0, 0, 0]

    async def look() -> None:
        async with opened(tmp_path) as store:
            assert await message_ids(store) == set().union(*written)
            assert await store.instances.ids() == [store.instance]

    assert [len(ids) for ids in written] == [40, 40, 40]
    asyncio.run(look())


def test_a_server_is_alive_until_it_is_killed(tmp_path: Path) -> None:
    """Its runs, its half-written contents and the contents without a row are its own till then."""

    async def scenario(server: subprocess.Popen[str], instance: str, run_id: str) -> None:
        async with opened(tmp_path) as store:
            assert await store.dead_instances() == []
            await store.collect_garbage()
            assert len(files_below(tmp_path / "blobs")) == 2
            [run] = await store.runs.unfinished(instance)
            assert run.id == run_id
            other = a_run(a_thread().model_copy(update={"id": run.thread_id}))

            async def start_another() -> None:
                async with store.transaction() as tx:
                    await tx.runs.insert(other)

            with pytest.raises(InvalidRequest, match=f"already has an active run {run_id}"):
                await start_another()  # the lock holds across servers

        server.kill()
        server.wait()

        async with opened(tmp_path) as store, opened(tmp_path) as second:
            assert files_below(tmp_path / "blobs") == []
            assert await store.dead_instances() == [instance]
            assert await second.dead_instances() == [instance]
            async with store.transaction() as tx:
                [run] = await tx.runs.unfinished(instance)
                await tx.runs.update(run.model_copy(update={"status": "failed"}))
            await store.forget_instance(instance)
            assert await second.dead_instances() == []
            assert await second.runs.unfinished() == []
            assert len(files_below(tmp_path / "instances")) == 2
        assert files_below(tmp_path / "instances") == []

    with processes(python(SERVER, tmp_path)) as [server]:
        instance, _, run_id = said(server).split()
        asyncio.run(scenario(server, instance, run_id))


@asynchronous
async def test_contents_another_live_server_wrote_lately_stay(tmp_path: Path) -> None:
    async with opened(tmp_path) as store, opened(tmp_path) as second:
        blob = await store.blobs.put(b"its row comes in a moment")
        await second.collect_garbage()
        file = a_file()
        async with store.transaction() as tx:
            await tx.files.insert(file, sha256=blob.sha256)
        async with second.transaction() as tx:
            assert await tx.files.delete(file.id)
        assert files_below(tmp_path / "blobs") == []


@asynchronous
async def test_closing_leaves_no_trace(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.blobs.put(b"no row will come")
    assert files_below(tmp_path) == ["reserve", "state.db"]
    async with opened(tmp_path) as store:
        assert await store.dead_instances() == []
