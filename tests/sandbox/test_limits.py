"""Each limit bites, names itself, and leaves the rest alive."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_ci_ext.sandbox.policy import MiB
from jupyter_ci_ext.sandbox.stage2.reserve import OUT_OF_MEMORY

from .conftest import require
from .harness import Answer, Kernel, kernel


def with_kernel(level: int, act: Callable[[Kernel], Awaitable[Any]], **traits: Any) -> Any:
    async def run() -> Any:
        async with kernel(maximum_level=level, minimum_level=level, **traits) as running:
            return await act(running)

    return asyncio.run(run())


# Within one session: code, what the answer must show. The session answers afterwards.
_SURVIVED: list[tuple[str, str, Callable[[Answer], bool]]] = [
    ("allocate at once", "x = bytearray(10 << 30)", lambda a: "MemoryError" in a.error),
    (
        "grow",
        "import numpy\nl = []\nwhile True: l.append(numpy.ones(10_000_000))",
        lambda a: "MemoryError" in a.error,
    ),
    (
        "forks",
        "import os, time, warnings\nwarnings.simplefilter('ignore')\nn = 0\ntry:\n  while True:\n    if os.fork() == 0: time.sleep(60); os._exit(0)\n    n += 1\n"
        "except OSError as e: print(n)\nimport signal\n"
        "for line in open('/proc/self/task/%d/children' % os.getpid()).read().split(): os.kill(int(line), 9); os.waitpid(int(line), 0)",
        lambda a: 20 < int(a.text) < 80,
    ),
    (
        "threads",
        "import threading\ne = threading.Event(); n = 0\ntry:\n  while True:\n    threading.Thread(target=e.wait).start(); n += 1\n"
        "except RuntimeError: print(n)\ne.set()",
        lambda a: 20 < int(a.text) < 80,
    ),
    (
        "one large file",
        "f = open('big', 'wb')\nfor i in range(40): f.write(b'x' * (1 << 20)); f.flush()",
        lambda a: "File too large" in a.error,
    ),
    (
        "many prints",
        "for i in range(100): print('x' * 1_000_000)\nprint('the end')",
        lambda a: len(a.text) < 1_100_000 and "left out" in a.text and "the end" in a.text[-20:],
    ),
    (
        "writes below Python",
        "import os\nfor i in range(50): os.write(1, b'w' * 1_000_000)",
        lambda a: len(a.text) < 1_100_000,
    ),
    (
        "a display too large",
        "from IPython.display import HTML, display\ndisplay(HTML('<p>' + 'y' * 40_000_000))",
        lambda a: "text/html of 40,000,003 bytes left out" in a.data[0]["text/plain"],
    ),
    ("a result too large", "'z' * 40_000_000", lambda a: "left out" in a.data[0]["text/plain"]),
    ("an error too large", "raise ValueError('e' * 20_000_000)", lambda a: "left out" in a.error),
    ("exit", "import sys; sys.exit(3)", lambda a: "SystemExit" in a.error),
    ("input", "input('name?')", lambda a: a.status == "error"),
    ("kill all", "import os\ntry: os.kill(-1, 9)\nexcept OSError as e: print('refused')", lambda a: True),
]  # fmt: skip


def test_within_a_session(level: int) -> None:
    # without a namespace RLIMIT_NPROC does not bind root, only a control group does
    uncounted = {"forks", "threads"} if level == 2 and os.getuid() == 0 else set()

    async def act(running: Kernel) -> list[str]:
        wrong = []
        for name, code, right in _SURVIVED:
            if name in uncounted:
                continue
            answer = await running.run(code, timeout=40)
            try:
                fine = right(answer)
            except (ValueError, IndexError, KeyError):
                fine = False
            if not fine:
                wrong.append(f"{name}: {answer.status} {answer.error[:200]} {answer.text[:200]}")
            await running.run("%reset -f")  # what fills the memory would be in the next one's way
            after = await running.run("print(6 * 7)")
            if after.text != "42\n":
                wrong.append(f"{name}: the session does not answer: {after}")
        return wrong

    assert with_kernel(level, act, memory=512 * MiB, processes=64, file_size=8 * MiB) == []


def test_a_full_memory_does_not_silence_the_kernel() -> None:
    require(3)

    async def act(running: Kernel) -> tuple[str, str]:
        await running.run("l = []\nwhile True: l.append(bytearray(1 << 20))")
        answer = await running.run("for i in range(100): print('x' * 100_000)", timeout=20)
        return answer.status, (await running.run("del l; print(len(bytes(1 << 25)))")).text

    status, after = with_kernel(3, act, memory=300 * MiB)
    assert status in ("ok", "error")
    assert after == "33554432\n"


def test_what_filled_the_memory_is_let_go() -> None:
    """What a function held that ran out of it, and results that no variable holds; not variables."""
    require(3)
    grow = "def grow():\n  held = []\n  while True: held.append(bytearray(40 << 20))\n"
    chained = f"{grow}\ntry: grow()\nexcept MemoryError as e: raise ValueError('no') from e"
    largest = "x = bytearray(250 << 20); del x; print(kept)"

    async def act(running: Kernel) -> None:
        await running.run("kept = 5")
        for code in (f"{grow}\ngrow()", chained, "bytearray(250 << 20)"):
            answer = await running.run(code)
            assert answer.error.startswith(("MemoryError", "ValueError")), code
            assert (await running.run(largest)).text == "5\n", code

    with_kernel(3, act, memory=512 * MiB)


def test_a_full_memory_is_said_with_what_to_do() -> None:
    require(3)
    lines: list[str] = []

    def take(message: dict[str, Any]) -> None:
        lines.extend(message["content"].get("traceback", []))

    async def act(running: Kernel) -> None:
        code = "l = []\nwhile True: l.append(bytearray(1 << 20))"
        await running.client.execute_interactive(code, timeout=60, output_hook=take)

    with_kernel(3, act, memory=300 * MiB)
    assert OUT_OF_MEMORY in lines[-1]


# What ends the session: code, a part of the sentence that says why.
_ENDS = [
    (
        "shared memory",
        "import mmap\nm = mmap.mmap(-1, 1 << 30)\nfor i in range(0, 1 << 30, 4096): m[i] = 1\nimport time; time.sleep(9)",
        "more memory than its limit of 300 MiB",
        {"memory": 300 * MiB},
    ),
    (
        "children",
        "import os, time\nfor i in range(6):\n  if os.fork() == 0:\n    x = b'x' * (80 << 20); time.sleep(9); os._exit(0)\ntime.sleep(9)",
        "more memory than its limit of 300 MiB",
        {"memory": 300 * MiB, "use_cgroups": False},
    ),
    (
        "many bytes",
        "import time\nfor i in range(40): open(f'b{i}', 'wb').write(b'x' * (5 << 20)); time.sleep(.05)\ntime.sleep(9)",
        "take more than 50 MiB",
        {"disk": 50 * MiB},
    ),
    ("many files", "for i in range(100000): open(f'f{i}', 'w').close()\nimport time; time.sleep(9)",
     "more than 5,000 files", {"files": 5000}),
    ("deep folders", "import os\nfor i in range(500): os.mkdir('d'); os.chdir('d')\nimport time; time.sleep(9)",
     "nested more than 64 deep", {}),
    ("exit code", "import os; os._exit(7)", "exit code 7", {}),
    ("crash", "import ctypes; ctypes.string_at(0)", "segmentation fault", {}),
    ("abort", "import os; os.abort()", "aborted", {}),
    ("kill itself", "import os; os.kill(os.getpid(), 9)", "SIGKILL", {}),
]  # fmt: skip


@pytest.mark.parametrize(("name", "code", "reason", "traits"), _ENDS, ids=[e[0] for e in _ENDS])
def test_ends_with_a_reason(name: str, code: str, reason: str, traits: dict[str, Any]) -> None:
    require(3)

    async def act(running: Kernel) -> str | None:
        running.client.execute(code)
        return await running.ended(20)

    assert reason in with_kernel(3, act, **traits)


_A_CHILD_TOO_LARGE = """
import os, time
pid = os.fork()
if pid == 0:
    import mmap
    m = mmap.mmap(-1, 1 << 30)
    for i in range(0, 1 << 30, 4096): m[i] = 1
