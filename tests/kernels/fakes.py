"""Kernels without processes, named by how they behave."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from jupyter_ci_ext.errors import SandboxUnavailable
from jupyter_ci_ext.kernels.connection import GONE, Channel, Connection, Message, Transport
from jupyter_ci_ext.kernels.launcher import Kernel, Launcher
from jupyter_ci_ext.sandbox.policy import Launch


class InstantTransport(Transport):
    """Answers every request in the next turn of the loop; code prints itself."""

    def __init__(self, kernel: InstantKernel) -> None:
        self.kernel = kernel
        self.closed = False

    def open(self, deliver: Callable[[Channel, Message], None]) -> None:
        self._deliver = deliver

    def send(self, channel: Channel, msg_type: str, content: dict[str, Any]) -> str:
        msg_id = uuid.uuid4().hex
        asyncio.get_running_loop().call_soon(self._answer, msg_id, msg_type, content)
        return msg_id

    async def lost(self) -> str | None:
        return None if self.kernel.running else GONE

    def reopen_iopub(self) -> None:
        raise AssertionError("it delivers everything")

    def close(self) -> None:
        self.closed = True

    def answer(self, channel: Channel, msg_id: str, msg_type: str, content: object) -> None:
        if not self.closed:
            parent = {"msg_id": msg_id}
            message = {"msg_type": msg_type, "parent_header": parent, "content": content}
            self._deliver(channel, message)

    def _answer(self, msg_id: str, msg_type: str, content: dict[str, Any]) -> None:
        self.answer("iopub", msg_id, "status", {"execution_state": "busy"})
        if msg_type == "execute_request" and not content["silent"]:
            self.answer("iopub", msg_id, "stream", {"name": "stdout", "text": content["code"]})
        self.answer("shell", msg_id, msg_type.replace("request", "reply"), {"status": "ok"})
        self.answer("iopub", msg_id, "status", {"execution_state": "idle"})


class MutedTransport(InstantTransport):
    """Runs code and replies, but its output channel broke and says nothing until replaced."""

    muted = False

    def answer(self, channel: Channel, msg_id: str, msg_type: str, content: object) -> None:
        if channel == "shell" or not self.muted:
            super().answer(channel, msg_id, msg_type, content)

    def send(self, channel: Channel, msg_type: str, content: dict[str, Any]) -> str:
        if msg_type == "execute_request" and content["code"] == "too much":
            self.muted = True
        return super().send(channel, msg_type, content)

    def reopen_iopub(self) -> None:
        self.muted = False


class NeverTransport(InstantTransport):
    """Takes requests and never answers."""

    def send(self, channel: Channel, msg_type: str, content: dict[str, Any]) -> str:
        return uuid.uuid4().hex


class RudeTransport(InstantTransport):
    """Sends every kind of nonsense before it answers."""

    def _answer(self, msg_id: str, msg_type: str, content: dict[str, Any]) -> None:
        for channel in ("iopub", "shell"):
            kinds = (
                "stream",
                "status",
                "error",
                "execute_reply",
                "shutdown_reply",
                "",
                None,
                ["x"],
            )
            for kind in kinds:
                for nonsense in (None, 3, "text", [], {"text": 3}, {"data": None}):
                    if kind != "shutdown_reply" or not isinstance(nonsense, dict):
                        self.answer(channel, msg_id, kind, nonsense)  # type: ignore[arg-type]
        self._deliver("iopub", {"msg_type": "x", "parent_header": None, "content": {}})
        super()._answer(msg_id, msg_type, content)


class InstantKernel(Kernel):
    """Starts, answers and ends at once."""

    def __init__(self, transport: type[InstantTransport]) -> None:
        self.id = uuid.uuid4().hex
        self.data_path = "/mnt/data"
        self.running = True
        self.attached_at = 0.0
        self._transport = transport
        self._log = logging.getLogger("test")

    @property
    def listed(self) -> bool:
        return self.running

    @property
    def isolation(self) -> dict[str, Any]:
        return {"level": 3}

    @property
    def usage(self) -> dict[str, Any]:
        return {"processes": 1}

    @property
    def last_active(self) -> float:
        return self.attached_at

    def connect(self) -> Connection:
        return Connection(self._transport(self))

    async def alive(self) -> bool:
        return self.running

    async def interrupt(self) -> None:
        pass

    async def adopt(self, paths: Sequence[Path]) -> None:
        pass

    async def check(self) -> str | None:
        return None

    async def stop(self) -> None:
        await asyncio.sleep(0)
        self.running = False


class InstantLauncher(Launcher):
    """Starts instant kernels and remembers them; ``gate`` holds starts up while it is closed."""

    def __init__(self, transport: type[InstantTransport] = InstantTransport) -> None:
        self.kernels: list[InstantKernel] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self._transport = transport

    @property
    def running(self) -> int:
        return sum(kernel.running for kernel in self.kernels)

    async def start(self, launch: Launch) -> Kernel:
        await self.gate.wait()
        kernel = InstantKernel(self._transport)
        self.kernels.append(kernel)
        return kernel


class RefusingLauncher(InstantLauncher):
    """A host that can isolate nothing."""

    async def start(self, launch: Launch) -> Kernel:
        raise SandboxUnavailable("This host cannot isolate code.")
