"""Runs: how they start, what may be asked of them; the engine does the work."""

from __future__ import annotations

from typing import Any

from ..engine.limits import RunLimits
from ..errors import InvalidRequest
from ..ids import new_id
from ..store.database import Store
from ..store.transaction import Tables, Transaction
from ..wire.assistant import Assistant
from ..wire.choice_params import to_choice, to_format
from ..wire.params import ListQuery
from ..wire.run import ACTIVE, Run, TruncationStrategy
from ..wire.run_params import (
    CreateRun,
    CreateThreadAndRun,
    ModifyRun,
    SubmitToolOutputsParams,
)
from ..wire.stored import StoredPage
from ..wire.thread import Thread
from ..wire.thread_params import CreateThread
from ..wire.tool_params import (
    ToolResourcesParam,
    changed_resources,
    to_tools,
)
from ..wire.tools import Tool, ToolChoice
from .collaborators import ModelCatalog, RunSupervisor
from .lookup import (
    look_after_thread,
    now,
    require_assistant,
    require_files,
    require_run,
    require_thread,
)
from .messages import add_message
from .threads import make_thread

_INHERITED = ("temperature", "top_p", "reasoning_effort")


class Runs:
    """The rules about runs."""

    def __init__(
        self, store: Store, supervisor: RunSupervisor, models: ModelCatalog, limits: RunLimits
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._models = models
        self._limits = limits

    async def create(
        self, thread_id: str, params: CreateRun, *, lifetime: int | None = None
    ) -> Run:
        """Begin a run; *lifetime* in seconds instead of the configured one.

        Raises `InvalidRequest` while another run holds the thread, or when there is nothing to
        answer; then nothing of it is stored, not even its additional messages.
        """
        await require_thread(self._store, thread_id)
        assistant = await self._assistant(params)
        await look_after_thread(self._store, self._supervisor, thread_id)

        async def add(tx: Transaction) -> Run:
            thread = await require_thread(tx, thread_id)
            for n, message in enumerate(params.additional_messages or ()):
                thread, _ = await add_message(tx, thread, message, f"additional_messages[{n}].")
            run = self._new_run(thread, assistant, params, lifetime)
            if params.additional_instructions:
                parts = (run.instructions, params.additional_instructions)
                instructions = "\n".join(part for part in parts if part)
                run = run.model_copy(update={"instructions": instructions})
            await _insert(tx, run)
            return run

        run = await self._store.writing(add)
        await self._supervisor.submit(run)
        return run

    async def create_thread_and_run(
        self, params: CreateThreadAndRun, *, lifetime: int | None = None
    ) -> tuple[Thread, Run]:
        """Make a thread and begin a run on it; both or neither are stored."""
        assistant = await self._assistant(params)

        async def add(tx: Transaction) -> tuple[Thread, Run]:
            thread = await make_thread(tx, params.thread or CreateThread(), "thread.")
            run = self._new_run(thread, assistant, params, lifetime)
            if params.tool_resources is not None:
                param = "tool_resources.code_interpreter.file_ids"
                ids = enumerate(params.tool_resources.file_ids)
                await require_files(tx, [(f"{param}[{n}]", id) for n, id in ids])
                resources = changed_resources(run.tool_resources, params.tool_resources, run.tools)
                run = run.model_copy(update={"tool_resources": resources})
            await _insert(tx, run)
            return thread, run

        thread, run = await self._store.writing(add)
        await self._supervisor.submit(run)
        return thread, run

    async def get(self, thread_id: str, id: str) -> Run:
        """The run; raises `NotFound`."""
        run = await require_run(self._store, thread_id, id)
        return await self._supervisor.look_after(run)

    async def list(self, thread_id: str, query: ListQuery) -> StoredPage[Run]:
        """One page of the thread's runs."""

        async def page(tables: Tables) -> StoredPage[Run]:
            await require_thread(tables, thread_id)
            return await tables.runs.page(
                query.limit, query.order, query.after, query.before, thread_id=thread_id
            )

        return await self._store.reading(page)

    async def modify(self, thread_id: str, id: str, params: ModifyRun) -> Run:
        """The run with other metadata; only once it is over."""

        async def change(tx: Transaction) -> Run:
            run = await require_run(tx, thread_id, id)
            if run.status in ACTIVE:
                raise InvalidRequest(f"Cannot update run with status '{run.status}'.")
            if params.given("metadata"):
                run = run.model_copy(update={"metadata": params.metadata or {}})
                await tx.runs.update(run)
            return run

        return await self._store.writing(change)

    async def cancel(self, thread_id: str, id: str) -> Run:
        """Ask the run to stop; raises `InvalidRequest` once it is over."""
        run = await self.get(thread_id, id)
        if run.status not in ACTIVE:
            raise InvalidRequest(f"Cannot cancel run with status '{run.status}'.")
        if run.status == "cancelling":
            return run
        return await self._supervisor.cancel(thread_id, id)

    async def submit_tool_outputs(
        self, thread_id: str, id: str, params: SubmitToolOutputsParams
    ) -> Run:
        """Go on with a run that waits for its functions; all outputs must be given at once."""
        run = await self.get(thread_id, id)
        if run.status != "requires_action" or run.required_action is None:
            raise InvalidRequest(f'Runs in status "{run.status}" do not accept tool outputs.')
        expected = [call.id for call in run.required_action.submit_tool_outputs.tool_calls]
        got = [each.tool_call_id for each in params.tool_outputs if each.tool_call_id is not None]
        if sorted(got) != sorted(expected):
            raise InvalidRequest(f"Expected tool outputs for call_ids {expected}, got {got}")
        outputs = {
            each.tool_call_id: each.output or ""
            for each in params.tool_outputs
            if each.tool_call_id is not None
        }
        return await self._supervisor.submit_outputs(thread_id, id, outputs)

    async def _assistant(self, params: CreateRun | CreateThreadAndRun) -> Assistant:
        assistant = await require_assistant(self._store, params.assistant_id)
        await self._models.check(params.model or assistant.model)
        return assistant

    def _new_run(
        self,
        thread: Thread,
        assistant: Assistant,
        params: CreateRun | CreateThreadAndRun,
        lifetime: int | None,
    ) -> Run:
        """The run as it begins: what is not given, or null, is the assistant's."""
        created_at, seconds = now(), lifetime or self._limits.expiry
        tools = assistant.tools if params.tools is None else to_tools(params.tools)
        choice = to_choice(params.tool_choice)
        _check_choice(choice, tools)
        inherited: dict[str, Any] = {}
        for name in _INHERITED:
            given = getattr(params, name)
            inherited[name] = getattr(assistant, name) if given is None else given
        truncation = params.truncation_strategy
        return Run(
            id=new_id("run"),
            created_at=created_at,
            assistant_id=assistant.id,
            thread_id=thread.id,
            expires_at=created_at + seconds if seconds else None,
            model=params.model or assistant.model,
            instructions=(
                assistant.instructions if params.instructions is None else params.instructions
            ),
            tools=tools,
            tool_resources=changed_resources(assistant.tool_resources, ToolResourcesParam(), tools),
            metadata=params.metadata or {},
            max_completion_tokens=params.max_completion_tokens,
            max_prompt_tokens=params.max_prompt_tokens,
            truncation_strategy=(
                TruncationStrategy()
                if truncation is None
                else TruncationStrategy(**truncation.model_dump())
            ),
            response_format=(
                assistant.response_format
                if params.response_format is None
                else to_format(params.response_format)
            ),
            tool_choice=choice,
            parallel_tool_calls=params.parallel_tool_calls is not False,
            **inherited,
        )


async def _insert(tx: Transaction, run: Run) -> None:
    """Store a run that has something to answer."""
    if not run.instructions and not await tx.messages.excerpts([run.thread_id]):
        raise InvalidRequest(
            "Run creation requires a Thread with a user message or an assistant with instructions.",
            code="invalid_thread",
        )
    await tx.runs.insert(run)


def _check_choice(choice: ToolChoice, tools: list[Tool]) -> None:
    """A tool that must be used has to be there."""
    if isinstance(choice, str):
        return
    if choice["type"] == "file_search":
        raise InvalidRequest(
            "Invalid 'tool_choice': file search is not available on this server.",
            param="tool_choice",
            code="invalid_value",
        )
    function = choice.get("function")
    name = function.get("name") if isinstance(function, dict) else None
    for tool in tools:
        if tool.type == choice["type"] and (tool.type != "function" or tool.function.name == name):
            return
    wanted = f"function '{name}'" if name is not None else f"tool '{choice['type']}'"
    raise InvalidRequest(
        f"Invalid 'tool_choice': the {wanted} is not among the tools of the run.",
        param="tool_choice",
        code="invalid_value",
    )
