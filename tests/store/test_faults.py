"""A database that cannot be used: each case a sentence, and what was there stays."""

from __future__ import annotations

import logging
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import anyio
import pytest

from jupyter_ci_ext.errors import DiskFull, StoreError
from jupyter_ci_ext.store import connection, database
from jupyter_ci_ext.store.database import DATABASE, Store
from jupyter_ci_ext.store.faults import database_fault

from .harness import a_thread, asynchronous, opened, python


async def add_thread(store: Store) -> str:
    thread = a_thread()
    async with store.transaction() as tx:
        await tx.threads.insert(thread)
    return thread.id


@asynchronous
async def test_a_database_another_process_writes_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.05)
    async with opened(tmp_path) as store:
        first = await add_thread(store)
        other = sqlite3.connect(tmp_path / DATABASE, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with anyio.fail_after(10), pytest.raises(StoreError, match="in use by another process"):
            await add_thread(store)
        assert await store.threads.get(first) is not None  # reading goes on
        other.execute("ROLLBACK")
        other.close()
        await add_thread(store)


async def add_threads(store: Store, number: int, title: str = "") -> None:
    async with store.transaction() as tx:
        for _ in range(number):
            await tx.threads.insert(a_thread(title))


@asynchronous
async def test_space_put_aside_is_given_back_when_none_is_left(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        assert (tmp_path / "reserve").stat().st_blocks * 512 >= 8 * 2**20
        async with store.transaction() as tx:
            await tx.fetch("PRAGMA max_page_count=60")
        with pytest.raises(DiskFull):
            await add_threads(store, 1000, "x" * 5000)
        assert not (tmp_path / "reserve").exists()
    async with opened(tmp_path):
        assert (tmp_path / "reserve").exists()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(tmp_path)]
    if os.geteuid() != 0 or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no disk can be mounted")
    yield tmp_path
    subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        for size in (2**20, 2**12):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass


@asynchronous
async def test_on_a_full_disk_something_can_be_deleted(small_disk: Path) -> None:
    async with opened(small_disk) as store:
        first = await add_thread(store)
        fill(small_disk / "ballast")
        with pytest.raises(DiskFull):
            await add_threads(store, 1000)  # more than the journal has room for
        async with store.transaction() as tx:
            assert await tx.threads.delete(first)
        await add_threads(store, 1000)


@asynchronous
async def test_a_full_database(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first = await add_thread(store)
        async with store.transaction() as tx:
            await tx.fetch("PRAGMA max_page_count=60")

        async def add_many() -> None:
            async with store.transaction() as tx:
                for _ in range(1000):
                    await tx.threads.insert(a_thread("x" * 5000))

        with pytest.raises(StoreError, match="is full; nothing was changed"):
            await add_many()
        assert [thread.id for thread in (await store.threads.page()).data] == [first]
        async with store.transaction() as tx:
            await tx.fetch("PRAGMA max_page_count=100000")
        await add_many()


@asynchronous
async def test_a_damaged_database(tmp_path: Path) -> None:
    (tmp_path / DATABASE).write_bytes(b"no database at all " * 1000)
    with pytest.raises(StoreError, match="is not a database"):
        await Store.open(tmp_path)


@asynchronous
async def test_a_statement_that_makes_no_sense(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        with pytest.raises(StoreError, match="cannot serve the request: no such table: nowhere"):
            await store.fetch("SELECT * FROM nowhere")


@asynchronous
async def test_a_path_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StoreError, match="cannot be used"):
        await Store.open(tmp_path / "file")
    with pytest.raises(StoreError, match="cannot be used"):
        await Store.open(tmp_path / "file" / "below")


def test_a_read_only_directory(tmp_path: Path) -> None:
    """In another process, as nobody: root may write anywhere."""
    data_dir = tmp_path / "data"
    code = """
import asyncio, os, sys
from pathlib import Path
from jupyter_ci_ext.errors import StoreError
from jupyter_ci_ext.store.database import Store

async def main():
    store = await Store.open(Path(sys.argv[1]))
    await store.close()
    for path in Path(sys.argv[1]).rglob("*"):
        os.chmod(path, 0o755 if path.is_dir() else 0o444)
    os.chmod(sys.argv[1], 0o555)
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        await Store.open(Path(sys.argv[1]))
    except StoreError as error:
        print(error)

asyncio.run(main())
"""
    for directory in (tmp_path, *tmp_path.parents[:2]):
        os.chmod(directory, 0o755)
    process = python(code, data_dir)
    said, _ = process.communicate(timeout=60)
    os.chmod(data_dir, 0o755)
    assert process.returncode == 0
    assert "read-only" in said


# ---- network file systems ---------------------------------------------------------------------


@pytest.fixture
def network_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that says it lies on NFS."""
    monkeypatch.setattr(database, "filesystem_type", lambda _directory: "nfs4")
    monkeypatch.setattr(connection, "BUSY_SECONDS", 0.1)
    return tmp_path / "nfs"


@asynchronous
async def test_on_a_network_disk_there_is_no_wal(
    network_disk: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with opened(network_disk) as store:
            thread = await add_thread(store)
            async with store.transaction() as tx:
                assert await store.threads.get(thread) is not None
                assert await tx.fetch("PRAGMA journal_mode") == [("truncate",)]
                assert await tx.fetch("PRAGMA locking_mode") == [("exclusive",)]
                assert await tx.fetch("PRAGMA synchronous") == [(2,)]
            assert f"{DATABASE}-shm" not in os.listdir(network_disk)
    assert "network file system (nfs4)" in caplog.text
    async with opened(network_disk) as store:
        assert await store.threads.get(thread) is not None


@asynchronous
async def test_on_a_network_disk_reads_wait_for_the_transaction(network_disk: Path) -> None:
    async with opened(network_disk) as store:
        thread = a_thread()
        async with anyio.create_task_group() as tasks:

            async def read() -> None:
                assert await store.threads.get(thread.id) == thread

            async with store.transaction() as tx:
                tasks.start_soon(read)
                await anyio.sleep(0.01)
                await tx.threads.insert(thread)


@asynchronous
async def test_on_a_network_disk_a_second_server_is_kept_out(network_disk: Path) -> None:
    async with opened(network_disk) as store:
        thread = await add_thread(store)
        with pytest.raises(StoreError, match="in use by another process"):
            await Store.open(network_disk)
        assert await store.threads.get(thread) is not None


@asynchronous
async def test_a_database_moves_from_a_local_to_a_network_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        thread = await add_thread(store)
    monkeypatch.setattr(database, "filesystem_type", lambda _directory: "cifs")
    async with opened(tmp_path) as store:
        assert store.exclusive
        assert await store.threads.get(thread) is not None
    monkeypatch.undo()
    async with opened(tmp_path) as store:
        assert not store.exclusive
        assert await store.threads.get(thread) is not None


@pytest.mark.parametrize(
    "text", ["database is locked", "database or disk is full", "disk I/O error", "anything else"]
)
def test_complaints_are_sentences_that_name_the_database(text: str) -> None:
    fault = database_fault(sqlite3.OperationalError(text), Path("/data/state.db"))
    assert fault.message.endswith(".")
    assert "/data/state.db" in fault.message
