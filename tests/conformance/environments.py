"""Environments for the clients under test, each with its own versions, built once.

One lives at ``.cache/conformance/<name>-<hash of its requirements>``; ``make clean`` removes them
all. ``python -m tests.conformance.environments`` builds what is missing, outside any test's time.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

HERE = Path(__file__).parent
CACHE = HERE.parent.parent / ".cache" / "conformance"
PYTHONS = ("openai1", "openai2", "openai3")
BUILD_SECONDS = 600
_OLDEST_NODE = 20


class EnvironmentFailed(Exception):
    """A client could not be installed; the message has the installer's last words."""


def python(name: str, folder: Path = HERE / "requirements") -> Path:
    """The interpreter of the virtual environment *name*, which is built if it is not there.

    What is in it is listed in *folder*.
    """
    requirements = folder / f"{name}.txt"

    def build(home: Path) -> None:
        _run([sys.executable, "-m", "venv", str(home)], home.parent)
        pip = [str(home / "bin/python"), "-m", "pip", "install", "--disable-pip-version-check"]
        pip.append("--no-compile")  # most of it is never imported
        _run([*pip, "--quiet", "-r", str(requirements)], home.parent)

    # The name of a gateway and that of a client may be the same.
    name = name if folder == HERE / "requirements" else f"{folder.parent.name}-{name}"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    return _built(name, requirements.read_bytes() + version.encode(), build) / "bin/python"


def why_no_node() -> str:
    """Why nothing that needs Node can be tried on this machine; empty when it can."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return "there is no node or no npm on this machine"
    shown = subprocess.run(["node", "--version"], capture_output=True, text=True, timeout=30)
    version = shown.stdout.strip().removeprefix("v")
    if not version.split(".")[0].isdigit() or int(version.split(".")[0]) < _OLDEST_NODE:
        return f"what npm installs needs node {_OLDEST_NODE}, this is {version or 'broken'}"
    return ""


def node() -> Path:
    """The directory whose ``node_modules`` has npm's ``openai``; built if it is not there."""
    return _npm("node")


def proxy() -> Path:
    """The same of JupyterHub's ``configurable-http-proxy``."""
    return _npm("proxy")


def _npm(name: str) -> Path:
    requirements = HERE / f"requirements/{name}.json"

    def build(home: Path) -> None:
        home.mkdir()
        shutil.copy(requirements, home / "package.json")
        _run(["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts"], home)

    return _built(name, requirements.read_bytes(), build)


def _built(name: str, content: bytes, build: Callable[[Path], None]) -> Path:
    home = CACHE / f"{name}-{hashlib.sha256(content).hexdigest()[:12]}"
    ready = home / ".ready"
    with _locked(name):
        if not ready.exists():
            shutil.rmtree(home, ignore_errors=True)
            build(home)
            ready.touch()
    return home


@contextmanager
def _locked(name: str) -> Iterator[None]:
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(argv: list[str], where: Path) -> None:
    done = subprocess.run(
        argv,
        cwd=where,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=BUILD_SECONDS,
    )
    if done.returncode:
        raise EnvironmentFailed(f"{' '.join(argv)} failed:\n{done.stdout[-2000:]}")


def build_all() -> Iterator[Path | str]:
    """Build what is missing, two at a time; where each of them is, or why there is none."""
    builds: list[Callable[[], Path | str]] = [
        partial(python, each) for each in (*PYTHONS, "repo2docker")
    ]
    builds += [lambda: why_no_node() or node(), lambda: why_no_node() or proxy()]
    with ThreadPoolExecutor(2) as pool:
        yield from pool.map(lambda build: build(), builds)


if __name__ == "__main__":
    for each in build_all():
        print("environment:", each)
