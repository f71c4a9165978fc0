"""A folder of the user's own files, shown to the code read-only; off unless the admin allows it.

The folder is named by a path below the server's root, as people see it in the file browser. Hidden
things are never shown: neither as a part of that path, nor inside the folder. What is hidden is found
when the session starts; the code itself can change nothing there.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir

from jupyter_ci_ext.errors import SandboxUnavailable

INSIDE = "/mnt/workspace"
"""Where the code finds the folder; at its real path where the sandbox has no file view of its own."""

METADATA_KEY = "workspace_folder"
"""The key of a thread's metadata that names the folder."""

MOST_ENTRIES = 100_000
MOST_HIDDEN = 500


@dataclass(frozen=True)
class Attached:
    """A folder that may be shown; ``hidden`` are paths below it that must not."""

    path: Path
    hidden: tuple[str, ...] = ()


def place(root: Path, name: str) -> Path:
    """Where the folder *name* is, if it may be attached at all."""
    return Path(os.path.realpath(root), *PurePosixPath(name.strip("/")).parts)


def resolve(root: Path, name: str) -> Attached:
    """The folder *name* below *root*, verified; blocks. Raises `SandboxUnavailable`."""
    parts = PurePosixPath(name.strip("/")).parts
    if not parts or "\0" in name:
        raise _refused(name, "it must name a folder below the one the server was started in")
    if any(part.startswith(".") for part in parts):
        raise _refused(name, "hidden folders are not shown")
    path = place(root, name)
    if os.path.realpath(path) != str(path):
        raise _refused(name, "a link is part of its path")
    try:
        is_folder = stat.S_ISDIR(path.lstat().st_mode)
    except OSError as error:
        raise _refused(name, str(error.strerror).lower()) from None
    if not is_folder:
        raise _refused(name, "it is no folder")
    for private in (os.path.expanduser("~"), jupyter_data_dir(), jupyter_runtime_dir()):
        if Path(os.path.realpath(private)).is_relative_to(path):
            raise _refused(name, "it holds the home folder or Jupyter's own files")
    return Attached(path, tuple(_hidden(path, name)))


def _hidden(path: Path, name: str) -> list[str]:
    found: list[str] = []
    seen = 0
    for folder, folders, files in os.walk(path):
        seen += len(folders) + len(files)
        found += [os.path.join(folder, each) for each in (*folders, *files) if each[0] == "."]
        folders[:] = [each for each in folders if each[0] != "."]
        if seen > MOST_ENTRIES:
            raise _refused(name, f"there are more than {MOST_ENTRIES:,} files in it")
        if len(found) > MOST_HIDDEN:
            raise _refused(name, f"there are more than {MOST_HIDDEN:,} hidden files in it")
    return sorted(found)


def _refused(name: str, why: str) -> SandboxUnavailable:
    return SandboxUnavailable(
        f"The folder {name!r} ({METADATA_KEY} in the thread's metadata) cannot be attached: {why}. "
        "Name another one, or remove it from the metadata."
    )
