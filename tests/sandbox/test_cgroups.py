"""Control groups: what is read of them, what is asked of systemd, and what they really bound.

Programs in place of ``busctl`` misbehave where a real systemd does not on request. What needs version 2
or a systemd that answers is skipped where there is none.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_ci_ext.sandbox import cgroups, hierarchy, systemd
from jupyter_ci_ext.sandbox.monitor import tree
from jupyter_ci_ext.sandbox.policy import MiB, Policy

from .conftest import ROOT, require
from .harness import kernel

_TOO_MUCH = "input(); x = bytearray(500 << 20); print(len(x))"
_FORKS = """
import os, time
input()
n = 0
try:
    while n < 200:
        if os.fork() == 0: time.sleep(60); os._exit(0)
        n += 1
except BlockingIOError: pass
print(n, flush=True)
time.sleep(60)
"""


def started(code: str) -> subprocess.Popen[bytes]:
    """A Python that waits for a line before it does what it is to do."""
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )


def eventually(path: Path, seconds: float = 20) -> bool:
    """Whether the path goes away."""
    deadline = time.monotonic() + seconds
    while path.exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    return not path.exists()


@pytest.fixture(autouse=True)
def nothing_was_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cgroups, "_refusal", cgroups._Refusal())


class TestReading:
    def test_version_2(self, mounted: Path) -> None:
        mounted.write_text("27 21 0:24 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n")
        assert hierarchy.mounts() == {"": Path("/sys/fs/cgroup")}

    def test_both_versions(self, mounted: Path) -> None:
        mounted.write_text(
            "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
            "32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
            "35 31 0:32 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n"
            "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n"
        )
        found = hierarchy.mounts()
        assert found["memory"] == Path("/sys/fs/cgroup/memory")
        assert found["cpu"] == found["cpuacct"] == Path("/sys/fs/cgroup/cpu,cpuacct")
        assert found[""] == Path("/sys/fs/cgroup/unified")

    def test_a_part_of_the_tree_is_not_taken_for_the_whole(self, mounted: Path) -> None:
        mounted.write_text("35 31 0:32 /docker/1f /sys/fs/cgroup/memory rw - cgroup c rw,memory\n")
        assert hierarchy.mounts() == {}

    def test_version_2_without_the_memory_controller(self, mounted: Path, tmp_path: Path) -> None:
        mounted.write_text(f"41 31 0:38 / {tmp_path} rw - cgroup2 cgroup2 rw\n")
        (tmp_path / "cgroup.controllers").write_text("cpuset hugetlb\n")
        assert hierarchy.version_2() is None
        (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
        assert hierarchy.version_2() == tmp_path

    def test_a_folder_that_is_no_mount_is_not_believed(self) -> None:
        for path in hierarchy.mounts().values():
            assert os.path.ismount(path)

    def test_an_end_for_memory_is_told_from_pressure(self, tmp_path: Path) -> None:
        group = cgroups.Group(2, {"memory": tmp_path})
        assert not group.out_of_memory()
        (tmp_path / "memory.events").write_text("max 41\noom 3\noom_kill 0\noom_group_kill 0\n")
        assert not group.out_of_memory()
        (tmp_path / "memory.events").write_text("max 41\noom 3\noom_kill 2\noom_group_kill 1\n")
        assert group.out_of_memory()

    def test_the_peak(self, tmp_path: Path) -> None:
        group = cgroups.Group(2, {"memory": tmp_path})
        assert group.peak() == 0  # before Linux 5.19 there is none
        (tmp_path / "memory.peak").write_text("123456\n")
        assert group.peak() == 123456

    def test_the_limits(self, tmp_path: Path) -> None:
        cgroups._limit(tmp_path, Policy(memory=300 * MiB, cpus=1.5, processes=40))
        told = {file.name: file.read_text() for file in tmp_path.iterdir()}
        assert told == {
            "memory.max": str(300 * MiB),
            "memory.oom.group": "1",
            "memory.swap.max": "0",
            "pids.max": "48",
            "cpu.max": "150000 100000",
        }

    def test_what_systemd_has_given_away(self, tmp_path: Path) -> None:
        folder = tmp_path / f"user@{os.getuid()}.service" / "app.service"
        folder.mkdir(parents=True)
        assert not hierarchy._given_away(folder)
        try:
            os.setxattr(folder, "user.delegate", b"1")
        except OSError:
            pytest.skip("no extended attributes here")
        assert hierarchy._given_away(folder)

    @pytest.fixture
    def mounted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        """The kernel's table of mounts, to be written."""
        table = tmp_path / "mountinfo"
        monkeypatch.setattr(hierarchy, "_MOUNTS", table)
        return table


