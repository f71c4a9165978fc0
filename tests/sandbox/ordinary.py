"""An environment that an ordinary user can run, for what root's tests try as one.

Where Python or the checkout lies below a folder that is closed to others, such as root's home, there is none.
Then one is made beside it, of the interpreter of the distribution and the very packages that are installed
here, once per set of them: ``python -m tests.sandbox.ordinary`` does so ahead of the tests.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
USER = 65534  # nobody
_OURS = "jupyter-ci-ext"
_PYTHONS = ("/usr/bin/python3", "/usr/local/bin/python3")
_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"


@dataclass(frozen=True)
class Environment:
    """``python`` runs, with ``root`` as the working folder; ``why_not`` says why there is none."""

    python: str = ""
    base: str = ""
    packages: str = ""
    root: Path = ROOT
    why_not: str = ""


@lru_cache(maxsize=1)
def environment() -> Environment:
    """The environment for tests as an ordinary user; built where need be."""
    here = Environment(
        sys.executable,
        getattr(sys, "_base_executable", sys.executable),
        sysconfig.get_paths()["platlib"],
    )
    if os.getuid() != 0 or _serves(here):
        return here
    base = next((p for p in _PYTHONS if _version(p) == _VERSION), None)
    if base is None:
        return Environment(why_not=f"there is no Python {_VERSION} that an ordinary user can run")
    home = _made(base)
    code = Path(tempfile.mkdtemp(prefix="t-", dir="/var/tmp"))
    for name in ("jupyter_ci_ext", "tests"):
        skip = shutil.ignore_patterns("__pycache__", "labextension", "node_modules", "clients")
        shutil.copytree(ROOT / name, code / name, ignore=skip)
    _open_up(code)
    made = Environment(
        str(home / "bin/python"), base, str(home / f"lib/python{_VERSION}/site-packages"), code
    )
    return made if _serves(made) else Environment(why_not="what was made for it does not run")


def forget() -> None:
    """Remove what was made for this run alone."""
    if environment.cache_info().currsize and environment().root != ROOT:
        shutil.rmtree(environment().root, ignore_errors=True)
    environment.cache_clear()


def _serves(candidate: Environment) -> bool:
    try:
        check = subprocess.run(
            [candidate.python, "-c", "import zmq, numpy, jupyter_ci_ext, tests.sandbox"],
            cwd="/",
            env={"PYTHONPATH": str(candidate.root), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            user=USER,
            group=USER,
            extra_groups=[],
            check=False,
        )
    except OSError:  # the interpreter itself is out of reach
        return False
    return check.returncode == 0


def _version(python: str) -> str:
    code = "import sys; print('%d.%d' % sys.version_info[:2])"
    try:
        return subprocess.run([python, "-c", code], capture_output=True, text=True).stdout.strip()
    except OSError:
        return ""


def _made(base: str) -> Path:
    """A virtual environment with links to the files of the packages installed here."""
    distributions = list(_closure())
    names = sorted(f"{d.name}=={d.version}" for d in distributions)
    key = hashlib.sha256("\n".join([base, sys.prefix, *names]).encode()).hexdigest()[:12]
    home = _cache() / f"ordinary-{key}"
    with _locked(home):
        if not (home / ".ready").exists():
            shutil.rmtree(home, ignore_errors=True)
            subprocess.run([base, "-m", "venv", "--without-pip", str(home)], check=True)
            for each in distributions:
                _link(each, home)
            _open_up(home)
            (home / ".ready").touch()
    return home


def _cache() -> Path:
    cache = ROOT / ".cache"
    cache.mkdir(exist_ok=True)
    if all(folder.stat().st_mode & 0o001 for folder in (cache, *cache.parents)):
        return cache
    cache = Path("/var/tmp/jupyter-ci-ext-tests")
    cache.mkdir(mode=0o755, exist_ok=True)
    status = cache.lstat()
    if cache.is_symlink() or status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise PermissionError(f"{cache} belongs to somebody else")
    return cache


@contextlib.contextmanager
def _locked(home: Path) -> Iterator[None]:
    with home.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _closure() -> Iterator[Distribution]:
    """Our distribution with what it needs, and what its extra ``data`` does."""
    seen: set[str] = set()
    pending = [(_OURS, frozenset({"data"}))]
    while pending:
        name, extras = pending.pop()
        if canonicalize_name(name) in seen:
            continue
        seen.add(canonicalize_name(name))
        try:
            found = distribution(name)
        except PackageNotFoundError:  # needed elsewhere only
            continue
        yield found
        for line in found.requires or ():
            need = Requirement(line)
            if need.marker is None or any(
                need.marker.evaluate({"extra": extra}) for extra in (*extras, "")
            ):
                pending.append((need.name, frozenset(need.extras)))


def _link(each: Distribution, home: Path) -> None:
    """Put its files below ``home``, as links where that is the same disk."""
    for file in each.files or ():
        source = Path(os.path.abspath(str(file.locate())))
        target = home / os.path.relpath(source, sys.prefix)
        if not source.is_relative_to(sys.prefix) or not source.is_file() or target.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(source, target)
        except OSError:
            shutil.copy2(source, target)


def _open_up(folder: Path) -> None:
    """Let others enter, whatever the mask of this process; files are readable as they are."""
    for path, _, _ in os.walk(folder):
        os.chmod(path, 0o755)


if __name__ == "__main__":
    found = environment()
    print("environment for an ordinary user:", found.python or found.why_not)
    forget()
