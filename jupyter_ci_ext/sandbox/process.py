"""Start one sandbox, check it from inside, and hold on to what is needed to end it.

``Sandboxed.spawn`` must run in a thread that outlives the sandbox (the one of the event loop): the
kernel ties "die with your parent" to the parent *thread*. ``attest`` only waits and may run anywhere.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from ..errors import SandboxUnavailable
from . import attest, bubblewrap, cgroups
from .monitor import Monitor, Watched, memory_reason
from .policy import Isolation
from .start import Build, Start
from .waiting import readable

_ENDED_SECONDS = 5.0
_LAST_WORDS_SECONDS = 0.5
_LOG_BYTES = 64 * 1024
_SIGNAL_EXIT = 128
_IN_MEMORY = ("/tmp", "/dev/shm", bubblewrap.HOME_PATH)  # noqa: S108


class Sandboxed:
    """A running sandbox; ``process`` is the child of this server that stands for it.

    ``init_pid`` is the process whose end is the end of all: the first one of the pid namespace, or
    the reaper. ``kernel_pid`` is the kernel's. Both are numbers of the host.
    """

    def __init__(
        self, start: Start, process: subprocess.Popen[bytes], pipes: dict[str, int]
    ) -> None:
        self._start = start
        self._pipes = pipes
        self._log_fd = pipes.pop("log")
        self._life_fd = pipes.pop("life", -1)
        self._log: bytes = b""
        self._group: cgroups.Group | None = None
        self._out_of_memory = False
        self.process = process
        self.init_pid = 0
        self._init_fd = -1  # the same process, by a handle that cannot come to mean another
        self.kernel_pid = 0
        self.isolation: Isolation | None = None
        self.monitor: Monitor | None = None

    @classmethod
    def spawn(cls, start: Start) -> Sandboxed:
        """Start the process; returns at once. Raises SandboxUnavailable where that fails."""
        build = Build(start)
        try:
            process = subprocess.Popen(
                build.command,
                stdin=subprocess.DEVNULL,
                stdout=build.log_write,
                stderr=build.log_write,
                env=build.environ,
                cwd="/",
                pass_fds=build.passed,
                start_new_session=True,
            )
        except BaseException as error:
            build.abandon()
            if not isinstance(error, OSError):
                raise
            raise SandboxUnavailable(f"The sandbox cannot be started: {error}") from None
        return cls(start, process, build.handed_over())

    @property
    def data_path(self) -> str:
        """The workspace as the code sees it."""
        return self._start.data_path

    def attest(self) -> Isolation:
        """Wait until the inside has reported; what is in force. Blocks, off the event loop.

        Raises SandboxUnavailable, with everything ended, where it is not what the level promises.
        """
        start = self._start
        deadline = time.monotonic() + start.policy.start_seconds
        try:
            self._admit(deadline)
            report = self._report(deadline)
            missing = attest.shortcomings(report, start.plan.level, start.limits)
            if missing:
                raise SandboxUnavailable("; ".join(missing))
            memory_by = self._group.kind if self._group else "watchdog"
            plan = start.plan
            self.isolation = attest.isolation(report, plan.level, plan.program, memory_by)
            if start.connection is not None:
                self.kernel_pid = report["pid"] if plan.level < 3 else self._first_child()
                self._watch(memory_by)
        except BaseException:
            self.kill()
            self.close()
            raise
        finally:
            self._close_pipes()
        return self.isolation

    def signal_kernel(self, number: int) -> None:
        """Send a signal to the kernel's process alone; nothing happens if it is gone."""
        if self.kernel_pid and self.process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.kernel_pid, number)

    def kill(self) -> None:
        """End everything inside, at once. Returns before it is done; may be called twice."""
        if self._init_fd >= 0:
            # with its first process a pid namespace dies whole, whatever it had forked; bubblewrap's
            # outer one may be gone already
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._init_fd, signal.SIGKILL)
        if self.process.poll() is not None:
            return
        if self._life_fd >= 0:
            # the reaper sweeps at this end of file; the kernel itself need not wait for that
            self.signal_kernel(signal.SIGKILL)
            os.close(self._life_fd)
            self._life_fd = -1
        elif not self.init_pid:
            self._kill_start()
        elif self._init_fd < 0:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.init_pid, signal.SIGKILL)

    def close(self) -> None:
        """After the end: reap, stop the monitor, give back descriptors. Blocks; may be called twice."""
        self._close_pipes()
        try:
            self.process.wait(_ENDED_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if os.getpid() == 1 and self.init_pid:
            # nobody else reaps what bubblewrap's outer process left behind
            with contextlib.suppress(ChildProcessError):
                os.waitpid(self.init_pid, os.WNOHANG)
        if self.monitor is not None:
            self.monitor.stop()
        elif self._log_fd >= 0:
            os.close(self._log_fd)
        self._log_fd = -1
        if self._life_fd >= 0:
            os.close(self._life_fd)
            self._life_fd = -1
        if self._init_fd >= 0:
            os.close(self._init_fd)
            self._init_fd = -1
        if self._group is not None:
            self._out_of_memory = self._group_out_of_memory()
            _empty(self._group)
            self._group.remove()
            self._group = None

    def reason(self) -> str | None:
        """The limit for which this sandbox was ended, as a sentence; None if it was none."""
        if self.monitor is not None and self.monitor.reason:
            return self.monitor.reason
        killed = self.process.poll() in (-signal.SIGKILL, _SIGNAL_EXIT + signal.SIGKILL)
        if killed and (self._out_of_memory or self._group_out_of_memory()):
            return memory_reason(self._start.policy.memory)
        return None

    def _group_out_of_memory(self) -> bool:
        group = self._group
        return group is not None and group.out_of_memory()

    def log_text(self) -> str:
        """What the sandbox's processes themselves wrote to stdout and stderr: the end of it."""
        return self.monitor.log_text() if self.monitor else self._log.decode("utf-8", "replace")

    def _admit(self, deadline: float) -> None:
        """Bound the first process before it forks: it waits, with everything else set up, for us."""
        if self._start.plan.level == 3:
            info = self._read(self._pipes["info"], deadline, until=b"}")
            try:
                self.init_pid = int(json.loads(info)["child-pid"])
            except (ValueError, KeyError):
                raise SandboxUnavailable(self._failure("bubblewrap did not start")) from None
            if hasattr(os, "pidfd_open"):
                with contextlib.suppress(OSError):
                    self._init_fd = os.pidfd_open(self.init_pid)
            # bubblewrap's own process inside is within reach of the code; stage 2, which sets the
            # same limits and reports them, comes after it
            with contextlib.suppress(OSError, ValueError):
                for name, value in self._start.limits.items():
                    number = getattr(resource, f"RLIMIT_{name}")
                    resource.prlimit(self.init_pid, number, (value, value))
        else:
            self.init_pid = self.process.pid
        self._group = cgroups.admit(self._start.policy, self.init_pid)
        with contextlib.suppress(BrokenPipeError):  # the report, or its absence, says why
            os.write(self._pipes.get("admit", self._life_fd), b"x")

    def _report(self, deadline: float) -> dict[str, Any]:
        raw = self._read(self._pipes["report"], deadline)
        try:
            report: dict[str, Any] = json.loads(raw)
        except ValueError:
            raise SandboxUnavailable(self._failure("it ended before it reported")) from None
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
            ready = readable([fd] + [self._log_fd] * log_open, left)
            if self._log_fd in ready:
                log_open = self._read_log()
            if fd in ready:
                chunk = os.read(fd, _LOG_BYTES)
                data += chunk
                if not chunk or (until and until in data):
                    return data

    def _read_log(self) -> bool:
        chunk = os.read(self._log_fd, _LOG_BYTES)
        self._log = (self._log + chunk)[-_LOG_BYTES:]
        return bool(chunk)

    def _failure(self, what: str) -> str:
        ended = self._ends_within(_LAST_WORDS_SECONDS)
        self._kill_start()
        code = f" (exit code {self.process.wait()})" if ended else ""
        while readable([self._log_fd], 0) and self._read_log():
            pass
        lines = self._log.decode("utf-8", "replace").strip().splitlines()
        return f"{what}{code}: {lines[-1]}" if lines else f"{what}{code}"

    def _ends_within(self, seconds: float) -> bool:
        """Whether the process ends; it is not reaped, so that its number stays its own."""
        if not hasattr(os, "waitid"):
            time.sleep(seconds)
            return self.process.poll() is not None
        ended = os.WEXITED | os.WNOHANG | os.WNOWAIT
        deadline = time.monotonic() + seconds
        while self.process.returncode is None and not os.waitid(os.P_PID, self.process.pid, ended):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.01)
        return True

    def _kill_start(self) -> None:
        """End a start of which only the process is known, with what that has forked so far.

        bubblewrap's second process is tied to the first only a moment after it was forked.
        """
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)

    def _first_child(self) -> int:
        """The host's number of the process bubblewrap's first one has started."""
        with open(f"/proc/{self.init_pid}/task/{self.init_pid}/children") as children:
            pids = [int(pid) for pid in children.read().split()]
        return pids[0] if pids else 0

    def _watch(self, memory_by: str) -> None:
        start = self._start
        policy = start.policy
        room = start.room
        monitor = Monitor(
            Watched(
                workspace=start.launch.workspace,
                put_bytes=start.launch.put_bytes,
                memory=policy.memory,
                memory_by=memory_by,
                processes=policy.processes,
                disk=policy.disk,
                files=policy.files,
                interval=policy.watch_seconds,
                tmpfs=() if room else _IN_MEMORY,
                folders=(room.tmp, room.home) if room else (),
            ),
            root=self.init_pid,
            inside=self.kernel_pid,
            log_fd=self._log_fd,
            kill=self.kill,
            out_of_memory=self._group_out_of_memory,
            peak=self._group.peak if self._group else int,
        )
        try:
            monitor.start()
        except BaseException:
            monitor.discard()
            raise
        self.monitor = monitor

    def _close_pipes(self) -> None:
        for fd in self._pipes.values():
            os.close(fd)
        self._pipes.clear()


def _empty(group: cgroups.Group) -> None:
    """Kill what is left in a group, should somebody have killed what was to see to that."""
    deadline = time.monotonic() + _ENDED_SECONDS
    for folder in set(group.folders.values()):
        while (pids := _members(folder)) and time.monotonic() < deadline:
            for pid in pids:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)


def _members(folder: Path) -> list[int]:
    """The processes of a control group; not such as this process cannot name, which read as 0."""
    try:
        return [int(pid) for pid in (folder / "cgroup.procs").read_text().split() if pid != "0"]
    except (OSError, ValueError):
        return []
