"""Watch one sandbox from outside: memory of the whole tree, processes, disk; end it over a limit.

Resource limits count per process, so four children of 700 MB pass a limit of 1 GB each; folders held
in memory and shared mappings are in no process at all. Only a control group bounds these exactly. Where
there is none this thread looks several times a second; with one it still counts disk and files, and
its numbers are what people see.

A workspace outlives its sandboxes, so one may begin with more in it than is allowed. Such a sandbox
may not add to it, but it is not ended for what it found: else no code could ever delete it.
"""

from __future__ import annotations

import math
import os
import stat
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .policy import Usage, human_size
from .waiting import readable

_PAGE = os.sysconf("SC_PAGE_SIZE")
_TICKS = os.sysconf("SC_CLK_TCK")
_LOG_BYTES = 64 * 1024
_LOG_PER_LOOK = 1 << 20  # whoever writes more waits: code may, and must not keep this thread busy
_IDLE_FACTOR = 4  # a sandbox that used no processor time is looked at that much more rarely
_WALK_FACTOR = 10  # a walk through the workspace takes at most a tenth of the time
_BEGIN_SECONDS = 10.0  # for the first walk through what was there before
_SOONEST = 0.02  # seconds between two walks while the workspace fills fast
_DEEPEST = 64
_OWN_PROCESSES = 4  # bubblewrap's or the reaper, and the kernel
_BUSY_PERCENT = 1.0


@dataclass(frozen=True)
class Watched:
    """What to watch and against which limits (0: none). ``tmpfs`` are paths inside the sandbox."""

    workspace: Path
    put_bytes: Callable[[], int]  # of the workspace, not the code's
    memory: int
    memory_by: str
    processes: int
    disk: int
    files: int
    interval: float
    tmpfs: tuple[str, ...] = ()
    folders: tuple[Path, ...] = ()  # besides the workspace: counted with it


