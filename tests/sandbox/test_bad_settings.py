"""Settings no code can run under: the server comes up, and a run says what is wrong and what to do."""

from __future__ import annotations

import json
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from .conftest import ROOT, require

Fetch = Callable[..., Awaitable[Any]]

_OLD = "#!/bin/sh\necho '--args --bind --cap-drop'\n"
_BROKEN = """#!/bin/sh
[ "$1" = --help ] && exec bwrap --help
echo 'bwrap: it is broken' >&2
exit 1
"""
_LEVEL_3 = "c.Sandbox.minimum_level = 3\n"

# What is set, with @ for a folder that has the programs, and what a run's error says of it.
_RUNS: dict[str, tuple[str, tuple[str, ...]]] = {
    "no interpreter": ("c.Sandbox.python = '@/none'", ("No such file", "Set c.Sandbox.python")),
    "a folder": ("c.Sandbox.python = '@'", ("is a folder", "@/bin/python")),
    "an interpreter of another machine": (
        "c.Sandbox.python = '@/foreign'",
        ("Exec format error", f"for this machine ({platform.machine()})"),
    ),
    "no Python": ("c.Sandbox.python = '@/old'", ("cannot run a kernel", "Install ipykernel")),
    "no bubblewrap": (
        f"{_LEVEL_3}c.Sandbox.bubblewrap = '@/none'",
        ("level 3 is required and this host gives level 2", "install bubblewrap"),
    ),
    "an old bubblewrap": (
        f"{_LEVEL_3}c.Sandbox.bubblewrap = '@/old'",
        ("@/old is too old: it has no --block-fd", "install bubblewrap 0.6 or later"),
    ),
    "a broken bubblewrap": (
        f"{_LEVEL_3}c.Sandbox.bubblewrap = '@/broken'",
        ("it is broken", "see why bubblewrap fails"),
    ),
    "a kernelspec of others": (
        "c.SessionPool.kernel_name = 'python3'",
        ("'python3' (c.SessionPool.kernel_name) is not sandboxed", "No code runs in it"),
    ),
    "no kernelspec": ("c.SessionPool.kernel_name = 'none'", ("no kernelspec named 'none'",)),
}
# What cannot be a setting at all: then nothing comes up but the server, and each request says why.
_REFUSED: dict[str, tuple[str, str]] = {
    "an unknown level": ("c.Sandbox.minimum_level = 5", "any of [1, 2, 3], not the int 5"),
    "levels that contradict": (
        "c.Sandbox.minimum_level = 3\nc.Sandbox.maximum_level = 2",
        "Sandbox.minimum_level (3) is above Sandbox.maximum_level (2)",
    ),
    "a negative limit": ("c.Sandbox.memory = -1", "Sandbox.memory must be at least 256 MiB"),
    "a limit of nought": ("c.Sandbox.processes = 0", "Sandbox.processes must be at least 16"),
    "an interpreter by name": ("c.Sandbox.python = 'python3'", "must be an absolute path"),
}


@pytest.fixture
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """The lines of the config file, and the folder they name."""
    programs = tmp_path / "programs"
    programs.mkdir()
    real = shutil.which("bwrap") or "/usr/bin/bwrap"
    for name, text in {
        "old": _OLD,
        "broken": _BROKEN.replace("bwrap --help", f"{real} --help"),
    }.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    foreign = bytearray(Path(sys.executable).resolve().read_bytes()[:4096])
    foreign[18:20] = b"\xf3\x00"  # RISC-V
    (programs / "foreign").write_bytes(foreign)
    (programs / "foreign").chmod(0o755)
    return request.param.replace("@", str(programs)), programs


@pytest.fixture
def jp_server_config(
    settings: tuple[str, Path], jp_config_dir: Path, jp_data_dir: Path, tmp_path: Path
) -> dict[str, Any]:
    (jp_config_dir / "jupyter_ci_ext_config.py").write_text(settings[0])
    shutil.copytree(ROOT / "kernelspec", jp_data_dir / "kernels/code-interpreter")
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_ci_ext": True}},
        "CodeInterpreterApp": {"data_dir": str(tmp_path / "state")},
    }


@pytest.mark.parametrize(("settings", "words"), _RUNS.values(), ids=_RUNS, indirect=["settings"])
async def test_a_run_says_what_is_wrong(
    settings: tuple[str, Path], words: tuple[str, ...], jp_fetch: Fetch
) -> None:
    require(3)

    async def ask(path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        sent = {"method": "POST", "body": json.dumps(body)} if body else {}
        headers = {"OpenAI-Beta": "assistants=v2"}
        reply = await jp_fetch("openai/v1", *path.split("/"), headers=headers, **sent)
        answer: dict[str, Any] = json.loads(reply.body)
        return answer

    tools = [{"type": "code_interpreter"}]
    assistant = await ask("assistants", {"model": "demo", "tools": tools})
    code = f"```python\nopen({str(settings[1])!r} + '/ran', 'w')\n```"
    thread = {"messages": [{"role": "user", "content": code}]}
    run = await ask("threads/runs", {"assistant_id": assistant["id"], "thread": thread})
    address = f"threads/{run['thread_id']}/runs/{run['id']}"
    while run["status"] in ("queued", "in_progress"):
        run = await ask(address)
    assert run["status"] == "failed"
    for part in words:
        assert part.replace("@", str(settings[1])) in run["last_error"]["message"]
    assert not (settings[1] / "ran").exists()


@pytest.mark.parametrize(
    ("settings", "words"), _REFUSED.values(), ids=_REFUSED, indirect=["settings"]
)
async def test_a_setting_that_cannot_be_is_said(
    settings: tuple[str, Path], words: str, jp_fetch: Fetch
) -> None:
    reply = await jp_fetch("openai/v1/assistants", raise_error=False)
    assert reply.code == 503
    assert words in json.loads(reply.body)["error"]["message"]
    assert (await jp_fetch("api/status")).code == 200
