"""Containers: over the pool itself, with kernels that cost nothing."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from jupyter_ci_ext.errors import (
    InvalidRequest,
    NotFound,
    PayloadTooLarge,
    SandboxUnavailable,
    StoreError,
)
from jupyter_ci_ext.kernels.pool import Sessions
from jupyter_ci_ext.services import container_files as container_files_module
from jupyter_ci_ext.services import containers as containers_module
from jupyter_ci_ext.services.container_files import ContainerFiles
from jupyter_ci_ext.services.containers import Containers
from jupyter_ci_ext.wire.container import Container
from jupyter_ci_ext.wire.container_params import (
    ContainerListQuery,
    CreateContainer,
    CreateContainerFile,
)
from jupyter_ci_ext.wire.params import ListQuery
from jupyter_ci_ext.wire.thread import Thread
from jupyter_ci_ext.wire.validation import parse
from tests.kernels.fakes import InstantLauncher, RefusingLauncher
from tests.kernels.plain import pool, printed

from .house import House, in_house

GIB = 1 << 30


class Yard:
    """The services of containers over a pool, and short ways to use them."""

    def __init__(self, house: House, sessions: Sessions, launcher: InstantLauncher) -> None:
        self.house = house
        self.sessions = sessions
        self.launcher = launcher
        self.containers = Containers(house.store, sessions)
        self.files = ContainerFiles(house.store, sessions, self.containers)

    async def create(self, name: str = "mine", **body: object) -> Container:
        return await self.containers.create(parse(CreateContainer, {"name": name, **body}))

    async def list(self, **query: object) -> list[str]:
        page = await self.containers.list(parse(ContainerListQuery, query))
        return [each.id for each in page.data]

    async def paths(self, container_id: str) -> list[str]:
        page = await self.files.list(container_id, parse(ListQuery, {"order": "asc"}))
        return [file.path for file in page.data]

    async def upload(self, container_id: str, name: str, content: bytes = b"xyz") -> str:
        blob = await self.house.store.blobs.put(content)
        return (await self.files.upload(container_id, name, blob)).id

    async def read(self, container_id: str, id: str) -> bytes:
        opened = await self.files.content(container_id, id)
        try:
            return b"".join([chunk async for chunk in opened.read(0, opened.size)])
        finally:
            await opened.close()

    async def worked_in(self, thread: Thread) -> Path:
        """Let code run on the thread; returns its workspace."""
        async with self.sessions.use(thread.id) as session:
            await printed(session, "x")
            return session.workspace.path


@asynccontextmanager
async def yard(
    house: House,
    launcher: InstantLauncher | None = None,
    sandbox: dict[str, object] | None = None,
    **config: object,
) -> AsyncIterator[Yard]:
    launcher = launcher or InstantLauncher()
    async with pool(house.store.data_dir, launcher, sandbox, **config) as sessions:
        yield Yard(house, sessions, launcher)


async def blobs(house: House) -> int:
    return len(await house.store.blobs.list(float("inf")))


# ---- containers ---------------------------------------------------------------------------------


@in_house
async def test_a_made_container_runs_at_once_with_its_files(house: House) -> None:
    file = await house.file(name="a.csv")
    async with yard(house) as y:
        made = await y.create("box", file_ids=[file.id, file.id])
        assert (made.name, made.status, made.network_policy.type) == ("box", "running", "disabled")
        assert made.id.startswith("cntr_")
        assert (made.memory_limit, made.expires_after and made.expires_after.minutes) == ("2g", 30)
        assert made.kernel_id == y.launcher.kernels[0].id
        assert (made.isolation, made.usage) == ({"level": 3}, {"processes": 1})
        assert made.expires_at is not None
        assert await y.containers.get(made.id) == made
        page = await y.files.list(made.id, ListQuery())
        [held] = page.data
        assert (held.path, held.bytes, held.source) == ("/mnt/data/a.csv", 8, "user")
        assert held.container_id == made.id


@pytest.mark.parametrize(
    ("trait", "asked", "granted"),
    [
        (2 * GIB, None, "2g"),
        (2 * GIB, "1g", "1g"),
        (2 * GIB, "64g", "2g"),
        (GIB + GIB // 2, "16g", "1536m"),
        (0, "4g", "4g"),
        (0, None, None),
    ],
)
@in_house
async def test_memory_is_cut_to_what_the_server_grants(
    house: House, trait: int, asked: str | None, granted: str | None
) -> None:
    async with yard(house, sandbox={"memory": trait}) as y:
        made = await y.create(memory_limit=asked)
        assert made.memory_limit == granted
        assert ("memory_limit" in made.model_dump()) == (granted is not None)
        assert (await y.containers.get(made.id)).memory_limit == granted


@pytest.mark.parametrize(
    ("trait", "asked", "granted"), [(1800, 20, 20), (1800, 60, 30), (0, 60, 60), (0, None, None)]
)
@in_house
async def test_idle_time_is_cut_to_what_the_server_grants(
    house: House, trait: float, asked: int | None, granted: int | None
) -> None:
    async with yard(house, idle_timeout=trait, max_life=0) as y:
        expiry = None if asked is None else {"anchor": "last_active_at", "minutes": asked}
        made = await y.create(expires_after=expiry)
        minutes = made.expires_after and made.expires_after.minutes
        assert minutes == granted
        assert made.last_active_at is not None
        seconds = None if made.expires_at is None else made.expires_at - made.last_active_at
        assert seconds == (None if granted is None else granted * 60)


@in_house
async def test_a_host_that_runs_no_code_makes_no_container(house: House) -> None:
    file = await house.file()
    async with yard(house, RefusingLauncher()) as y:
        with pytest.raises(SandboxUnavailable):
            await y.create(file_ids=[file.id])
        assert await y.list() == []
        assert await house.rows("containers") == 0
        assert await y.sessions.folders.keys() == []
        with pytest.raises(InvalidRequest, match="No such File object: file-none"):
            await y.create(file_ids=[file.id, "file-none"])
        assert await house.rows("containers") == 0


@in_house
async def test_who_finds_all_sessions_in_use_is_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers_module, "START_SECONDS", 0.05)
    async with yard(house, max_sessions=1) as y, y.sessions.use("thread_a"):
        with pytest.raises(SandboxUnavailable, match="in use"):
            await y.create()
        assert await house.rows("containers") == 0


@in_house
async def test_a_thread_has_a_container_once_code_has_run(house: House) -> None:
    thread = await house.thread("hi")
    id = "cntr_" + thread.id.removeprefix("thread_")
    async with yard(house) as y:
        assert await y.list(name=thread.id) == []
        with pytest.raises(NotFound):
            await y.containers.get(id)
        await y.worked_in(thread)
        container = await y.containers.get(id)
        assert (container.name, container.status) == (thread.id, "running")
        assert container.created_at == thread.created_at
        assert await y.list() == await y.list(name=thread.id) == [id]
        await y.sessions.close(thread.id)
        container = await y.containers.get(id)
        assert container.status == "expired"
        assert {"kernel_id", "isolation", "usage", "expires_at"}.isdisjoint(container.model_dump())
        assert await y.list(name=thread.id) == [id]
        await y.worked_in(thread)
        assert (await y.containers.get(id)).status == "running"
    async with yard(house) as y:  # the server was restarted
        assert (await y.containers.get(id)).status == "expired"
        async with house.store.transaction() as tx:
            await tx.threads.delete(thread.id)
        assert await y.list() == []
        with pytest.raises(NotFound):
            await y.containers.get(id)


@in_house
async def test_made_containers_outlive_the_server(house: House) -> None:
    async with yard(house) as y:
        made = await y.create(memory_limit="1g")
        await y.upload(made.id, "a.txt")
    async with yard(house) as y:
        found = await y.containers.get(made.id)
        assert (found.status, found.memory_limit, found.name) == ("expired", "1g", "mine")
        assert await y.paths(made.id) == ["/mnt/data/a.txt"]
        await y.upload(made.id, "b.txt")
        assert (await y.containers.get(made.id)).status == "expired"
        again = await y.containers.restart(made.id)
        assert (again.status, again.id) == ("running", made.id)
        assert set(await y.paths(made.id)) == {"/mnt/data/a.txt", "/mnt/data/b.txt"}


@in_house
async def test_lists_are_paged_and_found_by_name(house: House) -> None:
    thread = await house.thread()
    async with yard(house) as y:
        await y.worked_in(thread)
        for name in ("a", "b", "a"):
            await y.create(name)
        every = await y.list(order="asc")
        assert len(every) == 4
        assert len(await y.list(name="a")) == 2
        assert await y.list() == every[::-1]
        assert await y.list(order="asc", limit=2) == every[:2]
        assert await y.list(order="asc", after=every[1]) == every[2:]
        page = await y.containers.list(parse(ContainerListQuery, {"limit": 3}))
        assert page.has_more
        with pytest.raises(InvalidRequest):
            await y.list(after="cntr_none")


@in_house
async def test_a_deleted_container_is_gone(house: House) -> None:
    async with yard(house) as y:
        made = await y.create()
        await y.upload(made.id, "a.txt")
        deleted = await y.containers.delete(made.id)
        assert deleted.model_dump() == {
            "id": made.id,
            "object": "container.deleted",
            "deleted": True,
        }
        assert (y.launcher.running, await y.sessions.folders.keys()) == (0, [])
        for use in (y.containers.get, y.containers.delete, y.containers.restart, y.paths):
            with pytest.raises(NotFound, match=f"Container with id '{made.id}' not found"):
                await use(made.id)


@in_house
async def test_the_container_of_a_thread_is_deleted_but_not_under_a_run(house: House) -> None:
    thread = await house.thread("hi")
    async with yard(house) as y:
        work = await y.worked_in(thread)
        (work / "made").touch()
        [id] = await y.list()
        run = await house.run(thread, await house.assistant())
        with pytest.raises(InvalidRequest, match=run.id):
            await y.containers.delete(id)
        await house.supervisor.put(run.id, status="cancelled")
        await y.containers.delete(id)
        assert await y.list() == []
        work = await y.worked_in(thread)
        assert await y.list() == [id]
        assert os.listdir(work) == []


@in_house
async def test_one_that_is_in_use_is_not_deleted_for_ever_waiting(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers_module, "STOP_SECONDS", 0.05)
    async with yard(house) as y:
        made = await y.create()
        async with y.sessions.use(made.id):
            with pytest.raises(InvalidRequest, match="in use"):
                await y.containers.delete(made.id)
        assert await y.list() == [made.id]


@in_house
async def test_restart_and_interrupt(house: House) -> None:
    async with yard(house) as y:
        made = await y.create()
        assert (await y.containers.interrupt(made.id)).status == "running"
        y.launcher.kernels[0].running = False
        assert (await y.containers.restart(made.id)).status == "running"
        assert y.launcher.running == 1
        await y.sessions.close(made.id)
        with pytest.raises(InvalidRequest, match=r"Container is expired\."):
            await y.containers.interrupt(made.id)


@in_house
async def test_ids_are_never_paths(house: House) -> None:
    (house.store.data_dir / "workspaces").mkdir()
    (house.store.data_dir / "workspaces" / "thread_x").symlink_to("/etc")
    async with yard(house) as y:
        for id in ("cntr_x", "cntr_../slots", "slots", "", "thread_x", "\0", "cntr_"):
            with pytest.raises(NotFound):
                await y.containers.get(id)
            with pytest.raises(NotFound):
                await y.upload(id, "a")
        assert await y.list() == []
        assert await blobs(house) == 0


# ---- files --------------------------------------------------------------------------------------


@in_house
async def test_files_come_and_go(house: House) -> None:
    async with yard(house) as y:
        made = await y.create()
        id = await y.upload(made.id, "../größe.txt", b"content")
        file = await y.files.get(made.id, id)
        assert id.startswith("cfile_")
        assert (file.path, file.bytes, file.source) == ("/mnt/data/größe.txt", 7, "user")
        assert await y.read(made.id, id) == b"content"
        assert await blobs(house) == 0, "the content is in the container only"
        second = await y.upload(made.id, "größe.txt", b"other")
        assert (await y.files.get(made.id, second)).path == "/mnt/data/größe (2).txt"
        deleted = await y.files.delete(made.id, id)
        assert deleted.model_dump() == {
            "id": id,
            "object": "container.file.deleted",
            "deleted": True,
        }
        assert await y.paths(made.id) == ["/mnt/data/größe (2).txt"]
        for use in (y.files.get, y.files.delete, y.read):
            with pytest.raises(NotFound, match=f"Container file with id '{id}' not found"):
                await use(made.id, id)


@in_house
async def test_a_file_of_the_api_is_copied(house: House) -> None:
    file = await house.file(b"1,2\n", "t.csv")
    async with yard(house) as y:
        made = await y.create()
        params = parse(CreateContainerFile, {"file_id": file.id})
        added = await y.files.add(made.id, params)
        assert await y.read(made.id, added.id) == b"1,2\n"
        assert await y.files.add(made.id, params) == added
        await y.files.delete(made.id, added.id)
        assert (await house.services.files.get(file.id)).bytes == 4
        with pytest.raises(InvalidRequest, match="No such File object: file-none"):
            await y.files.add(made.id, parse(CreateContainerFile, {"file_id": "file-none"}))


@in_house
async def test_a_file_belongs_to_one_container(house: House) -> None:
    async with yard(house) as y:
        one, other = await y.create(), await y.create()
        id = await y.upload(one.id, "a.txt")
        for use in (y.files.get, y.files.delete, y.read):
            with pytest.raises(NotFound):
                await use(other.id, id)
        assert await y.paths(one.id) == ["/mnt/data/a.txt"]


@in_house
async def test_what_code_wrote_is_listed_and_read(house: House) -> None:
    thread = await house.thread()
    async with yard(house) as y:
        work = await y.worked_in(thread)
        (work / "sub").mkdir()
        (work / "sub" / "b.txt").write_text("b")
        os.mkdir(os.fsencode(work) + b"/\xff")
        os.close(os.open(os.fsencode(work) + b"/\xff/c", os.O_CREAT))
        [id] = await y.list()
        page = await y.files.list(id, ListQuery())
        paths = {file.path: file for file in page.data}
        assert set(paths) == {"/mnt/data/sub/b.txt", "/mnt/data/\ufffd/c"}
        assert {file.source for file in page.data} == {"assistant"}
        assert page.model_dump_json()
        written = paths["/mnt/data/sub/b.txt"]
        assert await y.read(id, written.id) == b"b"
        (work / "sub" / "b.txt").write_text("changed")
        changed = await y.files.get(id, written.id)
        assert (changed.id, changed.bytes) == (written.id, 7)
        await y.files.delete(id, paths["/mnt/data/\ufffd/c"].id)
        assert await y.paths(id) == ["/mnt/data/sub/b.txt"]


@in_house
async def test_a_file_swapped_for_a_link_is_not_read(house: House) -> None:
    secret = house.store.data_dir / "secret"
    secret.write_text("of the host")
    thread = await house.thread()
    async with yard(house) as y:
        work = await y.worked_in(thread)
        (work / "a").write_text("x")
        [id] = await y.list()
        [file] = (await y.files.list(id, ListQuery())).data
        find = y.files._find

        async def swapping(*args: object) -> object:
            found = await find(*args)
            (work / "a").unlink()
            (work / "a").symlink_to(secret)
            return found

        y.files._find = swapping
        with pytest.raises(NotFound):
            await y.files.content(id, file.id)
        y.files._find = find
        with pytest.raises(NotFound):
            await y.files.delete(id, file.id)
        assert await y.paths(id) == []


@in_house
async def test_a_file_that_gets_shorter_breaks_the_download_off(house: House) -> None:
    thread = await house.thread()
    async with yard(house) as y:
        work = await y.worked_in(thread)
        (work / "a").write_text("long")
        [id] = await y.list()
        [file] = (await y.files.list(id, ListQuery())).data
        opened = await y.files.content(id, file.id)
        os.truncate(work / "a", 1)
        with pytest.raises(StoreError, match="shorter"):
            async for _ in opened.read(0, opened.size):
                pass
        await opened.close()


@in_house
async def test_a_busy_container_takes_no_files(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(container_files_module, "BUSY_SECONDS", 0.02)
    async with yard(house) as y:
        made = await y.create()
        id = await y.upload(made.id, "a.txt")
        async with y.sessions.use(made.id):
            with pytest.raises(InvalidRequest, match="busy"):
                await y.upload(made.id, "b.txt")
            with pytest.raises(InvalidRequest, match="busy"):
                await y.files.delete(made.id, id)
            assert await y.read(made.id, id) == b"xyz"
        assert await blobs(house) == 0


@in_house
async def test_a_container_takes_no_more_than_its_disk_allows(house: House) -> None:
    async with yard(house, sandbox={"disk": 1 << 20}) as y:
        made = await y.create()
        with pytest.raises(PayloadTooLarge):
            await y.upload(made.id, "a", b"x" * ((1 << 20) + 1))
        assert await y.paths(made.id) == []
        assert await blobs(house) == 0


@in_house
async def test_an_upload_into_a_container_being_deleted_leaves_nothing(house: House) -> None:
    async with yard(house) as y:
        made = await y.create()
        stage, deleted = y.sessions.stage, asyncio.Event()

        async def late(*args: object) -> dict[str, str]:
            await y.containers.delete(made.id)
            deleted.set()
            return await stage(*args)

        y.sessions.stage = late
        with pytest.raises(NotFound):
            await y.upload(made.id, "a.txt")
        assert deleted.is_set()
        assert await y.sessions.folders.keys() == []
