"""What mybinder.org would build and start, as far as that can be seen without Docker."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from packaging.requirements import Requirement

from tests.conformance import environments

ROOT = Path(__file__).parent.parent
BINDER = ROOT / "binder"
WHOLE = os.environ.get("JUPYTER_CI_EXT_BINDER", "") not in ("", "0")


@pytest.fixture
def welcome() -> ModuleType:
    spec = importlib.util.spec_from_file_location("binder_welcome", BINDER / "welcome.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.timeout(700)  # builds its environment where nobody has yet
def test_repo2docker_takes_it(tmp_path: Path) -> None:
    shutil.copytree(BINDER, tmp_path / "binder")
    try:
        program = environments.python("repo2docker").parent / "jupyter-repo2docker"
    except environments.EnvironmentFailed as error:
        pytest.skip(str(error))
    options = ["--no-build", "--debug", "--user-id", "1000", "--user-name", "jovyan"]
    done = subprocess.run(
        [program, *options, tmp_path], capture_output=True, text=True, timeout=120, cwd=tmp_path
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    steps = [
        r"environment\S+3\S+11\S+linux\S+lock\S+ /tmp/env/environment.lock",
        r"USER \$\{NB_USER\}\s+RUN \$\{KERNEL_PYTHON_PREFIX\}/bin/pip install --no-cache-dir "
        r'-r "binder/requirements.txt"',
        r"COPY --chown=1000:1000 src/ \$\{REPO_DIR\}/",
        r"USER \$\{NB_USER\}.*RUN \./binder/postBuild",
        r'ENV R2D_ENTRYPOINT="\$\{REPO_DIR\}/binder/start"',
    ]
    assert re.search(".*".join(steps), said, re.DOTALL), said


def pinned() -> dict[str, str]:
    lines = (BINDER / "requirements.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    assert all(len(pair) == 2 for pair in pairs)
    return {name: version.split(" ")[0] for name, version in pairs}


def test_everything_the_package_needs_is_pinned() -> None:
    """Fails when pyproject.toml asks for something new: see the head of requirements.txt."""
    found = pinned()
    wanted = subprocess.run(
        [sys.executable, "-c", "import importlib.metadata as m; print('\\n'.join(m.requires('jupyter-ci-ext')))"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    wanted += (BINDER / "requirements.in").read_text().splitlines()[1:]
    linux = {"sys_platform": "linux", "python_version": "3.11", "extra": "data"}
    for requirement in map(Requirement, wanted):
        if requirement.marker is None or requirement.marker.evaluate(linux):
            name = requirement.name.lower().replace("_", "-")
            assert found.get(name, "") in requirement.specifier, requirement
    assert (BINDER / "runtime.txt").read_text() == "python-3.11\n"


# ---- the scripts, with programs that only say how they were called -------------------------------


def checkout(folder: Path, *, failing: str = "") -> dict[str, str]:
    """A checkout in *folder*, and the environment in which its scripts are run."""
    shutil.copytree(BINDER, folder / "binder")
    programs = folder / "programs"
    programs.mkdir()
    for name in ("pip", "python", "jupyter", "server"):
        script = f'#!/bin/sh\necho "{name} $*" >> "{folder}/calls"\n'
        if name == "python":
            script += f'case "$*" in *sys.prefix*) echo "{folder}/prefix";; esac\n'
        if name == "jupyter":
            script += "echo jupyter_ci_ext OK; echo jupyter-ci-ext OK\n"
        script += f"exit {int(name == failing)}\n"
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    return {"PATH": f"{programs}:/usr/bin:/bin", "HOME": str(folder)}


def run(folder: Path, *command: str, **environment: str) -> list[str]:
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=60)
    return (folder / "calls").read_text().splitlines()


def test_a_checkout_builds_and_a_release_does_not(tmp_path: Path) -> None:
    environment = checkout(tmp_path)
    calls = run(tmp_path, "binder/postBuild", **environment)
    assert calls[0] == "pip install --no-cache-dir --no-deps --no-build-isolation ."
    config = tmp_path / "prefix" / "etc" / "jupyter" / "jupyter_ci_ext_config.py"
    assert "c.Sandbox.minimum_level = 1" in config.read_text()
    assert "python binder/welcome.py --sample wine.csv" in calls
    (tmp_path / "calls").unlink()
    with (tmp_path / "binder" / "wheel.txt").open("a") as wheel:
        wheel.write("jupyter-ci-ext==1.2.3 --hash=sha256:00\n")
    calls = run(tmp_path, "binder/postBuild", **environment)
    assert calls[0] == ("pip install --no-cache-dir --no-deps --require-hashes -r binder/wheel.txt")
    assert not any(call.endswith(" .") for call in calls)


@pytest.mark.parametrize("failing", ["", "python"])
def test_the_server_starts_whatever_becomes_of_the_welcome(tmp_path: Path, failing: str) -> None:
    environment = checkout(tmp_path, failing=failing)
    calls = run(tmp_path, "binder/start", "server", "--ip", "0.0.0.0", **environment)
    assert calls == ["python binder/welcome.py", "server --ip 0.0.0.0"]


def test_only_binders_own_settings_allow_less_isolation() -> None:
    """The trait's default is what everybody else has."""
    from jupyter_ci_ext.sandbox.config import Sandbox

    assert Sandbox().minimum_level == 2


def test_the_welcome_is_made_once(welcome: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("JUPYTERLAB_WORKSPACES_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["welcome.py"])
    monkeypatch.setattr(welcome.signal, "signal", lambda *_: None)
    made: list[str] = []

    def make() -> str:
        made.append("thread_1")
        return made[-1]

    monkeypatch.setattr(welcome, "welcome", make)
    welcome.main()
    welcome.main()
    assert made == ["thread_1"]
    (path,) = tmp_path.iterdir()
    saved = json.loads(path.read_text())
    assert saved["metadata"]["id"] == welcome.WORKSPACE
    assert saved["data"]["jupyter-ci-ext:panel"]["thread"] == "thread_1"


@pytest.mark.timeout(400)
@pytest.mark.skipif(not WHOLE, reason="takes half a minute; JUPYTER_CI_EXT_BINDER=1 runs it")
def test_the_welcome_has_a_chart(welcome: Any, tmp_path: Path, monkeypatch: Any) -> None:
    """For real: a server, the API, the sandbox; a second time the thread is found again."""
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(tmp_path))
    thread = welcome.welcome()
    assert welcome.welcome() == thread
    with sqlite3.connect(tmp_path / "code-interpreter" / "default" / "state.db") as db:
        runs = db.execute("SELECT thread_id, status FROM runs").fetchall()
        files = [row[0] for row in db.execute("SELECT json_extract(body, '$.filename') FROM files")]
    db.close()
    assert runs == [(thread, "completed")]
    assert any(name.endswith(".png") for name in files)
    assert "wine_cleaned.csv" in files
