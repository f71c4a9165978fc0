"""The life of one run, from queued to its end, in one coroutine.

`LiveRun.work` does everything by itself. `cancel` and `submit` are called by others meanwhile: they
change the run's status at once, and `work` draws the conclusions. All three take turns at a lock, so
that the run's status is never decided by two at a time.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from contextlib import aclosing
from typing import Final, Protocol

from jupyter_ci_ext.engine.allowance import Allowance
from jupyter_ci_ext.engine.brief import read_brief
from jupyter_ci_ext.engine.interpreter import Interpreter, SessionSource
from jupyter_ci_ext.engine.journal import Journal
from jupyter_ci_ext.engine.ledger import Ledger
from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.engine.report import finished
from jupyter_ci_ext.engine.run import RunWriter
from jupyter_ci_ext.engine.shelf import Shelf
from jupyter_ci_ext.engine.state import allowed, is_over
from jupyter_ci_ext.engine.stop import Stop, either
from jupyter_ci_ext.engine.turn import CODES, converse
from jupyter_ci_ext.engine.values import Ended, FunctionsWanted
from jupyter_ci_ext.errors import (
    CodeInterpreterError,
    InvalidRequest,
    LLMError,
    NotFound,
    StoreError,
)
from jupyter_ci_ext.events import RunLog
from jupyter_ci_ext.lifecycle import RunFinished
from jupyter_ci_ext.llm.base import LLM
from jupyter_ci_ext.metrics import QUEUE
from jupyter_ci_ext.quiet import trace
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.common import LastError
from jupyter_ci_ext.wire.message import IncompleteReason
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import RunStep

STOPPED: Final = (
    "The server was stopped while this run was in progress. What it had written until then is kept."
)
FILTERED: Final = "The model's server broke the answer off: its content filter refused it."
CRASHED: Final = (
    "The run failed because of an error in the server itself; its log tells more. "
    "What had been written until then is kept."
)

_PATIENCE: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Seconds between attempts to store the end of a run while the store refuses; the last repeats."""


class ModelSource(Protocol):
    """What the engine uses of `jupyter_ci_ext.llm.provider.Models`."""

    def resolve(self, model: str) -> tuple[LLM, str]: ...


