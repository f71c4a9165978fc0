"""What a sandbox has to enforce, as frozen values: the policy, one launch, what came of it.

Level 3 is bubblewrap, level 2 is Landlock with seccomp, level 1 is limits and a clean environment
only. Sizes are bytes, times are seconds. Nothing here starts or reads anything.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

MiB = 1 << 20
GiB = 1 << 30

# What RLIMIT_DATA leaves for pages of files (libraries), which count toward the tree's memory but
# not toward RLIMIT_DATA: a single process meets MemoryError before the whole tree is killed.
_FILE_PAGES_SHARE = 0.9

MINIMUM_MEMORY = 256 * MiB  # below it numpy's OpenBLAS cannot even start


@dataclass(frozen=True)
class Policy:
    """The limits and the least isolation under which code may run; made by ``Sandbox.policy()``."""

    minimum_level: int = 2
    maximum_level: int = 3
    python: str = ""
    bubblewrap: str = ""
    read_only_paths: tuple[Path, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    memory: int = 2 * GiB
    cpus: float = 0.0
    processes: int = 256
    open_files: int = 1024
    file_size: int = 1 * GiB
    disk: int = 1 * GiB
    files: int = 20_000
    tmp_size: int = 256 * MiB
    shm_size: int = 64 * MiB
    home_size: int = 64 * MiB
    execution_seconds: float = 120.0
    grace_seconds: float = 3.0
    start_seconds: float = 30.0
    watch_seconds: float = 0.25
    log_bytes: int = 1 * MiB
    message_bytes: int = 16 * MiB
    preload: tuple[str, ...] = ()
    use_cgroups: bool = True

    @property
    def data_limit(self) -> int:
        """RLIMIT_DATA of each process, in bytes; 0 means none."""
        return max(MINIMUM_MEMORY, int(self.memory * _FILE_PAGES_SHARE)) if self.memory else 0

    def for_session(self, launch: Launch) -> Policy:
        """The limits of one session: what it asks for, where that is less."""
        if not launch.memory:
            return self
        asked = max(MINIMUM_MEMORY, launch.memory)
        return replace(self, memory=min(asked, self.memory) if self.memory else asked)


@dataclass(frozen=True)
class Launch:
    """What one session asks of its sandbox, over and above the policy.

    ``workspace`` is an existing folder of the host, seen by the code as ``/mnt/data`` (level 3).
    ``memory`` in bytes may lower the policy's limit, never raise it. ``read_only`` maps paths inside
    to folders of the host that the code may read, but for what ``hidden`` names below them (paths of the
    host). ``put_bytes`` tells how many bytes of the workspace
    the host itself has put there, which are not the code's: it is asked in another thread whenever the
    workspace is counted, so it must know of a file before that is there.
    """

    workspace: Path
    memory: int | None = None
    read_only: Mapping[str, Path] = field(default_factory=dict)
    hidden: tuple[str, ...] = ()
    put_bytes: Callable[[], int] = int


@dataclass(frozen=True)
class Isolation:
    """What is in force around one kernel, as measured from inside it.

    ``memory_by`` says what bounds the memory of the whole tree: "cgroup v2" or "cgroup v1" (a group
    this server made), "systemd scope" (one that systemd made for it), or "watchdog" (looks several
    times a second: not exact).
    """

    level: int
    layers: tuple[str, ...]
    memory_by: str
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "level": self.level,
            "layers": list(self.layers),
            "memory_by": self.memory_by,
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Usage:
    """The latest sample of what one sandbox uses, against its limits (0 means no limit).

    ``disk_bytes`` is what the code has written to /mnt/data and, where there is no tmpfs, to its
    temporary folders: all that is there but for as many bytes as the host has put in, so that what
    code puts in place of a staged file counts only as far as it is larger. ``files`` counts all.
    ``memory_peak_bytes`` is the most its control group has held, cached pages of files included; 0
    where there is none, or none that tells.
    """

    memory_bytes: int = 0
    memory_limit_bytes: int = 0
    cpu_percent: float = 0.0
    processes: int = 0
    processes_limit: int = 0
    disk_bytes: int = 0
    disk_limit_bytes: int = 0
    files: int = 0
    files_limit: int = 0
    memory_peak_bytes: int = 0

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


def human_size(size: float) -> str:
    """A size in bytes as a person writes it: ``2 GiB``, ``1.5 MiB``."""
    units = ["bytes", "KiB", "MiB", "GiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.1f}".removesuffix(".0") + f" {units[0]}"
