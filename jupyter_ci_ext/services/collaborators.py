"""What services need of the rooms below, apart from the store: as little as possible."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from ..events import RunLog
from ..wire.run import Run


class KnownModel(Protocol):
    """A model as the language model room describes it."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def created(self) -> int:
        """Unix time in seconds; 0 where it is not known."""

    @property
    def owned_by(self) -> str:
        """Who runs it."""


class KnownServer(Protocol):
    """A model server on this machine."""

    @property
    def name(self) -> str:
        """What it is: ``ollama``, ``lmstudio`` or ``local``."""

    @property
    def base_url(self) -> str:
        """Where it answers."""

    @property
    def models(self) -> Sequence[str]:
        """Its models, by the names runs use."""


class ModelCatalog(Protocol):
    """The language models there are; `jupyter_ci_ext.llm.provider.Models` is one."""

    async def list(self) -> Sequence[KnownModel]:
        """All models that are known of."""

    def local(self) -> Sequence[KnownServer]:
        """The servers on this machine that were found when `list` was called last."""

    async def check(self, model: str, /) -> None:
        """Raise `NotFound` when it is sure that there is no such model."""


class RunSupervisor(Protocol):
    """Whoever does the runs; `jupyter_ci_ext.engine.supervisor.Supervisor` is one."""

    async def submit(self, run: Run, /) -> None:
        """Begin a run that is stored as queued."""

    async def cancel(self, thread_id: str, run_id: str, /) -> Run:
        """Ask a run to stop; it is cancelling when this returns, cancelled soon after."""

    async def submit_outputs(self, thread_id: str, run_id: str, outputs: dict[str, str], /) -> Run:
        """Go on with a run that waits, given the outputs by call id."""

    async def look_after(self, run: Run, /) -> Run:
        """A stored run, ended or taken over where the server that worked on it has died."""

    def log(self, run_id: str, /) -> RunLog | None:
        """The events of a run that is live in this process."""


class SessionKeeper(Protocol):
    """Whoever keeps the sessions; `jupyter_ci_ext.kernels.pool.Sessions` is one."""

    async def forget(self, key: str, /) -> None:
        """End a thread's session and remove its workspace."""
