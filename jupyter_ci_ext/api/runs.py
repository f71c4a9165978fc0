"""Verbs of runs and of their steps."""

from __future__ import annotations

from ..wire.params import ListQuery
from ..wire.run_params import (
    CreateRun,
    CreateThreadAndRun,
    ModifyRun,
    RunQuery,
    StepListQuery,
    SubmitToolOutputsParams,
)
from .auth import authorized
from .resource import ResourceHandler


class RunsHandler(ResourceHandler):
    """``/threads/{thread_id}/runs``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, thread_id: str) -> None:
        """List runs."""
        self.reply(await self.services.runs.list(thread_id, self.query(ListQuery)))

    @authorized("execute", resource="code_interpreter")
    async def post(self, thread_id: str) -> None:
        """Start a run; its events follow where they were asked for."""
        params, query = self.params(CreateRun), self.query(RunQuery)
        run = await self.services.runs.create(thread_id, params, **self.run_options())
        if params.stream:
            await self.stream_run(run, query)
        else:
            self.reply_run(run)


class ThreadAndRunHandler(ResourceHandler):
    """``/threads/runs``"""

    @authorized("execute", resource="code_interpreter")
    async def post(self) -> None:
        """Create a thread and start a run on it."""
        params, query = self.params(CreateThreadAndRun), self.query(RunQuery)
        thread, run = await self.services.runs.create_thread_and_run(params, **self.run_options())
        if params.stream:
            await self.stream_run(run, query, first=("thread.created", thread))
        else:
            self.reply_run(run)


class RunHandler(ResourceHandler):
    """``/threads/{thread_id}/runs/{run_id}``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, thread_id: str, run_id: str) -> None:
        """Retrieve a run."""
        self.reply_run(await self.services.runs.get(thread_id, run_id))

    @authorized("write", resource="code_interpreter")
    async def post(self, thread_id: str, run_id: str) -> None:
        """Modify a run."""
        self.reply_run(await self.services.runs.modify(thread_id, run_id, self.params(ModifyRun)))


class SubmitToolOutputsHandler(ResourceHandler):
    """``/threads/{thread_id}/runs/{run_id}/submit_tool_outputs``"""

    @authorized("execute", resource="code_interpreter")
    async def post(self, thread_id: str, run_id: str) -> None:
        """Hand in what the caller's functions gave; the run goes on."""
        params, query = self.params(SubmitToolOutputsParams), self.query(RunQuery)
        after = await self.services.events.last(run_id)
        run = await self.services.runs.submit_tool_outputs(thread_id, run_id, params)
        if params.stream:
            await self.stream_run(run, query, after=after)
        else:
            self.reply_run(run)


class CancelHandler(ResourceHandler):
    """``/threads/{thread_id}/runs/{run_id}/cancel``"""

    @authorized("execute", resource="code_interpreter")
    async def post(self, thread_id: str, run_id: str) -> None:
        """Stop a run."""
        self.reply_run(await self.services.runs.cancel(thread_id, run_id))


class EventsHandler(ResourceHandler):
    """``/threads/{thread_id}/runs/{run_id}/events``, an addition to the API"""

    @authorized("read", resource="code_interpreter")
    async def get(self, thread_id: str, run_id: str) -> None:
        """Send the run's events after the last one the client has seen, and go on."""
        query, after = self.query(RunQuery), self.last_seen()
        await self.resume_run(await self.services.runs.get(thread_id, run_id), query, after)


class StepsHandler(ResourceHandler):
    """``/threads/{thread_id}/runs/{run_id}/steps``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, thread_id: str, run_id: str) -> None:
        """List run steps."""
        query = self.query(StepListQuery)
        self.reply(await self.services.steps.list(thread_id, run_id, query))


class StepHandler(ResourceHandler):
    """``/threads/{thread_id}/runs/{run_id}/steps/{step_id}``"""

    @authorized("read", resource="code_interpreter")
    async def get(self, thread_id: str, run_id: str, step_id: str) -> None:
        """Retrieve a run step."""
        query = self.query(RunQuery)
        self.reply(await self.services.steps.get(thread_id, run_id, step_id, query))
