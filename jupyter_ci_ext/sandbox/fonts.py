"""Matplotlib's list of fonts, made once per environment instead of once per session.

Making it takes about as long as everything else a session does until its first chart. It is made outside
of any sandbox, by the environment's own matplotlib, and shown read-only where matplotlib looks for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import tempfile
import threading
from pathlib import Path

FOLDER_IN_HOME = ".cache/matplotlib"
_MAKE = "import matplotlib.font_manager"
_SECONDS = 120
_lock = threading.Lock()


def cached(python: str) -> list[Path]:
    """The files to show below ``FOLDER_IN_HOME``; empty where they have not been made."""
    return sorted(_folder(python).glob("fontlist-*.json"))


def make(python: str) -> None:
    """Make the list if it is not there. Takes seconds; does nothing where there is no matplotlib."""
    folder = _folder(python)
    with _lock, contextlib.suppress(OSError, subprocess.TimeoutExpired):
        if folder.is_dir():
            return
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
            environ = {"HOME": "/nonexistent", "MPLCONFIGDIR": fresh, "PATH": os.defpath}
            subprocess.run(
                [python, "-I", "-c", _MAKE],
                env=environ,
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SECONDS,
                check=False,
            )
            made = Path(fresh) / "made"
            made.mkdir()
            for path in Path(fresh).glob("fontlist-*.json"):
                path.chmod(0o644)
                path.rename(made / path.name)
            made.rename(folder)


def _folder(python: str) -> Path:
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    key = hashlib.sha256(f"{python}\0{os.path.realpath(python)}".encode()).hexdigest()[:16]
    return Path(cache) / "jupyter-ci-ext" / f"fonts-{key}"
