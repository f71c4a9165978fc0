"""A real store, and collaborators that only remember what they were asked."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.errors import NotFound
from jupyter_ci_ext.events import RunLog
from jupyter_ci_ext.llm.discovery import LocalServer
from jupyter_ci_ext.services.bundle import Services
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.assistant import Assistant
from jupyter_ci_ext.wire.assistant_params import CreateAssistant
from jupyter_ci_ext.wire.file import File
from jupyter_ci_ext.wire.file_params import CreateFile
from jupyter_ci_ext.wire.message_params import CreateMessage
from jupyter_ci_ext.wire.run import ACTIVE, Run
from jupyter_ci_ext.wire.run_params import CreateRun
from jupyter_ci_ext.wire.thread import Thread
from jupyter_ci_ext.wire.thread_params import CreateThread
from jupyter_ci_ext.wire.validation import parse


@dataclass(frozen=True)
class Known:
    """A model that is known of."""

    id: str
    created: int = 7
    owned_by: str = "somebody"


class TwoModels:
    """Knows two models and one that its server does not list."""

    async def list(self) -> list[Known]:
        return [Known("demo"), Known("gpt-4o")]

    def local(self) -> list[LocalServer]:
        return []

    async def check(self, model: str, /) -> None:
        if model not in ("demo", "gpt-4o", "unlisted"):
            text = f"The model '{model}' does not exist"
            raise NotFound(text, param="model", code="model_not_found")


@dataclass
class IdleSupervisor:
    """Takes runs and leaves them queued; a cancelled one ends at once."""

    store: Store
    submitted: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    dead: set[str] = field(default_factory=set)
    """Runs whose server is dead."""

    async def submit(self, run: Run, /) -> None:
        assert await self.store.runs.get(run.id) == run, "a run is stored before it is submitted"
        self.submitted.append(run.id)

    async def cancel(self, thread_id: str, run_id: str, /) -> Run:
        run = await self.put(run_id, status="cancelled", expires_at=None)
        return run.model_copy(update={"status": "cancelling"})

    async def submit_outputs(self, thread_id: str, run_id: str, outputs: dict[str, str], /) -> Run:
        self.outputs = outputs
        return await self.put(run_id, status="queued", required_action=None)

    async def look_after(self, run: Run, /) -> Run:
        return await self.put(run.id, status="failed") if run.id in self.dead else run

    def log(self, run_id: str, /) -> RunLog | None:
        return None

    async def put(self, run_id: str, **changes: object) -> Run:
        """Store the run with these changes, as the engine would."""
        async with self.store.transaction() as tx:
            run = await tx.runs.get(run_id)
            assert run is not None
            assert run.status in ACTIVE
            run = run.model_copy(update=changes)
            await tx.runs.update(run)
        return run


@dataclass
class NoSessions:
    """Has no sessions; remembers which it was to forget."""

    forgotten: list[str] = field(default_factory=list)

    async def forget(self, key: str, /) -> None:
        self.forgotten.append(key)


@dataclass
class House:
    """The services over a real store, and short ways to make things."""

    store: Store
    supervisor: IdleSupervisor
    sessions: NoSessions
    services: Services

    async def assistant(self, **body: object) -> Assistant:
        params = parse(CreateAssistant, {"model": "demo", **body})
        return await self.services.assistants.create(params)

    async def thread(self, *texts: str, **body: object) -> Thread:
        messages = [{"role": "user", "content": text} for text in texts]
        return await self.services.threads.create(
            parse(CreateThread, {"messages": messages, **body})
        )

    async def file(self, content: bytes = b"a,b\n1,2\n", name: str = "a.csv") -> File:
        blob = await self.store.blobs.put(content)
        params = parse(CreateFile, {"purpose": "assistants"})
        return await self.services.files.create(params, filename=name, blob=blob)

    async def run(self, thread: Thread, assistant: Assistant, **body: object) -> Run:
        params = parse(CreateRun, {"assistant_id": assistant.id, **body})
        return await self.services.runs.create(thread.id, params)

    def message(self, content: object = "hi", **body: object) -> CreateMessage:
        return parse(CreateMessage, {"role": "user", "content": content, **body})

    async def rows(self, table: str) -> int:
        """How many rows there are, to see that nothing was half-written."""
        count = (await self.store.fetch(f"SELECT count(*) FROM {table}"))[0][0]
        assert isinstance(count, int)
        return count


@asynccontextmanager
async def house_in(folder: Path) -> AsyncIterator[House]:
    """The services over a store in *folder*."""
    store = await Store.open(folder / "data")
    supervisor, sessions = IdleSupervisor(store), NoSessions()
    services = Services.over(store, supervisor, TwoModels(), sessions, RunLimits())
    try:
        yield House(store, supervisor, sessions, services)
    finally:
        await store.close()


def in_house(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Make a plain test of a coroutine function whose first argument is a `House`."""

    def run(tmp_path: Path, **fixtures: Any) -> None:
        async def main() -> None:
            async with house_in(tmp_path) as house:
                await test(house, **fixtures)

        asyncio.run(main())

    own = list(inspect.signature(test).parameters.values())[1:]
    tmp_path = inspect.Parameter("tmp_path", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    run.__signature__ = inspect.Signature([tmp_path, *own])  # type: ignore[attr-defined]
    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run
