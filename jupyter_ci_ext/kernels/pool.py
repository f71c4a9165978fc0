"""The pool: one session per key, so many at a time, each for so long."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import anyio

from jupyter_ci_ext import to_thread
from jupyter_ci_ext.errors import SandboxUnavailable, SessionLost
from jupyter_ci_ext.kernels.attach import INSIDE, Attached, place, resolve
from jupyter_ci_ext.kernels.config import SessionPool
from jupyter_ci_ext.kernels.folders import Folders, check_room
from jupyter_ci_ext.kernels.jobs import Jobs
from jupyter_ci_ext.kernels.launcher import Kernel, Launcher
from jupyter_ci_ext.kernels.limits import SessionLimits
from jupyter_ci_ext.kernels.session import Lifetime, Session, SessionInfo
from jupyter_ci_ext.kernels.slots import Slot, Slots
from jupyter_ci_ext.kernels.spares import Spares
from jupyter_ci_ext.kernels.workspace import StagedFile, Workspace
from jupyter_ci_ext.lifecycle import EndReason, Tell, unheard
from jupyter_ci_ext.metrics import SESSION_WAIT
from jupyter_ci_ext.sandbox.config import Sandbox
from jupyter_ci_ext.sandbox.policy import Launch
from jupyter_ci_ext.store.uninterrupted import uninterrupted

STOPPED = "The server is stopping, so no code runs any more."


@dataclass
class _Entry:
    """What the pool knows of one key.

    ``users`` counts who holds or awaits the lock; ``admitted`` tells that the entry is one of the
    sessions there may be at a time; ``opening`` is its start, which outlives whoever asked for it.
    """

    key: str
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users: int = 0
    admitted: bool = False
    opening: asyncio.Future[Session] | None = None
    session: Session | None = None
    slot: Slot | None = None
    limits: SessionLimits = field(default_factory=SessionLimits)
    folder: str = ""

    @property
    def settled(self) -> bool:
        """Whether nothing is under way in it."""
        opened = self.opening is None or self.opening.done()
        return opened and (self.session is None or self.session.settled)


class Sessions:
    """Hands out sessions, one user of a key at a time; built once by the app.

    `start` and `stop` are idempotent. A kernel is started no sooner than somebody asks for it.
    """

    def __init__(
        self,
        config: SessionPool,
        sandbox: Sandbox,
        kernel_manager: Any,
        workspaces: Path,
        log: logging.Logger,
        *,
        launcher: Launcher | None = None,
        root: Path | None = None,
        tell: Tell = unheard,
    ) -> None:
        self._config = config
        self._policy = sandbox.policy()
        self._launcher = launcher or Launcher(kernel_manager, config.kernel_name)
        self._root = root  # of the folders that may be attached
        self._slots = Slots(workspaces)
        self.folders = Folders(self._slots)
        """The workspaces, for looking only."""
        self._jobs = Jobs()
        self._changed = asyncio.Event()
        self.limits = SessionLimits(self._policy.memory, config.idle_timeout)
        """What a session may take at most."""
        self._spares = Spares(
            self._slots,
            self._launch,
            self._jobs,
            changed=self._changed.set,
            count=config.warm_spares,
            preload=config.preload,
            start_timeout=config.start_timeout,
        )
        self._entries: dict[str, _Entry] = {}
        self._queue: deque[tuple[str, asyncio.Event]] = deque()
        self._last_use = time.time()
        self._log = log
        self._tell = tell

    # ---- life ----------------------------------------------------------------------------------

    async def start(self) -> None:
        """Make the folders, and watch over lifetimes from now on."""
        if self._jobs.running:
            return
        await to_thread.run_sync(self._slots.prepare)
        await self._jobs.start()
        self._jobs.spawn(self._expire)

    async def stop(self) -> None:
        """End every session and kernel; within seconds, whatever they do."""
        await self._jobs.stop()
        async with anyio.create_task_group() as group:
            group.start_soon(self._spares.drain)
            for entry in list(self._entries.values()):
                group.start_soon(self._end, entry, "shutdown")

    # ---- use -----------------------------------------------------------------------------------

    @asynccontextmanager
    async def use(
        self, key: str, limits: SessionLimits | None = None, folder: str = ""
    ) -> AsyncIterator[Session]:
        """The session of *key*, started if need be, for this user alone until the block is left.

        *limits* are those of a session that is started, as far as they are tighter than the pool's.
        *folder* is attached to it, a path below the server's root; one that runs with another folder
        is ended first.

        Waits while somebody else uses it, and in a queue while all sessions there may be are in
        use. Raises `SandboxUnavailable` or `SessionLost`. What still runs when the block is left
        is interrupted.
        """
        wanted = time.monotonic()
        async with self._turn(key) as entry:
            if folder != entry.folder and entry.session is not None:
                await self._end(entry, "replaced")
            if entry.session is None:
                entry.folder = folder
                entry.limits = self.limits if limits is None else limits.within(self.limits)
            session = await self._prepare(entry)
            SESSION_WAIT.observe(time.monotonic() - wanted)
            yield session

    def get(self, key: str) -> SessionInfo | None:
        """The session of *key* as it stands, None if there is none; changes nothing."""
        entry = self._entries.get(key)
        return entry.session.info if entry is not None and entry.session is not None else None

    def list(self) -> list[SessionInfo]:
        """The sessions there are."""
        return [entry.session.info for entry in self._entries.values() if entry.session is not None]

    def place(self, key: str) -> int | None:
        """How many wait before *key* for a session to be free, plus one; None: it does not wait."""
        for number, (waiting, _) in enumerate(self._queue, start=1):
            if waiting == key:
                return number
        return None

    async def interrupt(self, key: str) -> None:
        """Stop the code that runs for *key*, if any; returns when it has stopped."""
        entry = self._entries.get(key)
        if entry is not None and entry.session is not None:
            await entry.session.interrupt()

    async def restart(self, key: str) -> None:
        """Throw away what the code of *key* has defined; its files stay. Stops code that runs."""
        await self.interrupt(key)
        entry = self._entries.get(key)
        if entry is not None and entry.session is not None:
            await entry.session.restart()

    async def close(self, key: str, reason: EndReason = "closed") -> None:
        """End the kernel of *key*, if there is one, and what it runs; its files stay."""
        entry = self._entries.get(key)
        if entry is None:
            return
        if not entry.lock.locked():
            await self._end_idle(entry, reason)
        elif entry.session is not None:
            # Somebody uses it: they see it lost, and may go on with a fresh kernel.
            await entry.session.close(reason)

    async def forget(self, key: str) -> None:
        """End the session of *key* and delete its files; waits for who uses it to be done."""
        await self.close(key, "deleted")
        entry = self._entries.setdefault(key, _Entry(key))
        entry.users += 1
        try:
            async with entry.lock:
                await self._end(entry, "deleted")
                await to_thread.run_sync(self._slots.forget, key)
        finally:
            entry.users -= 1
            self._drop(entry)

    # ---- files: to read them see `folders` ------------------------------------------------------

    async def stage(
        self, key: str, files: Sequence[StagedFile], patience: float | None = None
    ) -> dict[str, str]:
        """Put *files* where the code of *key* finds them, without starting a kernel.

        Returns file id → name of all that were ever put there. Raises TimeoutError when somebody
        uses the session for more than *patience* seconds, `PayloadTooLarge` when the files would
        be more than the sandbox lets a session have, `StoreError` when the disk is full.
        """
        async with self._turn(key, patience) as entry, self._workspace(entry) as workspace:
            size = sum(file.size for file in files)
            await to_thread.run_sync(check_room, workspace.path, size, self._policy.disk)
            await (entry.session or workspace).stage(files)
            return dict(workspace.names)

    async def remove(self, key: str, name: str, patience: float | None = None) -> bool:
        """Delete a plain file of *key*; False if there is none.

        Raises TimeoutError when somebody uses the session for more than *patience* seconds.
        """
        async with self._turn(key, patience) as entry, self._workspace(entry) as workspace:
            return await (entry.session or workspace).remove(name)

    # ---- inside: to have a session -------------------------------------------------------------

    @asynccontextmanager
    async def _turn(self, key: str, patience: float | None = None) -> AsyncIterator[_Entry]:
        """What is known of *key*, for one user at a time."""
        entry = self._entries.setdefault(key, _Entry(key))
        entry.users += 1
        try:
            with anyio.fail_after(patience):
                await entry.lock.acquire()
            try:
                yield entry
            finally:
                self._release(entry)
        finally:
            entry.users -= 1
            self._drop(entry)

    @asynccontextmanager
    async def _workspace(self, entry: _Entry) -> AsyncIterator[Workspace]:
        """The workspace, that of the session where there is one; using it is an activity."""
        if entry.session is not None:
            entry.session.touch()
            yield entry.session.workspace
            return
        slot = await to_thread.run_sync(self._slots.open, entry.key)
        try:
            workspace = self._make_workspace(slot)
            await workspace.load()
            yield workspace
        finally:
            slot.release()

    async def _prepare(self, entry: _Entry) -> Session:
        if not self._jobs.running:
            raise SessionLost(STOPPED)
        session = entry.session
        if session is not None:
            if session.expires_at <= time.time():
                await self._end(entry, "expired")
            elif not await session.alive():
                await self._end(entry, "lost")
        if not entry.admitted:
            await self._admit(entry)
        session = entry.session
        if session is not None:
            session.touch()
            await session.ensure()
        else:
            entry.opening = self._jobs.spawn(lambda: self._open(entry))
            session = await asyncio.shield(entry.opening)
        self._last_use = time.time()
        self._changed.set()
        self._spares.refill()
        return session

    async def _admit(self, entry: _Entry) -> None:
        """Wait until *entry* may be one of the sessions; first come, first served."""
        turn = (entry.key, asyncio.Event())
        self._queue.append(turn)
        try:
            while True:
                turn[1].clear()
                if self._queue[0] is turn:
                    alive = [other for other in self._entries.values() if other.admitted]
                    if len(alive) < self._config.max_sessions:
                        break
                    idle = [other for other in alive if not other.lock.locked()]
                    if idle:
                        await self._end_idle(min(idle, key=_last_used), "evicted")
                        continue
                await turn[1].wait()
                if not self._jobs.running:
                    raise SessionLost(STOPPED)
            entry.admitted = True
        finally:
            self._queue.remove(turn)
            self._call_next()

    async def _open(self, entry: _Entry) -> Session:
        # A spare has the pool's own limit of memory, and keeps it.
        usual = entry.limits.memory == self.limits.memory and not entry.folder
        spare = await self._spares.claim() if usual else None
        try:
            if spare is None:
                entry.slot = await to_thread.run_sync(self._slots.open, entry.key)
            else:
                entry.slot = spare.slot
                await to_thread.run_sync(self._slots.bind, spare.slot, entry.key)
            session = self._make_session(entry, entry.slot)
            if spare is not None:
                kernel, connection, spare = spare.kernel, spare.connection, None
                session.take(kernel, connection)
                await kernel.adopt([entry.slot.data])
            await session.workspace.load()
            await session.ensure()
            return session
        except BaseException:
            with anyio.CancelScope(shield=True):
                if spare is not None:
                    # Its slot may hold files of the thread by now: it is swept when it does not.
                    await spare.end()
                await self._end(entry, "failed")
            raise

    async def _launch(self, slot: Slot, memory: int | None = None, folder: str = "") -> Kernel:
        attached = await self._resolve(folder)  # anew at every start: what is hidden may change
        launch = Launch(
            workspace=slot.data,
            memory=memory,
            read_only={INSIDE: attached.path} if attached else {},
            hidden=attached.hidden if attached else (),
            put_bytes=lambda: slot.put_bytes,
        )
        return await self._launcher.start(launch)

    async def _resolve(self, folder: str) -> Attached | None:
        if not folder:
            return None
        if self._root is None:
            raise SandboxUnavailable(
                "Folders cannot be attached here: whoever runs this server has not allowed it "
                "(c.Sandbox.workspace_folders)."
            )
        return await to_thread.run_sync(resolve, self._root, folder)

    def _make_workspace(self, slot: Slot) -> Workspace:
        return Workspace(
            slot,
            self._slots.incoming,
            max_new_files=self._config.max_new_files,
            max_file_size=self._config.max_file_size,
        )

    def _make_session(self, entry: _Entry, slot: Slot) -> Session:
        limits, folder = entry.limits, entry.folder
        entry.session = Session(
            entry.key,
            self._make_workspace(slot),
            lambda: self._launch(slot, limits.memory or None, folder),
            jobs=self._jobs,
            policy=self._policy,
            lifetime=Lifetime(self._config.max_life, limits.idle_timeout),
            folder=place(self._root, folder) if self._root and folder else None,
            start_timeout=self._config.start_timeout,
            display_limit=self._config.max_display_bytes,
            tell=self._tell,
        )
        return entry.session

    # ---- inside: to be rid of it ---------------------------------------------------------------

    def _release(self, entry: _Entry) -> None:
        """Hand the lock on, once nothing is under way any more on behalf of who held it."""
        if entry.settled or not self._jobs.running:
            self._released(entry)
        else:
            self._jobs.spawn(lambda: self._release_settled(entry))

    async def _release_settled(self, entry: _Entry) -> None:
        try:
            if entry.opening is not None:
                await asyncio.wait({entry.opening})
            if entry.session is not None:
                await entry.session.settle()
        finally:
            self._released(entry)

    def _released(self, entry: _Entry) -> None:
        entry.lock.release()
        self._changed.set()
        self._call_next()
        self._drop(entry)

    async def _end_idle(self, entry: _Entry, reason: EndReason) -> None:
        """End a session nobody uses; who comes for it meanwhile waits for that, no longer."""
        entry.users += 1
        try:
            async with entry.lock:
                await self._end(entry, reason)
        finally:
            entry.users -= 1
            self._drop(entry)

    async def _end(self, entry: _Entry, reason: EndReason) -> None:
        session, entry.session = entry.session, None
        slot, entry.slot = entry.slot, None
        try:
            # to the end, also where a run that is cancelled has begun this to have its place
            if session is not None:
                await uninterrupted(session.close(reason))
        finally:
            if slot is not None:
                slot.release()
            entry.admitted = False
            self._call_next()

    def _drop(self, entry: _Entry) -> None:
        if entry.users == 0 and entry.session is None and not entry.lock.locked():
            self._entries.pop(entry.key, None)

    def _call_next(self) -> None:
        if self._queue:
            self._queue[0][1].set()

    async def _expire(self) -> None:
        """End what is over its time; sleeps until the next deadline, for ever if there is none."""
        while True:
            self._changed.clear()
            deadline = await self._end_expired(time.time())
            wait = None if math.isinf(deadline) else max(0.0, deadline - time.time()) + 0.01
            with anyio.move_on_after(wait):
                await self._changed.wait()

    async def _end_expired(self, now: float) -> float:
        """When to look again; infinite for not before something changes."""
        for entry in list(self._entries.values()):
            if _expires(entry) <= now:
                await self._end_idle(entry, "expired")
        deadline = min(map(_expires, self._entries.values()), default=math.inf)
        if self._spares.ready and not self._entries and self._config.idle_timeout:
            unused = self._last_use + self._config.idle_timeout
            if unused > now:
                return min(deadline, unused)
            await self._spares.drain()
        return deadline


def _expires(entry: _Entry) -> float:
    """When an idle session is over; infinite for one in use, which is looked at when released."""
    if entry.session is None or entry.lock.locked():
        return math.inf
    return entry.session.expires_at


def _last_used(entry: _Entry) -> float:
    return entry.session.last_active if entry.session is not None else 0.0
