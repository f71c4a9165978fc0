"""Levels 2 and 1: no namespaces. What Landlock leaves readable and writable, and where the code lives.

The workspace is seen at its real path, and temporary files are on disk: both count toward the session's
disk. A reaper outside ends the whole tree, which a pid namespace does by itself.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import mounts, rundir
from .policy import Launch, Policy
from .stage2 import landlock

_DEVICES = ("null", "zero", "full", "random", "urandom")
# /proc as a whole would tell the command lines of all processes, and with them tokens
_PROC = ("cpuinfo", "filesystems", "loadavg", "meminfo", "self", "stat", "uptime", "version")


@dataclass(frozen=True)
class Room:
    """The private folders of one session beside its workspace."""

    directory: rundir.RunDirectory

    @classmethod
    def make(cls) -> Room:
        room = cls(rundir.RunDirectory(rundir.data_base()))
        try:
            room.tmp.mkdir(mode=0o700)
            room.home.mkdir(mode=0o700)
        except BaseException:
            room.directory.remove()
            raise
        return room

    def show(self, files: Iterable[Path], folder: str) -> None:
        """Copy files of the host into a folder of the home, where they are not there yet."""
        target = self.home / folder
        for file in files:
            if not (target / file.name).exists():
                target.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(file, target / file.name)

    @property
    def tmp(self) -> Path:
        return self.directory.path / "tmp"

    @property
    def programs(self) -> Path:
        return self.directory.path / "bin"

    @property
    def home(self) -> Path:
        return self.directory.path / "home"


def command(python: str, stage2: Path, life_fd: int, config_fd: int) -> list[str]:
    """What to run: the reaper, which runs the rest."""
    inner = [python, "-I", str(stage2 / "__main__.py"), str(config_fd)]
    return [sys.executable, "-I", str(stage2 / "reaper.py"), str(life_fd), *inner]


def rules(
    policy: Policy, launch: Launch, environment: mounts.Environment, stage2: Path, room: Room
) -> Iterator[tuple[str, int]]:
    """The allow-list for Landlock: path and rights."""
    masked = (*environment.masked_files, *environment.masked_folders)
    readable = [
        *mounts.system_roots(),
        *(path for path, target in mounts.top_links() if target is None),
        *mounts.etc_paths(),
        *(path for root in environment.roots for path in _without(root, masked)),
        *(f"/proc/{name}" for name in _PROC),
        *map(str, policy.read_only_paths),
        *(p for root in launch.read_only.values() for p in _without(str(root), launch.hidden)),
        str(stage2),
        str(room.programs),
    ]
    for path in readable:
        yield path, landlock.READ
    for folder in launch.read_only.values() if launch.hidden else ():
        # a right holds for all below: what is hidden keeps its content to itself, not its name
        yield str(folder), landlock.READ_DIR
    for name in _DEVICES:
        yield f"/dev/{name}", landlock.DEVICE
    for folder in (launch.workspace, room.tmp, room.home):
        yield str(folder), landlock.WRITE


def _without(path: str, masked: Sequence[str]) -> Iterator[str]:
    """``path``, or what is in it if something below must stay hidden: Landlock can only allow."""
    if path in masked:
        return
    if not any(hidden.startswith(f"{path}/") for hidden in masked):
        yield path
        return
    for name in sorted(os.listdir(path)):
        if os.path.islink(f"{path}/{name}"):
            continue  # a rule for a link would allow what it leads to
        yield from _without(f"{path}/{name}", masked)


def unwritable(environment: mounts.Environment) -> list[str]:
    """Folders in which a check from inside must fail to make a file."""
    home = os.path.expanduser("~")
    return ["/", "/tmp", "/var/tmp", "/dev/shm", home, environment.prefix]  # noqa: S108