class Monitor(threading.Thread):
    """Owns the log pipe of one sandbox and the loop that watches it.

    ``root`` is the process at the top of the tree, ``inside`` one whose file view is the code's,
    ``kill`` ends everything. ``reason`` is set, before the kill, to a sentence for people.
    ``out_of_memory`` tells whether the control group has lost a process to its limit: then the rest is
    ended, too, as it is where only this thread watches, and by itself in groups of version 2. ``peak``
    is the most bytes that group has held, 0 if unknown.
    """

    def __init__(
        self,
        watched: Watched,
        root: int,
        inside: int,
        log_fd: int,
        kill: Callable[[], None],
        out_of_memory: Callable[[], bool],
        peak: Callable[[], int] = int,
    ) -> None:
        super().__init__(name=f"code-interpreter-monitor-{root}", daemon=True)
        self._watched = watched
        self._root = root
        self._inside = inside
        self._log_fd = log_fd
        self._kill = kill
        self._out_of_memory = out_of_memory
        self._peak = peak
        self._log: deque[bytes] = deque()
        self._log_size = 0
        self._wake_read, self._wake_write = os.pipe()
        self._cpu_ticks: dict[int, int] = {}
        self._disk = (0, 0)
        self._found = Count()
        self._begun = threading.Event()
        self._counting = threading.Lock()
        self._walked = self._next_walk = 0.0
        self._fills = False  # so fast that a limit may be met soon
        self.reason: str | None = None
        self.usage = Usage(
            memory_limit_bytes=watched.memory,
            processes_limit=watched.processes,
            disk_limit_bytes=watched.disk,
            files_limit=watched.files,
        )

    def log_text(self) -> str:
        """The end of what the sandbox wrote to its own stdout and stderr, not the code's output."""
        return b"".join(list(self._log)).decode("utf-8", "replace")

    def stop(self) -> None:
        """End the thread; returns when it is gone. May be called twice and from any thread."""
        if self._wake_write >= 0:
            os.close(self._wake_write)
            self._wake_write = -1
        if self.is_alive() and threading.current_thread() is not self:
            self.join()

    def discard(self) -> None:
        """Give back what was made for a thread that could not be started; not the log."""
        for end in (self._wake_read, self._wake_write):
            os.close(end)

    def check(self) -> str | None:
        """Count the workspace now, and end the sandbox if it is over a limit; the reason of its end.

        Blocks as long as a walk takes; may be called from any thread.
        """
        self._begun.wait(_BEGIN_SECONDS)
        with self._counting:
            problem = self._count()
        if problem:
            self._end(problem)
        return self.reason

    def run(self) -> None:
        self._found = self._counted(Count())
        self._begun.set()
        last = time.monotonic()
        pause = self._watched.interval
        log_open = True
        log_room = _LOG_PER_LOOK
        try:
            while True:
                wait_for = [self._wake_read] + ([self._log_fd] if log_open and log_room > 0 else [])
                ready = readable(wait_for, last + pause - time.monotonic())
                if self._wake_read in ready:
                    return
                if self._log_fd in ready:
                    size = self._read_log()
                    log_open, log_room = size > 0, log_room - size
                now = time.monotonic()
                if now - last >= pause:
                    pause = self._look(now - last)
                    last, log_room = now, _LOG_PER_LOOK
        finally:
            os.close(self._log_fd)
            os.close(self._wake_read)

    def _read_log(self) -> int:
        data = os.read(self._log_fd, _LOG_BYTES)
        self._log.append(data)
        self._log_size += len(data)
        while self._log_size > _LOG_BYTES and len(self._log) > 1:
            self._log_size -= len(self._log.popleft())
        return len(data)

    def _look(self, elapsed: float) -> float:
        """Take one sample, end the sandbox if it is over a limit; seconds until the next look."""
        watched = self._watched
        pids = list(tree(self._root))
        memory = self._memory(pids)
        percent = self._cpu_percent(pids, elapsed)
        problem = self._walk()
        now = time.monotonic()
        used_disk, files = self._disk
        self.usage = Usage(
            memory_bytes=memory,
            memory_limit_bytes=watched.memory,
            cpu_percent=round(percent, 1),
            processes=len(pids),
            processes_limit=watched.processes,
            disk_bytes=used_disk,
            disk_limit_bytes=watched.disk,
            files=files,
            files_limit=watched.files,
            memory_peak_bytes=self._peak(),
        )
        over = memory > watched.memory if watched.memory_by == "watchdog" else self._out_of_memory()
        if watched.memory and over:
            problem = memory_reason(watched.memory)
        elif watched.processes and len(pids) > watched.processes + _OWN_PROCESSES:
            problem = f"The code ran more than {watched.processes} processes."
        if problem:
            self._end(problem)
        pause = watched.interval * (1 if percent >= _BUSY_PERCENT else _IDLE_FACTOR)
        return min(pause, max(_SOONEST, self._next_walk - now)) if self._fills else pause

    def _end(self, problem: str) -> None:
        if self.reason is None:
            self.reason = problem
            self._kill()

    def _memory(self, pids: list[int]) -> int:
        held = sum(map(_resident, pids))
        if self._watched.memory and held > self._watched.memory // 2:
            # shared pages were counted once per process; the exact number is dearer
            held = sum(map(_proportional, pids))
        for path in self._watched.tmpfs:
            try:
                volume = os.statvfs(f"/proc/{self._inside}/root{path}")
            except OSError:
                continue
            held += (volume.f_blocks - volume.f_bfree) * volume.f_frsize
        return held

    def _cpu_percent(self, pids: list[int], elapsed: float) -> float:
        ticks = {pid: _cpu_ticks(pid) for pid in pids}
        used = sum(max(0, now - self._cpu_ticks.get(pid, now)) for pid, now in ticks.items())
        self._cpu_ticks = ticks
        return 100.0 * used / _TICKS / max(elapsed, 1e-3)

    def _walk(self) -> str | None:
        """Count the workspace, if it is time to; what is wrong with it, or None."""
        with self._counting:
            return self._count() if time.monotonic() >= self._next_walk else None

    def _count(self) -> str | None:
        watched = self._watched
        started = time.monotonic()
        put = watched.put_bytes()
        count = self._counted(Count(watched.disk, watched.files, self._found, put))
        ended = time.monotonic()
        took, since = ended - started, max(1e-3, started - self._walked)
        size, files = self._disk
        self._disk = (max(0, count.size - put), count.files)
        # half of the time that it takes, at this pace, until a limit is met
        full = min(
            _until(watched.disk, self._disk[0], (self._disk[0] - size) / since),
            _until(watched.files, count.files, (count.files - files) / since),
        )
        pause = max(watched.interval, took * _WALK_FACTOR)
        self._fills = full / 2 < pause
        self._walked, self._next_walk = started, ended + min(pause, max(took, full / 2))
        return count.problem()

    def _counted(self, count: Count) -> Count:
        for folder in (self._watched.workspace, *self._watched.folders):
            count.add(folder)
        return count


