from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from jupyter_ci_ext.sandbox.policy import Policy
from jupyter_ci_ext.sandbox.probe import probe_now

from . import ordinary

ROOT = Path(__file__).parents[2]
ORDINARY = ordinary.USER


@pytest.fixture(autouse=True, scope="session")
def no_copies_left() -> Iterator[None]:
    yield
    ordinary.forget()


@pytest.fixture(autouse=True, scope="session")
def own_temporary_folder() -> Iterator[None]:
    """A temporary folder of this run's own: other servers on this host make theirs beside it."""
    with tempfile.TemporaryDirectory(prefix="t-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("TMPDIR", folder)
        patch.setattr("tempfile.tempdir", folder)
        patch.delenv("XDG_RUNTIME_DIR", raising=False)
        yield


@lru_cache(maxsize=4)
def given_level(maximum: int) -> int:
    return probe_now(Policy(maximum_level=maximum, minimum_level=1)).level


def require(level: int) -> None:
    """Skip where this host cannot give the level, as most continuous integration cannot."""
    if given_level(level) < level:
        pytest.skip(f"this host gives no isolation of level {level}")


@pytest.fixture(params=[3, 2], ids=["level 3", "level 2"])
def level(request: pytest.FixtureRequest) -> int:
    require(request.param)
    return int(request.param)


@lru_cache(maxsize=16)
def tried(who: str, level: int, *groups: str) -> dict[str, Any]:
    """All cases of a level, tried by the harness in a process of its own."""
    with tempfile.TemporaryDirectory() as home:
        os.chmod(home, 0o777)
        user: dict[str, Any] = {}
        python, root = sys.executable, ROOT
        if who == "user" and os.getuid() == 0:
            user = {"user": ORDINARY, "group": ORDINARY, "extra_groups": []}
            python, root = ordinary.environment().python, ordinary.environment().root
        answer = subprocess.run(
            [python, "-m", "tests.sandbox.harness", str(level), *groups],
            cwd=root,
            env={
                "HOME": home,
                "PATH": os.environ["PATH"],
                "PYTHONDONTWRITEBYTECODE": "1",
                "OPENAI_API_KEY": "CANARY",  # also in /proc/SERVER/environ
            },
            capture_output=True,
            text=True,
            timeout=150,
            check=False,
            **user,
        )
    assert answer.returncode == 0, answer.stderr[-3000:]
    found: dict[str, Any] = json.loads(answer.stdout)
    return found


def require_user(who: str) -> None:
    if who == "root" and os.getuid() != 0:
        pytest.skip("only root can try what root's sandboxes hold")
    if who == "user" and os.getuid() == 0 and ordinary.environment().why_not:
        pytest.skip(ordinary.environment().why_not)
