"""What of the host's files an arbitrary Python needs, found out by asking it.

venv, conda, pyenv, uv, Nix and distribution interpreters differ in where they keep their parts:
the interpreter is run once and tells its prefixes, its module path and which libraries it has mapped.
"""

from __future__ import annotations

import functools
import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SandboxUnavailable

# Run in the interpreter itself; every fact the mounts are made of.
_QUESTION = """
import json, sys
import zmq, ssl, sqlite3, ctypes
import ipykernel, IPython
from importlib.metadata import version
maps = set()
try:
    with open("/proc/self/maps") as lines:
        maps = {l.split(None, 5)[5].strip() for l in lines if "/" in l}
except OSError:
    pass
json.dump({
    "executable": sys.executable,
    "prefixes": [sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix],
    "path": [p for p in sys.path if p],
    "maps": sorted(m for m in maps if m.startswith("/") and not m.endswith(" (deleted)")),
    "version": list(sys.version_info[:3]),
    "ipykernel": version("ipykernel"),
}, sys.stdout)
"""

# Bound whole where they exist: distribution files, no user's.
_SYSTEM = ("/usr", "/nix/store", "/gnu/store")
_TOP_LINKS = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
_ETC = [
    "alternatives",
    "crypto-policies",
    "debian_version",
    "default/locale",
    "fonts",
    "gai.conf",
    "host.conf",
    "java-17-openjdk",
    "ld.so.cache",
    "ld.so.conf",
    "ld.so.conf.d",
    "locale.alias",
    "locale.conf",
    "localtime",
    "lsb-release",
    "magic",
    "magic.mime",
    "matplotlibrc",
    "mime.types",
    "nsswitch.conf",
    "os-release",
    "papersize",
    "pki/ca-trust",
    "pki/tls/certs",
    "protocols",
    "redhat-release",
    "services",
    "ssl/certs",
    "ssl/openssl.cnf",
    "terminfo",
    "timezone",
]
# Inside a Python environment, but about its user: package indexes with passwords, server settings.
_PRIVATE_FILES = ("pip.conf", ".condarc", "condarc", ".netrc", ".pypirc", ".env")
_PRIVATE_FOLDERS = ("etc/jupyter",)

_MINIMUM_IPYKERNEL = 7
_MINIMUM_PYTHON = (3, 10)


@dataclass(frozen=True)
class Environment:
    """What of the host the code's Python consists of; all paths absolute, parents before children.

    ``roots`` are folders and files to show read-only at their own path, ``links`` symbolic links to
    make (path, target), ``masked_files`` and ``masked_folders`` parts of the roots to hide.
    """

    python: str
    prefix: str
    version: tuple[int, ...]
    roots: tuple[str, ...]
    links: tuple[tuple[str, str], ...] = ()
    masked_files: tuple[str, ...] = ()
    masked_folders: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()


def discover(python: str, private: Iterable[str] = ()) -> Environment:
    """Find what ``python`` (empty: the server's own) needs, without what ``private`` names.

    Takes about 0.3 s the first time, then nothing while the interpreter stays the same. Raises
    SandboxUnavailable where the interpreter cannot serve.
    """
    python = os.path.abspath(python or sys.executable)
    try:
        changed = os.stat(python).st_mtime_ns
    except OSError as error:
        raise SandboxUnavailable(
            f"The interpreter {python} cannot be used: {error.strerror}. Set c.Sandbox.python to a "
            "Python that has ipykernel installed."
        ) from None
    if os.path.isdir(python):
        raise SandboxUnavailable(
            f"The interpreter {python} is a folder: set c.Sandbox.python to the program in it, such as "
            f"{python.rstrip('/')}/bin/python."
        )
    return _discover(python, changed, tuple(sorted(set(private))))


@functools.lru_cache(maxsize=8)
def _discover(python: str, _changed: int, private: tuple[str, ...]) -> Environment:
    facts = _ask(python)
    prefix = facts["prefixes"][0]
    wanted = [*facts["prefixes"], *map(os.path.realpath, facts["prefixes"])]
    skipped = []
    for entry in facts["path"]:
        # A project installed in place (editable) or a PYTHONPATH may hold anything, keys included.
        if _within(entry, wanted) or "-packages" in entry:
            wanted.append(entry)
        elif not _within(entry, _SYSTEM) and os.path.exists(entry):
            skipped.append(entry)
    wanted += [f for f in facts["maps"] if not _within(f, (*wanted, *_SYSTEM, *_TOP_LINKS))]
    links, targets = _link_chain(python, wanted)
    wanted += targets
    roots = _outermost(path for path in wanted if not _within(path, _SYSTEM) and path != "/")
    if "/" in facts["prefixes"]:
        raise SandboxUnavailable(f"The interpreter {python} has / as its prefix; use another one.")
    home = os.path.realpath(os.path.expanduser("~"))
    for root in roots:
        if home != "/" and _within(home, [os.path.realpath(root)]):
            raise SandboxUnavailable(
                f"The interpreter {python} keeps its parts in {root}, which holds the home folder: "
                "showing it would show every private file. Set c.Sandbox.python to a Python in an "
                "environment of its own."
            )
    folders = [
        f for root in roots for name in _PRIVATE_FOLDERS if os.path.isdir(f := f"{root}/{name}")
    ]
    folders += [p for p in private if os.path.isdir(p) and _within(p, roots)]
    return Environment(
        python=python,
        prefix=prefix,
        version=tuple(facts["version"]),
        roots=tuple(roots),
        links=tuple(links),
        masked_files=tuple(
            f for root in roots for name in _PRIVATE_FILES if os.path.isfile(f := f"{root}/{name}")
        ),
        masked_folders=tuple(folders),
        skipped=tuple(skipped),
    )


