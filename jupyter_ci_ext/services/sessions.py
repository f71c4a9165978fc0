"""Sessions of threads: what state they are in, and to end or restart them by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from ..errors import NotFound
from ..ids import container_id
from ..store.database import Store
from ..wire.extension import PanelSession, PanelSessionList, SessionDeleted
from .lookup import require_thread


class LiveSession(Protocol):
    """A session as the kernels' room describes it; times in Unix seconds."""

    @property
    def id(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def kernel_id(self) -> str | None: ...
    @property
    def created_at(self) -> float: ...
    @property
    def last_active_at(self) -> float: ...
    @property
    def expires_at(self) -> float | None: ...
    @property
    def state(self) -> str: ...
    @property
    def isolation(self) -> dict[str, Any]: ...
    @property
    def usage(self) -> dict[str, Any]: ...


class SessionPool(Protocol):
    """Whoever keeps the sessions; `jupyter_ci_ext.kernels.pool.Sessions` is one."""

    def get(self, key: str, /) -> LiveSession | None: ...
    def list(self) -> Sequence[LiveSession]: ...
    async def close(self, key: str, /) -> None: ...
    async def interrupt(self, key: str, /) -> None: ...
    async def restart(self, key: str, /) -> None: ...
    async def forget(self, key: str, /) -> None: ...


class SessionsService:
    """The rules about sessions."""

    def __init__(self, store: Store, sessions: SessionPool) -> None:
        self._store = store
        self._sessions = sessions

    def list(self) -> PanelSessionList:
        """All live sessions of threads."""
        threads = [live for live in self._sessions.list() if live.key != container_id(live.key)]
        return PanelSessionList(data=[_shown(live) for live in threads])

    async def get(self, thread_id: str) -> PanelSession:
        """The thread's session, or that it has none; raises `NotFound` for an unknown thread."""
        await require_thread(self._store, thread_id)
        live = self._sessions.get(thread_id)
        return PanelSession(thread_id=thread_id) if live is None else _shown(live)

    async def close(self, thread_id: str) -> SessionDeleted:
        """End the session, and what runs in it; its files stay."""
        await require_thread(self._store, thread_id)
        there = self._sessions.get(thread_id) is not None
        await self._sessions.close(thread_id)
        return SessionDeleted(thread_id=thread_id, deleted=there)

    async def interrupt(self, thread_id: str) -> PanelSession:
        """Stop the code that runs; raises `NotFound` where no session is alive."""
        await self._require(thread_id)
        await self._sessions.interrupt(thread_id)
        return await self.get(thread_id)

    async def restart(self, thread_id: str) -> PanelSession:
        """Throw the variables away; raises `NotFound` where no session is alive."""
        await self._require(thread_id)
        await self._sessions.restart(thread_id)
        return await self.get(thread_id)

    async def _require(self, thread_id: str) -> None:
        await require_thread(self._store, thread_id)
        if self._sessions.get(thread_id) is None:
            raise NotFound(f"No session found for thread '{thread_id}'.")


def _shown(live: LiveSession) -> PanelSession:
    return PanelSession(
        thread_id=live.key,
        id=live.id,
        container_id=container_id(live.key),
        kernel_id=live.kernel_id,
        state=live.state,
        created_at=int(live.created_at),
        last_active_at=int(live.last_active_at),
        expires_at=None if live.expires_at is None else int(live.expires_at),
        isolation=live.isolation or None,
        usage=live.usage or None,
    )
