"""Control groups: the only exact bound on the memory of a whole process tree.

Had in three ways, tried in this order: below this server's own group where version 2 is delegated to
it (a service with ``Delegate=yes``, some containers); as root where version 1 is mounted writable; in a
scope that systemd makes for the session (a login, a service without ``Delegate``). A folder under
/sys/fs/cgroup is believed only if the kernel lists it as a mount of that type: elsewhere the files
would be made as ordinary files and bound nothing.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from . import hierarchy, systemd
from .policy import Policy

_SESSION, _HOLDER = "session", "holder"  # the groups in a scope
_CPU_PERIOD = 100_000  # microseconds
_SPARE_PROCESSES = 8  # bubblewrap's own and the threads of its start
_REMOVE_SECONDS = 10.0  # a process that held much takes its time to end
_ABANDONED_SECONDS = 60.0  # an empty group that young may be about to get its process
_REFUSED_SECONDS = 60.0  # sessions do not wait for a systemd that has just failed one


@dataclass(frozen=True)
class Group:
    """One session's group; ``folders`` maps a controller to its folder (one and the same in v2).

    ``holder`` is a process of ours that keeps the scope until we have read what became of it.
    """

    version: int
    folders: Mapping[str, Path]
    holder: subprocess.Popen[bytes] | None = None

    @property
    def kind(self) -> str:
        """What it is, as isolation data name it."""
        return "systemd scope" if self.holder else f"cgroup v{self.version}"

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

    def peak(self) -> int:
        """The most bytes it has held at once, cached pages of files included; 0 if unknown."""
        name = "memory.peak" if self.version == 2 else "memory.max_usage_in_bytes"
        try:
            return int((self.folders["memory"] / name).read_text())
        except (OSError, KeyError, ValueError):
            return 0

    def remove(self) -> None:
        """End what is left in the group and remove it. Blocks briefly."""
        if self.version == 2:
            for folder in self.folders.values():
                with contextlib.suppress(OSError):  # Linux 5.14; else it must be about to be empty
                    (folder / "cgroup.kill").write_text("1")
        self._remove_folders()
        if self.holder is not None:
            self.holder.communicate()

    def _remove_folders(self) -> None:
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


@dataclass
class _Refusal:
    """What systemd last said to a request, and until when it is not asked again."""

    reason: str = ""
    until: float = 0.0


_refusal = _Refusal()


def admit(policy: Policy, pid: int) -> Group | None:
    """Put a process, and all it starts from now on, under the policy's limits, by the best means.

    None where there is none, which ``shortcoming`` explains. May block for some seconds.
    """
    group = create(policy)
    if group is not None:
        if group.add(pid):
            return group
        group.remove()
    if not _wanted(policy) or time.monotonic() < _refusal.until:
        return None
    try:
        return _create_scope(systemd.manager(), policy, pid)
    except systemd.Unavailable as error:
        _refusal.reason = str(error)
        _refusal.until = time.monotonic() + _REFUSED_SECONDS
        return None


def shortcoming(policy: Policy) -> str:
    """Why sessions have no group of their own here, and what helps: for the administrator."""
    if not policy.use_cgroups:
        return "c.Sandbox.use_cgroups is off"
    if not hierarchy.version_2():
        if os.getuid() == 0:
            return "control groups cannot be written here; have /sys/fs/cgroup mounted writable"
        return (
            "control groups of version 1 are for root alone; start the host with version 2 "
            "(systemd.unified_cgroup_hierarchy=1 on the kernel's command line)"
        )
    return _refusal.reason or "this server's own group cannot be divided"


def _wanted(policy: Policy) -> bool:
    return policy.use_cgroups and bool(policy.memory or policy.cpus)


def create(policy: Policy) -> Group | None:
    """A new group with the policy's limits; None where this server cannot make one itself."""
    if not _wanted(policy):
        return None
    mounts = hierarchy.mounts()
    own = hierarchy.own_groups()
    name = f"{hierarchy.PREFIX}{secrets.token_hex(8)}"
    with contextlib.suppress(OSError):
        if "" in mounts and "" in own and "memory" in hierarchy.controllers(mounts[""]):
            base = hierarchy.delegated(mounts[""])
            return _create_v2(base / name, policy) if base else None
        if "memory" in mounts and "memory" in own:
            return _create_v1(mounts, own, name, policy)
    return None


def _sweep(base: Path) -> None:
    """Remove groups of sandboxes whose server was killed: empty and not of just now."""
    for folder in base.glob(f"{hierarchy.PREFIX}*"):
        with contextlib.suppress(OSError):
            young = time.time() - folder.stat().st_mtime < _ABANDONED_SECONDS
            ours = folder.name != hierarchy.LEAF
            if ours and not young and not (folder / "cgroup.procs").read_text():
                folder.rmdir()


def _create_v2(folder: Path, policy: Policy) -> Group | None:
    _sweep(folder.parent)
    folder.mkdir()
    group = Group(2, {"memory": folder})
    try:
        _limit(folder, policy)
    except OSError:
        group.remove()
        return None
    return group


def _limit(folder: Path, policy: Policy) -> None:
    """Write the policy's limits; raises OSError where its memory cannot be bounded."""
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


def _create_scope(manager: systemd.Manager, policy: Policy, pid: int) -> Group | None:
    """A group in a scope of systemd's around ``pid``, which is in it then.

    systemd removes a scope the moment it is empty, and with it the record of why that is: a process
    that only waits for its end of file keeps it, and goes with this server however that ends.
    """
    mount = hierarchy.version_2()
    if mount is None:
        return None
    name = f"{hierarchy.PREFIX}{secrets.token_hex(8)}.scope"
    with contextlib.ExitStack() as undo:
        try:
            holder = subprocess.Popen(
                ["cat"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
            undo.callback(holder.communicate)
            manager.start_scope(name, [pid, holder.pid])
            scope = mount / systemd.group_of(holder.pid).lstrip("/")
            for part, member in ((_HOLDER, holder.pid), (_SESSION, pid)):
                (scope / part).mkdir()
                (scope / part / "cgroup.procs").write_text(str(member))
            hierarchy.enable(scope)
            _limit(scope / _SESSION, policy)
        except OSError as error:
            raise systemd.Unavailable(f"the scope made by systemd is of no use: {error}") from None
        undo.pop_all()
    return Group(2, {"memory": scope / _SESSION}, holder)


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
