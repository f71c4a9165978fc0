"""Become the kernel: ipykernel's application, on sockets the server has bound already.

Compared with ipykernel's own start it leaves out the debugger (70 ms and 8 MB) and the history
database (50-80 ms): no session of the interpreter has use for either.
"""

from __future__ import annotations

import functools
import importlib
import os
import sys
import warnings
from collections.abc import Mapping
from typing import Any

import ipykernel.kernelapp
import zmq
from ipykernel.heartbeat import Heartbeat
from ipykernel.iostream import IOPubThread
from ipykernel.ipkernel import IPythonKernel
from ipykernel.kernelapp import IPKernelApp
from IPython.core.error import StdinNotImplementedError
from traitlets import default
from traitlets.config import Config

from . import manners
from .output import BoundedSession, BudgetedOutStream, OutputBudget
from .reserve import (
    Reserve,
    forget_what_filled_memory,
    let_go_of_frames,
    say_what_to_do,
)

_PORTS = ("shell", "iopub", "stdin", "hb", "control")  # their numbers are 1 to 5


class SandboxHeartbeat(Heartbeat):
    """The heartbeat on a socket that was handed over."""

    fd: int

    def _try_bind_socket(self) -> Any:
        self.socket.setsockopt(zmq.USE_FD, self.fd)
        return super()._try_bind_socket()


class SandboxKernel(IPythonKernel):
    """IPython's kernel without its debugger."""

    async def poll_stopped_queue(self) -> None:
        """There is no debugger whose queue could be polled."""

    def raw_input(self, prompt: str = "") -> str:
        """Ask whoever is attached; raise where nobody is who could answer."""
        self._require_somebody("input")
        return str(super().raw_input(prompt))

    def getpass(self, prompt: str = "", *args: Any, **kwargs: Any) -> str:
        """Likewise, for a secret."""
        self._require_somebody("getpass")
        return str(super().getpass(prompt, *args, **kwargs))

    def _require_somebody(self, function: str) -> None:
        if not self._allow_stdin:
            raise StdinNotImplementedError(manners.NOBODY_TO_ASK.format(function))


class SandboxKernelApp(IPKernelApp):
    """ipykernel's application, told everything by the server instead of by files."""

    settings: Mapping[str, Any]

    @default("session")
    def _session_default(self) -> BoundedSession:
        session = BoundedSession(parent=self)
        session.reserve = Reserve()
        session.folder = self.settings["checks"]["data"]
        # leave room for what the envelope adds
        session.limit = int(self.settings["message_bytes"]) * 9 // 10
        # sending without a copy starts a thread, which code at its limit of processes cannot have
        session.copy_threshold = int(self.settings["message_bytes"])
        return session

    @default("kernel_class")
    def _kernel_class_default(self) -> type[SandboxKernel]:
        return SandboxKernel

    def init_connection_file(self) -> None:
        self.load_connection_info(self.settings["connection"])

    def write_connection_file(self, **kwargs: Any) -> None:
        """The server has written its own; here there is none."""

    def _try_bind_socket(self, s: zmq.Socket[bytes], port: int) -> int:
        s.setsockopt(zmq.USE_FD, self._fd(port))
        super()._try_bind_socket(s, port)
        return port

    def init_control(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        super().init_control(context)
        # the debugger's way to the shell: it leads to a path that is not in here
        endpoint = self.shell_socket.getsockopt(zmq.LAST_ENDPOINT)
        if endpoint:
            self.debug_shell_socket.disconnect(endpoint)

    def init_iopub(self, context: zmq.Context[zmq.Socket[bytes]]) -> None:
        if not self.settings["network"]:
            # The pipe for prints of forked children is a TCP socket on the loopback; where sockets
            # are refused libzmq aborts the process rather than report it.
            ipykernel.kernelapp.IOPubThread = _without_pipe  # type: ignore[assignment, attr-defined]
        super().init_iopub(context)

    def init_heartbeat(self) -> None:
        keys = {}
        if getattr(self, "curve_secretkey", None) is not None:
            keys = {
                "curve_publickey": self.curve_publickey,
                "curve_secretkey": self.curve_secretkey,
            }
        # a context of its own, as ipykernel has it: the GIL must not hold it up
        self.heartbeat = SandboxHeartbeat(
            zmq.Context(), (self.transport, self.ip, self.hb_port), **keys
        )
        self.heartbeat.fd = self._fd(self.hb_port)
        self.heartbeat.start()

    def init_io(self) -> None:
        BudgetedOutStream.budget = OutputBudget(int(self.settings["log_bytes"]))
        super().init_io()

    def init_shell(self) -> None:
        super().init_shell()
        if self.shell is not None:
            reserve = self.session.reserve
            self.shell.events.register("pre_execute", reserve.hold)
            self.shell.events.register("post_execute", reserve.release)
            self.shell.events.register(
                "post_execute", functools.partial(forget_what_filled_memory, self.shell)
            )
            self.shell.events.register("post_execute", _settle)
            say_what_to_do(self.shell)
            _release_at_errors(self.shell, reserve)
            manners.stay(self.shell)
            if self.settings["level"] > 1:
                manners.hint_at_installs(self.shell)

    def _fd(self, port: int) -> int:
        return int(self.settings["sockets"][_PORTS[port - 1]])


def _release_at_errors(shell: Any, reserve: Reserve) -> None:
    """Make room before an error is shown: to word it needs memory, and the code is over."""
    show = shell.showtraceback

    def show_traceback(*args: Any, **kwargs: Any) -> None:
        reserve.release()
        let_go_of_frames(sys.exc_info()[1])
        show(*args, **kwargs)

    shell.showtraceback = show_traceback


def _settle() -> None:
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, BudgetedOutStream):
            stream.settle()


def _without_pipe(socket: Any, pipe: bool, **kwargs: Any) -> IOPubThread:  # noqa: ARG001
    return IOPubThread(socket, pipe=False, **kwargs)


def run(settings: Mapping[str, Any]) -> None:
    """Preload modules, then be the kernel until it is told to stop."""
    warnings.filterwarnings("ignore", message="To exit: use ")
    for name in settings["preload"]:
        try:
            importlib.import_module(name)
        except Exception as error:
            print(f"preload of {name}: {error}", file=sys.stderr)
    SandboxKernelApp.settings = settings
    os.chdir(settings["checks"]["data"])
    config = Config()
    config.HistoryManager.enabled = False
    config.IPKernelApp.outstream_class = f"{BudgetedOutStream.__module__}.BudgetedOutStream"
    app = SandboxKernelApp.instance(config=config)
    app.initialize([])
    del sys.modules["debugpy"]  # see __main__
    app.start()
