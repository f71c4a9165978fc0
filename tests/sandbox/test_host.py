"""The parts that touch the host's files: what a Python needs, folders, owners, counting."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from jupyter_ci_ext.errors import SandboxUnavailable
from jupyter_ci_ext.sandbox import bubblewrap, confined, mounts, rundir, users
from jupyter_ci_ext.sandbox.monitor import Count, tree
from jupyter_ci_ext.sandbox.policy import Launch, MiB, Policy
from jupyter_ci_ext.sandbox.stage2 import landlock


def environment(prefix: Path, **more: object) -> mounts.Environment:
    return mounts.Environment(
        python=f"{prefix}/bin/python",
        prefix=str(prefix),
        version=(3, 11, 2),
        roots=(str(prefix),),
        **more,  # type: ignore[arg-type]
    )


class TestEnvironment:
    def test_this_one(self) -> None:
        found = mounts.discover("")
        assert found.prefix == sys.prefix
        assert found.version == sys.version_info[:3]
        assert not any(root.startswith("/usr/") for root in found.roots)

    def test_what_is_installed_in_place_is_not_shown(self) -> None:
        found = mounts.discover("")
        here = str(Path(__file__).parents[2])
        assert here not in found.roots

    def test_roots_do_not_repeat_each_other(self) -> None:
        roots = mounts.discover("").roots
        for root in roots:
            assert not any(other != root and root.startswith(f"{other}/") for other in roots)

    def test_private_parts_are_masked(self, tmp_path: Path) -> None:
        private = Path(sys.prefix) / "share"
        found = mounts.discover("", [str(private)])
        assert str(private) in found.masked_folders

    def test_a_prefix_that_holds_the_home_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", f"{sys.prefix}/lib")
        mounts._discover.cache_clear()
        with pytest.raises(SandboxUnavailable, match="holds the home folder"):
            mounts.discover("")
        mounts._discover.cache_clear()

    def test_a_linked_interpreter_outside_of_its_environment(self, tmp_path: Path) -> None:
        link = tmp_path / "python"
        link.symlink_to(sys.executable)
        links, _ = mounts._link_chain(str(link), [sys.prefix])
        assert (str(link), sys.executable) in links


class TestArguments:
    def view(self, tmp_path: Path, uid: int | None = None, **more: object) -> list[str]:
        view = bubblewrap.View(
            policy=Policy(read_only_paths=(Path("/srv/data"),)),
            launch=Launch(tmp_path, read_only={"/mnt/workspace": Path("/srv/team")}),
            environment=environment(Path("/home/user/env"), **more),
            stage2=Path("/stage2"),
            uid=uid,
        )
        return bubblewrap.arguments(view, lambda text: 99, {"A": "b"})

    def test_the_root_and_the_devices_are_made_read_only_last(self, tmp_path: Path) -> None:
        assert self.view(tmp_path)[-4:] == ["--remount-ro", "/dev", "--remount-ro", "/"]

    def test_memory_mounts_come_before_what_may_lie_below_them(self, tmp_path: Path) -> None:
        options = self.view(tmp_path)
        assert options.index("/tmp") < options.index("/home/user/env")
        assert options.index("/home/sandbox") < options.index("/home/user/env")

    def test_parents_are_open_to_the_throw_away_user(self, tmp_path: Path) -> None:
        text = " ".join(self.view(tmp_path, uid=1_600_000_001))
        assert "--perms 0755 --dir /home/u" in text
        assert "--unshare-user" not in text
        assert "--cap-drop ALL" in text

    def test_only_the_workspace_is_writable(self, tmp_path: Path) -> None:
        options = self.view(tmp_path)
        assert [options[i + 1 : i + 3] for i, o in enumerate(options) if o == "--bind"] == [
            [str(tmp_path), "/mnt/data"]
        ]
        text = " ".join(options)
        assert "--ro-bind /srv/data /srv/data" in text
        assert "--ro-bind /srv/team /mnt/workspace" in text

    def test_masks_cover_what_is_private(self, tmp_path: Path) -> None:
        text = " ".join(
            self.view(
                tmp_path,
                masked_files=("/home/user/env/pip.conf",),
                masked_folders=("/home/user/env/etc/jupyter",),
            )
        )
        assert "--ro-bind /dev/null /home/user/env/pip.conf" in text
        assert "--tmpfs /home/user/env/etc/jupyter --remount-ro /home/user/env/etc/jupyter" in text


def test_landlock_leaves_out_what_is_masked(tmp_path: Path) -> None:
    for name in ("lib", "etc/jupyter", "etc/other"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "pip.conf").touch()
    room = confined.Room.make()
    try:
        env = environment(
            tmp_path,
            masked_files=(f"{tmp_path}/pip.conf",),
            masked_folders=(f"{tmp_path}/etc/jupyter",),
        )
        rules = dict(confined.rules(Policy(), Launch(tmp_path / "w"), env, Path("/stage2"), room))
    finally:
        room.directory.remove()
    assert f"{tmp_path}/lib" in rules
    assert f"{tmp_path}/etc/other" in rules
    assert not {
        str(tmp_path),
        f"{tmp_path}/etc",
        f"{tmp_path}/etc/jupyter",
        f"{tmp_path}/pip.conf",
    } & set(rules)
    assert rules[str(tmp_path / "w")] & landlock.WRITE_FILE
    assert not rules["/usr"] & landlock.WRITE_FILE


def only_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have run directories there, and not where other servers of this host have theirs."""
    monkeypatch.setattr(rundir, "socket_base", lambda: folder)
    monkeypatch.setattr(rundir, "data_base", lambda: folder)


