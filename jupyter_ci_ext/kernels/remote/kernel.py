"""A kernel on another machine: its files are mirrored, its isolation declared and measured."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
from jupyter_core.utils import ensure_async

from jupyter_ci_ext.errors import SandboxUnavailable, SessionLost
from jupyter_ci_ext.kernels.connection import Connection, Transport
from jupyter_ci_ext.kernels.launcher import Kernel
from jupyter_ci_ext.kernels.remote import attest
from jupyter_ci_ext.kernels.remote.asking import NONSENSE, Asking, HelperFailed
from jupyter_ci_ext.kernels.remote.mirror import Mirror
from jupyter_ci_ext.kernels.remote.specs import RemoteSpec
from jupyter_ci_ext.quiet import kind

ASK_SECONDS = 5.0
"""How long a gateway may take to say whether a kernel is alive, or to interrupt it."""
RESTART_SECONDS = 60.0
_PATH_CHARACTERS = 500

NOT_FETCHED = "Files that the code made or changed were not saved: {why}"
UNFIT = (
    "No code was run in the remote kernel {name!r}: {why}. c.RemoteKernels.allowed requires "
    "otherwise of it."
)


class RemoteKernel(Kernel):
    """Held on behalf of a session; *transport* makes a way to it, *where* says where it runs."""

    shares_files = False

    def __init__(
        self,
        manager: Any,
        kernel_id: str,
        name: str,
        spec: RemoteSpec,
        mirror: Mirror,
        transport: Callable[[str], Transport],
        *,
        where: str,
        targets: Sequence[str],
        timeout: float,
        can_restart: bool,
        stop_seconds: float,
        longest: int,
        largest: int,
    ) -> None:
        super().__init__(manager, kernel_id, "/mnt/data")
        self.can_restart = can_restart
        self.stop_seconds = stop_seconds
        self._name = name
        self._spec = spec
        self._mirror = mirror
        self._transport = transport
        self._where = where
        self._targets = list(targets)
        self._timeout = timeout
        self._sizes = (longest, largest)
        self._asking: Asking | None = None
        self._isolation: dict[str, Any] = {}

    @property
    def isolation(self) -> dict[str, Any]:
        return self._isolation

    @property
    def usage(self) -> dict[str, Any]:
        return {}  # what it uses is counted, and limited, where it runs

    def connect(self) -> Connection:
        return Connection(self._transport(self.id))

    async def prepare(self, connection: Connection) -> None:
        """Install the helper, measure the isolation, bring the workspace's files over."""
        self._mirror.forget()
        try:
            asking = await Asking.over(connection, self._timeout, *self._sizes)
            said, _ = await asking.ask({"op": "begin", "folder": self._spec.data_path})
            report, _ = await asking.ask(
                {"op": "measure", "targets": self._targets, "seconds": 1.0}
            )
            found = attest.findings(report, bool(self._targets))
            why = attest.refusal(self._spec, found)
            if why is not None:
                raise SandboxUnavailable(UNFIT.format(name=self._name, why=why))
            self.data_path = _path(said.get("folder"))
            self._isolation = attest.isolation(self._spec, report, found, self._where)
            self._asking = asking
            await self._mirror.push(asking)
        except HelperFailed as error:
            raise SessionLost(
                f"The remote kernel {self._name!r} cannot hold files: {error.message}."
            ) from error

    async def adopt(self, paths: Sequence[Path]) -> None:
        """Bring over what is new or changed in the workspace, whatever *paths* are."""
        del paths
        if self._asking is None:
            return
        try:
            await self._mirror.push(self._asking)
        except HelperFailed as error:
            raise SessionLost(
                f"Files could not be brought to the remote kernel: {error.message}."
            ) from error

    async def fetch(self) -> list[str]:
        if self._asking is None:
            return []
        try:
            return await self._mirror.fetch(self._asking)
        except (HelperFailed, SessionLost) as error:
            return [NOT_FETCHED.format(why=error.message)]

    async def alive(self) -> bool:
        """Whether it is there, as far as its gateway or its provisioner can tell in seconds."""
        if not self.listed:
            return False
        kernel = self._manager.get_kernel(self.id)
        refresh = getattr(kernel, "refresh_model", None)
        with anyio.move_on_after(ASK_SECONDS):
            try:
                if refresh is None:
                    return await super().alive()
                model = await refresh()
                return model is not None and model.get("execution_state") != "dead"
            except Exception as error:
                self._log.debug("No word on kernel %s: %s", self.id, kind(error))
        return False

    async def interrupt(self) -> None:
        with anyio.move_on_after(ASK_SECONDS):
            await super().interrupt()

    async def restart(self) -> None:
        self._asking = None
        restarting = ensure_async(self._manager.restart_kernel(self.id, now=True))
        restarted = await asyncio.wait_for(restarting, RESTART_SECONDS)
        if isinstance(restarted, asyncio.Future):
            await asyncio.wait_for(restarted, RESTART_SECONDS)


def _path(value: object) -> str:
    """A folder the kernel names, as far as it can be put into code and messages."""
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable():
        raise HelperFailed(NONSENSE)
    if not 1 < len(value) < _PATH_CHARACTERS:
        raise HelperFailed(NONSENSE)
    return value
