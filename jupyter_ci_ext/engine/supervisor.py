"""All runs this server works on: starting them, stopping them, taking up what was left behind.

A run belongs to no request: it is a task of the supervisor, from `submit` until it is over or the
server stops. What others want of it (`cancel`, `submit_outputs`) goes to its `LiveRun`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any, Final

from jupyter_ci_ext.engine.interpreter import SessionSource
from jupyter_ci_ext.engine.ledger import unix_now
from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.engine.live import LiveRun, ModelSource
from jupyter_ci_ext.engine.recovery import recover
from jupyter_ci_ext.engine.report import created, finished
from jupyter_ci_ext.engine.state import is_over
from jupyter_ci_ext.errors import InvalidRequest, NotFound
from jupyter_ci_ext.events import Event, EventBus, RunLog
from jupyter_ci_ext.lifecycle import RunFinished, Tell, unheard
from jupyter_ci_ext.metrics import RUNS
from jupyter_ci_ext.quiet import trace
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import RunStep

_ELSEWHERE: Final = "Run {id} is worked on by another server that uses the same data directory."


class Supervisor:
    """Owns the tasks of all live runs. `start` and `stop` may be called twice."""

    def __init__(
        self,
        *,
        store: Store,
        bus: EventBus,
        models: ModelSource,
        sessions: SessionSource,
        limits: RunLimits,
        log: logging.Logger | None = None,
        tell: Tell = unheard,
    ) -> None:
        self._store = store
        self._bus = bus
        self._models = models
        self._sessions = sessions
        self._limits = limits
        self._logger = log or logging.getLogger(__name__)
        self._tell = tell
        self._live: dict[str, tuple[LiveRun, asyncio.Task[None]]] = {}
        self._started = False
        self._stopping = False

    async def start(self) -> None:
        """End the runs that dead servers left behind; go on waiting where outputs are due."""
        if self._started:
            return
        self._started = True
        await self._clear_up()

    async def stop(self) -> None:
        """Stop all runs: those at work fail with a word on why, those that wait for outputs stay.

        Returns when all tasks have ended, forced to if they take longer than they may.
        """
        self._stopping = True
        tasks = [task for _, task in self._live.values()]
        for live, _ in self._live.values():
            live.shut_down()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=self._limits.shutdown)
            for task in late:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def busy(self) -> bool:
        """Whether any run is being worked on, and does not just wait for its client."""
        return any(live.run.status != "requires_action" for live, _ in self._live.values())

    async def submit(self, run: Run) -> None:
        """Start work on *run*, whose row is stored as queued; returns when that is announced.

        Raises `StoreError`; then the run fails as soon as the store takes that.
        """
        if self._stopping:
            raise InvalidRequest("The server is stopping; start the run again in a moment.")
        live = self._new(run, self._bus.open(run.id))
        self._tell(created(run))
        try:
            await live.announce()
        except BaseException:
            self._begin(live, live.abandon())
            raise
        self._begin(live, live.work())

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        """Cancel a run: what is returned is cancelling. Raises `NotFound` and `InvalidRequest`."""
        live = await self._find(thread_id, run_id, "Cannot cancel run with status '{status}'.")
        return await live.cancel()

    async def submit_outputs(self, thread_id: str, run_id: str, outputs: Mapping[str, str]) -> Run:
        """Go on with outputs of functions, by call id: what is returned is queued.

        Raises `NotFound` and `InvalidRequest`.
        """
        refused = 'Runs in status "{status}" do not accept tool outputs.'
        live = await self._find(thread_id, run_id, refused)
        return await live.submit(outputs)

    async def look_after(self, run: Run) -> Run:
        """*run* as it is stored, or what becomes of it because the server at work on it has died.

        Servers that share a data directory come and go; this one may live on for weeks.
        """
        if is_over(run) or run.id in self._live or not self._started or self._stopping:
            return run
        if await self._store.runs.get_owner(run.id) not in await self._store.dead_instances():
            return run
        await self._clear_up()
        return await self._store.runs.get(run.id) or run

    def log(self, run_id: str) -> RunLog | None:
        """The events of a live run; None when the store has them all."""
        return self._bus.get(run_id)

    async def _clear_up(self) -> None:
        for owner in await self._store.dead_instances():
            for run in await self._store.runs.unfinished(owner):
                found = await recover(self._store, run.id, owner, unix_now())
                if found is not None and is_over(found):
                    await self._recovered(found)
                elif found is not None:
                    await self._resume(found)
            await self._store.forget_instance(owner)

    async def _recovered(self, run: Run) -> None:
        """Tell of the end of a run that a dead server left behind."""
        steps = await self._store.steps.of_run(run.id)
        self._over(finished(run, steps, unix_now() - run.created_at))

    async def _resume(self, run: Run) -> None:
        """Wait again for outputs of functions, with all events the run has had."""
        events = [Event(*event) for event in await self._store.events.since(run.id)]
        steps = await self._store.steps.of_run(run.id)
        live = self._new(run, self._bus.open(run.id, events), steps)
        self._begin(live, live.work())

    def _new(self, run: Run, log: RunLog, steps: list[RunStep] | None = None) -> LiveRun:
        return LiveRun(
            run,
            store=self._store,
            log=log,
            models=self._models,
            sessions=self._sessions,
            limits=self._limits,
            logger=self._logger,
            steps=steps,
        )

    def _begin(self, live: LiveRun, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._live[live.run.id] = live, task
        task.add_done_callback(lambda done: self._ended(live, done))

    def _ended(self, live: LiveRun, task: asyncio.Task[None]) -> None:
        self._live.pop(live.run.id, None)
        self._bus.drop(live.run.id)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            run = live.run
            self._logger.error("Run %s of %s broke down: %s", run.id, run.thread_id, trace(error))
        elif is_over(live.run) or not (self._stopping or task.cancelled()):
            self._over(live.finished())

    def _over(self, end: RunFinished) -> None:
        RUNS.labels(end.status).inc()
        self._tell(end)

    async def _find(self, thread_id: str, run_id: str, refused: str) -> LiveRun:
        """The live run; raises `InvalidRequest` with *refused* when it is over."""
        live = self._live.get(run_id)
        if live is not None and live[0].run.thread_id == thread_id:
            return live[0]
        run = await self._store.runs.get(run_id, thread_id=thread_id)
        if run is None:
            raise NotFound(f"No run found with id '{run_id}'.")
        if is_over(run):
            raise InvalidRequest(refused.format(status=run.status))
        raise InvalidRequest(_ELSEWHERE.format(id=run_id))