class TestAskingSystemd:
    """With programs in place of ``busctl``; the process to move is this one, which stays where it is."""

    def ask(self, bus: Path) -> str:
        with pytest.raises(systemd.Unavailable) as refused:
            systemd.Manager((str(bus),)).start_scope("code-interpreter-x.scope", [os.getpid()])
        return str(refused.value)

    def test_one_that_hangs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(systemd, "_CALL_SECONDS", 0.2)
        monkeypatch.setattr(systemd, "_GRACE_SECONDS", 0.0)
        bus = program(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
        assert self.ask(bus) == "systemd did not answer within 0.2 s"
        written = tmp_path / "pid"
        if written.exists() and written.read_text():  # on a busy machine not even that in time
            assert not Path(f"/proc/{written.read_text().strip()}").exists()

    def test_one_that_refuses(self, tmp_path: Path) -> None:
        bus = program(tmp_path, "echo 'Call failed: Access denied' >&2; exit 1")
        assert self.ask(bus) == "systemd refused: Call failed: Access denied"

    def test_one_that_fails_without_a_word(self, tmp_path: Path) -> None:
        assert self.ask(program(tmp_path, "exit 3")) == "systemd refused: exit code 3"

    def test_one_that_is_absent(self, tmp_path: Path) -> None:
        assert self.ask(tmp_path / "none").endswith("none cannot be run: No such file or directory")

    def test_one_that_says_yes_and_does_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(systemd, "_MOVE_SECONDS", 0.1)
        assert self.ask(program(tmp_path, "exit 0")) == (
            "systemd did not move the process within 0.1 s"
        )

    def test_what_it_is_asked_for(self, tmp_path: Path) -> None:
        bus = program(tmp_path, f'echo "$@" > {tmp_path}/said; env > {tmp_path}/env; exit 1')
        manager = systemd.Manager((str(bus), "--user"), Path("/run/user/7"))
        with pytest.raises(systemd.Unavailable):
            manager.start_scope("code-interpreter-x.scope", [11, 12])
        said = (tmp_path / "said").read_text()
        assert said.startswith("--user --timeout=5 call org.freedesktop.systemd1 ")
        assert "StartTransientUnit ssa(sv)a(sa(sv)) code-interpreter-x.scope fail 4" in said
        assert " PIDs au 2 11 12 Delegate b true " in said
        environ = (tmp_path / "env").read_text()
        assert "XDG_RUNTIME_DIR=/run/user/7\n" in environ
        assert "HOME=" not in environ  # nothing of the server's

    def test_a_host_without_it(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(systemd, "_RUNS", tmp_path / "none")
        with pytest.raises(systemd.Unavailable, match="systemd does not run this host"):
            systemd.manager()

    def test_a_host_without_its_client(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(systemd, "_RUNS", tmp_path)
        monkeypatch.setattr(systemd, "_USUAL_PATH", "")
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(systemd.Unavailable, match="no program busctl"):
            systemd.manager()

    def test_a_user_who_is_not_logged_in(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(systemd, "_RUNS", tmp_path)
        monkeypatch.setenv("PATH", str(program(tmp_path, "exit 1").parent))
        monkeypatch.setattr(os, "getuid", lambda: 2_000_000_123)
        with pytest.raises(systemd.Unavailable, match="loginctl enable-linger 2000000123"):
            systemd.manager()


@pytest.fixture
def refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A host with version 2 and a systemd that refuses; the file has a line for each time."""
    asked = tmp_path / "asked"
    bus = program(tmp_path, f"echo once >> {asked}; echo 'Call failed: no' >&2; exit 1")
    monkeypatch.setattr(cgroups, "create", lambda policy: None)
    monkeypatch.setattr(hierarchy, "version_2", lambda: tmp_path)
    monkeypatch.setattr(systemd, "manager", lambda: systemd.Manager((str(bus),)))
    return asked


class TestRefusal:
    def test_is_remembered_and_told_and_leaves_nothing(self, refused: Path) -> None:
        before = set(tree(os.getpid()))
        for _ in range(3):
            assert cgroups.admit(Policy(), os.getpid()) is None
        assert refused.read_text() == "once\n"
        assert cgroups.shortcoming(Policy()) == "systemd refused: Call failed: no"
        assert set(tree(os.getpid())) <= before

    def test_is_not_for_ever(self, refused: Path) -> None:
        assert cgroups.admit(Policy(), os.getpid()) is None
        cgroups._refusal.until = 0.0
        assert cgroups.admit(Policy(), os.getpid()) is None
        assert refused.read_text() == "once\nonce\n"

    def test_nobody_is_asked_where_groups_are_not_wanted(self, refused: Path) -> None:
        assert cgroups.admit(Policy(use_cgroups=False), os.getpid()) is None
        assert cgroups.admit(Policy(memory=0), os.getpid()) is None
        assert not refused.exists()
        assert "use_cgroups" in cgroups.shortcoming(Policy(use_cgroups=False))

    def test_leaves_the_session_to_the_watchdog(self, refused: Path) -> None:
        require(3)

        async def run() -> tuple[str, str]:
            async with kernel() as running:
                assert running.provisioner.isolation is not None
                answer = await running.run("print(6 * 7)")
                return running.provisioner.isolation.memory_by, answer.text

        assert asyncio.run(run()) == ("watchdog", "42\n")
        assert refused.exists()


@pytest.fixture
def group_around() -> Iterator[list[cgroups.Group]]:
    """Groups to be removed at the end, whatever happened."""
    made: list[cgroups.Group] = []
    yield made
    for group in made:
        group.remove()


class TestGroups:
    """Real ones, by whatever means this host has."""

    def admitted(
        self, code: str, groups: list[cgroups.Group], **limits: int
    ) -> tuple[subprocess.Popen[bytes], cgroups.Group]:
        child = started(code)
        group = cgroups.admit(Policy(**limits), child.pid)  # type: ignore[arg-type]
        if group is None:
            child.kill()
            child.communicate()
            pytest.skip(f"no control group can be made here: {cgroups.shortcoming(Policy())}")
        groups.append(group)
        return child, group

    def test_bounds_memory_and_tells(self, group_around: list[cgroups.Group]) -> None:
        child, group = self.admitted(_TOO_MUCH, group_around, memory=300 * MiB)
        assert not group.out_of_memory()
        assert child.communicate(b"\n")[0] == b""
        assert child.returncode == -signal.SIGKILL
        assert group.out_of_memory()
        assert 250 * MiB < group.peak() <= 301 * MiB
        group.remove()
        assert all(map(eventually, group.folders.values()))

    def test_bounds_processes(self, group_around: list[cgroups.Group]) -> None:
        child, group = self.admitted(_FORKS, group_around, processes=32)
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(b"\n")
        child.stdin.flush()
        assert 20 < int(child.stdout.readline()) <= 40
        for pid in tree(child.pid):
            os.kill(pid, signal.SIGKILL)
        child.communicate()
        group.remove()
        assert all(map(eventually, group.folders.values()))

    def test_none_where_it_is_not_wanted(self) -> None:
        assert cgroups.create(Policy(use_cgroups=False)) is None

    def test_what_is_left_ends_with_the_group(self, group_around: list[cgroups.Group]) -> None:
        child, group = self.admitted(_FORKS, group_around, processes=8)
        if not all((f / "cgroup.kill").exists() for f in group.folders.values()):
            child.kill()
            child.communicate()
            pytest.skip("needs control groups of version 2 and Linux 5.14")
        assert child.stdin is not None
        child.stdin.close()
        group.remove()
        child.communicate()
        assert all(map(eventually, group.folders.values()))


_SERVER = """
import subprocess, sys, time
from jupyter_ci_ext.sandbox import cgroups
from jupyter_ci_ext.sandbox.policy import Policy
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
group = cgroups.admit(Policy(), child.pid)
print(group.folders["memory"], flush=True)
time.sleep(60)
"""


class TestScopes:
    """With a systemd that answers."""

    @pytest.fixture(autouse=True)
    def systemd_alone(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(cgroups, "create", lambda policy: None)
        child = started("input()")
        group = cgroups.admit(Policy(), child.pid)
        if group is not None:
            group.remove()
        child.communicate(b"\n")
        if group is None:
            pytest.skip(f"systemd makes no scopes here: {cgroups.shortcoming(Policy())}")

    def test_what_happened_is_known_after_the_end(self) -> None:
        child = started(_TOO_MUCH)
        group = cgroups.admit(Policy(memory=300 * MiB), child.pid)
        assert group is not None
        assert group.kind == "systemd scope"
        assert child.communicate(b"\n")[0] == b""
        time.sleep(1)  # in which systemd would have removed an empty scope
        assert group.out_of_memory()
        scope = group.folders["memory"].parent
        assert scope.exists()
        group.remove()
        assert eventually(scope)

    def test_none_is_left_by_a_server_that_was_killed(self) -> None:
        server = subprocess.Popen([sys.executable, "-c", _SERVER], cwd=ROOT, stdout=subprocess.PIPE)
        assert server.stdout is not None
        folder = Path(server.stdout.readline().decode().strip())
        assert folder.parent.suffix == ".scope"
        server.kill()
        server.communicate()
        assert eventually(folder.parent)


def program(folder: Path, script: str) -> Path:
    """An executable named ``busctl`` that runs this piece of shell."""
    (folder / "bin").mkdir()
    path = folder / "bin" / "busctl"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path
