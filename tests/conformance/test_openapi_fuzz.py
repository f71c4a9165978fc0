"""The description of the API holds: schemathesis asks a live server what it describes.

It makes requests that fit the description and requests that do not, follows ids from one answer
into the next request, and looks at status, headers and body of every answer. What it is told is in
``schemathesis.toml``; it repeats itself, so what it finds once it finds again.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conformance.server import TOKEN, Api, LiveServer
from tests.fakes.answers import say
from tests.fakes.upstream import ScriptedUpstream

CONFIG = Path(__file__).with_name("schemathesis.toml")
SECONDS = 500  # a quiet machine takes 20


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    """A server of its own: what there is decides what is asked."""
    with ScriptedUpstream(models=("scripted",)) as upstream:
        upstream.otherwise = say("Done.")
        options = ("--ModelProvider.local_discovery=False", "--SessionPool.preload=[]")
        with LiveServer(tmp_path_factory.mktemp("fuzz"), upstream.url, *options) as live:
            yield live


@pytest.mark.skipif(find_spec("schemathesis") is None, reason="schemathesis needs Python 3.11")
def test_every_answer_is_as_described(untouched: LiveServer, tmp_path: Path) -> None:
    # Read here: the first answer brings the whole server up, which on a busy machine takes longer
    # than the ten seconds schemathesis waits for a description.
    with Api(untouched.openai).open("GET", "/openapi.json", seconds=SECONDS) as answer:
        (tmp_path / "openapi.json").write_bytes(answer.read())
    argv = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG), "run"]
    argv += ["openapi.json", "--no-color"]
    done = subprocess.run(
        argv,
        cwd=tmp_path,
        env={**os.environ, "FUZZ_URL": untouched.url, "FUZZ_TOKEN": TOKEN},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    report = done.stdout[-20_000:] + done.stderr[-5_000:]
    assert done.returncode == 0, report
    assert "No issues found" in report, report
    crashes = [line for line in untouched.log.read_text().splitlines() if "Traceback" in line]
    assert crashes == [], untouched.log.read_text()[-5_000:]
