"""One start of a sandbox: what it depends on, its command line, and the descriptors that go with it."""

from __future__ import annotations

import functools
import json
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import bubblewrap, confined, fonts, installers, limits, seccomp
from .mounts import Environment
from .policy import Launch, Policy
from .stage2 import landlock

STAGE2 = Path(__file__).parent / "stage2"
_PRIVATE_TMP = "/tmp"  # noqa: S108


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
    room: confined.Room | None = None  # levels 2 and 1
    connection: Mapping[str, Any] | None = None
    sockets: Mapping[str, int] = field(default_factory=dict)
    unreadable: tuple[str, ...] = ()

    @property
    def data_path(self) -> str:
        """The workspace as the code sees it."""
        return bubblewrap.DATA_PATH if self.plan.level == 3 else str(self.launch.workspace)

    @functools.cached_property
    def limits(self) -> dict[str, int]:
        """The resource limits of each process.

        RLIMIT_NPROC counts by user: in a namespace of its own, or as a user of its own, the code
        starts from nought, elsewhere from what the server's user runs at this moment.
        """
        others = limits.tasks_of(os.getuid()) if self.plan.level < 3 else 0
        return limits.resource_limits(self.policy, others)


class Build:
    """Makes the command line; owns the descriptors until the process has started."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._kept: dict[str, int] = {}
        self._given: list[int] = []
        self.environ: dict[str, str] = {}
        self.log_write = self._pipe("log", child_writes=True)
        try:
            self.command = (
                self._bubblewrap_command() if start.plan.level == 3 else self._confined_command()
            )
        except BaseException:
            self.abandon()
            raise

    @property
    def passed(self) -> list[int]:
        """Descriptors the process inherits, beside its standard ones."""
        return [*(fd for fd in self._given if fd != self.log_write), *self._start.sockets.values()]

    def handed_over(self) -> dict[str, int]:
        """Close the process' ends of the pipes; ours, by name."""
        for fd in self._given:
            os.close(fd)
        self._given.clear()
        return self._kept

    def abandon(self) -> None:
        """Close everything: nothing was started."""
        for fd in self.handed_over().values():
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
            _PRIVATE_TMP,
            first=installers.FOLDER,
        )
        options = bubblewrap.arguments(view, lambda text: self._data(text.encode()), environ)
        # bubblewrap's own process inside gets the filter too
        options += ["--seccomp", str(self._data(seccomp.program(namespaces=True)))]
        options += ["--info-fd", str(self._pipe("info", child_writes=True))]
        options += ["--block-fd", str(self._pipe("admit", child_writes=False))]
        config = self._config(("/", "/usr", "/dev", "/etc", "/run", "/mnt"))
        python = start.environment.python
        stage2 = [python, "-I", f"{bubblewrap.STAGE2_PATH}/__main__.py", str(config)]
        arguments = self._data("\0".join(options).encode() + b"\0")
        return [start.plan.program, "--args", str(arguments), "--", *stage2]

    def _confined_command(self) -> list[str]:
        start = self._start
        room = start.room
        assert room is not None
        isolated = start.plan.level > 1  # at level 1 there is a network
        self.environ = limits.environment(
            start.policy,
            start.environment.prefix,
            str(room.home),
            str(room.tmp),
            first=str(room.programs) if isolated else "",
        )
        if isolated:
            installers.write(
                room.programs, installers.script(start.environment.python, str(STAGE2))
            )
        room.show(fonts.cached(start.environment.python), fonts.FOLDER_IN_HOME)
        more: dict[str, Any] = {}
        unwritable: tuple[str, ...] = ()
        if start.plan.level == 2:
            program = seccomp.program(namespaces=False, landlock_version=landlock.version())
            allowed = confined.rules(start.policy, start.launch, start.environment, STAGE2, room)
            more = {"seccomp": program.hex(), "landlock": list(allowed)}
            unwritable = tuple(confined.unwritable(start.environment))
        config = self._config(unwritable, **more)
        life = self._pipe("life", child_writes=False)
        return confined.command(start.environment.python, STAGE2, life, config)

    def _config(self, unwritable: tuple[str, ...], **more: Any) -> int:
        """The descriptor stage 2 reads its configuration from."""
        start = self._start
        config = {
            "level": start.plan.level,
            "uid": start.uid,
            "rlimits": start.limits,
            "affinity": limits.affinity(start.policy),
            "own_pid": seccomp.OWN_PID.to_bytes(4, "little").hex(),
            "network": start.plan.level != 2,
            "connection": dict(start.connection or {}),
            "probe_only": start.connection is None,
            "sockets": dict(start.sockets),
            "report_fd": self._pipe("report", child_writes=True),
            "checks": {
                "data": start.data_path,
                "unreadable": list(start.unreadable) if start.plan.level > 1 else [],
                "unwritable": [*unwritable, start.environment.prefix] if unwritable else [],
                "limits": sorted(start.limits),
            },
            "preload": list(start.policy.preload),
            "log_bytes": start.policy.log_bytes,
            "message_bytes": start.policy.message_bytes,
        }
        return self._data(json.dumps(config | more).encode())

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
            with tempfile.TemporaryFile() as anonymous:
                fd = os.dup(anonymous.fileno())
        self._given.append(fd)
        with open(fd, "wb", closefd=False) as file:
            file.write(content)
        os.lseek(fd, 0, os.SEEK_SET)
        return fd
