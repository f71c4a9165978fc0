"""A supervisor over a real store, with a scripted model and a scripted session."""

from __future__ import annotations

import asyncio
import functools
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.engine.supervisor import Supervisor
from jupyter_ci_ext.events import EventBus
from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.lifecycle import Happening
from jupyter_ci_ext.llm.base import LLM
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.content import Text, TextContent
from jupyter_ci_ext.wire.file import File
from jupyter_ci_ext.wire.message import Attachment, AttachmentTool, Message
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import RunStep
from jupyter_ci_ext.wire.thread import Thread
from jupyter_ci_ext.wire.tools import CodeInterpreterTool, FunctionDefinition, FunctionTool

from .folding import JSON, check_stream
from .models import OneModel
from .sessions import Sessions

CODE = CodeInterpreterTool()
PATIENCE = 30.0
"""Seconds after which a test gives up; none waits for time to pass."""


def function(name: str) -> FunctionTool:
    """A function of the caller."""
    return FunctionTool(function=FunctionDefinition(name=name))


@dataclass
class Recorded:
    """What a run left: its events, and what the store says."""

    run: Run
    events: list[tuple[str, JSON]]
    steps: list[RunStep]
    messages: list[Message]

    @property
    def names(self) -> list[str]:
        """The events in order, without their common prefix; repeated deltas once."""
        names: list[str] = []
        for name, _ in self.events:
            short = name.removeprefix("thread.")
            if not (short.endswith("delta") and names and names[-1] == short):
                names.append(short)
        return names

    @property
    def text(self) -> str:
        """The last message's text; empty where there is no message."""
        if not self.messages:
            return ""
        return "".join(part.text.value for part in self.messages[-1].content if part.type == "text")

    def deltas(self, kind: str) -> list[JSON]:
        """The deltas of steps or messages."""
        return [data["delta"] for name, data in self.events if name == f"thread.{kind}.delta"]


@dataclass
class House:
    store: Store
    supervisor: Supervisor
    sessions: Sessions
    bus: EventBus
    model: OneModel
    since: dict[str, int] = field(default_factory=dict)
    heard: list[Happening] = field(default_factory=list)

    async def thread(self, text: str = "Hello", **changes: Any) -> Thread:
        """A thread with a message of the user."""
        thread = Thread(id=new_id("thread"), created_at=int(time.time()))
        async with self.store.transaction() as tx:
            await tx.threads.insert(thread)
        await self.say(thread, text, **changes)
        return thread

    async def say(
        self,
        thread: Thread,
        text: str,
        *attached: str,
        tool: Literal["code_interpreter", "file_search"] = "code_interpreter",
    ) -> Message:
        """A message of the user, with files attached for *tool*."""
        tools = [AttachmentTool(type=tool)]
        message = Message(
            id=new_id("message"),
            created_at=int(time.time()),
            thread_id=thread.id,
            role="user",
            content=[TextContent(text=Text(value=text))],
            attachments=[Attachment(file_id=id, tools=tools) for id in attached],
        )
        async with self.store.transaction() as tx:
            await tx.messages.insert(message)
        return message

    async def file(self, name: str = "a.csv", content: bytes = b"a,b\n1,2\n") -> File:
        """A file of the user."""
        blob = await self.store.blobs.put(content)
        file = File(
            id=new_id("file"),
            purpose="assistants",
            filename=name,
            bytes=blob.size,
            created_at=int(time.time()),
        )
        async with self.store.transaction() as tx:
            await tx.files.insert(file, sha256=blob.sha256)
        return file

    async def queue(self, thread: Thread, **fields: Any) -> Run:
        """A run that is stored, and that nobody works on."""
        created_at = int(time.time())
        fields = {"tools": [CODE], "expires_at": created_at + 600, **fields}
        run = Run(
            id=new_id("run"),
            created_at=created_at,
            assistant_id="asst_1",
            thread_id=thread.id,
            model="scripted",
            **fields,
        )
        async with self.store.transaction() as tx:
            await tx.runs.insert(run)
        return run

    async def start(self, thread: Thread, **fields: Any) -> Run:
        """A run that is being worked on."""
        run = await self.queue(thread, **fields)
        await self.supervisor.submit(run)
        return run

    def expire(self, run: Run) -> None:
        """The run's time is over now, as its timer says it when it is."""
        live, _ = self.supervisor._live[run.id]
        live._stop.request("expired")

    async def until(self, run: Run, *statuses: str) -> None:
        """Wait until the run has had an event of one of these statuses."""
        log = self.bus.get(run.id)
        names = {f"thread.run.{status}" for status in statuses}
        if log is not None:
            async for batch in log.follow(self.since.get(run.id, 0)):
                for event in batch:
                    self.since[run.id] = event.seq
                    if event.name in names:
                        return

    async def finish(self, run: Run, *, check: bool = True) -> Recorded:
        """Wait for the run's end, or for outputs to be wanted; what it left by then."""
        await self.until(
            run, "requires_action", "completed", "failed", "cancelled", "expired", "incomplete"
        )
        recorded = await self.recorded(run)
        if check:
            check_stream([(name, json.loads(json.dumps(data))) for name, data in recorded.events])
        return recorded

    async def recorded(self, run: Run) -> Recorded:
        """What the run has left by now, according to the store alone."""
        stored = await self.store.runs.get(run.id)
        assert stored is not None
        rows = await self.store.events.since(run.id)
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1))
        steps = await self.store.steps.page(100, "asc", run_id=run.id)
        messages = await self.store.messages.page(
            100, "asc", thread_id=run.thread_id, run_id=run.id
        )
        events = [(name, json.loads(data)) for _, name, data in rows]
        return Recorded(stored, events, steps.data, messages.data)

    async def go(self, text: str = "Hello", **fields: Any) -> Recorded:
        """A whole run on a new thread."""
        return await self.finish(await self.start(await self.thread(text), **fields))


async def eventually(true: Callable[[], Awaitable[bool]]) -> None:
    """Wait until it is true, looking again and again."""
    for _ in range(int(PATIENCE / 0.01)):
        if await true():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came true")


@asynccontextmanager
async def house_in(
    folder: Path, llm: LLM, sessions: Sessions, limits: RunLimits | None = None
) -> AsyncIterator[House]:
    """A supervisor over a store in *folder*, started; stopped at the end."""
    store = await Store.open(folder / "data")
    bus, model = EventBus(), OneModel(llm)
    heard: list[Happening] = []
    supervisor = Supervisor(
        store=store,
        bus=bus,
        models=model,
        sessions=sessions,
        limits=limits or RunLimits(beat=0.0, shutdown=PATIENCE),
        tell=heard.append,
    )
    try:
        await supervisor.start()
        yield House(store, supervisor, sessions, bus, model, heard=heard)
    finally:
        await supervisor.stop()
        await store.close()


def runs(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run an async test; one that hangs fails."""

    @functools.wraps(test)
    def run(**fixtures: Any) -> None:
        asyncio.run(asyncio.wait_for(_awaited(test(**fixtures)), PATIENCE))

    return run


async def _awaited(what: Awaitable[None]) -> None:
    await what
