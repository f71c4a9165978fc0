from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import anyio
import pytest

from jupyter_ci_ext import to_thread


async def test_work_is_done_elsewhere() -> None:
    here = threading.get_ident()
    assert await to_thread.run_sync(threading.get_ident) != here
    assert await to_thread.run_sync(int, "20", base=8) == 16
    with pytest.raises(ZeroDivisionError):
        await to_thread.run_sync(lambda: 1 // 0)


async def test_a_cancelled_scope_waits_until_the_work_is_done() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), []

    def work() -> None:
        begun.set()
        go_on.wait(10)
        done.append(True)

    async def cancel() -> None:
        await asyncio.to_thread(begun.wait)
        group.cancel_scope.cancel()
        go_on.set()

    async with anyio.create_task_group() as group:
        group.start_soon(cancel)
        await to_thread.run_sync(work)
    assert done == [True]


def test_a_loop_that_breaks_off_does_not_keep_the_process() -> None:
    """As SIGINT does it to a server without a terminal, while a task that used a thread goes on."""
    script = """
import asyncio
from jupyter_ci_ext import to_thread

async def main():
    await to_thread.run_sync(int)
    asyncio.get_running_loop().stop()
    await asyncio.Event().wait()

loop = asyncio.new_event_loop()
task = loop.create_task(main())
loop.run_forever()
print("over")
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=30)
    assert done.stdout.strip() == b"over"
