"""The long tests in a short form: as processes of their own, which adopt orphans and set the environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def passes(name: str, *options: str) -> str:
    """What ``python -m tests.soak.<name>`` prints; an AssertionError with it where it fails."""
    command = [sys.executable, "-m", f"tests.soak.{name}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=170)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-4000:]}"
    return done.stdout
