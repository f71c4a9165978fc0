"""What cannot work in a sandbox says so in plain words, and the session goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jupyter_ci_ext.sandbox.stage2.manners import NOTHING_TO_INSTALL, STAYED, asks_to_install

from .conftest import require
from .harness import Answer, Kernel, kernel


@pytest.mark.parametrize(
    "command",
    [
        "pip install seaborn",
        "pip3 install -q --upgrade seaborn 2>&1 | tail -1",
        "cd x && python -m pip --no-input install 'seaborn>=1'",
        "/env/bin/pip install --target /mnt/data/lib seaborn",
        "pip install -r /mnt/data/requirements.txt",
        "uv pip install seaborn",
        "uv add seaborn",
        "conda install -y -c conda-forge seaborn",
        "apt-get -y install graphviz",
        ["/env/bin/python", "-m", "pip", "install", "seaborn"],
    ],
)
def test_a_command_that_would_fetch_packages(command: str | list[str]) -> None:
    assert asks_to_install(command)


@pytest.mark.parametrize(
    "command",
    [
        "pip list",
        "pip show seaborn; grep install log.txt",
        "pip install --target lib /mnt/data/mine-1.0-py3-none-any.whl",
        "pip install --no-index mine-1.0.tar.gz",
        "pip install --target lib ./mine",
        "pip --version",
        "make install",
        "echo 'pipinstall x'",
        ["git", "add", "x"],
    ],
)
def test_other_commands_are_left_alone(command: str | list[str]) -> None:
    assert not asks_to_install(command)


async def _all(running: Kernel, codes: list[str]) -> list[Answer]:
    return [await running.run(code) for code in codes]


def _run(level: int, act: Callable[[Kernel], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with kernel(maximum_level=level, minimum_level=level) as running:
            return await act(running)

    return asyncio.run(run())


def test_installing_ends_in_a_hint(level: int) -> None:
    answers = _run(
        level,
        lambda running: _all(
            running,
            [
                "kept = 5",
                "!pip install nonsense",
                "%pip install nonsense",
                "import subprocess, sys\nsubprocess.check_call([sys.executable, '-m', 'pip', 'install', 'nonsense'])",
                "x = !echo pip\nprint(x)",
                "!echo still\nprint(kept)",
            ],
        ),
    )
    for hinted in answers[1:3]:
        assert NOTHING_TO_INSTALL in hinted.text
    assert NOTHING_TO_INSTALL in answers[3].error
    assert "['pip']" in answers[4].text
    assert answers[5].text.replace("\r", "") == "still\n5\n"


_SCRIPT = """
%%bash
for command in 'pip install x' 'pip3 install x' 'python -m pip install x' 'uv pip install x' 'conda install x'; do
  $command && echo "installed by $command"
done
pip --version | cut -c1-4
python -c 'import sys; print(sys.prefix)'
python3 - <<< 'print("from a pipe")'
conda --version
"""


def test_shells_get_the_hint_and_nothing_else_is_changed(level: int) -> None:
    codes = [
        _SCRIPT.strip(),
        "import os; print(os.system('pip install x'))",
        "%conda install x",
        "import importlib.util, sys; print(sys.prefix)",
    ]
    answers = _run(level, lambda running: _all(running, codes))
    in_bash = answers[0].text
    assert in_bash.count(NOTHING_TO_INSTALL) == 5
    assert "installed by" not in in_bash
    assert "pip \n" in in_bash
    assert f"{answers[3].text}from a pipe\n" in in_bash
    assert "conda: command not found" in in_bash
    assert NOTHING_TO_INSTALL in answers[1].text
    assert "256\n" in answers[1].text
    assert answers[2].text == f"{NOTHING_TO_INSTALL}\n"


def test_asking_and_leaving_end_the_code_but_not_the_session(level: int) -> None:
    leaving = ["exit()", "quit()", "exit(3)", "import sys; sys.exit('bye')"]
    asking = ["input('name?')", "import getpass; getpass.getpass()"]

    async def act(running: Kernel) -> list[Answer]:
        await running.run("kept = 5")
        answers = await _all(running, [f"{code}\nprint('after')" for code in leaving + asking])
        await asyncio.sleep(0.5)  # IPython's own exit() ends the kernel a moment later
        return [*answers, await running.run("print(kept)")]

    *answers, after = _run(level, act)
    assert after.text == "5\n"
    assert [answer.status for answer in answers] == ["error"] * 6
    assert not any("after" in answer.text for answer in answers)
    assert [answer.error for answer in answers[1:4]] == [
        "SystemExit: None",
        "SystemExit: 3",
        "SystemExit: bye",
    ]
    assert not any("To exit" in answer.text for answer in answers)
    assert "Nobody can answer input() here" in answers[4].error
    assert "Nobody can answer getpass() here" in answers[5].error


def test_a_stop_says_that_the_session_goes_on() -> None:
    require(3)

    async def act(running: Kernel) -> str:
        lines: list[str] = []

        def take(message: dict[str, Any]) -> None:
            lines.extend(message["content"].get("traceback", []))

        await running.client.execute_interactive("exit()", timeout=20, output_hook=take)
        return "\n".join(lines)

    assert STAYED in _run(3, act)
