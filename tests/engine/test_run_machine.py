"""Runs of several threads, driven in any order by clients, model, code, clock and restarts at once.

Hypothesis chooses what happens next, and whether one waits for what comes of it. What holds, whenever
one looks: a run's status only moves as the protocol allows, a run that is over stays as it was, a
thread has one active run at most and takes neither runs nor messages beside it, whatever was published
had been stored, and the stamps are those of the status. At the end every stream adds up to what is
stored.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import Awaitable
from copy import deepcopy
from itertools import pairwise
from pathlib import Path
from typing import Final, TypeVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.engine.supervisor import Supervisor
from jupyter_ci_ext.errors import (
    CodeInterpreterError,
    InvalidRequest,
    LLMError,
    SandboxUnavailable,
)
from jupyter_ci_ext.events import EventBus
from jupyter_ci_ext.kernels.outputs import ErrorOutput, ExecutionEnd, Output, StreamText
from jupyter_ci_ext.lifecycle import Happening, RunFinished
from jupyter_ci_ext.llm.base import (
    CodeDelta,
    CodeStarted,
    Delta,
    Finished,
    FunctionDelta,
    FunctionStarted,
    RefusalDelta,
    TextDelta,
    Usage,
)
from jupyter_ci_ext.services.bundle import Services
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.assistant_params import CreateAssistant
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.message_params import CreateMessage
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_params import CreateRun, SubmitToolOutputsParams
from jupyter_ci_ext.wire.run_step import RunStep
from jupyter_ci_ext.wire.thread_params import CreateThread
from jupyter_ci_ext.wire.validation import parse
from tests.services.house import TwoModels

from .folding import check_stream
from .models import OneModel
from .stepped import SteppedLLM, SteppedSessions

T = TypeVar("T")

PATIENCE: Final = 60.0
"""Seconds after which something that does not come is taken to never come."""

NEXT: Final[dict[str | None, set[str]]] = {
    None: {"created"},
    "created": {"queued"},
    "queued": {"in_progress", "cancelling", "failed", "expired"},
    "in_progress": {
        "requires_action",
        "cancelling",
        "completed",
        "failed",
        "incomplete",
        "expired",
    },
    "requires_action": {"queued", "cancelling", "failed", "expired"},
    "cancelling": {"cancelled", "expired"},
}
"""Where a run may go from each status, as the API's clients know it; from what is missing: nowhere."""

OVER: Final = {"completed", "failed", "cancelled", "expired", "incomplete"}

SAYINGS: Final[dict[str, list[Delta | LLMError]]] = {
    "words": [TextDelta("Some words. ")],
    "refusal": [RefusalDelta("I would rather not.")],
    "code": [CodeStarted(0, "call_c"), CodeDelta(0, "print(1)")],
    "codes": [CodeStarted(0, "call_c"), CodeDelta(0, "1"), CodeStarted(1, "call_d"), CodeDelta(1, "2")],
    "function": [FunctionStarted(0, "call_f", "look"), FunctionDelta(0, '{"at": 1}')],
    "run code": [CodeStarted(0, "call_c"), CodeDelta(0, "1"), Usage(5, 2), Finished("calls")],
    "call": [FunctionStarted(0, "call_f", "look"), FunctionDelta(0, "{}"), Usage(5, 2), Finished("calls")],
    "calls": [FunctionStarted(0, "call_f", "look"), FunctionStarted(1, "call_g", "look"), Finished("calls")],
    "both": [
        CodeStarted(0, "call_c"), CodeDelta(0, "1"), FunctionStarted(1, "call_f", "look"), FunctionDelta(1, "{}"),
        Finished("calls"),
    ],
    "answer": [TextDelta("It is 42."), Usage(5, 2), Finished("stop")],
    "stop": [Usage(1, 1), Finished("stop")],
    "length": [Usage(1, 1), Finished("length")],
    "filter": [Finished("content_filter")],
    "cut": [LLMError("connection", "The model's server hung up.")],
    "limit": [LLMError("rate_limit", "Too many requests.")],
}  # fmt: skip
"""What a model may say next."""