class TestRunDirectory:
    def test_lives_while_its_owner_does(self) -> None:
        directory = rundir.RunDirectory(rundir.data_base())
        assert directory.path.stat().st_mode & 0o777 == 0o700
        assert directory.path not in rundir.sweep()
        assert directory.path.is_dir()
        directory.remove()
        directory.remove()
        assert not directory.path.exists()

    def test_is_swept_when_its_owner_was_killed(self) -> None:
        code = (
            "import os; from jupyter_ci_ext.sandbox.rundir import *\n"
            "d = RunDirectory(data_base()); print(d.path, flush=True); os.kill(os.getpid(), 9)"
        )
        answer = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        left = Path(answer.stdout.strip())
        assert left.is_dir()
        assert left in rundir.sweep()
        assert not left.exists()

    def test_that_of_another_server_is_left_alone(self) -> None:
        code = (
            "from jupyter_ci_ext.sandbox.rundir import *\n"
            "d = RunDirectory(data_base()); print(d.path, flush=True); input()"
        )
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen([sys.executable, "-c", code], text=True, **pipes) as server:
            assert server.stdout is not None
            other = Path(server.stdout.readline().strip())
            assert other not in rundir.sweep()
            assert other.is_dir()
            server.kill()
        assert other in rundir.sweep()

    @pytest.mark.skipif(os.getuid() != 0, reason="only root makes folders for others")
    def test_that_of_another_user_is_left_alone(self) -> None:
        theirs = Path(os.environ["TMPDIR"]) / "jci-theirs"
        theirs.mkdir()
        (theirs / "lock").touch()
        os.utime(theirs, (time.time() - 3600,) * 2)
        os.chown(theirs, 65534, 65534)
        try:
            assert theirs not in rundir.sweep()
            assert theirs.is_dir()
        finally:
            (theirs / "lock").unlink()
            theirs.rmdir()

    def test_a_link_of_the_right_name_is_left_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        only_in(tmp_path, monkeypatch)
        precious = tmp_path / "precious"
        precious.mkdir()
        (precious / "lock").touch()
        (tmp_path / "jci-evil").symlink_to(precious)
        assert rundir.sweep() == []
        assert precious.is_dir()

    def test_a_young_folder_without_its_lock_is_left_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        only_in(tmp_path, monkeypatch)
        young, old = tmp_path / "jci-young", tmp_path / "jci-old"
        young.mkdir()
        old.mkdir()
        os.utime(old, (time.time() - 3600,) * 2)
        assert rundir.sweep() == [old]

    def test_one_that_goes_while_it_is_looked_at_is_no_trouble(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Its owner removes it, or another server sweeps at the same time."""
        only_in(tmp_path, monkeypatch)
        gone = tmp_path / "jci-gone"
        monkeypatch.setattr(Path, "glob", lambda _folder, _pattern: iter([gone]))
        assert rundir.sweep() == []

    def test_connection_files_of_folders_that_are_gone_are_swept(self, tmp_path: Path) -> None:
        """Jupyter removes none of a server that was killed."""
        directory = rundir.RunDirectory(tmp_path)

        def connection(name: str, said: object) -> Path:
            path = tmp_path / f"kernel-{name}.json"
            path.write_text(said if isinstance(said, str) else json.dumps(said))
            return path

        gone = connection("gone", {"transport": "ipc", "ip": str(tmp_path / "jci-gone" / "s")})
        stay = [
            connection("alive", {"transport": "ipc", "ip": str(directory.path / "s")}),
            connection("tcp", {"transport": "tcp", "ip": "127.0.0.1"}),
            connection("other", {"transport": "ipc", "ip": str(tmp_path / "theirs" / "s")}),
            connection("relative", {"transport": "ipc", "ip": "jci-gone/s"}),
            connection("half", '{"transport": "ip'),
            connection("none", "[]"),
        ]
        assert rundir.sweep_connections(tmp_path) == [gone]
        assert all(path.exists() for path in stay)
        assert not gone.exists()
        directory.remove()

    def test_a_sweep_beside_its_making_leaves_it_alone(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another session of this server, or another server, may sweep at any moment."""
        lock, swept = fcntl.flock, []

        def flock_after_a_sweep(descriptor: int, operation: int) -> None:
            monkeypatch.setattr(fcntl, "flock", lock)
            swept.append(rundir.sweep())
            lock(descriptor, operation)

        monkeypatch.setattr(fcntl, "flock", flock_after_a_sweep)
        directory = rundir.RunDirectory(rundir.data_base())
        assert len(swept) == 1
        assert directory.path not in swept[0]
        assert (directory.path / "lock").is_file()
        directory.remove()


class TestCount:
    def test_adds_up(self, tmp_path: Path) -> None:
        (tmp_path / "a/b").mkdir(parents=True)
        (tmp_path / "a/b/f").write_bytes(b"x" * 100_000)
        count = Count()
        count.add(tmp_path)
        assert count.files == 3
        assert count.size >= 100_000
        assert count.problem() is None

    def test_follows_no_link(self, tmp_path: Path) -> None:
        (tmp_path / "up").symlink_to("/usr")
        os.mkfifo(tmp_path / "fifo")
        count = Count()
        count.add(tmp_path)
        assert count.files == 2

    def test_holes_weigh_nothing(self, tmp_path: Path) -> None:
        with open(tmp_path / "sparse", "wb") as file:
            file.truncate(1 << 40)
        count = Count(size_limit=MiB)
        count.add(tmp_path)
        assert count.problem() is None

    def test_stops_at_a_limit(self, tmp_path: Path) -> None:
        for number in range(50):
            (tmp_path / str(number)).touch()
        count = Count(files_limit=10)
        count.add(tmp_path)
        assert count.files == 11
        assert count.problem() == "There are more than 10 files in /mnt/data."

    def test_depth_hides_nothing(self, tmp_path: Path) -> None:
        here = os.getcwd()
        try:
            os.chdir(tmp_path)
            for _ in range(70):
                os.mkdir("d")
                os.chdir("d")
        finally:
            os.chdir(here)
        count = Count()
        count.add(tmp_path)
        assert "nested" in str(count.problem())

    def test_a_folder_that_is_gone_counts_nothing(self, tmp_path: Path) -> None:
        count = Count()
        count.add(tmp_path / "none")
        assert (count.size, count.files) == (0, 0)


def test_the_tree_of_a_process() -> None:
    with subprocess.Popen(
        ["sh", "-c", "sleep 60 & echo started; wait"], stdout=subprocess.PIPE
    ) as shell:
        assert shell.stdout is not None
        shell.stdout.readline()
        pids = list(tree(shell.pid))
        assert pids[0] == shell.pid
        assert len(pids) == 2
        for pid in pids:
            os.kill(pid, 9)


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
class TestOwners:
    def test_the_throw_away_user_is_nobody_else(self) -> None:
        assert users.throw_away(3) != users.throw_away(3)
        assert users.throw_away(2) is None

    def test_a_link_is_not_followed(self, tmp_path: Path) -> None:
        outside = tmp_path / "outside"
        outside.mkdir()
        (outside / "file").touch()
        workspace = tmp_path / "workspace"
        (workspace / "sub").mkdir(parents=True)
        (workspace / "sub/file").touch()
        (workspace / "folder").symlink_to(outside)
        (workspace / "link").symlink_to(outside / "file")
        users.give(workspace, 1_600_000_007)
        assert (workspace / "sub/file").stat().st_uid == 1_600_000_007
        assert (workspace / "link").lstat().st_uid == 1_600_000_007
        assert (outside / "file").stat().st_uid == 0
        assert outside.stat().st_uid == 0