class Count:
    """Adds up folders that hostile code fills: never follows a link, never trusts a name.

    A limit that is passed by what was *found* at first is moved there. *put* bytes may be there
    beside those of the limit.
    """

    def __init__(
        self,
        size_limit: int = 0,
        files_limit: int = 0,
        found: Count | None = None,
        put: int = 0,
    ) -> None:
        self.size = 0
        self.files = 0
        self.too_deep = False
        self._size_limit = size_limit
        self._put = put
        self._files_limit = files_limit
        self._found = found

    def add(self, folder: Path) -> None:
        """Add what is in ``folder``; stops early once a limit is passed."""
        try:
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return
        self._walk(fd, 0)

    def problem(self) -> str | None:
        """The limit that was passed, as a sentence; None if none was."""
        found = self._found
        most = self._size_limit + self._put
        if self._size_limit and self.size > max(most, found.size if found else 0):
            return f"The files the code wrote to /mnt/data take more than {human_size(self._size_limit)}."
        if self._files_limit and self.files > max(self._files_limit, found.files if found else 0):
            return f"There are more than {self._files_limit:,} files in /mnt/data."
        if self.too_deep and not (found and found.too_deep):
            return f"The folders in /mnt/data are nested more than {_DEEPEST} deep."
        return None

    def _walk(self, fd: int, depth: int) -> None:
        try:
            with os.scandir(fd) as entries:
                for entry in entries:
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except OSError:
                        continue
                    self.size += status.st_blocks * 512
                    self.files += 1
                    if self.problem():
                        return
                    if stat.S_ISDIR(status.st_mode):
                        self._descend(fd, entry.name, depth)
        except OSError:
            return
        finally:
            os.close(fd)

    def _descend(self, fd: int, name: str, depth: int) -> None:
        if depth >= _DEEPEST:
            self.too_deep = True
            return
        try:
            below = os.open(
                name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=fd
            )
        except OSError:
            return
        self._walk(below, depth + 1)


def memory_reason(limit: int) -> str:
    """The sentences for a session that was ended because of its memory."""
    return (
        f"The code used more memory than its limit of {human_size(limit)}. Work on less at a time: "
        "read in pieces, choose smaller types, delete what is no longer needed."
    )


def _until(limit: int, used: int, pace: float) -> float:
    """Seconds until a limit (0: none) is met by what grows by ``pace`` a second."""
    return (limit - used) / pace if limit and pace > 0 and used < limit else math.inf


def tree(root: int) -> Iterator[int]:
    """The process and all below it, parents first; those that vanish meanwhile are left out."""
    pending = [root]
    while pending:
        pid = pending.pop()
        try:
            tasks = os.listdir(f"/proc/{pid}/task")
        except OSError:
            continue
        yield pid
        for task in tasks:
            try:
                with open(f"/proc/{pid}/task/{task}/children") as children:
                    pending += map(int, children.read().split())
            except OSError:
                continue


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as fields:
            return int(fields.read().split()[1]) * _PAGE
    except (OSError, IndexError):
        return 0


def _proportional(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/smaps_rollup") as lines:
            for line in lines:
                if line.startswith("Pss:"):
                    return int(line.split()[1]) * 1024
    except OSError:
        return _resident(pid)
    return 0


def _cpu_ticks(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/stat") as fields:
            after_name = fields.read().rpartition(")")[2].split()
            return int(after_name[11]) + int(after_name[12])
    except (OSError, IndexError):
        return 0