DOINGS: Final[dict[str, list[Output | CodeInterpreterError]]] = {
    "prints": [StreamText("stdout", "1\n")],
    "fails": [ErrorOutput("KeyError", "'x'", "\x1b[31mKeyError\x1b[0m"), ExecutionEnd("error")],
    "ends": [ExecutionEnd("ok", seconds=0.5)],
    "times out": [ExecutionEnd("timeout", "It took too long.", kept=False)],
    "dies": [ExecutionEnd("lost", "The kernel died.", kept=False)],
    "is refused": [SandboxUnavailable("This host cannot isolate code.")],
}
"""What code may do next."""

THREADS: Final = "ab"
"""The first words on each thread, by which the model knows it."""

threads = st.sampled_from(range(len(THREADS)))
waits = st.sampled_from([True, True, False])


class RunMachine(RuleBasedStateMachine):
    """Threads on one server."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.folder = Path(tempfile.mkdtemp())
        self.runs: dict[str, Run] = {}
        self.over: dict[str, Run] = {}
        self.latest: list[Run | None] = [None] * len(THREADS)
        self.told: dict[str, int] = {}
        self.do(self._open())
        self.do(self._furnish())

    def do(self, work: Awaitable[T]) -> T:
        """Let the loop run until *work* is done."""
        return self.loop.run_until_complete(asyncio.wait_for(work, PATIENCE))

    async def _open(self) -> None:
        self.store = await Store.open(self.folder / "data")
        self.bus, self.llm, self.sessions = EventBus(), SteppedLLM(), SteppedSessions()
        limits = RunLimits(beat=0.0, snapshot=0.01, shutdown=PATIENCE)
        self.supervisor = Supervisor(
            store=self.store,
            bus=self.bus,
            models=OneModel(self.llm),
            sessions=self.sessions,
            limits=limits,
            tell=self._tell,
        )
        await self.supervisor.start()
        self.services = Services.over(
            self.store,
            self.supervisor,
            TwoModels(),
            self.sessions,  # type: ignore[arg-type]  # all that runs and threads need of them
            limits,
        )

    async def _furnish(self) -> None:
        tools = [{"type": "code_interpreter"}, {"type": "function", "function": {"name": "look"}}]
        body = {"model": "demo", "tools": tools}
        self.assistant = await self.services.assistants.create(parse(CreateAssistant, body))
        self.threads = []
        for key in THREADS:
            messages = {"messages": [{"role": "user", "content": key}]}
            thread = await self.services.threads.create(parse(CreateThread, messages))
            self.threads.append(thread.id)

    def _tell(self, happening: Happening) -> None:
        if isinstance(happening, RunFinished):
            self.told[happening.run_id] = self.told.get(happening.run_id, 0) + 1

    async def _breathe(self, wait: bool) -> None:
        """Let things happen: for a moment, or until nothing more comes of itself."""
        await asyncio.sleep(0)
        before, now = -1, self._published()
        while wait and before != now:
            await asyncio.sleep(0.01)
            before, now = now, self._published()

    def _published(self) -> int:
        logs = (self.bus.get(id) for id in self.runs)
        return sum(log.last_seq for log in logs if log is not None)

    # ---- what happens ------------------------------------------------------------------------

    @rule(at=threads, wait=waits)
    def start(self, at: int, wait: bool) -> None:
        """A client starts a run; refused if and only if there is an active one."""

        self.do(self._start(at, wait))

    @rule(at=threads, what=st.sampled_from(sorted(SAYINGS)), wait=waits)
    def model(self, at: int, what: str, wait: bool) -> None:
        """The model says something, or breaks off; in a new run where there is none."""

        async def go() -> None:
            if await self.store.runs.get_active(self.threads[at]) is None:
                await self._start(at, True)
            await self._say(at, what, wait)

        self.do(go())

    @rule(at=threads, what=st.sampled_from(sorted(DOINGS)), wait=waits)
    def code(self, at: int, what: str, wait: bool) -> None:
        """The code does something, if there is any."""

        async def go() -> None:
            running = self.sessions.sessions[self.threads[at]].running
            for item in DOINGS[what] if running is not None else ():
                assert running is not None
                running.put_nowait(item)
            await self._breathe(wait)

        self.do(go())

    @rule(at=threads, right=st.booleans(), wait=waits)
    def submit(self, at: int, right: bool, wait: bool) -> None:
        """A client hands in outputs of functions, perhaps wrong ones; perhaps none were called."""

        async def go() -> None:
            if wait:
                await self._say(at, "call", True)
            await self._submit(at, right, wait)

        self.do(go())

    @rule(at=threads, wait=waits)
    def cancel(self, at: int, wait: bool) -> None:
        """A client cancels the newest run of a thread, whatever it does."""
        self.do(self._cancel(at, wait))

    @rule(at=threads, wait=waits)
    def expire(self, at: int, wait: bool) -> None:
        """The newest run's time is over."""

        async def go() -> None:
            self._expire(at)
            await self._breathe(wait)

        self.do(go())

    @rule(at=threads, what=st.sampled_from(sorted(SAYINGS)), order=st.permutations(range(4)))
    def all_at_once(self, at: int, what: str, order: list[int]) -> None:
        """Cancelled, submitted, expired, and the model says something: in one turn of the loop."""

        async def expire() -> None:
            self._expire(at)

        async def go() -> None:
            chances = (
                self._cancel(at, False),
                self._submit(at, True, False),
                expire(),
                self._say(at, what, False),
            )
            await asyncio.gather(*(chances[n] for n in order))

        self.do(go())

    @rule(at=threads)
    def write(self, at: int) -> None:
        """A client adds a message; refused if there is an active run."""

        async def go() -> None:
            params = parse(CreateMessage, {"role": "user", "content": "And?"})
            active = await self.store.runs.get_active(self.threads[at])
            try:
                await self.services.messages.create(self.threads[at], params)
            except InvalidRequest:
                if active is None:
                    raise
            else:
                assert active is None or active.id in await self._ended()

        self.do(go())

    @rule(now=st.sampled_from([False, False, True]))
    def restart(self, now: bool) -> None:
        """The server is stopped and started again, now and then."""

        async def go() -> None:
            await self.supervisor.stop()
            await self.store.close()
            await self._open()

        if now:
            self.do(go())

    # ---- what always holds ---------------------------------------------------------------------

    @invariant()
    def sound(self) -> None:
        """Everything that holds whenever one looks."""
        self.do(self._look())

    async def _look(self) -> None:
        # Looked at in this order, since things go on: what is published was stored before.
        published = {id: log.since(0) for id in self.runs if (log := self.bus.get(id))}
        for id in self.runs:
            stored = await self.store.events.since(id)
            assert [seq for seq, _, _ in stored] == list(range(1, len(stored) + 1))
            told = [tuple(event) for event in published.get(id, [])]
            assert told == stored[: len(told)]
            check_moves([name for _, name, _ in stored])
            run = await self.store.runs.get(id)
            assert run is not None
            check_stamps(run)
            if id in self.over:
                assert run == self.over[id]
            elif run.status in OVER:
                self.over[id] = run
        for thread in self.threads:
            rows = await self.store.fetch("SELECT status FROM runs WHERE thread_id = ?", (thread,))
            assert sum(row[0] not in OVER for row in rows) <= 1

    def teardown(self) -> None:
        """End what is left; then everything is over, and adds up."""
        try:
            self.do(self._finish())
        finally:
            self.do(self.supervisor.stop())
            self.do(self.store.close())
            self.loop.close()
            shutil.rmtree(self.folder)

    async def _finish(self) -> None:
        for at in range(len(THREADS)):
            await self._cancel(at, False)
        for log in filter(None, map(self.bus.get, self.runs)):
            async for _ in log.follow(log.last_seq):
                pass
        await self._look()
        assert set(self.over) == set(self.runs)
        assert self.told == dict.fromkeys(self.runs, 1)
        assert not any(self.sessions.held.values())
        for run in self.over.values():
            events = [
                (name, json.loads(data)) for _, name, data in await self.store.events.since(run.id)
            ]
            check_stream(deepcopy(events))
            last = {data["id"]: data for _, data in events if "delta" not in data}
            steps = await self.store.steps.page(100, "asc", run_id=run.id)
            messages = await self.store.messages.page(100, thread_id=run.thread_id, run_id=run.id)
            stored: list[Run | RunStep | Message] = [run, *messages.data, *steps.data]
            for each in stored:
                # once the run is over a step's time limit is of no interest any more
                told = last.pop(each.id)
                told |= {"expires_at": None} if "expires_at" in told else {}
                assert each.model_dump(mode="json") == told
            assert not last

    # ---- in detail -----------------------------------------------------------------------------

    async def _ended(self) -> set[str]:
        rows = await self.store.fetch("SELECT id, status FROM runs")
        return {str(row[0]) for row in rows if row[1] in OVER}

    async def _start(self, at: int, wait: bool) -> None:
        params = parse(CreateRun, {"assistant_id": self.assistant.id})
        before = await self.store.runs.get_active(self.threads[at])
        try:
            run = await self.services.runs.create(self.threads[at], params)
        except InvalidRequest as refused:
            if before is None or "already has an active run" not in refused.message:
                raise
        else:
            assert before is None or before.id in await self._ended()
            self.runs[run.id] = self.latest[at] = run
        await self._breathe(wait)

    async def _say(self, at: int, what: str, wait: bool) -> None:
        self.llm.say(THREADS[at], *SAYINGS[what])
        await self._breathe(wait)

    async def _submit(self, at: int, right: bool, wait: bool) -> None:
        latest = self.latest[at]
        run = None if latest is None else await self.store.runs.get(latest.id)
        if run is None:
            return
        action = run.required_action
        calls = (
            [each.id for each in action.submit_tool_outputs.tool_calls] if action else ["call_f"]
        )
        calls = calls if right else [*calls, "call_x"]
        body = {"tool_outputs": [{"tool_call_id": id, "output": "1"} for id in calls]}
        params = parse(SubmitToolOutputsParams, body)
        try:
            after = await self.services.runs.submit_tool_outputs(run.thread_id, run.id, params)
        except InvalidRequest:
            return
        assert right
        assert run.status == "requires_action"
        assert after.status != "requires_action"
        await self._breathe(wait)

    async def _cancel(self, at: int, wait: bool) -> None:
        latest = self.latest[at]
        if latest is None:
            return
        try:
            run = await self.services.runs.cancel(latest.thread_id, latest.id)
        except InvalidRequest:
            assert latest.id in await self._ended()
            return
        assert run.status in {"cancelling", "cancelled", "expired"}
        await self._breathe(wait)

    def _expire(self, at: int) -> None:
        latest = self.latest[at]
        if latest is not None and latest.id in self.supervisor._live:
            self.supervisor._live[latest.id][0]._stop.request("expired")


