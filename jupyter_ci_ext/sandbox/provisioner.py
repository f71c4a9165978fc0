"""The kernel provisioner: what every kernel of the kernelspec ``code-interpreter`` is started by.

It makes the five sockets itself and hands them over, so that the kernel needs no folder it could write
and nothing listens on TCP; starts the sandbox; and ends it as a whole.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

import zmq.asyncio
from jupyter_client.provisioning.local_provisioner import LocalProvisioner
from jupyter_core.utils import ensure_async

from ..errors import SandboxUnavailable
from . import buffering, confined, mounts, rundir, users
from .config import Sandbox
from .policy import Isolation, Launch, Policy, Usage
from .probe import probe
from .process import Sandboxed
from .start import Plan, Start

if TYPE_CHECKING:
    from jupyter_client.connect import KernelConnectionInfo

_CHANNELS = ("shell", "iopub", "stdin", "hb", "control")
_INSIDE_IP = "/run/kernel"
_BACKLOG = 64
_SIGNAL_EXIT = 128


class SandboxProvisioner(LocalProvisioner):
    """Starts a kernel in a sandbox.

    ``start_kernel(..., sandbox=Launch(...))`` says which folder is its workspace; without it the
    kernel gets an empty one of its own that goes with it.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.policy: Policy = Sandbox(parent=self).policy()
        self._launch: Launch | None = None
        self._sockets_dir: rundir.RunDirectory | None = None
        self._private_dir: rundir.RunDirectory | None = None
        self._room: confined.Room | None = None
        self._sandboxed: Sandboxed | None = None
        self._uid: int | None = None
        self._ended_by_us = False
        self._has_run = False
        self._giving_back: asyncio.Future[None] | None = None

    # What the kernels room uses, beside jupyter_client's own interface.

    @property
    def isolation(self) -> Isolation | None:
        """What is in force around the running kernel; None before it was measured."""
        return self._sandboxed.isolation if self._sandboxed else None

    @property
    def data_path(self) -> str:
        """The workspace's path as the code sees it."""
        return self._sandboxed.data_path if self._sandboxed else "/mnt/data"

    @property
    def end_reason(self) -> str | None:
        """Why the kernel is gone, as a sentence; None while it runs or if it was asked to go."""
        if self._sandboxed is None or self._sandboxed.process.poll() is None:
            return None
        reason = self._sandboxed.reason()
        if reason or self._ended_by_us:
            return reason
        return _exit_reason(self._sandboxed.process.returncode)

    def usage(self) -> Usage:
        """The latest sample of what the sandbox uses; costs nothing."""
        if self._sandboxed is None or self._sandboxed.monitor is None:
            return Usage()
        return self._sandboxed.monitor.usage

    async def check(self) -> str | None:
        """Count the workspace now; the limit for which the sandbox has been ended, or None."""
        monitor = self._sandboxed.monitor if self._sandboxed else None
        return await asyncio.to_thread(monitor.check) if monitor else None

    def log_text(self) -> str:
        """The end of what the kernel's process itself wrote: crashes of libraries, for the log."""
        return self._sandboxed.log_text() if self._sandboxed else ""

    async def adopt(self, path: Path) -> None:
        """Let the code change files that were put below the workspace while it runs."""
        if self._uid is not None:
            await asyncio.to_thread(_adopt, path, self._uid)

    async def interrupt_tree(self) -> None:
        """Send SIGINT to the kernel's process, where its own interrupt message is not heard."""
        await self.send_signal(signal.SIGINT)

    def close_transport(self) -> None:
        """Close the sockets to a kernel that is gone for good; may be called twice."""
        manager = self._manager
        if manager._created_context and not manager.context.closed:
            manager.context.destroy(linger=0)

    # jupyter_client's interface.

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Choose how to isolate, make the sockets, write the connection file. Called at every start.

        Raises SandboxUnavailable where the policy cannot be met; whatever it raises, nothing is left.
        """
        self._watch_over_start()
        self._note_activity()
        async with self._all_or_nothing():
            return await self._prepare(kwargs.pop("sandbox", None), kwargs)

    async def _prepare(self, launch: Launch | None, kwargs: dict[str, Any]) -> dict[str, Any]:
        report = await probe(self.policy)
        plan = report.check()
        if plan.level == 1:
            self.log.warning(
                "The code of this kernel is NOT isolated: it can read and change every file of this "
                "user and reach the network. c.Sandbox.minimum_level = 1 allows that."
            )
        await asyncio.to_thread(self._sweep)
        if launch is not None:
            if not launch.workspace.is_dir():
                raise SandboxUnavailable(f"There is no workspace folder {launch.workspace}.")
            # a session that died must not come back empty and silently
            self._manager.autorestart = False
        self._launch = launch or self._private_launch()
        self._ended_by_us = False
        buffering.forgo(self._manager.parent, self._is_sandboxed)
        if self._sockets_dir is None:
            self._sockets_dir = rundir.RunDirectory(rundir.socket_base())
            self._own_transport(self._sockets_dir.path)
        self._uid = users.throw_away(plan.level)
        if self._uid is not None:
            await asyncio.to_thread(users.give, self._launch.workspace, self._uid)
        if plan.level < 3 and self._room is None:
            self._room = confined.Room.make()
        kwargs = await super().pre_launch(**kwargs)
        kwargs["sandbox_plan"] = plan
        return kwargs

    def _sweep(self) -> None:
        """Remove what kernels of servers that were killed have left."""
        rundir.sweep()
        rundir.sweep_connections(Path(self._manager.connection_file).parent)

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> KernelConnectionInfo:
        """Start the sandbox and wait until it has proved itself. Called after ``pre_launch``."""
        async with self._all_or_nothing():
            return await self._start(kwargs["sandbox_plan"])

    async def _start(self, plan: Plan) -> KernelConnectionInfo:
        assert self._launch is not None
        assert self._sockets_dir is not None
        policy = self.policy.for_session(self._launch)
        private = (str(self._launch.workspace.parent), *_private_paths())
        environment = await asyncio.to_thread(mounts.discover, policy.python, private)
        sockets = _listen(self._sockets_dir.path)
        connection = _text(dict(self.connection_info)) | {"ip": _INSIDE_IP}
        try:
            # in this thread: the sandbox dies with the thread that starts it
            self._sandboxed = Sandboxed.spawn(
                Start(
                    plan=plan,
                    policy=policy,
                    launch=self._launch,
                    environment=environment,
                    uid=self._uid,
                    room=self._room,
                    connection=connection,
                    sockets={name: s.fileno() for name, s in sockets.items()},
                    unreadable=(
                        "/etc/shadow",
                        f"/proc/{os.getpid()}/environ",
                        self._manager.connection_file,
                        str(self._sockets_dir.path),
                    ),
                )
            )
        finally:
            for handed_over in sockets.values():
                handed_over.close()
        self.process = self._sandboxed.process
        self.pid = self.process.pid
        self.pgid = None
        self.cwd = str(self._launch.workspace)
        await self._attest(self._sandboxed)
        return self.connection_info

    async def _attest(self, sandboxed: Sandboxed) -> None:
        attesting = asyncio.ensure_future(asyncio.to_thread(sandboxed.attest))
        try:
            await asyncio.shield(attesting)
        except asyncio.CancelledError:
            # the thread goes on, and might find all well: then there would be a kernel nobody knows
            sandboxed.kill()
            await asyncio.wait({attesting})
            raise

    async def send_signal(self, signum: int) -> None:
        """Signal the kernel alone: a signal to the group would end the sandbox around it."""
        if self._sandboxed is None:
            return
        if signum == signal.SIGKILL:
            await self.kill()
        elif signum:
            self._sandboxed.signal_kernel(signum)

    async def kill(self, restart: bool = False) -> None:
        """End everything in the sandbox at once."""
        self._ended_by_us = True
        if self._sandboxed is not None:
            self._sandboxed.kill()

    async def terminate(self, restart: bool = False) -> None:
        """Ask the kernel to end; ``kill`` follows if it does not."""
        await self.send_signal(signal.SIGTERM)

    async def shutdown_requested(self, restart: bool = False) -> None:
        """Note that the end, when it comes, is wanted."""
        self._ended_by_us = True

    async def wait(self) -> int | None:
        """Wait for the end, then give back what the sandbox held."""
        code: int | None = await super().wait()
        if self._sandboxed is not None:
            await asyncio.to_thread(self._sandboxed.close)
        return code

    async def cleanup(self, restart: bool = False) -> None:
        """Remove what belongs to the kernel. Called when it is gone, also between restarts."""
        try:
            if self._sandboxed is not None:
                self._sandboxed.kill()
                await asyncio.to_thread(self._sandboxed.close)
        finally:
            self.process = None
            if not restart:
                await self._remove_folders()

    async def _remove_folders(self) -> None:
        room = self._room.directory if self._room else None
        folders = (self._sockets_dir, self._private_dir, room)
        self._sockets_dir = self._private_dir = self._room = None
        for folder in folders:
            if folder is not None:
                await asyncio.to_thread(folder.remove)

    @contextlib.asynccontextmanager
    async def _all_or_nothing(self) -> AsyncIterator[None]:
        """Give everything back when a step of the start fails: jupyter_client does not."""
        try:
            yield
        except BaseException:
            self._giving_back = asyncio.ensure_future(self._give_back())
            await self._giving_back
            raise

    def _watch_over_start(self) -> None:
        """Give everything back, too, when jupyter_client's own steps after ours fail or are broken off."""
        ready, task = self._manager.ready, asyncio.current_task()

        def settled(_: object) -> None:
            if ready.done() and not ready.cancelled() and ready.exception() is None:
                self._has_run = True
            elif ready is self._manager.ready and self._giving_back is None:
                self._giving_back = asyncio.ensure_future(self._give_back())

        if isinstance(ready, asyncio.Future) and task is not None:
            self._giving_back = None
            ready.add_done_callback(settled)
            task.add_done_callback(settled)  # of a start that is cancelled the future tells nothing

    def _note_activity(self) -> None:
        """Have a time of last activity from the first moment on.

        Jupyter Server notes one a moment after the kernel is listed; a list of kernels, or its status,
        asked for in between, would be an error 500.
        """
        if self._manager.trait_has_value("last_activity"):
            return  # a restart
        if self._manager.has_trait("last_activity"):
            self._manager.last_activity = datetime.now(timezone.utc)

    async def _give_back(self) -> None:
        """Leave nothing of a start that failed: no process, folder, connection file, nor socket."""
        manager = self._manager
        getattr(manager.parent, "_pending_kernels", {}).pop(self.kernel_id, None)
        manager.stop_restarter()
        if self._has_run:
            # a restart: others still have sockets of the context, see close_transport
            manager.cleanup_connection_file()
            await self.cleanup()
        else:
            await ensure_async(manager.cleanup_resources())
        self._sandboxed = None

    def resolve_path(self, path_str: str) -> str | None:
        """No path inside means anything outside."""
        return None

    @property
    def _manager(self) -> Any:
        """The kernel manager this provisioner belongs to; always there when a kernel starts."""
        assert self.parent is not None
        return self.parent

    def _is_sandboxed(self, kernel_id: str) -> bool:
        kernel = self._manager.parent.get_kernel(kernel_id)
        return isinstance(kernel.provisioner, SandboxProvisioner)

    def _private_launch(self) -> Launch:
        if self._private_dir is None:
            self._private_dir = rundir.RunDirectory(rundir.data_base())
            (self._private_dir.path / "data").mkdir(mode=0o700)
        return Launch(self._private_dir.path / "data")

    def _own_transport(self, folder: Path) -> None:
        """Turn the kernel manager to our sockets, and bound what one message may be."""
        manager = self._manager
        manager.transport = "ipc"
        manager.ip = str(folder / "s")
        for number, channel in enumerate(_CHANNELS, 1):
            setattr(manager, f"{channel}_port", number)
        # A context of its own: the limit is the sockets' that come from it. A larger message ends
        # the socket it comes on for good.
        context = zmq.asyncio.Context()
        context.setsockopt(zmq.MAXMSGSIZE, self.policy.message_bytes)
        # ... and how many of them wait in memory for a server that is slower than its kernel.
        context.setsockopt(zmq.RCVHWM, 16)
        manager.context = context
        manager._created_context = True