def _ask(python: str) -> dict[str, Any]:
    try:
        answer = subprocess.run(
            [python, "-I", "-c", _QUESTION],
            capture_output=True,
            timeout=60,
            env={"HOME": "/nonexistent", "LANG": "C.UTF-8", "PATH": "/usr/bin:/bin"},
            cwd="/",
            check=False,
        )
        facts: dict[str, Any] = json.loads(answer.stdout) if answer.returncode == 0 else {}
        problem = answer.stderr.decode("utf-8", "replace").strip().splitlines()
    except OSError as error:
        raise SandboxUnavailable(
            f"The interpreter {python} cannot be run: {error.strerror}. Set c.Sandbox.python to a Python "
            f"for this machine ({platform.machine()}) that has ipykernel installed."
        ) from None
    except (subprocess.TimeoutExpired, ValueError) as error:
        facts, problem = {}, [str(error)]
    if not facts:
        raise SandboxUnavailable(
            f"The interpreter {python} cannot run a kernel: {problem[-1] if problem else 'no answer'}. "
            f"Install ipykernel >= {_MINIMUM_IPYKERNEL} there, or set c.Sandbox.python to another one."
        )
    if tuple(facts["version"]) < _MINIMUM_PYTHON:
        raise SandboxUnavailable(
            f"The interpreter {python} is Python {'.'.join(map(str, facts['version']))}; the code "
            f"interpreter needs {'.'.join(map(str, _MINIMUM_PYTHON))} or later."
        )
    if int(str(facts["ipykernel"]).split(".")[0]) < _MINIMUM_IPYKERNEL:
        raise SandboxUnavailable(
            f"The interpreter {python} has ipykernel {facts['ipykernel']}; the code interpreter needs "
            f"{_MINIMUM_IPYKERNEL} or later: {python} -m pip install -U ipykernel."
        )
    return facts


def _link_chain(python: str, roots: list[str]) -> tuple[list[tuple[str, str]], list[str]]:
    """The links from ``python`` to the real file that lie outside the roots, and that file."""
    links = []
    path = python
    for _ in range(16):
        if not os.path.islink(path):
            break
        target = os.readlink(path)
        if not _within(path, (*roots, *_SYSTEM, *_TOP_LINKS)):
            links.append((path, target))
        path = os.path.normpath(os.path.join(os.path.dirname(path), target))
    real = os.path.realpath(python)
    return links, [] if _within(real, (*roots, *_SYSTEM)) else [real]


def system_roots() -> Iterator[str]:
    """Folders of the distribution to show read-only."""
    for path in _SYSTEM:
        if os.path.isdir(path):
            yield path


def top_links() -> Iterator[tuple[str, str | None]]:
    """``/bin``, ``/lib`` and so on: the path and, where it is a link, its target."""
    for path in _TOP_LINKS:
        if os.path.islink(path):
            yield path, os.readlink(path)
        elif os.path.isdir(path):
            yield path, None


def etc_paths() -> Iterator[str]:
    """What of ``/etc`` programs need and nobody minds being read."""
    for name in _ETC:
        if os.path.exists(f"/etc/{name}"):
            yield f"/etc/{name}"
    for path in sorted(Path("/etc").glob("python3*")):
        yield str(path)


def parents(path: str) -> Iterator[str]:
    """The folders above ``path``, outermost first, without ``/``."""
    above = [str(parent) for parent in Path(path).parents if str(parent) != "/"]
    return reversed(above)


def _within(path: str, roots: Iterable[str]) -> bool:
    return any(path == root or path.startswith(root.rstrip("/") + "/") for root in roots)


def _outermost(paths: Iterable[str]) -> list[str]:
    kept: list[str] = []
    for path in sorted({p for p in paths if os.path.exists(p)}):
        if not _within(path, kept):
            kept.append(path)
    return kept