def check_moves(names: list[str]) -> None:
    """Assert that the run's events tell of moves that are allowed, and of nothing after its end."""
    states = [
        name.removeprefix("thread.run.")
        for name in names
        if name.startswith("thread.run.") and not name.startswith("thread.run.step.")
    ]
    for before, after in pairwise([None, *states]):
        assert after in NEXT.get(before, ()), states
    if states and states[-1] in OVER:
        assert names[-1] == f"thread.run.{states[-1]}"


def check_stamps(run: Run) -> None:
    """Assert that a run has the stamps of its status, and no others."""
    over = run.status in OVER
    assert (run.completed_at is not None) == (run.status in ("completed", "incomplete"))
    assert (run.failed_at is not None) == (run.status == "failed")
    assert (run.cancelled_at is not None) == (run.status == "cancelled")
    assert (run.expires_at is None) == over == (run.usage is not None)
    assert (run.last_error is not None) == (run.status == "failed")
    assert (run.incomplete_details is not None) == (run.status == "incomplete")
    assert (run.required_action is not None) == (run.status == "requires_action")
    if run.status in ("in_progress", "requires_action", "completed", "incomplete"):
        assert run.started_at is not None
    stamps = (run.started_at, run.completed_at, run.failed_at, run.cancelled_at)
    assert all(stamp >= run.created_at for stamp in stamps if stamp is not None)


TestRunMachine = RunMachine.TestCase
TestRunMachine.settings = settings(
    max_examples=20,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.generate],  # to make a failure smaller takes minutes: it is told as it is
    suppress_health_check=list(HealthCheck),
)