def _listen(folder: Path) -> dict[str, socket.socket]:
    """The five listening sockets, under the names the kernel manager connects to."""
    sockets = {}
    with contextlib.ExitStack() as until_all_listen:
        for number, channel in enumerate(_CHANNELS, 1):
            path = folder / f"s-{number}"
            path.unlink(missing_ok=True)
            listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            until_all_listen.callback(listener.close)
            listener.bind(str(path))
            listener.listen(_BACKLOG)
            listener.setblocking(False)
            sockets[channel] = listener
        until_all_listen.pop_all()
    return sockets


def _private_paths() -> tuple[str, ...]:
    from jupyter_core.paths import jupyter_data_dir, jupyter_runtime_dir

    return (jupyter_data_dir(), jupyter_runtime_dir())


def _text(info: dict[str, Any]) -> dict[str, Any]:
    return {k: v.decode("ascii") if isinstance(v, bytes) else v for k, v in info.items()}


def _adopt(path: Path, uid: int) -> None:
    if path.is_dir() and not path.is_symlink():
        users.give(path, uid)
    else:
        os.chown(path, uid, uid, follow_symlinks=False)


def _exit_reason(code: int) -> str:
    """A sentence for people about a kernel that ended by itself."""
    number = -code if code < 0 else code - _SIGNAL_EXIT
    if code < 0 or 0 < number < signal.NSIG:
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        if name == "SIGKILL":
            return "The code's process was killed (SIGKILL); it may have run out of memory."
        what = {
            "SIGSEGV": "crashed (segmentation fault)",
            "SIGABRT": "crashed (it aborted itself)",
            "SIGBUS": "crashed (bus error)",
            "SIGFPE": "crashed (arithmetic error)",
        }.get(name, f"was ended by {name}")
        return f"The code's process {what}."
    return f"The code ended its own process (exit code {code})."
