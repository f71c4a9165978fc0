"""Ask systemd for a control group to put a process into.

A process cannot leave the group of a login or of a service by itself, not even for one its user owns;
systemd moves it on request. It is asked through ``busctl``, its own client, in which a time limit can be
had: the manager of this user, or of the whole host where this server is root's. Nothing is wrapped
around the process, which stays the child of whoever started it.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_RUNS = Path("/run/systemd/system")
_USUAL_PATH = "/usr/bin:/bin"
_CALL_SECONDS = 5.0
_GRACE_SECONDS = 1.0  # busctl is to give up by itself first
_MOVE_SECONDS = 5.0
_LOOK_SECONDS = 0.005
_CALL = (
    "call",
    "org.freedesktop.systemd1",
    "/org/freedesktop/systemd1",
    "org.freedesktop.systemd1.Manager",
    "StartTransientUnit",
    "ssa(sv)a(sa(sv))",
)


class Unavailable(Exception):
    """Why systemd gives no group, and what helps, as a sentence for the administrator."""


@dataclass(frozen=True)
class Manager:
    """One systemd that answers for units: the command that reaches it."""

    command: Sequence[str]
    runtime: Path | None = None  # the folder with the user's bus

    def start_scope(self, name: str, pids: Sequence[int]) -> None:
        """Make the unit ``name`` around these processes, and leave what is below it to the caller.

        The unit goes when its last process has. Blocks for some seconds at most. Raises Unavailable.
        """
        properties = [
            *("PIDs", "au", str(len(pids)), *map(str, pids)),
            *("Delegate", "b", "true"),
            *("CollectMode", "s", "inactive-or-failed"),
            *("Description", "s", "Code interpreter session"),
        ]
        call = [*self.command, f"--timeout={_CALL_SECONDS:g}", *_CALL]
        call += [name, "fail", "4", *properties, "0"]
        environ = {"PATH": _USUAL_PATH, "LANG": "C.UTF-8"}
        if self.runtime is not None:
            environ["XDG_RUNTIME_DIR"] = str(self.runtime)
        try:
            answer = subprocess.run(
                call,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=environ,
                timeout=_CALL_SECONDS + _GRACE_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unavailable(f"systemd did not answer within {_CALL_SECONDS:g} s") from None
        except OSError as error:
            raise Unavailable(f"{self.command[0]} cannot be run: {error.strerror}") from None
        if answer.returncode != 0:
            said = answer.stderr.decode("utf-8", "replace").strip().splitlines()
            words = said[-1] if said else f"exit code {answer.returncode}"
            raise Unavailable(f"systemd refused: {words}")
        _wait_until_in(name, pids)


def manager() -> Manager:
    """The systemd this server may ask; raises Unavailable where there is none. Starts nothing."""
    if not _RUNS.is_dir():
        raise Unavailable(
            "systemd does not run this host; in a container, have control groups of version 2 "
            "mounted writable"
        )
    busctl = shutil.which("busctl", path=f"{os.environ.get('PATH', '')}:{_USUAL_PATH}")
    if busctl is None:
        raise Unavailable("there is no program busctl, which is a part of systemd")
    if os.getuid() == 0:
        return Manager((busctl, "--system"))
    runtime = Path(f"/run/user/{os.getuid()}")
    if not runtime.is_dir():
        raise Unavailable(
            f"systemd keeps no session for this user; run `loginctl enable-linger {_user()}`, "
            "or start the server from a service with Delegate=yes"
        )
    if not (runtime / "bus").exists():
        raise Unavailable(
            f"there is no {runtime}/bus to reach systemd by; install dbus-user-session and log in "
            "again, or start the server from a service with Delegate=yes"
        )
    return Manager((busctl, "--user"), runtime)


def runs() -> bool:
    """Whether control groups of this host are systemd's to give."""
    return _RUNS.is_dir()


def group_of(pid: int) -> str:
    """The process' group of version 2, as a path below the mount; empty if there is none."""
    try:
        with open(f"/proc/{pid}/cgroup") as lines:
            for line in lines:
                number, controllers, path = line.rstrip("\n").split(":", 2)
                if number == "0" and not controllers:
                    return path
    except OSError:
        pass
    return ""


def _wait_until_in(name: str, pids: Sequence[int]) -> None:
    """Moving is a job that may still be under way when the call returns."""
    deadline = time.monotonic() + _MOVE_SECONDS
    while not all(group.endswith(f"/{name}") for group in map(group_of, pids)):
        if time.monotonic() > deadline:
            raise Unavailable(f"systemd did not move the process within {_MOVE_SECONDS:g} s")
        time.sleep(_LOOK_SECONDS)


def _user() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())
