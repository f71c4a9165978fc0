"""One thread's session: a workspace, and the kernel that runs code in it.

The session stays when its kernel goes: code that is run after that meets a fresh kernel with the
same files. Every execution is driven by a job of its own, not by whoever reads its outputs, so
that limits bite and interrupts are brought to their end however slow or gone the reader is.
"""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO, Literal

from jupyter_ci_ext.errors import CodeInterpreterError, SessionLost
from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.kernels.attach import INSIDE
from jupyter_ci_ext.kernels.buffer import OutputBuffer
from jupyter_ci_ext.kernels.connection import Connection, Request
from jupyter_ci_ext.kernels.jobs import Jobs
from jupyter_ci_ext.kernels.launcher import Kernel
from jupyter_ci_ext.kernels.outputs import ExecutionEnd, Output
from jupyter_ci_ext.kernels.workspace import Collected, StagedFile, Workspace
from jupyter_ci_ext.lifecycle import EndReason, SessionEnded, SessionStarted, Tell, unheard
from jupyter_ci_ext.metrics import EXECUTIONS, STARTS
from jupyter_ci_ext.quiet import trace
from jupyter_ci_ext.sandbox.policy import Policy

State = Literal["starting", "idle", "busy", "lost"]

KEPT = "Variables are kept."
LOST = "Variables are lost; files in /mnt/data are kept."
LOST_WITH_FILES = "Variables and files that this code wrote are lost; earlier files are kept."
UNKNOWN = (
    "The connection to the kernel broke while the code ran, perhaps because it put out too much at "
    "once. How it ended is not known. Variables are kept."
)
LEFT = "The code ended its session with exit() or quit()."
UNHEEDED = "It did not react to being interrupted, so its session was ended."
STOPPING = "The server is stopping."

TEXT_SLACK = 8192
"""Characters above the sandbox's own limit of printed text, for its note on what it left out."""
INTERRUPT_AGAIN = 1.0
"""Seconds after which an interrupt is repeated: the first may come before the code has begun."""


@dataclass(frozen=True)
class SessionInfo:
    """A session as it stands; times are seconds since the epoch.

    ``isolation`` and ``usage`` are the sandbox's own words, empty where no kernel runs.
    ``expires_at`` moves with every use; None: never.
    """

    id: str
    key: str
    kernel_id: str | None
    created_at: float
    last_active_at: float
    expires_at: float | None
    state: State
    isolation: dict[str, Any] = field(default_factory=dict)
    usage: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lifetime:
    """Seconds a session may live, and be idle; 0 means without limit."""

    max_life: float
    idle_timeout: float

    def end(self, created: float, last_active: float) -> float:
        """When a session ends that was made and used at these times; infinite for never."""
        life = created + self.max_life if self.max_life else math.inf
        idle = last_active + self.idle_timeout if self.idle_timeout else math.inf
        return min(life, idle)


@dataclass
class _Execution:
    """Code under way; ``cause`` says why it was interrupted, if it was."""

    outputs: OutputBuffer
    deadline: float
    cause: Literal["timeout", "interrupted"] | None = None
    interrupt_at: float = math.inf
    finished: asyncio.Event = field(default_factory=asyncio.Event)


