"""A few rounds of the fault schedule; in a process of its own, to which orphans of killed servers come."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Those that no other test has a real server for.
KINDS = (
    "server_killed",
    "server_killed_while_a_run_waits",
    "two_servers",
    "disk_full",
    "database_locked",
    "client_vanishes_uploading",
    "clock_jumps",
)


@pytest.mark.timeout(600)
def test_a_round_of_some_kinds() -> None:
    argv = [sys.executable, "-m", "tests.soak.faults", str(len(KINDS)), "1", *KINDS]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=580, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]
    for kind in KINDS:
        assert f"| {kind.replace('_', ' ')} | 1 |" in done.stdout
