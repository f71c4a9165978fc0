"""The tree of control groups as the kernel shows it, and which part of it is this server's to divide."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path

from . import systemd
from .monitor import tree

PREFIX = "code-interpreter-"
LEAF = f"{PREFIX}server"
_MOUNTS = Path("/proc/self/mountinfo")
_CONTROLLERS = ("memory", "pids", "cpu")
_MOVES = 20  # while processes are moved they start others
_moving = threading.Lock()


def version_2() -> Path | None:
    """Where version 2 is mounted, if it is what bounds memory here."""
    with contextlib.suppress(OSError):
        mount = mounts().get("")
        if mount is not None and "memory" in controllers(mount):
            return mount
    return None


def delegated(mount: Path) -> Path | None:
    """The folder below which groups with limits can be made; None where that is not ours to do.

    Version 2 wants processes in leaves only, so this server moves into one first.
    """
    with _moving:  # another thread may be moving this server
        own = mount / own_groups()[""].lstrip("/")
        return own.parent if own.name == LEAF else _divided(own)


def _divided(own: Path) -> Path | None:
    if not os.access(own, os.W_OK) or not os.access(own / "cgroup.subtree_control", os.W_OK):
        return None
    if systemd.runs() and not _given_away(own):
        return None
    if set(_members(own)) - set(tree(os.getpid())):
        return None  # not ours alone
    leaf = own / LEAF
    leaf.mkdir(exist_ok=True)
    try:
        for _ in range(_MOVES):
            if not _moved(_members(own), leaf):
                break
        enable(own)
    except OSError:
        for pid in _members(leaf):
            with contextlib.suppress(OSError):
                (own / "cgroup.procs").write_text(str(pid))
        leaf.rmdir()
        return None
    return own


def _given_away(folder: Path) -> bool:
    """Whether systemd leaves what is below this group of its own to us, and will not undo it.

    Being able to write there does not say so: root can everywhere, a user in all of their manager's
    groups. systemd marks the groups of services with ``Delegate``; before version 251 only root can
    see the mark, but then no other service's group belongs to the user.
    """
    for mark in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(folder, mark) == b"1":
                return True
    return os.getuid() != 0 and f"user@{os.getuid()}.service" not in folder.parts


def _moved(pids: list[int], leaf: Path) -> int:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            (leaf / "cgroup.procs").write_text(str(pid))
    return len(pids)


def _members(folder: Path) -> list[int]:
    return [int(pid) for pid in (folder / "cgroup.procs").read_text().split()]


def enable(folder: Path) -> None:
    """Have the controllers in the groups below; raises OSError where memory cannot be bounded."""
    for controller in _CONTROLLERS:
        with contextlib.suppress(OSError):
            (folder / "cgroup.subtree_control").write_text(f"+{controller}")
    if "memory" not in (folder / "cgroup.subtree_control").read_text().split():
        raise PermissionError("the memory controller is not to be had")


def mounts() -> dict[str, Path]:
    """Where each controller is mounted; version 2 under the empty name."""
    found: dict[str, Path] = {}
    with _MOUNTS.open() as lines:
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


def own_groups() -> dict[str, str]:
    """This process' group in each hierarchy."""
    groups = {}
    with open("/proc/self/cgroup") as lines:
        for line in lines:
            _, names, path = line.rstrip("\n").split(":", 2)
            for controller in names.split(","):
                groups[controller] = path
    return groups


def controllers(mount: Path) -> list[str]:
    """What a hierarchy of version 2 can bound."""
    return (mount / "cgroup.controllers").read_text().split()
