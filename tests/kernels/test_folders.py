"""Files of sessions from outside, and limits of single sessions."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_ci_ext.errors import PayloadTooLarge
from jupyter_ci_ext.kernels.launcher import Kernel
from jupyter_ci_ext.kernels.limits import SessionLimits
from jupyter_ci_ext.kernels.workspace import StagedFile
from jupyter_ci_ext.sandbox.policy import Launch

from .fakes import InstantLauncher
from .plain import pool, printed, until

Wait = Callable[[Any], Any]


class ThriftyLauncher(InstantLauncher):
    """Remembers how much memory each kernel was to have."""

    def __init__(self) -> None:
        super().__init__()
        self.memory: list[int | None] = []

    async def start(self, launch: Launch) -> Kernel:
        self.memory.append(launch.memory)
        return await super().start(launch)


@pytest.fixture
def staged(tmp_path: Path) -> StagedFile:
    (tmp_path / "blob").write_bytes(b"12345")
    return StagedFile("file-1", "data.csv", tmp_path / "blob", 5)


def test_files_are_put_there_read_and_deleted_without_a_kernel(
    wait: Wait, tmp_path: Path, staged: StagedFile
) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher) as sessions:
            assert not await sessions.folders.exists("a")
            assert await sessions.folders.files("a") == []
            assert await sessions.stage("a", [staged]) == {"file-1": "data.csv"}
            assert await sessions.folders.keys() == ["a"]
            [file] = await sessions.folders.files("a")
            assert (file.name, file.size, file.staged_as) == ("data.csv", 5, "file-1")
            opened = await sessions.folders.open_file("a", "data.csv")
            assert opened is not None
            with opened:
                assert opened.read() == b"12345"
            assert await sessions.remove("a", "data.csv")
            assert not await sessions.remove("a", "data.csv")
            assert await sessions.folders.files("a") == []
            assert launcher.kernels == []
            async with sessions.use("a") as session:
                assert os.listdir(session.workspace.path) == []
                assert session.names == {}

    wait(scenario())


def test_files_may_be_put_beside_a_session(wait: Wait, tmp_path: Path, staged: StagedFile) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, InstantLauncher()) as sessions:
            async with sessions.use("a") as session:
                await printed(session, "x")
                info = session.info
                with pytest.raises(TimeoutError):
                    await sessions.stage("a", [staged], patience=0.01)
                with pytest.raises(TimeoutError):
                    await sessions.remove("a", "data.csv", patience=0.01)
                (session.workspace.path / "made").touch()
                assert [file.name for file in await sessions.folders.files("a")] == ["made"]
            await sessions.stage("a", [staged])
            async with sessions.use("a") as session:
                assert session.info.id == info.id
                assert session.names == {"file-1": "data.csv"}
                collected = await session.collect()
                assert [file.name for file in collected.files] == ["made"]

    wait(scenario())


def test_a_kernel_in_which_no_code_ran_is_fresh_at_its_next_use(
    wait: Wait, tmp_path: Path, staged: StagedFile
) -> None:
    """Whoever restarts a session, or puts a file into it, must not hide that variables are gone."""

    async def scenario() -> None:
        async with pool(tmp_path, InstantLauncher()) as sessions:
            async with sessions.use("a"):
                pass
            await sessions.stage("a", [staged])
            async with sessions.use("a") as session:
                assert session.fresh
                await printed(session, "x")
            async with sessions.use("a") as session:
                assert not session.fresh

    wait(scenario())


def test_more_than_the_sandbox_allows_is_refused(
    wait: Wait, tmp_path: Path, staged: StagedFile
) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, InstantLauncher(), {"disk": 1 << 20}) as sessions:
            await sessions.stage("a", [staged])
            large = StagedFile("file-2", "large", staged.path, 1 << 20)
            with pytest.raises(PayloadTooLarge, match="1 MiB"):
                await sessions.stage("a", [large])
            assert [file.name for file in await sessions.folders.files("a")] == ["data.csv"]

    wait(scenario())


def test_nothing_but_plain_files_is_seen(wait: Wait, tmp_path: Path, staged: StagedFile) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("of the host")

    async def scenario() -> None:
        async with pool(tmp_path, InstantLauncher()) as sessions:
            async with sessions.use("a") as session:
                work = session.workspace.path
                (work / "sub").mkdir()
                (work / "sub" / "plain").write_text("x")
                (work / "link").symlink_to(secret / "key")
                (work / "folder").symlink_to(secret)
                os.mkfifo(work / "fifo")
                os.link(secret / "key", work / "hard")
                (work / ".hidden").touch()
                os.utime(work / "sub" / "plain", (1e12, 1e12))
            files = await sessions.folders.files("a")
            assert [file.name for file in files if file.name != "hard"] == ["sub/plain"]
            assert files[-1].modified <= time.time()
            for name in ("link", "folder/key", "fifo", "hard", "../lock", "/etc/passwd", "", "sub"):
                assert await sessions.folders.open_file("a", name) is None, name
            for name in ("link", "folder", "folder/key", "fifo", "../lock", "", "sub"):
                try:
                    assert not await sessions.remove("a", name), name
                except OSError:
                    pass
            assert (secret / "key").read_text() == "of the host"
            assert sorted(os.listdir(work)) == [
                ".hidden", "fifo", "folder", "hard", "link", "sub",
            ]  # fmt: skip
            assert (work.parent / "lock").exists()

    wait(scenario())


def test_a_session_may_have_tighter_limits_than_others(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher, mib = ThriftyLauncher(), 1 << 20
        limits = {"memory": 1000 * mib}
        async with pool(tmp_path, launcher, limits, warm_spares=1, idle_timeout=60) as sessions:
            assert sessions.limits == SessionLimits(1000 * mib, 60)
            async with sessions.use("usual"):
                pass
            await until(lambda: len(launcher.memory) == 2)
            await asyncio.sleep(0)
            async with sessions.use("small", SessionLimits(500 * mib, 0.2)):
                pass
            async with sessions.use("large", SessionLimits(2000 * mib, 3600)) as session:
                assert session.info.expires_at == session.info.last_active_at + 60
            # The second was a spare, which is not for those who want less.
            assert launcher.memory[:3] == [1000 * mib, None, 500 * mib]
            assert 500 * mib not in launcher.memory[3:]
            await until(lambda: sessions.get("small") is None)
            assert sessions.get("usual") is not None

    wait(scenario())


@pytest.mark.parametrize(
    ("asked", "most", "both"),
    [((0, 0), (0, 0), (0, 0)), ((5, 0), (0, 7), (5, 7)), ((5, 8), (6, 7), (5, 7))],
)
def test_of_two_limits_the_tighter_one_counts(
    asked: tuple[int, float], most: tuple[int, float], both: tuple[int, float]
) -> None:
    assert SessionLimits(*asked).within(SessionLimits(*most)) == SessionLimits(*both)