class Session:
    """Made by the pool, which hands it to one user at a time."""

    def __init__(
        self,
        key: str,
        workspace: Workspace,
        start: Callable[[], Awaitable[Kernel]],
        *,
        jobs: Jobs,
        policy: Policy,
        lifetime: Lifetime,
        folder: Path | None = None,
        start_timeout: float,
        display_limit: int,
        tell: Tell = unheard,
    ) -> None:
        self.key = key
        self.workspace = workspace
        self.fresh = True
        """Whether no earlier use has run code in the kernel: what code defined before is gone."""
        self._used = False
        self._start = start
        self._jobs = jobs
        self._policy = policy
        self._lifetime = lifetime
        self._folder = folder
        self._start_timeout = start_timeout
        self._display_limit = display_limit
        self._kernel: Kernel | None = None
        self._connection: Connection | None = None
        self._execution: _Execution | None = None
        self._opening: asyncio.Future[None] | None = None
        self._tell = tell
        self._told: SessionStarted | None = None
        self._id = new_id("container")
        self._created = self._active = time.time()
        self._log = logging.getLogger(__name__)

    # ---- what the engine uses ------------------------------------------------------------------

    @property
    def names(self) -> dict[str, str]:
        """File id → name below /mnt/data, of all files staged."""
        return self.workspace.names

    @property
    def data_path(self) -> str:
        """Where the code finds its files; ``/mnt/data`` but for the weaker sandboxes."""
        return self._kernel.data_path if self._kernel else "/mnt/data"

    @property
    def folder_path(self) -> str:
        """Where the code finds the folder that is attached; empty if none is."""
        if self._folder is None:
            return ""
        return INSIDE if self.data_path == "/mnt/data" else str(self._folder)

    @property
    def info(self) -> SessionInfo:
        """The session as it stands now."""
        expires = self.expires_at
        kernel = self._kernel
        return SessionInfo(
            id=self._id,
            key=self.key,
            kernel_id=kernel.id if kernel else None,
            created_at=self._created,
            last_active_at=self.last_active,
            expires_at=None if math.isinf(expires) else expires,
            state=self._state(),
            isolation=kernel.isolation if kernel else {},
            usage=kernel.usage if kernel else {},
        )

    async def stage(self, files: Sequence[StagedFile]) -> None:
        """Put *files* where the code finds them; raises `StoreError` when the disk is full."""
        written = await self.workspace.stage(files)
        if self._kernel is not None:
            await self._kernel.adopt(written)
            await self.workspace.adopted()

    async def execute(self, code: str) -> AsyncGenerator[Output, None]:
        """Run *code*; its outputs as they come, an `ExecutionEnd` last. Read under ``aclosing``.

        A kernel that is gone is replaced first (then `fresh` is true), which raises
        `SandboxUnavailable` or `SessionLost` if none can be had. A kernel that dies meanwhile ends
        the outputs with status "lost". Closing the iterator interrupts the code.
        """
        await self.ensure()
        self._used = True
        limit = self._policy.execution_seconds
        execution = self._execution = _Execution(
            OutputBuffer(self._policy.log_bytes + TEXT_SLACK, self._display_limit),
            time.monotonic() + limit if limit else math.inf,
        )
        self._jobs.spawn(lambda: self._drive(execution, code))
        try:
            while True:
                output = await execution.outputs.get()
                yield output
                if isinstance(output, ExecutionEnd):
                    return
        finally:
            if not execution.finished.is_set() and self._jobs.running:
                self._jobs.spawn(self.interrupt)

    async def interrupt(self) -> None:
        """Stop the code that runs, by force if it does not obey; returns when it has stopped."""
        execution = self._execution
        if execution is None:
            return
        if execution.cause is None:
            await self._interrupt(execution, "interrupted")
        await execution.finished.wait()

    async def collect(self) -> Collected:
        """Copies of the files that code made or changed since the last call."""
        notes: list[str] = []
        if self._kernel is not None and self._connection is not None:
            notes = await self._kernel.fetch()
        collected = await self.workspace.collect()
        return Collected(collected.files, [*notes, *collected.notes])

    async def remove(self, name: str) -> bool:
        """Delete a plain file, *name* relative to /mnt/data; False if there is none."""
        removed = await self.workspace.remove(name)
        if self._kernel is not None:
            await self._kernel.adopt([])
        return removed

    def open_file(self, name: str) -> BinaryIO | None:
        """A file of the workspace, verified and open for reading; None if there is none."""
        return self.workspace.open_file(name)

    # ---- what the pool uses --------------------------------------------------------------------

    @property
    def expires_at(self) -> float:
        """When the session ends if it is not used again; seconds since the epoch, or infinite."""
        return self._lifetime.end(self._created, self.last_active)

    @property
    def last_active(self) -> float:
        """When it was last used, be it by a console that is attached; seconds since the epoch."""
        return max(self._active, self._kernel.last_active if self._kernel else 0.0)

    @property
    def settled(self) -> bool:
        """Whether nothing is under way on behalf of somebody who may be gone."""
        return self._execution is None and (self._opening is None or self._opening.done())

    async def settle(self) -> None:
        """Wait until `settled`; an execution nobody reads has been interrupted by then."""
        if self._execution is not None:
            await self._execution.finished.wait()
        if self._opening is not None:
            await asyncio.wait({self._opening})

    def touch(self) -> None:
        """Take note of a use: idle time begins anew."""
        self.fresh = not self._used
        self._active = time.time()

    async def alive(self) -> bool:
        """Whether there is a kernel to go on with, be it one that somebody restarted."""
        return self._kernel is not None and await self._kernel.alive()

    def take(self, kernel: Kernel, connection: Connection) -> None:
        """Make a kernel that is started and connected, and has run nothing, the session's own."""
        self._kernel, self._connection = kernel, connection
        STARTS.labels("hit").inc()
        self._begin(warm=True)

    async def ensure(self) -> None:
        """Have a kernel that answers: the one there is, or a new one.

        Raises `SandboxUnavailable` or `SessionLost`. If the waiting is cancelled the start goes on.
        """
        await self.settle()
        if self._connection is not None and await self._connection.lost() is None:
            return
        self._opening = self._jobs.spawn(self._open)
        await asyncio.shield(self._opening)

    async def restart(self) -> None:
        """Throw all variables away; the kernel keeps its id, so consoles stay attached."""
        await self.interrupt()
        await self.settle()
        self._opening = self._jobs.spawn(self._restart)
        await asyncio.shield(self._opening)

    async def close(self, reason: EndReason = "closed") -> None:
        """End the kernel, and with it what it runs; files stay. May be called twice."""
        self._over(reason)
        self._disconnect()
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            await kernel.stop()

    # ---- inside --------------------------------------------------------------------------------

    def _state(self) -> State:
        if self._opening is not None and not self._opening.done():
            return "starting"
        if self._execution is not None:
            return "busy"
        return "lost" if self._connection is None or self._connection.reason else "idle"

    async def _open(self) -> None:
        self._disconnect()
        # One that was restarted by somebody attached to it is used again; a dead one is removed.
        if not await self.alive() or self._kernel is None:
            await self.close("lost")
            self._kernel = await self._start()
            STARTS.labels("miss").inc()
        connection = self._kernel.connect()
        try:
            await connection.wait_ready(self._start_timeout)
            await self._kernel.prepare(connection)
            # Every kernel may have a user of its own, to whom the files were given.
            await self.workspace.adopted()
        except BaseException:
            connection.close()
            await self.close("failed")
            raise
        self._connection = connection
        self._begin()

    def _begin(self, *, warm: bool = False) -> None:
        self._over("restarted")  # by somebody attached to its kernel
        self.fresh, self._used = True, False
        self._id = new_id("container")
        self._created = self._active = time.time()
        if self._kernel is not None:
            level = int(self._kernel.isolation.get("level", 0))
            self._told = SessionStarted(self._id, self.key, self._kernel.id, level, warm)
            self._tell(self._told)

    def _over(self, reason: EndReason) -> None:
        """Tell that the session is over, once for every beginning that was told of."""
        began, self._told = self._told, None
        if began is None:
            return
        self._tell(
            SessionEnded(
                began.session_id,
                began.thread_id,
                began.kernel_id,
                began.isolation_level,
                reason,
                round(max(0.0, time.time() - self._created), 3),
            )
        )

    async def _restart(self) -> None:
        if not await self.alive() or self._kernel is None:
            await self._leave()  # the next use starts a new one
            return
        if not self._kernel.can_restart:
            await self.close("restarted")
            return
        self._over("restarted")
        self._disconnect()
        try:
            await self._kernel.restart()
        except Exception as error:
            await self.close("failed")
            raise SessionLost(f"The kernel could not be restarted: {error}") from error
        await self._open()

    async def _leave(self) -> None:
        """Let go of a kernel that was lost; one that is being restarted by others is not ended."""
        self._disconnect()
        if not await self.alive():
            await self.close("lost")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _drive(self, execution: _Execution, code: str) -> None:
        started = time.monotonic()
        end = ExecutionEnd("lost", STOPPING, kept=False)
        lost = LOST if self._kernel is None or self._kernel.shares_files else LOST_WITH_FILES
        try:
            end = await self._run(execution, code, lost)
        except CodeInterpreterError as error:
            await self._leave()
            end = ExecutionEnd("lost", f"{error.message} {lost}", kept=False)
        except Exception as error:
            self._log.error("Running code in session %s failed: %s", self.key, trace(error))
            await self.close("failed")
            end = ExecutionEnd("lost", f"The session failed. {lost}", kept=False)
        finally:
            self._active = time.time()
            self._execution = None
            execution.finished.set()
            end = replace(end, seconds=time.monotonic() - started)
            EXECUTIONS.labels(end.status).observe(end.seconds)
            execution.outputs.put(end)

    async def _run(self, execution: _Execution, code: str, lost: str) -> ExecutionEnd:
        connection = self._connection
        if connection is None:
            raise SessionLost("The session was closed.")
        request = connection.execute(code, execution.outputs.put)
        while not await connection.wait(request, execution.deadline - time.monotonic()):
            now = time.monotonic()
            if now >= execution.deadline:
                if execution.cause is not None:
                    await self.close("timeout")
                    return self._ended(execution.cause, lost)
                await self._interrupt(execution, "timeout")
            elif now >= execution.interrupt_at:
                await self._interrupt(execution, execution.cause or "interrupted")
        reply = request.reply or {}
        if execution.cause is None and reply.get("ename") == "KeyboardInterrupt":
            # not our interrupt: a shutdown by somebody else begins with one
            gone = await connection.lost()
            if gone is not None:
                raise SessionLost(gone)
        if _leaves(request.reply):
            await self.close("exited")
            return ExecutionEnd("lost", f"{LEFT} {lost}", kept=False)
        # what the code has written is counted before its end is told
        reason = await self._kernel.check() if self._kernel is not None else None
        if reason is not None:
            await self.close("lost")
            return ExecutionEnd("lost", f"{reason} {lost}", kept=False)
        return self._finished(execution, request)

    async def _interrupt(
        self, execution: _Execution, cause: Literal["timeout", "interrupted"]
    ) -> None:
        now = time.monotonic()
        if execution.cause is None:
            execution.cause = cause
            execution.deadline = now + self._policy.grace_seconds
        execution.interrupt_at = now + INTERRUPT_AGAIN
        if self._kernel is not None:
            await self._kernel.interrupt()

    def _finished(self, execution: _Execution, request: Request) -> ExecutionEnd:
        status = (request.reply or {}).get("status")
        if execution.cause is not None:
            return self._ended(execution.cause)
        if request.broken:
            return ExecutionEnd("interrupted", UNKNOWN)
        if status == "aborted":
            return ExecutionEnd("interrupted", "The code was not run: the kernel dropped it.")
        return ExecutionEnd("ok" if status == "ok" else "error")

    def _ended(self, cause: Literal["timeout", "interrupted"], lost: str = "") -> ExecutionEnd:
        what = "The code was stopped."
        if cause == "timeout":
            limit = self._policy.execution_seconds
            what = f"The code ran longer than the limit of {limit:g} seconds and was stopped."
        return ExecutionEnd(
            cause, f"{what} {f'{UNHEEDED} {lost}' if lost else KEPT}", kept=not lost
        )


def _leaves(reply: dict[str, Any] | None) -> bool:
    """Whether the kernel will go by itself a moment after this reply: IPython's ``exit``."""
    payload = (reply or {}).get("payload")
    return isinstance(payload, list) and any(
        isinstance(item, dict) and item.get("source") == "ask_exit" and not item.get("keepkernel")
        for item in payload
    )