class LiveRun:
    """A run this server works on. *steps* are those it has already, after a restart."""

    def __init__(
        self,
        run: Run,
        *,
        store: Store,
        log: RunLog,
        models: ModelSource,
        sessions: SessionSource,
        limits: RunLimits,
        logger: logging.Logger,
        steps: list[RunStep] | None = None,
    ) -> None:
        self.log = log
        self._store = store
        self._models = models
        self._sessions = sessions
        self._limits = limits
        self._logger = logger
        self._journal = Journal(store, log, beat=limits.beat, snapshot=limits.snapshot)
        self._shelf = Shelf(store, self._journal, run)
        self._writer = RunWriter(Ledger(run, self._journal, steps or ()), self._shelf)
        self._stop = Stop()
        self._turn = asyncio.Lock()
        self._submitted = asyncio.Event()
        self._queued_at = time.monotonic()
        age = 0.0 if steps is None else time.time() - run.created_at
        self._began = self._queued_at - age

    @property
    def run(self) -> Run:
        """The run as it is stored."""
        return self._writer.run

    def finished(self) -> RunFinished:
        """What is told of its end; one that is not over was deleted meanwhile."""
        status = "" if is_over(self.run) else "deleted"
        return finished(self.run, self._writer.steps, time.monotonic() - self._began, status)

    async def announce(self) -> None:
        """Tell that the run is queued; raises `StoreError`."""
        await self._writer.announce()

    # ---- for others --------------------------------------------------------------------------

    async def cancel(self) -> Run:
        """Cancel it: it is cancelling at once, and cancelled when all has stopped.

        Raises `InvalidRequest` when it is over already.
        """
        async with self._turn:
            if self.run.status != "cancelling":
                if not allowed(self.run.status, "cancel"):
                    raise InvalidRequest(f"Cannot cancel run with status '{self.run.status}'.")
                await self._writer.move("cancel")
            self._stop.request("cancelled")
            return self.run

    async def submit(self, outputs: Mapping[str, str]) -> Run:
        """Go on with what the caller's functions gave, by call id.

        Raises `InvalidRequest` unless exactly the outputs that are waited for are given.
        """
        async with self._turn:
            run = self.run
            if run.status != "requires_action" or run.required_action is None:
                raise InvalidRequest(f'Runs in status "{run.status}" do not accept tool outputs.')
            calls = [call.id for call in run.required_action.submit_tool_outputs.tool_calls]
            if set(calls) != set(outputs):
                raise InvalidRequest(
                    f"Expected tool outputs for call_ids {calls}, got {list(outputs)}"
                )
            await self._writer.submit(outputs)
            self._queued_at = time.monotonic()
            self._submitted.set()
            return self.run

    def shut_down(self) -> None:
        """The server goes down: stop what is under way. A run that waits for outputs stays."""
        self._stop.request("shutdown")

    # ---- its life ----------------------------------------------------------------------------

    async def work(self) -> None:
        """Everything until the run's end, or until the server goes down."""
        expiry = None
        if self.run.expires_at is not None:
            seconds = max(0.0, self.run.expires_at - time.time())
            loop = asyncio.get_running_loop()
            expiry = loop.call_later(seconds, self._stop.request, "expired")
        pieces = asyncio.ensure_future(self._journal.write())
        try:
            while not is_over(self.run):
                if self.run.status == "requires_action":
                    await either(self._submitted.wait(), self._stop)
                    if self._stop.reason == "shutdown":
                        return
                resumed = self._submitted.is_set()
                self._submitted.clear()
                await self._stretch(resumed=resumed)
                if self._stop.reason == "shutdown":
                    return
        except NotFound:
            self._logger.info("Run %s of %s is given up: deleted", self.run.id, self.run.thread_id)
        finally:
            if expiry is not None:
                expiry.cancel()
            pieces.cancel()
            await asyncio.gather(pieces, return_exceptions=True)

    async def abandon(self) -> None:
        """End a run that could not even be announced."""
        try:
            await self._fail(LastError(code="server_error", message=CRASHED))
        except NotFound:
            self._logger.info("Run %s of %s is given up: deleted", self.run.id, self.run.thread_id)

    async def _stretch(self, *, resumed: bool) -> None:
        """Work until the run is over, or waits for outputs of functions."""
        interpreter: Interpreter | None = None
        try:
            async with self._turn:
                if not self._stop.asked and self.run.status == "queued":
                    QUEUE.observe(time.monotonic() - self._queued_at)
                    await self._writer.move("start")
            if self._stop.asked:
                await self._conclude(Ended("stopped"), None)
                return
            llm, model = self._models.resolve(self.run.model)
            brief = await read_brief(
                self._store, self.run, llm, model, self._limits, resumed=resumed
            )
            interpreter = Interpreter(
                self._sessions,
                self.run.thread_id,
                self._store.blobs,
                self._stop,
                self._limits,
                files=brief.files,
                names=brief.names,
                earlier=brief.earlier_code,
                folder=brief.folder,
                number=brief.spent.code_calls + 1,
            )
            self._shelf.stand_by(interpreter, brief.made)
            allowance = Allowance(
                self._limits.code_calls,
                self.run.max_prompt_tokens,
                self.run.max_completion_tokens,
                self._limits.pictures,
            )
            values = converse(llm, brief.turn, interpreter.run, self._stop, allowance, brief.spent)
            wanted: FunctionsWanted | None = None
            async with aclosing(values):
                async for value in values:
                    if isinstance(value, Ended):
                        await self._conclude(value, wanted)
                    elif isinstance(value, FunctionsWanted):
                        wanted = value
                    else:
                        await self._writer.take(value)
        except NotFound as error:
            if await self._store.runs.get(self.run.id) is None:
                raise
            await self._fail(LastError(code="server_error", message=error.message))
        except LLMError as error:
            await self._fail(LastError(code=CODES[error.kind], message=error.message))
        except CodeInterpreterError as error:
            await self._fail(LastError(code="server_error", message=error.message))
        except Exception as error:
            run = self.run
            self._logger.error("Run %s of %s failed: %s", run.id, run.thread_id, trace(error))
            await self._fail(LastError(code="server_error", message=CRASHED))
        finally:
            if interpreter is not None:
                await interpreter.close()

    async def _conclude(self, ended: Ended, wanted: FunctionsWanted | None) -> None:
        """Draw the conclusion from the end of the agent loop."""
        async with self._turn:
            if self.run.status == "cancelling" or ended.reason == "stopped":
                await self._end_stopped()
            elif ended.reason == "functions":
                await self._writer.move("require", wanted)
            elif ended.reason == "answered":
                await self._writer.end("complete")
            elif ended.reason == "max_prompt_tokens":
                await self._writer.end("run_out", reason="max_prompt_tokens")
            elif ended.reason == "max_completion_tokens":
                await self._writer.end("run_out", reason=ended.reason, cut="max_tokens")
            elif ended.reason == "content_filter":
                cut: IncompleteReason = "content_filter"
                error = LastError(code="invalid_prompt", message=FILTERED)
                await self._writer.end("fail", error=error, cut=cut)
            else:
                error = LastError(code=ended.code, message=ended.message)
                await self._writer.end("fail", error=error)

    async def _end_stopped(self) -> None:
        """End the run as it was asked to."""
        if self.run.status == "cancelling":
            await self._writer.end("cancelled")
        elif self._stop.reason == "expired":
            await self._writer.end("expire")
        else:
            error = LastError(code="server_error", message=STOPPED)
            await self._writer.end("fail", error=error)

    async def _fail(self, error: LastError) -> None:
        """End the run after a failure of ours, however long the store refuses to take that."""
        for attempt in range(1 << 30):
            try:
                async with self._turn:
                    if is_over(self.run):
                        return
                    if self._stop.asked:
                        await self._end_stopped()
                    else:
                        await self._writer.end("fail", error=error)
                return
            except StoreError as refused:
                self._logger.error("Run %s cannot be ended: %s", self.run.id, refused.message)
                if self._stop.reason == "shutdown":
                    return  # the next start ends it
                await asyncio.sleep(_PATIENCE[min(attempt, len(_PATIENCE) - 1)])
