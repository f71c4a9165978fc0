"""What stands in for the rooms below the services, named by how it behaves."""

from __future__ import annotations

from typing import NamedTuple

from jupyter_ci_ext.errors import NotFound
from jupyter_ci_ext.events import RunLog
from jupyter_ci_ext.llm.discovery import LocalServer
from jupyter_ci_ext.wire.run import Run


class KnownModel(NamedTuple):
    id: str
    created: int = 0
    owned_by: str = "tests"


class OneModel:
    """Knows the model ``demo``, and is sure that there is no other."""

    async def list(self) -> list[KnownModel]:
        return [KnownModel("demo"), KnownModel("local/demo")]

    def local(self) -> list[LocalServer]:
        return [LocalServer("local", "http://127.0.0.1:8080/v1", ("local/demo",))]

    async def check(self, model: str) -> None:
        if model != "demo":
            message = f"The model '{model}' does not exist"
            raise NotFound(message, param="model", code="model_not_found")


class NeverStarts:
    """Takes runs and leaves them queued."""

    def __init__(self) -> None:
        self.submitted: list[Run] = []

    async def submit(self, run: Run) -> None:
        self.submitted.append(run)

    async def cancel(self, thread_id: str, run_id: str) -> Run:
        run = next(each for each in self.submitted if each.id == run_id)
        return run.model_copy(update={"status": "cancelling"})

    async def submit_outputs(self, thread_id: str, run_id: str, outputs: dict[str, str]) -> Run:
        raise AssertionError("no run here ever waits for outputs")

    async def look_after(self, run: Run) -> Run:
        return run

    def log(self, run_id: str) -> RunLog | None:
        return None


class LiveSession(NamedTuple):
    key: str
    id: str = "cntr_1"
    kernel_id: str | None = "kernel-1"
    created_at: float = 1.5
    last_active_at: float = 2.5
    expires_at: float | None = 3.5
    state: str = "idle"
    isolation: dict[str, object] = {"level": 3}  # noqa: RUF012
    usage: dict[str, object] = {"memory_bytes": 1}  # noqa: RUF012


class NoKernels:
    """Sessions that the test puts in, without kernels behind them."""

    def __init__(self) -> None:
        self.live: dict[str, LiveSession] = {}
        self.done: list[tuple[str, str]] = []

    def get(self, key: str) -> LiveSession | None:
        return self.live.get(key)

    def list(self) -> list[LiveSession]:
        return list(self.live.values())

    async def close(self, key: str) -> None:
        self.live.pop(key, None)

    async def interrupt(self, key: str) -> None:
        self.done.append(("interrupt", key))

    async def restart(self, key: str) -> None:
        self.done.append(("restart", key))

    async def forget(self, key: str) -> None:
        self.live.pop(key, None)
