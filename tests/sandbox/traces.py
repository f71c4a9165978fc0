"""What sandboxes could leave behind on this host, as far as it is this process' own.

Other servers and other runs of these tests may be at work beside this one, so nothing is looked at that
could be theirs: folders, sockets and mounts below a temporary folder of our own, our descendants, our
descriptors and threads, and the control groups that we were seen to make.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from jupyter_ci_ext.sandbox import cgroups, rundir

_SECONDS = 20.0


@dataclass(frozen=True)
class Traces:
    """A look at all there is; ``beyond`` compares it with an earlier one."""

    folders: frozenset[str] = frozenset()
    processes: frozenset[str] = frozenset()
    """Descendants by number, and which of them are zombies."""
    sockets: frozenset[str] = frozenset()
    mounts: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    threads: frozenset[str] = frozenset()
    native_threads: int = 0
    """Those of libraries: each open ZMQ context has two."""
    descriptors: int = 0
    extra: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def now(cls, groups: list[Path], extra: Callable[[], set[str]]) -> Traces:
        """Look; ``groups`` are the folders of control groups that were made meanwhile."""
        own = tempfile.gettempdir()
        mounts = [
            f"/proc/{p}/mountinfo" for p in ("self", *filter(str.isdigit, os.listdir("/proc")))
        ]
        python_threads = [t.name for t in threading.enumerate() if not t.name.startswith("asyncio")]
        return cls(
            frozenset(
                str(path)
                for base in {rundir.socket_base(), rundir.data_base()}
                for path in base.glob("jci-*")
            ),
            frozenset(
                f"{pid} zombie" if state == "Z" else str(pid)
                for pid, _, state in descendants(os.getpid())
            ),
            frozenset(line for line in _lines("/proc/net/unix") if own in line),
            frozenset(line for path in mounts for line in _lines(path) if own in line),
            frozenset(str(path) for path in groups if path.exists()),
            frozenset(python_threads),
            len(os.listdir("/proc/self/task")) - threading.active_count(),
            len(os.listdir("/proc/self/fd")),
            frozenset(extra()),
        )

    def beyond(self, before: Traces) -> list[str]:
        """What is there and was not before, by kind."""
        found = []
        for kind in (each.name for each in fields(self)):
            now, then = getattr(self, kind), getattr(before, kind)
            if isinstance(now, int):
                found += [f"{kind}: {now}, and {then} before"] if now > then else []
            else:
                found += [f"{kind}: {each}" for each in sorted(now - then)]
        return found


class Watch:
    """Compares what there is with how it was at its beginning."""

    def __init__(
        self, groups: list[Path], extra: Callable[[], set[str]], adopted: Callable[[int], bool]
    ) -> None:
        self.groups = groups
        self._extra = extra
        self._adopted = adopted
        self._before = Traces.now(groups, extra)

    async def left_by_now(self) -> list[str]:
        """What is still there, once it had time to go; empty if all is as before."""
        deadline = time.monotonic() + _SECONDS
        while True:
            self._reap()
            left = Traces.now(self.groups, self._extra).beyond(self._before)
            left += [f"task: {t}" for t in asyncio.all_tasks() if t is not asyncio.current_task()]
            if not left or time.monotonic() > deadline:
                return left
            await asyncio.sleep(0.05)

    def _reap(self) -> None:
        """Bury orphans that came to this process instead of the host's first, which does so."""
        for pid, _, state in list(descendants(os.getpid())):
            if state == "Z" and self._adopted(pid):
                with contextlib.suppress(ChildProcessError):
                    os.waitpid(pid, os.WNOHANG)


@contextlib.contextmanager
def watched(
    extra: Callable[[], set[str]] = set, adopted: Callable[[int], bool] = lambda pid: False
) -> Iterator[Watch]:
    """Note what there is, and every control group that is made from now on.

    ``extra`` names further things that must go; ``adopted`` tells of a child whether this process has
    not started it.
    """
    groups: list[Path] = []
    create, admit = cgroups.create, cgroups.admit

    def noting(make: Callable[..., cgroups.Group | None]) -> Callable[..., cgroups.Group | None]:
        @functools.wraps(make)
        def noted(*args: Any, **kwargs: Any) -> cgroups.Group | None:
            group = make(*args, **kwargs)
            if group is not None:
                groups.extend(group.folders.values())
            return group

        return noted

    cgroups.create, cgroups.admit = noting(create), noting(admit)  # the latter: also systemd's
    try:
        yield Watch(groups, extra, adopted)
    finally:
        cgroups.create, cgroups.admit = create, admit


def descendants(pid: int) -> Iterator[tuple[int, str, str]]:
    """Number, name and state of the processes below this one, zombies among them."""
    for task in os.listdir(f"/proc/{pid}/task") if os.path.isdir(f"/proc/{pid}/task") else ():
        for child in "".join(_lines(f"/proc/{pid}/task/{task}/children")).split():
            status = "".join(_lines(f"/proc/{child}/stat"))
            if status:
                name, _, rest = status.partition("(")[2].rpartition(")")
                yield int(child), name, rest.split()[0]
            yield from descendants(int(child))


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
