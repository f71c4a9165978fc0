"""The pool's rules, on kernels that cost nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from traitlets import TraitError

from jupyter_ci_ext.errors import SandboxUnavailable, SessionLost
from jupyter_ci_ext.kernels import connection as connection_module
from jupyter_ci_ext.kernels import pool as pool_module
from jupyter_ci_ext.kernels.config import SessionPool
from jupyter_ci_ext.kernels.launcher import Kernel
from jupyter_ci_ext.kernels.outputs import ExecutionEnd, StreamText
from jupyter_ci_ext.kernels.pool import Sessions
from jupyter_ci_ext.lifecycle import Happening, SessionEnded, SessionStarted
from jupyter_ci_ext.metrics import STARTS

from .fakes import (
    InstantLauncher,
    LingeringLauncher,
    MutedTransport,
    NeverTransport,
    RefusingLauncher,
    RudeTransport,
)
from .plain import plain_pool, pool, printed, run, until

Wait = Callable[[Any], Any]


async def hold(sessions: Sessions, key: str, until_set: asyncio.Event, log: list[str]) -> None:
    """Use a session until told to leave it."""
    async with sessions.use(key):
        log.append(key)
        await until_set.wait()


def test_a_session_is_reused_and_known(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher) as sessions:
            assert (sessions.get("a"), sessions.list()) == (None, [])
            async with sessions.use("a") as session:
                assert session.fresh
                assert await printed(session, "print") == "print"
                first = session.info
            async with sessions.use("a") as session:
                assert not session.fresh
            info = sessions.get("a")
            assert info is not None
            assert sessions.list() == [info]
            assert (info.id, info.key, info.state) == (first.id, "a", "idle")
            assert info.id.startswith("cntr_")
            assert (info.isolation, info.usage) == ({"level": 3}, {"processes": 1})
            assert info.expires_at is not None
            assert info.created_at <= info.last_active_at < info.expires_at
            assert launcher.running == 1
        assert launcher.running == 0

    wait(scenario())


def test_two_keys_at_once_get_two_sessions(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with (
            pool(tmp_path, launcher) as sessions,
            sessions.use("a") as first,
            sessions.use("b") as second,
        ):
            assert first is not second
            assert first.workspace.path != second.workspace.path
            assert launcher.running == 2

    wait(scenario())


def test_who_comes_when_all_are_in_use_waits_in_order(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher, max_sessions=2) as sessions:
            leave = {key: asyncio.Event() for key in "abcde"}
            log: list[str] = []
            tasks = {}
            for key in "abcde":
                tasks[key] = asyncio.create_task(hold(sessions, key, leave[key], log))
                await until(lambda key=key: key in log or sessions.place(key) is not None)
            assert log == ["a", "b"]
            assert [sessions.place(key) for key in "abcde"] == [None, None, 1, 2, 3]
            tasks["d"].cancel()
            await asyncio.gather(tasks["d"], return_exceptions=True)
            assert [sessions.place(key) for key in "cde"] == [1, None, 2]
            leave["b"].set()
            await until(lambda: log == ["a", "b", "c"])
            leave["a"].set()
            await until(lambda: log == ["a", "b", "c", "e"])
            assert launcher.running == 2
            for event in leave.values():
                event.set()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    wait(scenario())


def test_the_least_recently_used_idle_session_gives_way(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher, max_sessions=2) as sessions:
            for key in ("a", "b", "a"):
                async with sessions.use(key) as session:
                    await printed(session, "used")
                    await asyncio.sleep(0.01)
            async with sessions.use("c"):
                assert [info.key for info in sessions.list()] == ["a", "c"]
            async with sessions.use("a") as session:
                assert not session.fresh
            async with sessions.use("b") as session:
                assert session.fresh
            assert launcher.running == 2

    wait(scenario())


def test_a_console_on_a_kernel_keeps_its_session(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher, idle_timeout=1000, max_life=0) as sessions:
            async with sessions.use("a") as session:
                pass
            used = session.info
            (kernel,) = launcher.kernels
            kernel.attached_at = used.last_active_at + 500
            info = session.info
            assert info.last_active_at == used.last_active_at + 500
            assert info.expires_at == kernel.attached_at + 1000
            kernel.attached_at = used.last_active_at - 500
            assert session.info.expires_at == used.expires_at

    wait(scenario())


def test_sessions_end_when_idle_for_too_long_or_too_old(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher, idle_timeout=0.3, max_life=0) as sessions:
            async with sessions.use("a") as session:
                (session.workspace.path / "kept").touch()
                await asyncio.sleep(0.4)  # in use: not idle
                assert launcher.running == 1
            await until(lambda: launcher.running == 0)
            assert sessions.get("a") is None
            async with sessions.use("a") as session:
                assert session.fresh
                assert (session.workspace.path / "kept").exists()
        async with pool(tmp_path, launcher, idle_timeout=0, max_life=0.3) as sessions:
            async with sessions.use("a"):
                pass
            await until(lambda: launcher.running == 0)

    wait(scenario())


def test_a_session_over_its_life_is_replaced_at_the_next_use(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher, idle_timeout=0, max_life=0.1) as sessions:
            async with sessions.use("a"):
                waiting = asyncio.create_task(hold(sessions, "a", asyncio.Event(), log := []))
                await asyncio.sleep(0.15)
            await until(lambda: log == ["a"])
            assert len(launcher.kernels) == 2
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)

    wait(scenario())


def test_no_time_is_spent_while_nothing_happens(
    wait: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        looks = 0

        class CountedTime:
            @staticmethod
            def time() -> float:
                nonlocal looks
                looks += 1
                return time.time()

        async with pool(tmp_path, InstantLauncher(), warm_spares=1) as sessions:
            async with sessions.use("a"):
                pass
            await until(lambda: sessions._spares.ready == 1)
            await asyncio.sleep(0.05)
            monkeypatch.setattr(pool_module, "time", CountedTime)
            await asyncio.sleep(0.5)
            monkeypatch.undo()
            assert looks == 0

    wait(scenario())


def test_spares_are_made_after_the_first_use_and_claimed_by_the_next(
    wait: Wait, tmp_path: Path
) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher, warm_spares=2, preload=["json"]) as sessions:
            await asyncio.sleep(0.05)
            assert launcher.kernels == []
            async with sessions.use("a"):
                pass
            await until(lambda: sessions._spares.ready == 2)
            spare = launcher.kernels[1]
            launcher.gate.clear()  # nothing can be started now
            async with sessions.use("b") as session:
                assert session.fresh
                assert session.info.kernel_id == spare.id
                assert await printed(session, "hello") == "hello"
            launcher.gate.set()
            await until(lambda: sessions._spares.ready == 2)
        assert launcher.running == 0

    wait(scenario())


def test_a_spare_that_died_is_passed_over(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher, warm_spares=1) as sessions:
            async with sessions.use("a"):
                pass
            await until(lambda: sessions._spares.ready == 1)
            launcher.kernels[1].running = False
            async with sessions.use("b") as session:
                assert await printed(session, "hello") == "hello"

    wait(scenario())


def test_a_thread_gets_its_files_on_a_spare(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher, warm_spares=1) as sessions:
            async with sessions.use("a") as session:
                (session.workspace.path / "kept").write_text("kept")
            await sessions.close("a")
            await until(lambda: sessions._spares.ready == 1)
            async with sessions.use("a") as session:
                assert session.info.kernel_id == launcher.kernels[1].id
                assert (session.workspace.path / "kept").read_text() == "kept"
                assert (await session.collect()).files == []

    wait(scenario())


def test_spares_go_when_nobody_has_used_anything_for_long(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher, warm_spares=1, idle_timeout=0.3) as sessions:
            async with sessions.use("a"):
                pass
            await until(lambda: len(launcher.kernels) == 2)
            await until(lambda: launcher.running == 0)
            slots = tmp_path / "workspaces" / "slots"
            await until(lambda: len(list(slots.iterdir())) == 1)

    wait(scenario())


def test_a_host_without_sandbox_says_so_and_nothing_is_kept(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, RefusingLauncher(), max_sessions=1) as sessions:
            for key in ("a", "b", "a"):
                with pytest.raises(SandboxUnavailable, match="cannot isolate"):
                    async with sessions.use(key):
                        pass
            assert sessions.list() == []
            assert sessions._entries == {}

    wait(scenario())


def test_a_kernel_that_never_answers_is_given_up(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher(NeverTransport)
        async with pool(tmp_path, launcher, start_timeout=1.0) as sessions:
            with pytest.raises(SessionLost, match="did not answer within 1 seconds"):
                async with sessions.use("a"):
                    pass
            assert launcher.running == 0

    wait(scenario())


def test_a_start_whose_user_went_away_is_finished_for_the_next(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher) as sessions:
            launcher.gate.clear()
            task = asyncio.create_task(hold(sessions, "a", asyncio.Event(), []))
            await until(lambda: sessions.get("a") is not None)
            info = sessions.get("a")
            assert info is not None
            assert info.state == "starting"
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            launcher.gate.set()
            async with sessions.use("a") as session:
                assert await printed(session, "x") == "x"
            assert len(launcher.kernels) == 1

    wait(scenario())


def test_a_session_that_gives_way_ends_whole_though_nobody_wants_its_place(
    wait: Wait, tmp_path: Path
) -> None:
    async def scenario() -> None:
        launcher = LingeringLauncher()
        async with pool(tmp_path, launcher, max_sessions=1) as sessions:
            async with sessions.use("a"):
                pass
            late = asyncio.create_task(hold(sessions, "b", asyncio.Event(), []))
            await until(lambda: launcher.ending == 1)
            late.cancel()
            await asyncio.sleep(0)
            launcher.end.set()
            await asyncio.gather(late, return_exceptions=True)
            assert late.cancelled()
            assert (launcher.running, sessions.list()) == (0, [])
            # its files are nobody's any more, and may be used
            async with sessions.use("a") as session:
                assert await printed(session, "again") == "again"
            async with sessions.use("b") as session:
                assert await printed(session, "too") == "too"

    wait(scenario())


def test_a_kernel_ends_whole_though_nobody_waits(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with plain_pool(tmp_path) as (sessions, manager):
            async with sessions.use("a") as session:
                await printed(session, "print()")
            info = sessions.get("a")
            assert info is not None
            assert info.kernel_id in manager
            ending, asked = manager.shutdown_kernel, asyncio.Event()

            async def noted(*args: Any, **kwargs: Any) -> None:
                asked.set()
                await asyncio.sleep(0)
                await ending(*args, **kwargs)

            manager.shutdown_kernel = noted
            kernel = Kernel(manager, info.kernel_id or "", "/mnt/data")
            stopping = asyncio.create_task(kernel.stop())
            await asked.wait()
            stopping.cancel()
            await asyncio.gather(stopping, return_exceptions=True)
            assert info.kernel_id not in manager

    wait(scenario())


def test_stopping_ends_everything_and_lets_nobody_in(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher, max_sessions=1, warm_spares=1) as sessions:
            log: list[str] = []
            using = asyncio.create_task(hold(sessions, "a", asyncio.Event(), log))
            await until(lambda: log == ["a"])
            queued = asyncio.create_task(hold(sessions, "b", asyncio.Event(), log))
            await until(lambda: sessions.place("b") == 1)
            await sessions.stop()
            await sessions.stop()
            assert launcher.running == 0
            with pytest.raises(SessionLost, match="stopping"):
                await queued
            with pytest.raises(SessionLost, match="stopping"):
                async with sessions.use("c"):
                    pass
            using.cancel()
            await asyncio.gather(using, return_exceptions=True)

    wait(scenario())


def test_a_pool_can_be_started_again(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        async with pool(tmp_path, InstantLauncher()) as sessions:
            await sessions.start()
            async with sessions.use("a"):
                pass
            await sessions.stop()
            await sessions.start()
            async with sessions.use("a") as session:
                assert session.fresh

    wait(scenario())


def test_forgetting_a_key_deletes_its_files(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher()
        async with pool(tmp_path, launcher) as sessions:
            async with sessions.use("a") as session:
                path = session.workspace.path
                (path / "x").touch()
                forgetting = asyncio.create_task(sessions.forget("a"))
                await asyncio.sleep(0.05)
                assert path.exists()  # still in use
            await forgetting
            assert not path.exists()
            assert launcher.running == 0
            assert sessions._entries == {}
            await sessions.forget("unknown")
            await sessions.close("unknown")
            await sessions.interrupt("unknown")
            await sessions.restart("unknown")

    wait(scenario())


def test_output_that_broke_its_channel_costs_that_output_only(
    wait: Wait, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection_module, "IDLE_GRACE", 0.2)

    async def scenario() -> None:
        launcher = InstantLauncher(MutedTransport)
        async with pool(tmp_path, launcher) as sessions, sessions.use("a") as session:
            note, end = await run(session, "too much")
            assert isinstance(note, StreamText)
            assert "output was lost" in note.text
            assert isinstance(end, ExecutionEnd)
            assert (end.status, end.kept) == ("ok", True)
            assert await printed(session, "next") == "next"

    wait(scenario())


def test_messages_without_sense_do_no_harm(wait: Wait, tmp_path: Path) -> None:
    async def scenario() -> None:
        launcher = InstantLauncher(RudeTransport)
        async with pool(tmp_path, launcher) as sessions, sessions.use("a") as session:
            assert await printed(session, "fine") == "fine"

    wait(scenario())


@pytest.mark.parametrize(
    ("trait", "value"),
    [
        ("max_life", -1),
        ("idle_timeout", -1),
        ("max_sessions", 0),
        ("warm_spares", -1),
        ("start_timeout", 0),
        ("max_new_files", -1),
        ("max_file_size", -1),
    ],
)
def test_limits_that_make_no_sense_are_refused(trait: str, value: int) -> None:
    with pytest.raises(TraitError, match=trait):
        SessionPool(**{trait: value})


def test_what_is_told_of_sessions(wait: Wait, tmp_path: Path) -> None:
    heard: list[Happening] = []

    def ends() -> list[tuple[str, str]]:
        return [(e.thread_id, e.reason) for e in heard if isinstance(e, SessionEnded)]

    async def scenario() -> None:
        launcher = InstantLauncher()
        config = {"max_sessions": 2, "idle_timeout": 1000}
        async with pool(tmp_path, launcher, tell=heard.append, **config) as sessions:
            for key in "abc":  # the third makes the first give way
                async with sessions.use(key):
                    pass
            first, second = heard[:2]
            assert isinstance(first, SessionStarted)
            assert (first.isolation_level, first.warm) == (3, False)
            assert first.kernel_id == launcher.kernels[0].id
            assert isinstance(second, SessionStarted)
            assert ends() == [("a", "evicted")]
            await sessions.close("b")
            await sessions.close("b")
            await sessions.forget("c")
            async with sessions.use("d"):
                pass
            launcher.kernels[-1].running = False
            async with sessions.use("d"):
                pass
            async with sessions.use("e"):
                pass
        assert ends()[1:4] == [("b", "closed"), ("c", "deleted"), ("d", "lost")]
        assert sorted(ends()[4:]) == [("d", "shutdown"), ("e", "shutdown")]
        starts = [each.session_id for each in heard if isinstance(each, SessionStarted)]
        over = [each.session_id for each in heard if isinstance(each, SessionEnded)]
        assert len(set(starts)) == len(starts) == len(over)
        assert set(over) == set(starts)

    wait(scenario())


def test_a_session_that_began_with_a_spare_is_told_as_warm(wait: Wait, tmp_path: Path) -> None:
    heard: list[Happening] = []
    hits = STARTS.labels("hit")._value.get

    async def scenario() -> None:
        before = hits()
        async with pool(tmp_path, InstantLauncher(), tell=heard.append, warm_spares=1) as sessions:
            async with sessions.use("a"):
                pass
            await until(lambda: sessions._spares.ready == 1)
            async with sessions.use("b"):
                pass
        warm = [each.warm for each in heard if isinstance(each, SessionStarted)]
        assert warm == [False, True]
        assert hits() == before + 1

    wait(scenario())
