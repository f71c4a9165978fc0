"""Start one sandbox, check it from inside, and hold on to what is needed to end it.

``Sandboxed.spawn`` must run in a thread that outlives the sandbox (the one of the event loop): the
kernel ties "die with your parent" to the parent *thread*. ``attest`` only waits and may run anywhere.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..errors import SandboxUnavailable
from . import attest, bubblewrap, limits, seccomp
from .monitor import Monitor, Watched
from .mounts import Environment
from .policy import Isolation, Launch, Policy

STAGE2 = Path(__file__).parent / "stage2"
_ENDED_SECONDS = 5.0


@dataclass(frozen=True)
class Plan:
    """How to isolate on this host: what the probe found to work."""

    level: int
    program: str = ""  # level 3: the bwrap program
    procfs: bool = True  # level 3: whether /proc can be mounted inside


@dataclass(frozen=True)
class Start:
    """Everything one start depends on. Without ``connection`` the sandbox reports and ends."""

    plan: Plan
    policy: Policy
    launch: Launch
    environment: Environment
    uid: int | None = None
    connection: Mapping[str, Any] | None = None
    sockets: Mapping[str, int] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()


class Sandboxed:
    """A running sandbox; ``process`` is the child of this server that stands for it."""

    def __init__(
        self, start: Start, process: subprocess.Popen[bytes], pipes: dict[str, int]
    ) -> None:
        self._start = start
        self._pipes = pipes
        self._log_fd = pipes.pop("log")
        self._started: bytes = b""
        self.process = process
        self.init_pid = 0
        self.kernel_pid = 0
        self.isolation: Isolation | None = None
        self.monitor: Monitor | None = None

    @classmethod
    def spawn(cls, start: Start) -> Sandboxed:
        """Start the process; returns at once. Raises SandboxUnavailable where that fails."""
        build = _Build(start)
        try:
            process = subprocess.Popen(
                build.command(),
                stdin=subprocess.DEVNULL,
                stdout=build.log_write,
                stderr=build.log_write,
                env={},
                cwd="/",
                pass_fds=build.passed,
                start_new_session=True,
            )
        except OSError as error:
            build.abandon()
            raise SandboxUnavailable(f"The sandbox cannot be started: {error}") from None
        return cls(start, process, build.handed_over())

    def attest(self) -> Isolation:
        """Wait until the inside has reported; what is in force. Blocks, off the event loop.

        Raises SandboxUnavailable, with everything ended, where it is not what the level promises.
        """
        deadline = time.monotonic() + self._start.policy.start_seconds
        try:
            self._admit(deadline)
            report = self._report(deadline)
            wanted = limits.resource_limits(
                self._start.policy, count_processes=self._start.plan.level == 3
            )
            missing = attest.shortcomings(report, self._start.plan.level, wanted)
            if missing:
                raise SandboxUnavailable(
                    "The sandbox is not what it must be: " + "; ".join(missing)
                )
        except BaseException:
            self.kill()
            self.close()
            raise
        finally:
            self._close_pipes()
        self.isolation = attest.isolation(
            report, self._start.plan.level, self._start.plan.program, "watchdog"
        )
        if self._start.connection is not None:
            self.kernel_pid = self._find_kernel()
            self._watch()
        return self.isolation

    def interrupt(self) -> None:
        """Send SIGINT to the kernel alone."""
        self.signal_kernel(signal.SIGINT)

    def signal_kernel(self, number: int) -> None:
        """Send a signal to the kernel's process; nothing happens if it is gone."""
        if self.kernel_pid and self.process.poll() is None:
            try:
                os.kill(self.kernel_pid, number)
            except ProcessLookupError:
                pass

    def kill(self) -> None:
        """End everything inside, at once. Returns before it is done; may be called twice."""
        if self.process.poll() is not None:
            return
        try:
            # with its first process a pid namespace dies whole, whatever it had forked
            if self.init_pid:
                os.kill(self.init_pid, signal.SIGKILL)
            else:
                self.process.kill()
        except ProcessLookupError:
            pass

    def close(self) -> None:
        """After the end: reap, stop the monitor, give back descriptors. Blocks briefly."""
        self._close_pipes()
        try:
            self.process.wait(_ENDED_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if os.getpid() == 1 and self.init_pid:
            # nobody else reaps what the outer process left behind
            try:
                os.waitpid(self.init_pid, os.WNOHANG)
            except ChildProcessError:
                pass
        if self.monitor is not None:
            self.monitor.stop()
        elif self._log_fd >= 0:
            os.close(self._log_fd)
        self._log_fd = -1

    def log_text(self) -> str:
        """What the sandbox wrote to its own stdout and stderr while it lived."""
        return self.monitor.log_text() if self.monitor else self._started.decode("utf-8", "replace")

    def _admit(self, deadline: float) -> None:
        """Level 3: put limits on the first process while it waits, mounts done, before it forks."""
        if "info" not in self._pipes:
            return
        info = self._read(self._pipes["info"], deadline, until=b"}")
        try:
            self.init_pid = int(json.loads(info)["child-pid"])
        except (ValueError, KeyError):
            raise SandboxUnavailable(self._failure("bubblewrap did not start")) from None
        for name, value in limits.resource_limits(self._start.policy).items():
            try:
                resource.prlimit(self.init_pid, getattr(resource, f"RLIMIT_{name}"), (value, value))
            except (OSError, ValueError):
                # stage 2 sets its own as well, and reports them
                break
        os.write(self._pipes["block"], b"x")

    def _report(self, deadline: float) -> dict[str, Any]:
        raw = self._read(self._pipes["report"], deadline)
        try:
            report: dict[str, Any] = json.loads(raw)
        except ValueError:
            raise SandboxUnavailable(
                self._failure("the sandbox ended before it reported")
            ) from None
        return report

    def _read(self, fd: int, deadline: float, until: bytes = b"") -> bytes:
        """Read to the end of file, or to ``until``, draining the log meanwhile."""
        data = b""
        log_open = True
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                seconds = self._start.policy.start_seconds
                raise SandboxUnavailable(self._failure(f"no report within {seconds:g} s"))
            ready, _, _ = select.select([fd] + [self._log_fd] * log_open, [], [], left)
            if self._log_fd in ready:
                chunk = os.read(self._log_fd, 65536)
                log_open = bool(chunk)
                self._started = (self._started + chunk)[-65536:]
            if fd in ready:
                chunk = os.read(fd, 65536)
                data += chunk
                if not chunk or (until and until in data):
                    return data

    def _failure(self, what: str) -> str:
        try:
            code = f" (exit code {self.process.wait(0.5)})"
        except subprocess.TimeoutExpired:
            code = ""
        while select.select([self._log_fd], [], [], 0)[0]:
            chunk = os.read(self._log_fd, 65536)
            if not chunk:
                break
            self._started += chunk
        lines = self._started.decode("utf-8", "replace").strip().splitlines()
        return f"{what}{code}: {lines[-1]}" if lines else f"{what}{code}"

    def _find_kernel(self) -> int:
        """The host's number of the process that becomes the kernel."""
        if not self.init_pid:
            return self.process.pid
        with open(f"/proc/{self.init_pid}/task/{self.init_pid}/children") as children:
            pids = [int(pid) for pid in children.read().split()]
        return pids[0] if pids else 0

    def _watch(self) -> None:
        start = self._start
        policy = start.policy
        self.monitor = Monitor(
            Watched(
                workspace=start.launch.workspace,
                memory=policy.memory,
                memory_by="watchdog",
                processes=policy.processes,
                disk=policy.disk,
                files=policy.files,
                interval=policy.watch_seconds,
                tmpfs=("/tmp", "/dev/shm", bubblewrap.HOME_PATH) if start.plan.level == 3 else (),  # noqa: S108
            ),
            root=self.init_pid or self.process.pid,
            inside=self.kernel_pid,
            log_fd=self._log_fd,
            kill=self.kill,
        )
        self.monitor.start()

    def _close_pipes(self) -> None:
        for fd in self._pipes.values():
            os.close(fd)
        self._pipes.clear()


class _Build:
    """The command line of one start and the descriptors that go with it."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._kept: dict[str, int] = {}
        self._given: list[int] = list(start.sockets.values())
        self.log_write = self._pipe("log", child_writes=True)

    @property
    def passed(self) -> list[int]:
        return [fd for fd in self._given if fd != self.log_write]

    def command(self) -> list[str]:
        start = self._start
        if start.plan.level == 3:
            return self._bubblewrap_command()
        raise SandboxUnavailable(f"level {start.plan.level} is not available")

    def handed_over(self) -> dict[str, int]:
        """After the start: our ends of the pipes; the child's are closed here."""
        for fd in self._given:
            if fd not in self._start.sockets.values():
                os.close(fd)
        return self._kept

    def abandon(self) -> None:
        self.handed_over()
        for fd in self._kept.values():
            os.close(fd)

    def _bubblewrap_command(self) -> list[str]:
        start = self._start
        view = bubblewrap.View(
            policy=start.policy,
            launch=start.launch,
            environment=start.environment,
            stage2=STAGE2,
            uid=start.uid,
            procfs=start.plan.procfs,
        )
        environ = limits.environment(
            start.policy,
            start.environment.prefix,
            bubblewrap.HOME_PATH,
            "/tmp",  # noqa: S108
        )
        options = bubblewrap.arguments(view, lambda text: self._data(text.encode()), environ)
        options += ["--seccomp", str(self._data(seccomp.program(network_namespace=True)))]
        options += ["--info-fd", str(self._pipe("info", child_writes=True))]
        options += ["--block-fd", str(self._pipe("block", child_writes=False))]
        config = self._config(bubblewrap.DATA_PATH, ("/", "/usr", "/dev", "/etc", "/run", "/mnt"))
        stage2 = [start.environment.python, "-I", f"{bubblewrap.STAGE2_PATH}/__main__.py", config]
        arguments = self._data("\0".join(options).encode() + b"\0")
        return [start.plan.program, "--args", str(arguments), "--", *stage2]

    def _config(self, data_path: str, unwritable: tuple[str, ...]) -> str:
        start = self._start
        wanted = limits.resource_limits(start.policy, count_processes=start.plan.level == 3)
        config = {
            "level": start.plan.level,
            "uid": start.uid,
            "rlimits": wanted,
            "affinity": limits.affinity(start.policy),
            "network": start.plan.level != 2,
            "connection": dict(start.connection or {}),
            "probe_only": start.connection is None,
            "sockets": dict(start.sockets),
            "report_fd": self._pipe("report", child_writes=True),
            "checks": {
                "data": data_path,
                "unreadable": list(start.unreadable),
                "unwritable": [*unwritable, start.environment.prefix],
                "limits": sorted(wanted),
            },
            "preload": list(start.policy.preload),
            "log_bytes": start.policy.log_bytes,
            "message_bytes": start.policy.message_bytes,
        }
        return str(self._data(json.dumps(config).encode()))

    def _pipe(self, name: str, *, child_writes: bool) -> int:
        """Make a pipe; keep our end under ``name``, the number of the child's end is the result."""
        read, write = os.pipe()
        ours, theirs = (read, write) if child_writes else (write, read)
        self._kept[name] = ours
        self._given.append(theirs)
        return theirs

    def _data(self, content: bytes) -> int:
        """A descriptor the child reads ``content`` from."""
        if hasattr(os, "memfd_create"):
            fd = os.memfd_create("code-interpreter", os.MFD_CLOEXEC)
        else:
            with tempfile.TemporaryFile() as file:
                fd = os.dup(file.fileno())
        with open(fd, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
        self._given.append(fd)
        return fd
