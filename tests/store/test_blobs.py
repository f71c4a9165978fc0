"""Contents on disk: whole or not at all, once each, and gone when nothing refers to them."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import anyio
import pytest

from jupyter_ci_ext.errors import PayloadTooLarge, StoreError
from jupyter_ci_ext.store import blobs as blobs_module
from jupyter_ci_ext.store.blobs import Blob, OwnFile
from jupyter_ci_ext.store.contents import CHUNK
from jupyter_ci_ext.store.database import Store

from .harness import a_file, asynchronous, files_below, opened, python

BIG = random.Random(1).randbytes(3 * CHUNK + 12_345)
BIG_SHA = hashlib.sha256(BIG).hexdigest()


async def pieces(content: bytes, size: int) -> AsyncIterator[bytes]:
    for at in range(0, len(content), size):
        yield content[at : at + size]


async def broken_off(content: bytes) -> AsyncIterator[bytes]:
    yield content
    raise ConnectionResetError("the client went away")


async def far_too_long() -> AsyncIterator[bytes]:
    """Goes on without ever waiting, unless somebody stops it."""
    for _ in range(256):
        yield bytes(CHUNK)
    raise AssertionError("nobody stopped it")


async def content_of(store: Store, blob: Blob, start: int = 0, end: int | None = None) -> bytes:
    return b"".join([chunk async for chunk in store.blobs.read(blob.sha256, start, end)])


@pytest.mark.parametrize("size", [977, CHUNK, 5 * CHUNK])
@asynchronous
async def test_a_stream_is_stored_under_its_hash(tmp_path: Path, size: int) -> None:
    async with opened(tmp_path) as store:
        blob = await store.blobs.put(pieces(BIG, size), md5=True)
        assert blob == Blob(BIG_SHA, len(BIG), hashlib.md5(BIG).hexdigest())
        assert files_below(tmp_path / "blobs") == [f"{BIG_SHA[:2]}/{BIG_SHA}"]
        assert await content_of(store, blob) == BIG
        assert await content_of(store, blob, 5, CHUNK + 7) == BIG[5 : CHUNK + 7]
        assert await content_of(store, blob, len(BIG) - 3) == BIG[-3:]
        assert await content_of(store, blob, len(BIG)) == b""


@asynchronous
async def test_paths_and_descriptors(tmp_path: Path) -> None:
    source = tmp_path / "source.bin"
    await asyncio.to_thread(source.write_bytes, BIG)
    fd = os.open(source, os.O_RDONLY)
    try:
        async with opened(tmp_path / "data") as store:
            assert await store.blobs.put(source) == Blob(BIG_SHA, len(BIG))
            assert await store.blobs.put(fd) == Blob(BIG_SHA, len(BIG))
            assert await store.blobs.put(fd) == Blob(BIG_SHA, len(BIG))  # from its beginning again
            assert len(files_below(tmp_path / "data" / "blobs")) == 1
            os.fstat(fd)  # still open
    finally:
        os.close(fd)


def own_file(path: Path, content: bytes) -> OwnFile:
    path.write_bytes(content)
    return OwnFile(path, hashlib.sha256(content).hexdigest(), len(content))


@asynchronous
async def test_files_of_our_own_are_moved(tmp_path: Path) -> None:
    async with opened(tmp_path / "data") as store:
        # the third is equal to the first, and so is there already when its turn comes
        own = [
            own_file(tmp_path / f"own-{n}", content) for n, content in enumerate((BIG, b"", BIG))
        ]
        blobs = [Blob(file.sha256, file.size) for file in own]
        assert await store.blobs.adopt(own) == blobs
        assert [file.path.exists() for file in own] == [False, False, True]
        stored = {f"{blob.sha256[:2]}/{blob.sha256}" for blob in blobs}
        assert set(files_below(tmp_path / "data" / "blobs")) == stored
        assert await content_of(store, blobs[0]) == BIG
        again = own_file(tmp_path / "again", BIG)
        assert await store.blobs.adopt([again]) == blobs[:1]
        assert again.path.exists()
        assert await store.blobs.adopt([]) == []
        for blob in blobs:  # each is held by whoever it was given to
            await store.discard(blob)
        assert len(files_below(tmp_path / "data" / "blobs")) == 1


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no second file system")
@asynchronous
async def test_files_of_another_file_system_are_copied(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        far = own_file(Path(folder) / "far", BIG)
        near = own_file(tmp_path / "near", b"near")
        async with opened(tmp_path / "data") as store:
            blobs = await store.blobs.adopt([far, near])
            assert blobs == [Blob(far.sha256, far.size), Blob(near.sha256, near.size)]
            assert [await content_of(store, blob) for blob in blobs] == [BIG, b"near"]
            assert not near.path.exists()


@asynchronous
async def test_an_empty_content(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        blob = await store.blobs.put(b"")
        assert blob == Blob(hashlib.sha256().hexdigest(), 0)
        assert await content_of(store, blob) == b""


@asynchronous
async def test_only_regular_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "link").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "fifo")
    async with opened(tmp_path / "data") as store:
        for name in ("link", "fifo", ".", "missing"):
            with anyio.fail_after(10), pytest.raises(StoreError):
                await store.blobs.put(tmp_path / name)
        assert files_below(tmp_path / "data" / "blobs") == []


@asynchronous
async def test_whoever_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        with pytest.raises(ConnectionResetError):
            await store.blobs.put(broken_off(BIG))
        with pytest.raises(PayloadTooLarge):
            await store.blobs.put(pieces(BIG, CHUNK), max_bytes=len(BIG) - 1)
        with anyio.move_on_after(0.05):
            await store.blobs.put(far_too_long())
        task = asyncio.create_task(store.blobs.put(far_too_long()))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with store.blobs.writer() as writer:
            await writer.write(BIG)
        assert files_below(tmp_path / "blobs") == []
        assert (await store.blobs.put(BIG, max_bytes=len(BIG))).sha256 == BIG_SHA


@asynchronous
async def test_equal_contents_at_once_are_stored_once(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        blobs = await asyncio.gather(*(store.blobs.put(pieces(BIG, CHUNK)) for _ in range(8)))
        assert {blob.sha256 for blob in blobs} == {BIG_SHA}
        assert files_below(tmp_path / "blobs") == [f"{BIG_SHA[:2]}/{BIG_SHA}"]


@asynchronous
async def test_a_damaged_content_is_replaced(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        blob = await store.blobs.put(b"whole")
        os.truncate(store.blobs.path(blob.sha256), 2)
        await store.blobs.put(b"whole")
        assert await content_of(store, blob) == b"whole"


@asynchronous
async def test_the_event_loop_goes_on_meanwhile(tmp_path: Path) -> None:
    """No step of storing 48 MiB may hold the loop; machines are noisy, so most steps count."""
    gaps: list[float] = []

    async def tick() -> None:
        loop = asyncio.get_running_loop()
        while True:
            before = loop.time()
            await asyncio.sleep(0)
            gaps.append(loop.time() - before)
            await asyncio.sleep(0.001)

    async with opened(tmp_path) as store:
        ticking = asyncio.create_task(tick())
        await store.blobs.put(pieces(bytes(48 * CHUNK), 4 * CHUNK))
        ticking.cancel()
    gaps.sort()
    assert gaps[len(gaps) // 2] < 0.01


def test_a_name_that_is_no_hash_is_no_path(tmp_path: Path) -> None:
    store = blobs_module.Blobs(tmp_path, "me")
    for name in ("../../etc/passwd", "", "A" * 64, "0" * 63, "0" * 64 + "\n"):
        with pytest.raises(ValueError, match="SHA-256"):
            store.path(name)


# ---- contents without a row -------------------------------------------------------------------


async def add_file(store: Store, blob: Blob) -> str:
    file = a_file()
    async with store.transaction() as tx:
        await tx.files.insert(file, sha256=blob.sha256)
    return file.id


async def delete_file(store: Store, id: str) -> None:
    async with store.transaction() as tx:
        assert await tx.files.delete(id)


@asynchronous
async def test_a_content_is_held_until_its_row_is_stored(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        first = await add_file(store, await store.blobs.put(b"same"))
        again = await store.blobs.put(b"same")  # no row yet
        await delete_file(store, first)
        second = await add_file(store, again)
        assert await content_of(store, again) == b"same"
        await delete_file(store, second)
        assert files_below(tmp_path / "blobs") == []


@asynchronous
async def test_a_content_can_be_given_up(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        await store.discard(await store.blobs.put(b"refused"))
        assert files_below(tmp_path / "blobs") == []
        file = await add_file(store, await store.blobs.put(b"shared"))
        shared = await store.blobs.put(b"shared")
        await store.discard(shared)
        assert await content_of(store, shared) == b"shared"
        await delete_file(store, file)
        assert files_below(tmp_path / "blobs") == []


@asynchronous
async def test_a_hold_does_not_last_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as store:
        forgotten = await store.blobs.put(b"forgotten")
        await store.collect_garbage()
        assert await content_of(store, forgotten) == b"forgotten"
        monkeypatch.setattr(blobs_module, "HOLD_SECONDS", 0.0)
        await store.collect_garbage()
        assert files_below(tmp_path / "blobs") == []


@asynchronous
async def test_collecting_garbage_keeps_what_is_used(tmp_path: Path) -> None:
    async with opened(tmp_path) as store:
        used = [await store.blobs.put(b"%d" % n) for n in range(5)]
        for blob in used:
            await add_file(store, blob)
        orphan = store.blobs.path("ab" * 32)
        orphan.parent.mkdir(exist_ok=True)
        orphan.write_bytes(b"nobody's")
        await store.collect_garbage()
        assert len(files_below(tmp_path / "blobs")) == 5
        assert not orphan.exists()


# ---- full disks -------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m", "tmpfs"]
    if os.getuid() != 0 or subprocess.run(["mount", *options, disk], check=False).returncode != 0:
        pytest.skip("needs the right to mount a tmpfs")
    yield disk
    subprocess.run(["umount", disk], check=True)


@asynchronous
async def test_a_full_disk_is_told_and_nothing_is_left(small_disk: Path) -> None:
    data_dir = small_disk / "data"
    async with opened(data_dir) as store:
        kept = await store.blobs.put(b"small")
        with pytest.raises(StoreError, match="is full"):
            await store.blobs.put(pieces(BIG, CHUNK))
        assert files_below(data_dir / "blobs") == [f"{kept.sha256[:2]}/{kept.sha256}"]

        async def add_until_full() -> None:
            async with store.transaction() as tx:
                while True:
                    filler = a_file("x" * 10_000)
                    await tx.files.insert(filler, sha256=kept.sha256)

        with (
            anyio.fail_after(30),
            pytest.raises(StoreError, match=r"is full|failed to read or write"),
        ):
            await add_until_full()
        assert (await store.files.page()).data == []
        await add_file(store, kept)
        assert len((await store.files.page()).data) == 1


def test_a_file_over_the_hosts_limit_is_told_and_nothing_is_left(tmp_path: Path) -> None:
    """As above without the right to mount: the process may not write files beyond 2 MiB."""
    code = """
import asyncio, resource, sys
from pathlib import Path
from jupyter_ci_ext.errors import StoreError
from jupyter_ci_ext.store.database import Store

async def main():
    store = await Store.open(Path(sys.argv[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * 2**20, 2 * 2**20))
    try:
        await store.blobs.put(bytes(3 * 2**20))
    except StoreError as error:
        print(error)
    await store.blobs.put(b"small")
    print(*(path.name for path in store.blobs.root.rglob("*") if path.is_file()))
    await store.close()

asyncio.run(main())
"""
    process = python(code, tmp_path / "data")
    said, _ = process.communicate(timeout=60)
    assert process.returncode == 0
    complaint, left = said.splitlines()
    assert "larger than this host allows" in complaint
    assert left == hashlib.sha256(b"small").hexdigest()
