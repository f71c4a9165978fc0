"""How contents get to the disk: held back by a slow one, hinted at early, synced before the end."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import random
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

import anyio
import pytest

from jupyter_ci_ext.errors import PayloadTooLarge
from jupyter_ci_ext.store import blobs as blobs_module
from jupyter_ci_ext.store import chunks, writeback
from jupyter_ci_ext.store.blobs import Blob, OwnFile
from jupyter_ci_ext.store.contents import CHUNK, Draft

from .harness import asynchronous, files_below, opened

BIG = random.Random(2).randbytes(3 * CHUNK + 12_345)
BIG_SHA = hashlib.sha256(BIG).hexdigest()


@pytest.fixture
def big_file(tmp_path: Path) -> Path:
    path = tmp_path / "big"
    path.write_bytes(BIG)
    return path


class SlowDisk:
    """Takes nothing until it is told to go on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.go_on = threading.Event()
        append = Draft.append

        def slowly(draft: Draft, pieces: Sequence[bytes]) -> None:
            assert self.go_on.wait(60)
            append(draft, pieces)

        monkeypatch.setattr(Draft, "append", slowly)


@pytest.mark.parametrize("piece", [CHUNK, CHUNK // 4])
@asynchronous
async def test_a_slow_disk_holds_senders_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, piece: int
) -> None:
    taken = [0, 0, 0, 0]

    async def send(number: int) -> Blob:
        async with store.blobs.writer() as writer:
            for _ in range(8 * CHUNK // piece):
                await writer.write(bytes([number]) * piece)
                taken[number] += piece
            return await writer.finish()

    async with opened(tmp_path) as store:
        disk = SlowDisk(monkeypatch)
        sending = [asyncio.ensure_future(send(number)) for number in range(4)]
        for _ in range(1000):  # as often as the loop goes round: nobody gets any further
            await asyncio.sleep(0)
        # one chunk is with the disk, the write that completed another one waits
        assert taken == [2 * CHUNK - piece] * 4
        disk.go_on.set()
        with anyio.fail_after(60):
            blobs = await asyncio.gather(*sending)
        assert [blob.size for blob in blobs] == taken == [8 * CHUNK] * 4


@asynchronous
async def test_giving_up_on_a_slow_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        disk = SlowDisk(monkeypatch)
        sending = asyncio.ensure_future(store.blobs.put(BIG))
        for _ in range(1000):
            await asyncio.sleep(0)
        sending.cancel()
        disk.go_on.set()
        with anyio.fail_after(60), pytest.raises(asyncio.CancelledError):
            await sending
        assert files_below(tmp_path / "blobs") == []


@asynchronous
async def test_a_file_is_copied_stride_by_stride(
    tmp_path: Path, big_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blobs_module, "_STRIDE", CHUNK)
    async with opened(tmp_path / "data") as store:
        with pytest.raises(PayloadTooLarge):
            await store.blobs.put(big_file, max_bytes=len(BIG) - 1)
        assert files_below(tmp_path / "data" / "blobs") == []
        md5 = hashlib.md5(BIG).hexdigest()
        whole = await store.blobs.put(big_file, max_bytes=len(BIG), md5=True)
        assert whole == Blob(BIG_SHA, len(BIG), md5)
        assert store.blobs.path(BIG_SHA).read_bytes() == BIG
        os.truncate(big_file, 0)
        assert await store.blobs.put(big_file) == Blob(hashlib.sha256().hexdigest(), 0)


@asynchronous
async def test_writing_out_begins_before_the_end(
    tmp_path: Path, big_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[int, int]] = []

    def note(descriptor: int, start: int, count: int, flags: int) -> int:
        os.fstat(descriptor)
        begun.append((start, count))
        return -1  # a file system that cannot: no reason to refuse the content

    monkeypatch.setattr(writeback, "STEP", CHUNK)
    monkeypatch.setattr(writeback, "_sync_file_range", note)
    async with opened(tmp_path / "data") as store:
        async with store.blobs.writer() as writer:
            for at in range(0, len(BIG), CHUNK // 2):
                await writer.write(BIG[at : at + CHUNK // 2])
            assert (await writer.finish()).sha256 == BIG_SHA
        assert begun == [(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, CHUNK)]
        begun.clear()
        await store.blobs.put(big_file)
        assert begun == [(0, len(BIG))]
        monkeypatch.setattr(writeback, "_sync_file_range", None)  # as on other systems
        assert (await store.blobs.put(BIG + b"more")).size == len(BIG) + 4


@asynchronous
async def test_what_is_acknowledged_has_been_synced(
    tmp_path: Path, big_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    fsync = os.fsync

    def note(descriptor: int) -> None:
        fsync(descriptor)
        synced.add(os.fstat(descriptor).st_ino)

    async with opened(tmp_path / "data") as store:
        monkeypatch.setattr(os, "fsync", note)

        def durable(sha256: str) -> bool:
            path = store.blobs.path(sha256)
            return {path.stat().st_ino, path.parent.stat().st_ino} <= synced

        first = await store.blobs.put(b"first")
        assert durable(first.sha256)
        assert store.blobs.root.stat().st_ino in synced  # where the folder's own name is
        own = OwnFile(big_file, BIG_SHA, len(BIG))
        await store.blobs.adopt([own])
        assert durable(BIG_SHA)
        synced.clear()
        await store.blobs.put(b"first")  # is there, perhaps by somebody who has not synced it yet
        assert store.blobs.path(first.sha256).parent.stat().st_ino in synced


def nothing_cached(*_args: object) -> int:
    raise BlockingIOError(errno.EAGAIN, "not in memory")


def cannot_tell(*_args: object) -> int:
    raise OSError(errno.EOPNOTSUPP, "not on this file system")


def nothing_at_all(*_args: object) -> int:
    """As some kernels do it: no error, and no bytes either."""
    return 0


def a_little_cached(descriptor: int, buffers: Sequence[memoryview], at: int, flags: int = 0) -> int:
    return preadv(descriptor, [buffers[0][:1000]], at)


preadv = os.preadv


@pytest.mark.parametrize("read", [nothing_cached, cannot_tell, nothing_at_all, a_little_cached])
@pytest.mark.parametrize(("start", "end"), [(0, None), (5, CHUNK + 7), (CHUNK, len(BIG) + 9)])
@asynchronous
async def test_reading_does_not_depend_on_what_is_in_memory(
    big_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    read: Callable[..., int],
    start: int,
    end: int | None,
) -> None:
    monkeypatch.setattr(os, "preadv", read)
    descriptor = os.open(big_file, os.O_RDONLY)
    try:
        got = [chunk async for chunk in chunks.file_chunks(descriptor, start, end)]
    finally:
        os.close(descriptor)
    assert b"".join(got) == BIG[start:end]
