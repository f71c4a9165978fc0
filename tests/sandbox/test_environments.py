"""``c.Sandbox.python``: environments of other kinds than the server's, and those that cannot serve."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from jupyter_ci_ext.errors import SandboxUnavailable
from jupyter_ci_ext.sandbox.policy import Policy
from jupyter_ci_ext.sandbox.probe import probe

from . import ordinary
from .conftest import ORDINARY, require, require_user

VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"
OURS = ordinary.Environment(
    sys.executable,
    getattr(sys, "_base_executable", sys.executable),
    sysconfig.get_paths()["platlib"],
)


def _venv(folder: Path, python: str, *options: str, ours: ordinary.Environment = OURS) -> str:
    """An environment that has the packages of this one, by a path file, so that nothing is fetched."""
    command = [python, "-m", "venv", "--without-pip", *options, str(folder)]
    if python == "uv":
        command = ["uv", "venv", "-q", "--offline", "-p", ours.python, str(folder)]
    made = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
    if made.returncode != 0:
        pytest.skip(f"{command[0]} makes no environment here: {made.stderr[-200:]}")
    packages = folder / f"lib/python{VERSION}/site-packages"
    (packages / "ours.pth").write_text(ours.packages)
    return str(folder / "bin/python")


def _like_conda(folder: Path, ours: ordinary.Environment) -> str:
    """A prefix as conda lays it out: no virtual environment, but interpreter, libraries and records.

    conda itself is not at hand; the interpreter is a copy of the one that runs this, with its library.
    """
    code = "import json, sys, sysconfig; print(json.dumps([sys.executable, sysconfig.get_path('stdlib')]))"
    asked = subprocess.run([ours.base, "-I", "-c", code], capture_output=True, check=True)
    program, library = json.loads(asked.stdout)
    for name in ("bin", "conda-meta", f"lib/python{VERSION}"):
        (folder / name).mkdir(parents=True)
    shutil.copy2(os.path.realpath(program), folder / f"bin/python{VERSION}")
    (folder / "bin/python").symlink_to(f"python{VERSION}")
    left_out = shutil.ignore_patterns("test", "tests", "site-packages", "__pycache__", "idlelib")
    shutil.copytree(
        library, folder / f"lib/python{VERSION}", ignore=left_out, symlinks=True, dirs_exist_ok=True
    )
    for name in ("site-packages", "dist-packages"):  # the latter: Debian's interpreter
        (folder / f"lib/python{VERSION}/{name}").mkdir(exist_ok=True)
        (folder / f"lib/python{VERSION}/{name}/ours.pth").write_text(ours.packages)
    (folder / "conda-meta/history").touch()
    (folder / ".condarc").write_text("channels: [https://user:CANARY@example.org]")
    return str(folder / "bin/python")


def _pyenv() -> str:
    found = sorted(Path("~/.pyenv/versions").expanduser().glob(f"{VERSION}.*/bin/python"))
    if not found:
        pytest.skip(f"there is no Python {VERSION} of pyenv")
    return str(found[-1])


def _make(kind: str, folder: Path, ours: ordinary.Environment) -> str:
    if kind == "uv":
        if shutil.which("uv") is None:
            pytest.skip("there is no uv")
        return _venv(folder, "uv", ours=ours)
    if kind == "like conda":
        return _like_conda(folder, ours)
    if kind == "pyenv":
        return _venv(folder, _pyenv())
    options = {"venv": ["--symlinks"], "system packages": ["--system-site-packages"]}
    return _venv(folder, ours.base, *options.get(kind, ["--copies"]), ours=ours)


_KINDS = ["venv", "system packages", "copies", "like conda", "pyenv", "uv"]
_AT_LEVEL_2 = ["venv", "like conda"]


@pytest.mark.parametrize("who", ["root", "user"])
@pytest.mark.parametrize(
    ("kind", "level"), [*((kind, 3) for kind in _KINDS), *((kind, 2) for kind in _AT_LEVEL_2)]
)
def test_code_runs_in_another_environment(kind: str, level: int, who: str) -> None:
    require(level)
    require_user(who)
    if (who, kind) == ("user", "pyenv") and os.getuid() == 0:
        pytest.skip("root's pyenv cannot be read by an ordinary user")
    folder = Path(os.environ["TMPDIR"])
    folder.chmod(0o777)
    prefix = folder / f"{kind} {who} {level}"
    other = who == "user" and os.getuid() == 0
    ours = ordinary.environment() if other else OURS
    python = _make(kind, prefix, ours)
    (folder / "home").mkdir(exist_ok=True)
    (folder / "home").chmod(0o777)
    answer = subprocess.run(
        [ours.python, "-m", "tests.sandbox.environments", str(level), python],
        cwd=ours.root,
        env={
            "HOME": str(folder / "home") if other else os.environ.get("HOME", "/"),
            "PATH": os.environ["PATH"],
            "TMPDIR": str(folder),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        **({"user": ORDINARY, "group": ORDINARY, "extra_groups": []} if other else {}),
    )
    assert answer.stdout == f"{prefix} {VERSION} child\nread-only\n", answer.stderr[-1500:]


def _interpreter(folder: Path, kind: str) -> str:
    """Something at a path that is no use as an interpreter."""
    path = folder / "python"
    if kind == "an empty environment":
        base = getattr(sys, "_base_executable", sys.executable)
        subprocess.run([base, "-m", "venv", "--without-pip", str(folder / "env")], check=True)
        return str(folder / "env/bin/python")
    if kind == "an old ipykernel":
        python = _venv(folder / "env", getattr(sys, "_base_executable", sys.executable))
        packages = folder / f"env/lib/python{VERSION}/site-packages"
        (packages / "ipykernel-6.29.0.dist-info").mkdir()
        (packages / "ipykernel-6.29.0.dist-info/METADATA").write_text(
            "Metadata-Version: 2.1\nName: ipykernel\nVersion: 6.29.0\n"
        )
        return python
    if kind != "missing":
        path.write_text("#!/bin/sh\necho 'no Python'\n")
        path.chmod(0o644 if kind == "not executable" else 0o755)
    return str(path)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("missing", "No such file or directory. Set c.Sandbox.python"),
        ("not executable", "Permission denied"),
        ("no Python", "cannot run a kernel"),
        ("an empty environment", "Install ipykernel >= 7 there"),
        ("an old ipykernel", "has ipykernel 6.29.0; the code interpreter needs 7 or later"),
    ],
)
def test_an_interpreter_that_cannot_serve_is_named(kind: str, words: str, tmp_path: Path) -> None:
    require(2)
    python = _interpreter(tmp_path, kind)
    report = asyncio.run(probe(Policy(python=python)))
    with pytest.raises(SandboxUnavailable) as caught:
        report.check()
    message = caught.value.message
    assert message.startswith(f"No code can run here. The interpreter {python} ")
    assert words in message
    assert "isolation level" not in message
