"""Sets up a host full of things that must stay untouched, and lets the cases loose on it.

``python -m tests.sandbox.harness LEVEL [GROUP...]`` does it in a process of its own, as whoever runs it, and prints
the result as JSON: so the same table is tried as root and as an ordinary user.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import platform
import socket
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.asynchronous.client import AsyncKernelClient
from jupyter_client.manager import AsyncKernelManager
from traitlets.config import Config

from jupyter_ci_ext.sandbox.policy import Launch
from jupyter_ci_ext.sandbox.provisioner import SandboxProvisioner
from jupyter_ci_ext.sandbox.stage2 import landlock
from jupyter_ci_ext.sandbox.syscalls import NUMBERS

from .cases import CASES, PRELUDE

CANARY = "CANARY-7d1f"


@dataclass
class Answer:
    """What one execution gave: text printed, the error's name, the reply's status."""

    text: str
    error: str
    status: str
    data: list[dict[str, Any]]


class Kernel:
    """A kernel in a sandbox and a client on it."""

    def __init__(
        self, manager: AsyncKernelManager, client: AsyncKernelClient, workspace: Path
    ) -> None:
        self.manager = manager
        self.client = client
        self.workspace = workspace

    @property
    def provisioner(self) -> SandboxProvisioner:
        assert isinstance(self.manager.provisioner, SandboxProvisioner)
        return self.manager.provisioner

    async def run(self, code: str, timeout: float = 30) -> Answer:
        """Execute code; raises TimeoutError where the kernel does not answer."""
        answer = Answer("", "", "", [])

        def take(message: dict[str, Any]) -> None:
            content = message["content"]
            if message["msg_type"] == "stream":
                answer.text += content["text"]
            elif message["msg_type"] == "error":
                answer.error = content["ename"] + ": " + content["evalue"]
            elif "data" in content:
                answer.data.append(content["data"])

        reply = await self.client.execute_interactive(
            code, timeout=timeout, output_hook=take, allow_stdin=False
        )
        answer.status = reply["content"]["status"]
        return answer

    async def ended(self, timeout: float = 15) -> str | None:
        """Wait until the kernel is gone; the reason it gives."""
        for _ in range(int(timeout / 0.05)):
            if await self.provisioner.poll() is not None:
                return self.provisioner.end_reason
            await asyncio.sleep(0.05)
        raise TimeoutError("the kernel lives on")


@contextlib.asynccontextmanager
async def kernel(
    workspace: Path | None = None, connect: bool = True, **traits: Any
) -> AsyncIterator[Kernel]:
    """Start a kernel with these traits of ``Sandbox``; everything is gone afterwards."""
    with contextlib.ExitStack() as stack:
        if workspace is None:
            workspace = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        manager = AsyncKernelManager(
            kernel_name="code-interpreter", config=Config({"Sandbox": traits})
        )
        await manager.start_kernel(sandbox=Launch(workspace))
        client = manager.client(context=manager.context)
        try:
            if connect:
                client.start_channels()
                await client.wait_for_ready(timeout=30)
            yield Kernel(manager, client, workspace)
        finally:
            client.stop_channels()
            await manager.shutdown_kernel(now=True)


class Listeners:
    """Sockets of the host that count who comes."""

    def __init__(self, folder: Path) -> None:
        self.hits: list[str] = []
        self.unix = str(folder / "unix")
        self.dgram = str(folder / "dgram")
        self.abstract = f"canary-{os.getpid()}"
        self._sockets: list[socket.socket] = []
        self.tcp = self._stream("tcp", socket.create_server(("", 0))).getsockname()[1]
        self._stream("abstract", self._bound(socket.SOCK_STREAM, "\0" + self.abstract))
        self._stream("unix", self._bound(socket.SOCK_STREAM, self.unix))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        udp.bind(("", 0))
        self.udp = self._datagram("udp", udp).getsockname()[1]
        self._datagram("dgram", self._bound(socket.SOCK_DGRAM, self.dgram))

    def close(self) -> None:
        for listener in self._sockets:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    def _bound(self, kind: int, address: str) -> socket.socket:
        listener = socket.socket(socket.AF_UNIX, kind)
        listener.bind(address)
        if kind == socket.SOCK_STREAM:
            listener.listen()
        if not address.startswith("\0"):
            os.chmod(address, 0o777)
        return listener

    def _stream(self, name: str, listener: socket.socket) -> socket.socket:
        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    self.hits.append(name)
                    # Closed at once, what the case sends next would look refused.
                    connection.settimeout(1)
                    with connection, contextlib.suppress(OSError):
                        connection.recv(100)

        return self._serve(listener, serve)

    def _datagram(self, name: str, listener: socket.socket) -> socket.socket:
        def serve() -> None:
            with contextlib.suppress(OSError):
                while listener.recv(100):
                    self.hits.append(name)

        return self._serve(listener, serve)

    def _serve(self, listener: socket.socket, serve: Any) -> socket.socket:
        self._sockets.append(listener)
        threading.Thread(target=serve, daemon=True).start()
        return listener


@contextlib.contextmanager
def prepared_host() -> Iterator[tuple[dict[str, Any], Listeners]]:
    """A home with secrets, files of the server, listeners; what the cases are told about it."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for part in ("home/.ssh", "runtime", "read_only", "workspace"):
            (folder / part).mkdir(parents=True)
        secrets = {
            "ssh_key": folder / "home/.ssh/id_rsa",
            "token_file": folder / "runtime/jpserver-1.json",
            "tmp_file": folder / "secret",
        }
        for path in secrets.values():
            path.write_text(CANARY)
        victim = folder / "read_only/hello"
        victim.write_text("hello")
        os.environ |= {
            "HOME": str(folder / "home"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            "OPENAI_API_KEY": CANARY,
            "JUPYTERHUB_API_TOKEN": CANARY,
            "AWS_SECRET_ACCESS_KEY": CANARY,
        }
        listeners = Listeners(folder)
        try:
            yield (
                {
                    **{key: str(path) for key, path in secrets.items()},
                    "home": str(folder / "home"),
                    "runtime": str(folder / "runtime"),
                    "read_only": str(folder / "read_only"),
                    "victim": str(victim),
                    "site": str(Path(sys.modules["zmq"].__file__ or "").parent.parent),
                    "server": os.getpid(),
                    "uid": os.getuid(),
                    "machine": platform.machine(),
                    "tcp": listeners.tcp,
                    "udp": listeners.udp,
                    "unix": listeners.unix,
                    "dgram": listeners.dgram,
                    "abstract": listeners.abstract,
                    "address": _own_address(),
                },
                listeners,
            )
        finally:
            listeners.close()


def _own_address() -> str:
    """An address of this host that is not the loopback's, where it has one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"


async def try_all(level: int, groups: Sequence[str] = ()) -> dict[str, Any]:
    """Run every case of a level (or of some groups) in one kernel; results, and what was touched."""
    with prepared_host() as (told, listeners):
        before = _state(told)
        workspace = Path(told["read_only"]).parent / "workspace"
        traits = {
            "maximum_level": level,
            "minimum_level": level,
            "read_only_paths": [told["read_only"]],
        }
        results: dict[str, Any] = {}
        async with kernel(workspace, **traits) as running:
            told |= {
                "level": level,
                "connection_file": running.manager.connection_file,
                "sockets": str(Path(running.manager.ip).parent),
            }
            numbers = NUMBERS[platform.machine()]
            await running.run(f"T = {told!r}\nNR = {numbers!r}\n{PRELUDE}")
            for case in CASES:
                if case.group in groups if groups else case.at(level, landlock.version()):
                    body = "".join(f"    {line}\n" for line in case.code.splitlines())
                    code = f"def case():\n{body}\nprint(json.dumps(run_case(case)))"
                    answer = await running.run(code)
                    try:
                        results[case.id] = json.loads(answer.text.strip().splitlines()[-1])
                    except (ValueError, IndexError):
                        results[case.id] = [not case.must_work, f"no answer: {answer}"]
            isolation = running.provisioner.isolation
            assert isolation is not None
        return {
            "results": results,
            "hits": listeners.hits,
            "changed": [name for name, value in _state(told).items() if before[name] != value],
            "isolation": isolation.to_dict(),
        }


def _state(told: dict[str, Any]) -> dict[str, Any]:
    """What of the host must be the same before and after."""
    victim = Path(told["victim"])
    status = victim.stat()
    return {
        "victim": (victim.read_text(), oct(status.st_mode), status.st_mtime, status.st_nlink),
        "core_pattern": Path("/proc/sys/kernel/core_pattern").read_text(),
        "/dev/null": oct(os.stat("/dev/null").st_mode),
        "host name": socket.gethostname(),
        "site-packages": sorted(os.listdir(told["site"])),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(try_all(int(sys.argv[1]), sys.argv[2:]))))
