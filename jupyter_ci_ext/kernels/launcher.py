"""Kernels as the server's kernel manager runs them: start, interrupt, restart, stop.

Everything goes through that manager, so a session's kernel is listed in ``/api/kernels`` and a
console can attach to it. It may therefore also be culled, deleted or restarted by others.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio
from jupyter_client.kernelspec import NoSuchKernel
from jupyter_core.utils import ensure_async

from jupyter_ci_ext.errors import CodeInterpreterError, SandboxUnavailable, SessionLost
from jupyter_ci_ext.kernels.connection import WATCH, Connection, ZmqTransport
from jupyter_ci_ext.kernels.remote.specs import RemoteSpec
from jupyter_ci_ext.quiet import kind
from jupyter_ci_ext.sandbox.policy import Launch
from jupyter_ci_ext.store.uninterrupted import uninterrupted

PROVISIONER = "code-interpreter-sandbox"
STOP_SECONDS = 5.0
"""How long the kernel manager may take to end a kernel before it is forgotten."""


class Kernel:
    """One kernel of the server's kernel manager, held on behalf of a session."""

    shares_files = True
    """Whether it sees the workspace's own folder, so that its files outlive it however it ends."""
    can_restart = True
    """Whether it can be restarted in its place; else it is ended, and another one started."""
    stop_seconds = STOP_SECONDS

    def __init__(self, manager: Any, kernel_id: str, data_path: str) -> None:
        self.id = kernel_id
        self.data_path = data_path
        """The workspace's path as the code sees it."""
        self._manager = manager
        self._log = logging.getLogger(__name__)
        # Keeps the server's culler away, which looks for kernels without connections.
        manager.notify_connect(kernel_id)

    @property
    def listed(self) -> bool:
        """Whether the kernel manager still has it."""
        return self.id in self._manager

    @property
    def isolation(self) -> dict[str, Any]:
        """What is in force around it; empty for a kernel that is gone."""
        return self._provisioner_dict("isolation")

    @property
    def usage(self) -> dict[str, Any]:
        """What it uses, against its limits; empty for a kernel that is gone."""
        return self._provisioner_dict("usage")

    @property
    def last_active(self) -> float:
        """When anybody, such as a console on it, last had it do something; seconds since the epoch.

        0 where that is not known.
        """
        kernel = self._manager.get_kernel(self.id) if self.listed else None
        last: object = getattr(kernel, "last_activity", None)
        if not isinstance(last, datetime):  # not kept by whoever manages it
            return 0.0
        busy = getattr(kernel, "execution_state", None) == "busy"
        return time.time() if busy else last.timestamp()

    def connect(self) -> Connection:
        """A new connection to it; wait for that to be ready."""
        return Connection(ZmqTransport(self._manager, self.id))

    async def alive(self) -> bool:
        """Whether its process runs, once nobody is ending or restarting it any more."""
        with anyio.move_on_after(STOP_SECONDS):
            while self.listed and not (pending := self._manager.get_kernel(self.id).ready).done():
                await asyncio.wait({pending})
        return await self._runs()

    async def interrupt(self) -> None:
        """Ask it to stop what it does; a kernel that is gone is none to be asked."""
        try:
            await ensure_async(self._manager.interrupt_kernel(self.id))
        except Exception as error:
            self._log.debug("Kernel %s was not interrupted: %s", self.id, kind(error))

    async def restart(self) -> None:
        """A new process under the same id, so that whoever is attached stays attached."""
        restarted = await ensure_async(self._manager.restart_kernel(self.id, now=True))
        if isinstance(restarted, asyncio.Future):
            await self._answered(restarted)

    async def _answered(self, restarted: asyncio.Future[Any]) -> None:
        """Wait for the answer of the new process, no longer than that lives."""
        try:
            while not restarted.done():
                await asyncio.wait({restarted}, timeout=WATCH)
                if not (restarted.done() or await self._runs()):
                    raise SessionLost("The kernel ended while it was restarted.")
        finally:
            restarted.cancel()
        restarted.result()

    async def _runs(self) -> bool:
        return self.listed and bool(await ensure_async(self._manager.is_alive(self.id)))

    async def prepare(self, connection: Connection) -> None:
        """Get it ready for code, over *connection*; called once after each start.

        Raises `SandboxUnavailable` or `SessionLost` if it is not fit for it.
        """

    async def fetch(self) -> list[str]:
        """Have the workspace hold what code wrote; notes on what could not be had.

        Nothing to do for a kernel that `shares_files`. Raises `StoreError` when the disk is full.
        """
        return []

    async def adopt(self, paths: Sequence[Path]) -> None:
        """Make files that were put into the workspace belong to the code."""
        provisioner = self._provisioner()
        if provisioner is not None and hasattr(provisioner, "adopt"):
            for path in paths:
                await provisioner.adopt(path)

    async def check(self) -> str | None:
        """Have the workspace looked at now: the limit for which the kernel has been ended, or None."""
        provisioner = self._provisioner()
        if not hasattr(provisioner, "check"):
            return None
        reason: str | None = await provisioner.check()
        return reason

    async def stop(self) -> None:
        """End it at once, with all its processes; never takes long.

        Who is cancelled while waiting for that is told afterwards: half of it would leave a kernel
        that is listed for ever.
        """
        if self.listed:
            await uninterrupted(self._stop())

    async def _stop(self) -> None:
        self._manager.notify_disconnect(self.id)
        self._drop_unsent()
        provisioner = self._provisioner()
        try:
            await asyncio.wait_for(self._shut_down(), self.stop_seconds)
        except Exception as error:
            self._log.warning("Kernel %s did not end properly: %s", self.id, kind(error))
            if self.listed:
                self._manager.remove_kernel(self.id)
        if hasattr(provisioner, "close_transport"):
            provisioner.close_transport()  # nobody else does for a kernel that failed to restart

    async def _shut_down(self) -> None:
        await ensure_async(self._manager.shutdown_kernel(self.id, now=True))
        while self.listed:  # noqa: ASYNC110 (a server may leave it pending, and tells nobody)
            await asyncio.sleep(0.02)

    def _drop_unsent(self) -> None:
        """Spare the server a second of standing still, which its own two sockets cost it.

        A kernel in the sandbox has a ZMQ context of its own, and ending that blocks until sockets
        have sent what they have to a kernel that died: a subscription, an interrupt.
        """
        manager = self._manager.get_kernel(self.id)
        activity = getattr(manager, "_activity_stream", None)
        for owned in (activity and activity.socket, getattr(manager, "_control_socket", None)):
            if owned is not None and not owned.closed:
                owned.linger = 0

    def _provisioner(self) -> Any:
        return self._manager.get_kernel(self.id).provisioner if self.listed else None

    def _provisioner_dict(self, name: str) -> dict[str, Any]:
        value = getattr(self._provisioner(), name, None)
        if callable(value):
            value = value()
        return dict(value.to_dict()) if value is not None else {}


