"""Control groups: the only exact bound on the memory of a whole process tree.

Used where this server may make one: below its own group where version 2 is delegated to it (systemd's
``Delegate=yes``, some containers), and as root where version 1 is mounted writable. A folder under
/sys/fs/cgroup is believed only if the kernel lists it as a mount of that type: elsewhere the files
would be made as ordinary files and bound nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .monitor import tree
from .policy import Policy

_PREFIX = "code-interpreter-"
_LEAF = f"{_PREFIX}server"
_CPU_PERIOD = 100_000  # microseconds
_SPARE_PROCESSES = 8  # bubblewrap's own and the threads of its start
_REMOVE_SECONDS = 2.0
_ABANDONED_SECONDS = 60.0  # an empty group that young may be about to get its process


@dataclass(frozen=True)
class Group:
    """One session's group; ``folders`` maps a controller to its folder (one and the same in v2)."""

    version: int
    folders: Mapping[str, Path]

    def add(self, pid: int) -> bool:
        """Move a process in, and with it all it starts from now on; whether that worked."""
        try:
            for folder in set(self.folders.values()):
                (folder / "cgroup.procs").write_text(str(pid))
        except OSError:
            return False
        return True

    def out_of_memory(self) -> bool:
        """Whether the kernel has ended a process of the group for its memory."""
        name = "memory.events" if self.version == 2 else "memory.oom_control"
        try:
            lines = (self.folders["memory"] / name).read_text().splitlines()
        except OSError:
            return False
        return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in lines)

    def remove(self) -> None:
        """Remove the group, which must be empty or about to be. Blocks briefly."""
        deadline = time.monotonic() + _REMOVE_SECONDS
        for folder in set(self.folders.values()):
            while True:
                try:
                    folder.rmdir()
                except FileNotFoundError:
                    break
                except OSError:
                    if time.monotonic() > deadline:
                        break
                    time.sleep(0.02)
                    continue
                break


def create(policy: Policy) -> Group | None:
    """A new group with the policy's limits; None where this server cannot make one."""
    if not policy.use_cgroups or not (policy.memory or policy.cpus):
        return None
    mounts = _mounts()
    own = _own_groups()
    name = f"{_PREFIX}{secrets.token_hex(8)}"
    with contextlib.suppress(OSError):
        if "" in mounts and "" in own and "memory" in _controllers(mounts[""]):
            base = _delegated(mounts[""] / own[""].lstrip("/"))
            return _create_v2(base / name, policy) if base else None
        if "memory" in mounts and "memory" in own:
            return _create_v1(mounts, own, name, policy)
    return None


def _sweep(base: Path) -> None:
    """Remove groups of sandboxes whose server was killed: empty and not of just now."""
    for folder in base.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            young = time.time() - folder.stat().st_mtime < _ABANDONED_SECONDS
            if folder.name != _LEAF and not young and not (folder / "cgroup.procs").read_text():
                folder.rmdir()


def _create_v2(folder: Path, policy: Policy) -> Group | None:
    _sweep(folder.parent)
    folder.mkdir()
    group = Group(2, {"memory": folder})
    try:
        if policy.memory:
            (folder / "memory.max").write_text(str(policy.memory))
            (folder / "memory.oom.group").write_text("1")
            with contextlib.suppress(OSError):  # there is none without swap accounting
                (folder / "memory.swap.max").write_text("0")
        with contextlib.suppress(OSError):
            (folder / "pids.max").write_text(str(policy.processes + _SPARE_PROCESSES))
        if policy.cpus:
            with contextlib.suppress(OSError):
                quota = int(policy.cpus * _CPU_PERIOD)
                (folder / "cpu.max").write_text(f"{quota} {_CPU_PERIOD}")
    except OSError:
        group.remove()
        return None
    return group


def _create_v1(
    mounts: Mapping[str, Path], own: Mapping[str, str], name: str, policy: Policy
) -> Group | None:
    files: dict[str, list[tuple[str, int]]] = {
        "memory": [("memory.limit_in_bytes", policy.memory)] if policy.memory else [],
        "pids": [("pids.max", policy.processes + _SPARE_PROCESSES)],
        "cpu": [
            ("cpu.cfs_period_us", _CPU_PERIOD),
            ("cpu.cfs_quota_us", int(policy.cpus * _CPU_PERIOD)),
        ]
        if policy.cpus
        else [],
    }
    folders: dict[str, Path] = {}
    group = Group(1, folders)
    try:
        for controller, values in files.items():
            if not values or controller not in mounts:
                continue
            folder = mounts[controller] / own[controller].lstrip("/") / name
            _sweep(folder.parent)
            folder.mkdir()
            folders[controller] = folder
            for file, value in values:
                (folder / file).write_text(str(value))
        with contextlib.suppress(OSError):
            (folders["memory"] / "memory.memsw.limit_in_bytes").write_text(str(policy.memory))
    except (OSError, KeyError):
        group.remove()
        return None
    return group


def _delegated(own: Path) -> Path | None:
    """The folder below which groups with limits can be made; None where that is not ours to do.

    Version 2 wants processes in leaves only, so this server moves into one first.
    """
    if own.name == _LEAF:
        return own.parent
    if not os.access(own, os.W_OK) or not os.access(own / "cgroup.subtree_control", os.W_OK):
        return None
    members = {int(pid) for pid in (own / "cgroup.procs").read_text().split()}
    if members - set(tree(os.getpid())):
        return None  # not ours alone
    leaf = own / _LEAF
    leaf.mkdir(exist_ok=True)
    try:
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                (leaf / "cgroup.procs").write_text(str(pid))
        for controller in ("memory", "pids", "cpu"):
            with contextlib.suppress(OSError):
                (own / "cgroup.subtree_control").write_text(f"+{controller}")
        if "memory" not in (own / "cgroup.subtree_control").read_text().split():
            raise PermissionError("the memory controller is not delegated")
    except OSError:
        for pid in members:
            with contextlib.suppress(OSError):
                (own / "cgroup.procs").write_text(str(pid))
        leaf.rmdir()
        return None
    return own


def _mounts() -> dict[str, Path]:
    """Where each controller is mounted; version 2 under the empty name."""
    found: dict[str, Path] = {}
    with open("/proc/self/mountinfo") as lines:
        for line in lines:
            fields, _, rest = line.partition(" - ")
            kind, _, options = rest.split()[:3]
            root, point = fields.split()[3:5]
            if root != "/":
                continue  # a part of the hierarchy, shown at a path that says nothing about it
            if kind == "cgroup2":
                found[""] = Path(point)
            elif kind == "cgroup":
                for option in options.split(","):
                    found.setdefault(option, Path(point))
    return found


def _own_groups() -> dict[str, str]:
    """This process' group in each hierarchy."""
    groups = {}
    with open("/proc/self/cgroup") as lines:
        for line in lines:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            for controller in controllers.split(","):
                groups[controller] = path
    return groups


def _controllers(mount: Path) -> list[str]:
    return (mount / "cgroup.controllers").read_text().split()
