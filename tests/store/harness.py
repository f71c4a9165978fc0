"""How the store's tests open stores and make objects."""

from __future__ import annotations

import asyncio
import functools
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.content import Text, TextContent
from jupyter_ci_ext.wire.file import File
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import MessageCreation, MessageCreationDetails, RunStep
from jupyter_ci_ext.wire.thread import Thread

NOW = 1_790_000_000


def asynchronous(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a plain test of a coroutine function; it gets an event loop of its own."""

    @functools.wraps(test)
    def run(*args: Any, **fixtures: Any) -> None:
        async def main() -> None:
            await test(*args, **fixtures)

        asyncio.run(main())

    return run


@asynccontextmanager
async def opened(data_dir: Path) -> AsyncIterator[Store]:
    store = await Store.open(data_dir)
    try:
        yield store
    finally:
        await store.close()


def python(code: str, *args: object) -> subprocess.Popen[str]:
    """Another process that runs *code*; it says what it has to say on stdout."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code, *map(str, args)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )


def a_thread(title: str | None = None, **values: Any) -> Thread:
    metadata = {} if title is None else {"title": title}
    return Thread(id=new_id("thread"), created_at=NOW, metadata=metadata, **values)


def a_message(thread: Thread, text: str = "hello", **values: Any) -> Message:
    values = {"role": "user", **values}
    content = [TextContent(text=Text(value=text))]
    return Message(
        id=new_id("message"), created_at=NOW, thread_id=thread.id, content=content, **values
    )


def a_run(thread: Thread, **values: Any) -> Run:
    values = {"created_at": NOW, **values}
    return Run(id=new_id("run"), thread_id=thread.id, assistant_id="asst_x", model="demo", **values)


def a_step(run: Run, **values: Any) -> RunStep:
    return RunStep(
        id=new_id("step"),
        created_at=NOW,
        run_id=run.id,
        assistant_id=run.assistant_id,
        thread_id=run.thread_id,
        type="message_creation",
        step_details=MessageCreationDetails(message_creation=MessageCreation(message_id="msg_x")),
        **values,
    )


def a_file(filename: str = "table.csv", **values: Any) -> File:
    values = {"purpose": "assistants", "bytes": 3, **values}
    return File(id=new_id("file"), filename=filename, created_at=NOW, **values)


def files_below(directory: Path) -> list[str]:
    """All regular files below *directory*, relative to it."""
    return sorted(
        str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()
    )