class Launcher:
    """Starts kernels in the sandbox, and no others."""

    def __init__(self, manager: Any, kernel_name: str) -> None:
        self._manager = manager
        self._kernel_name = kernel_name

    @property
    def remote(self) -> RemoteSpec | None:
        """What is said of the kernels if they run on other machines; None if they run here."""
        return None

    def report(self) -> dict[str, Any] | None:
        """What isolates code, if not the sandbox of this machine; None if that does."""
        return None

    async def start(self, launch: Launch) -> Kernel:
        """A new kernel in a sandbox as *launch* says.

        Raises `SandboxUnavailable`. A start that was begun is brought to its end even when it is
        cancelled, so that no kernel is left that nobody knows of.
        """
        with anyio.CancelScope(shield=True):
            kernel = await self._start(launch)
        return kernel  # noqa: RET504 (mypy takes a scope for one that may swallow errors)

    async def _start(self, launch: Launch) -> Kernel:
        await self._check_kernelspec()
        try:
            kernel_id = await ensure_async(
                self._manager.start_kernel(kernel_name=self._kernel_name, sandbox=launch)
            )
            await self._started(kernel_id)
        except CodeInterpreterError:
            raise
        except Exception as error:
            raise SandboxUnavailable(
                f"The code interpreter's kernel could not be started: {error}"
            ) from error
        return await self._attest(kernel_id)

    async def _started(self, kernel_id: str) -> None:
        """Wait for a start that the kernel manager left pending; raises what that raised."""
        ready = getattr(self._manager.get_kernel(kernel_id), "ready", None)
        if not isinstance(ready, asyncio.Future) or (ready.done() and ready.exception() is None):
            return
        try:
            await ready
        except BaseException:
            if kernel_id in self._manager:
                self._manager.remove_kernel(kernel_id)
            raise

    async def _check_kernelspec(self) -> None:
        name = self._kernel_name
        try:
            spec = await ensure_async(self._manager.kernel_spec_manager.get_kernel_spec(name))
        except NoSuchKernel:
            raise SandboxUnavailable(
                f"There is no kernelspec named {name!r}, so no code runs. Installing "
                "jupyter-ci-ext into the server's environment brings 'code-interpreter'; "
                "c.SessionPool.kernel_name names another."
            ) from None
        provisioner = (getattr(spec, "metadata", None) or {}).get("kernel_provisioner") or {}
        if provisioner.get("provisioner_name") != PROVISIONER:
            raise SandboxUnavailable(
                f"The kernelspec {name!r} (c.SessionPool.kernel_name) is not sandboxed: its "
                f"metadata does not name the provisioner {PROVISIONER!r}. No code runs in it."
            )

    async def _attest(self, kernel_id: str) -> Kernel:
        """What the kernelspec promised must be what was started."""
        from jupyter_ci_ext.sandbox.provisioner import SandboxProvisioner

        provisioner = getattr(self._manager.get_kernel(kernel_id), "provisioner", None)
        if isinstance(provisioner, SandboxProvisioner):
            return Kernel(self._manager, kernel_id, provisioner.data_path)
        await Kernel(self._manager, kernel_id, "").stop()
        raise SandboxUnavailable(
            "The kernel was started without the sandbox (does the server use a gateway?), so no "
            "code runs in it."
        )
