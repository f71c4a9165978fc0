"""Objects that must be there, with the API's words for when they are not."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TypeVar

from ..errors import InvalidRequest, NotFound
from ..store.database import Store
from ..store.files import StoredFile
from ..store.transaction import Tables
from ..wire.assistant import Assistant
from ..wire.message import Message
from ..wire.run import Run
from ..wire.run_step import RunStep
from ..wire.thread import Thread
from .collaborators import RunSupervisor

T = TypeVar("T")

_SHOWN = 100
"""Most characters of an unknown id that are repeated in an error."""


def now() -> int:
    """The time objects are stamped with, in Unix seconds."""
    return int(time.time())


async def require_assistant(tables: Tables, id: str) -> Assistant:
    """The assistant; raises `NotFound`."""
    return _found(await tables.assistants.get(id), "assistant", id)


async def require_thread(tables: Tables, id: str) -> Thread:
    """The thread; raises `NotFound`."""
    return _found(await tables.threads.get(id), "thread", id)


async def require_message(tables: Tables, thread_id: str, id: str) -> Message:
    """The message of this thread; raises `NotFound`, also for an unknown thread."""
    message = await tables.messages.get(id, thread_id=thread_id)
    if message is None:
        await require_thread(tables, thread_id)
    return _found(message, "message", id)


async def require_run(tables: Tables, thread_id: str, id: str) -> Run:
    """The run on this thread; raises `NotFound`, also for an unknown thread."""
    run = await tables.runs.get(id, thread_id=thread_id)
    if run is None:
        await require_thread(tables, thread_id)
    return _found(run, "run", id)


async def require_step(tables: Tables, thread_id: str, run_id: str, id: str) -> RunStep:
    """The step of this run on this thread; raises `NotFound`."""
    await require_run(tables, thread_id, run_id)
    return _found(await tables.steps.get(id, run_id=run_id), "run step", id)


async def require_file(tables: Tables, id: str) -> StoredFile:
    """The file named in a path; raises `NotFound`."""
    stored = await tables.files.get(id)
    if stored is None:
        raise NotFound(f"No such File object: {id[:_SHOWN]}", param="id")
    return stored


async def require_files(tables: Tables, named: Iterable[tuple[str, str]]) -> None:
    """Check the files a body names, as pairs of parameter and id; raises `InvalidRequest`."""
    pairs = list(named)
    if not pairs:
        return
    there = await tables.files.get_many(list({id for _, id in pairs}))
    for param, id in pairs:
        if id not in there:
            raise InvalidRequest(f"No such File object: {id[:_SHOWN]}", param=param)


async def look_after_thread(store: Store, supervisor: RunSupervisor, thread_id: str) -> bool:
    """End the run that holds a thread, if the server at work on it has died; was there a run?"""
    active = await store.runs.get_active(thread_id)
    if active is not None:
        await supervisor.look_after(active)
    return active is not None


def _found(obj: T | None, kind: str, id: str) -> T:
    if obj is None:
        raise NotFound(f"No {kind} found with id '{id[:_SHOWN]}'.")
    return obj