os.waitpid(pid, 0)
"""


def in_a_group() -> None:
    require(3)

    async def act(running: Kernel) -> str:
        assert running.provisioner.isolation is not None
        return running.provisioner.isolation.memory_by

    if with_kernel(3, act) == "watchdog":
        pytest.skip("this server cannot make control groups")


def test_a_child_ended_for_its_memory_ends_all() -> None:
    in_a_group()

    async def act(running: Kernel) -> str | None:
        running.client.execute(f"{_A_CHILD_TOO_LARGE}\ntime.sleep(20)")
        return await running.ended(20)

    assert "more memory than its limit" in with_kernel(3, act, memory=300 * MiB)


def test_another_end_is_not_put_down_to_memory() -> None:
    in_a_group()

    async def act(running: Kernel) -> str | None:
        running.client.execute(f"{_A_CHILD_TOO_LARGE}\nos._exit(7)")
        return await running.ended(20)

    assert "exit code 7" in with_kernel(3, act, memory=300 * MiB, watch_seconds=20.0)


@pytest.mark.parametrize("name", ["shared memory", "many files", "exit code", "kill itself"])
def test_ends_with_a_reason_at_level_2(name: str) -> None:
    require(2)
    _, code, reason, traits = next(case for case in _ENDS if case[0] == name)

    async def act(running: Kernel) -> str | None:
        running.client.execute(code)
        return await running.ended(20)

    assert reason in with_kernel(2, act, **traits)


def test_a_session_is_not_ended_for_what_it_found_but_may_not_add_to_it(tmp_path: Path) -> None:
    require(3)
    (tmp_path / "old").write_bytes(bytes(60 * MiB))

    async def scenario() -> str | None:
        async with kernel(tmp_path, minimum_level=3, disk=50 * MiB) as running:
            while running.provisioner.usage().disk_bytes <= 50 * MiB:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            answer = await running.run("import os; os.unlink('old'); print(os.listdir())")
            assert answer.text == "[]\n"
            running.client.execute(
                "open('new', 'wb').write(bytes(70 << 20))\nimport time; time.sleep(9)"
            )
            return await running.ended()

    assert "take more than 50 MiB" in str(asyncio.run(scenario()))


def test_folders_in_memory_have_a_size() -> None:
    require(3)

    async def act(running: Kernel) -> list[str]:
        errors = []
        for folder in ("/tmp", "/dev/shm", "/home/sandbox"):
            code = f"f = open('{folder}/x', 'wb')\nfor i in range(99): f.write(b'x' * (1 << 20)); f.flush()"
            errors.append((await running.run(code)).error)
            await running.run(f"import os; os.unlink('{folder}/x'); del f")
        return errors

    sizes = {"tmp_size": 8 * MiB, "shm_size": 8 * MiB, "home_size": 8 * MiB}
    assert all("No space left" in error for error in with_kernel(3, act, **sizes))


def test_usage_is_measured() -> None:
    require(3)

    async def act(running: Kernel) -> bool:
        await running.run(
            "x = bytearray(150 << 20); open('f', 'wb').write(bytes(3 << 20))\nimport subprocess; p = subprocess.Popen(['sleep', '60'])"
        )
        for _ in range(100):
            usage = running.provisioner.usage()
            if (
                usage.memory_bytes > 150 * MiB
                and usage.disk_bytes >= 3 * MiB
                and usage.processes >= 3
            ):
                return usage.memory_limit_bytes == 512 * MiB and usage.files == 1
            await asyncio.sleep(0.1)
        return False

    assert with_kernel(3, act, memory=512 * MiB)


def test_a_session_may_have_less_memory_but_not_more() -> None:
    from jupyter_ci_ext.sandbox.policy import GiB, Launch, Policy

    policy = Policy(memory=GiB)
    assert policy.for_session(Launch(Path("/x"), memory=300 * MiB)).memory == 300 * MiB
    assert policy.for_session(Launch(Path("/x"), memory=64 * GiB)).memory == GiB
    assert policy.for_session(Launch(Path("/x"), memory=1)).memory == 256 * MiB
    assert policy.for_session(Launch(Path("/x"))).memory == GiB


def test_a_flood_of_the_log_waits(level: int) -> None:
    """The pipe of the sandbox's own stdout is within reach of the code."""
    code = """
import os, sys, time
end = time.monotonic() + 2
size = 0
while time.monotonic() < end:
    size += os.write(sys.stdout._original_stdstream_copy, b"x" * 65536)
print(size)
"""

    async def act(running: Kernel) -> int:
        return int((await running.run(code)).text)

    assert with_kernel(level, act) < 20 * MiB


def test_a_message_beyond_the_limit_costs_the_server_nothing() -> None:
    """Code that goes around the courtesy in the kernel meets the limit of the socket."""
    require(3)
    code = """
session = get_ipython().kernel.session
session.limit = 1 << 40
session.send(get_ipython().kernel.iopub_socket, "stream", {"name": "stdout", "text": "x" * (200 << 20)})
"""

    async def act(running: Kernel) -> int:
        before = resident()
        running.client.execute(code)
        largest = 0
        for _ in range(40):
            await asyncio.sleep(0.1)
            largest = max(largest, resident() - before)
        return largest

    assert with_kernel(3, act) < 64 * MiB


def resident() -> int:
    with open("/proc/self/statm") as fields:
        return int(fields.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
