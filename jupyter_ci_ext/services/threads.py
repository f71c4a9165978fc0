"""Threads."""

from __future__ import annotations

import logging

import anyio

from ..errors import CodeInterpreterError
from ..ids import new_id
from ..quiet import kind
from ..store.database import Store
from ..store.transaction import Transaction
from ..wire.common import Deleted
from ..wire.params import ListQuery
from ..wire.run import Run
from ..wire.stored import StoredPage
from ..wire.thread import Thread
from ..wire.thread_params import CreateThread, ModifyThread
from ..wire.tool_params import changed_resources, to_resources
from .collaborators import RunSupervisor, SessionKeeper
from .lookup import now, require_files, require_thread
from .messages import add_message

_STOP_SECONDS = 15.0
"""How long a thread that is deleted waits for its run to stop."""


class Threads:
    """The rules about threads."""

    def __init__(
        self,
        store: Store,
        supervisor: RunSupervisor,
        sessions: SessionKeeper,
        log: logging.Logger | None = None,
    ) -> None:
        self._store = store
        self._supervisor = supervisor
        self._sessions = sessions
        self._log = log or logging.getLogger(__name__)

    async def create(self, params: CreateThread) -> Thread:
        """A new thread with the messages it is to begin with."""
        return await self._store.writing(lambda tx: make_thread(tx, params))

    async def get(self, id: str) -> Thread:
        """The thread; raises `NotFound`."""
        return await require_thread(self._store, id)

    async def list(self, query: ListQuery) -> StoredPage[Thread]:
        """One page of all threads."""
        return await self._store.reading(
            lambda tables: tables.threads.page(query.limit, query.order, query.after, query.before)
        )

    async def modify(self, id: str, params: ModifyThread) -> Thread:
        """The thread with what is given in place of what was there."""

        async def change(tx: Transaction) -> Thread:
            thread = await require_thread(tx, id)
            if params.given("metadata"):
                thread = thread.model_copy(update={"metadata": params.metadata or {}})
            if params.given("tool_resources"):
                ids = params.tool_resources.file_ids if params.tool_resources else []
                await require_files(tx, _named(ids))
                resources = changed_resources(thread.tool_resources, params.tool_resources, [])
                thread = thread.model_copy(update={"tool_resources": resources})
            await tx.threads.update(thread)
            return thread

        return await self._store.writing(change)

    async def delete(self, id: str) -> Deleted:
        """Remove the thread with its messages, runs and steps, its session and its workspace.

        A run that is active is cancelled first, and given some seconds to stop.
        """
        active = await self._try_delete(id)
        if active is not None:
            await self._stop(active)
            await self._try_delete(id, anyway=True)
        try:
            await self._sessions.forget(id)
        except (CodeInterpreterError, OSError) as error:
            self._log.warning(
                "The workspace of deleted thread %s stays for now: %s", id, kind(error)
            )
        return Deleted(id=id, object="thread.deleted")

    async def _try_delete(self, id: str, anyway: bool = False) -> Run | None:
        """Delete the rows, unless there is an active run, which is returned."""
        async with self._store.transaction() as tx:
            await require_thread(tx, id)
            active = await tx.runs.get_active(id)
            if active is None or anyway:
                await tx.threads.delete(id)
                return None
        return active

    async def _stop(self, run: Run) -> None:
        with anyio.move_on_after(_STOP_SECONDS):
            try:
                await self._supervisor.cancel(run.thread_id, run.id)
            except CodeInterpreterError:
                return  # it ended just now, or another server has it
            log = self._supervisor.log(run.id)
            if log is not None:
                async for _ in log.follow(log.last_seq):
                    pass


async def make_thread(tx: Transaction, params: CreateThread, prefix: str = "") -> Thread:
    """Store a new thread and its first messages; *prefix* leads to *params* within the body."""
    ids = params.tool_resources.file_ids if params.tool_resources else []
    await require_files(tx, _named(ids, prefix))
    thread = Thread(
        id=new_id("thread"),
        created_at=now(),
        metadata=params.metadata or {},
        tool_resources=to_resources(params.tool_resources),
    )
    await tx.threads.insert(thread)
    for n, message in enumerate(params.messages or ()):
        thread, _ = await add_message(tx, thread, message, f"{prefix}messages[{n}].")
    return thread


def _named(ids: list[str], prefix: str = "") -> list[tuple[str, str]]:
    param = f"{prefix}tool_resources.code_interpreter.file_ids"
    return [(f"{param}[{n}]", id) for n, id in enumerate(ids)]
