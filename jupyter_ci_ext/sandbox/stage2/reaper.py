"""Stands outside the sandbox where there is no pid namespace, and sees to it that nothing survives.

Run as ``python -I reaper.py <fd> <command...>``. One byte on the descriptor says "start"; its end of
file, which also comes when the server dies however it dies, says "end". All orphans of the tree become
children of this process, which the code can neither signal nor look into.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
import time

_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_CHILD_SUBREAPER = 1, 4, 36
_NOT_STARTED = 71


def main() -> int:
    life = int(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    linux = sys.platform == "linux"
    if linux:
        libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    if os.read(life, 1) != b"x":
        return _NOT_STARTED
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    passed = [fd for fd in _open_fds() if fd > 2 and fd not in (life, woken, wake)]
    child = subprocess.Popen(
        sys.argv[2:],
        pass_fds=passed,
        start_new_session=True,
        # should this process be killed, its child at least goes with it
        preexec_fn=(lambda: libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)) if linux else None,
    )
    for fd in passed:
        os.close(fd)
    code = None
    # select() takes no descriptor from 1024 on, and the server may have so many
    poll = select.poll()
    for fd in (life, woken):
        poll.register(fd, select.POLLIN)
    while code is None:
        ready = [fd for fd, _ in poll.poll()]
        if woken in ready:
            os.read(woken, 4096)
            code = _reap(child.pid)
        if life in ready:
            break
    _sweep(child.pid)
    # the child was reaped here and not by Popen, which would complain about it
    child.returncode = 0
    if code is None:
        return 128 + signal.SIGKILL
    return code if code >= 0 else 128 - code


def _open_fds() -> list[int]:
    folder = "/proc/self/fd" if os.path.isdir("/proc/self/fd") else "/dev/fd"
    fds = []
    for name in os.listdir(folder):
        try:
            if os.get_inheritable(int(name)):
                fds.append(int(name))
        except OSError:
            continue
    return fds


def _sweep(child: int) -> None:
    """End all descendants: stop them first, so that none forks away while the rest is killed."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        pids = _descendants(os.getpid())
        if not pids and os.path.isdir("/proc/self/task"):
            break
        for number in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                try:
                    os.kill(pid, number)
                except OSError:
                    continue
        if not os.path.isdir("/proc/self/task"):
            try:
                os.killpg(child, signal.SIGKILL)
            except OSError:
                pass
            _reap(child)
            break
        _reap(child)
        time.sleep(0.005)


def _descendants(pid: int) -> list[int]:
    found: list[int] = []
    pending = [pid]
    while pending:
        parent = pending.pop()
        try:
            tasks = os.listdir(f"/proc/{parent}/task")
        except OSError:
            continue
        for task in tasks:
            try:
                with open(f"/proc/{parent}/task/{task}/children") as children:
                    below = [int(child) for child in children.read().split()]
            except OSError:
                continue
            found += below
            pending += below
    return found


def _reap(child: int) -> int | None:
    """Reap whatever has ended; the exit code of ``child`` if it is among it."""
    code = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return code
        if pid == 0:
            return code
        if pid == child:
            code = os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
