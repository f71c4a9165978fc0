"""Where the faults happen: a real server, a scripted model, a small disk, a clock that can be set."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.conformance.playbook import Playbook
from tests.conformance.server import LiveServer
from tests.fakes.upstream import ScriptedUpstream
from tests.sandbox.traces import descendants

DISK_MIB = 256
MEMORY = 384 * 2**20
"""Bytes of memory that a session may use."""
EXECUTION_SECONDS = 8
SILENCE_SECONDS = 6
"""Seconds that the model may say nothing."""
_PR_SET_CHILD_SUBREAPER = 36

# Runs in every Python that the server's own environment starts; the sandbox's has another one.
_SITECUSTOMIZE = """
import mmap, os, struct, time
if "SOAK_CLOCK" in os.environ:
    with open(os.environ["SOAK_CLOCK"], "rb") as _file:
        _clock = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)
    _time, _time_ns = time.time, time.time_ns
    time.time = lambda: _time() + struct.unpack("d", _clock[:8])[0]
    time.time_ns = lambda: _time_ns() + int(struct.unpack("d", _clock[:8])[0] * 1e9)
"""


class Site:
    """All of it, below one folder that the caller removes. A context manager.

    ``server`` is the one that is up; `kill` and `start` replace it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tmp = folder / "tmp"
        self.upstream = ScriptedUpstream(models=("scripted",))
        self.playbook = Playbook(self.upstream)
        self.upstream.otherwise = self.playbook
        self.has_disk = False
        self.servers = 0
        """How many server processes were started."""
        self.logs: list[str] = []
        """What servers that are gone have logged since this was last emptied."""
        self._nobody = socket.socket()  # bound, and never listened on: connections are refused
        self._clock = folder / "clock"
        self._stack = contextlib.ExitStack()
        self._up: LiveServer | None = None
        self._read = 0

    @property
    def server(self) -> LiveServer:
        """The server that is up."""
        assert self._up is not None
        return self._up

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.folder / "data" / "code-interpreter" / "default"

    @property
    def runtime(self) -> Path:
        """Where Jupyter keeps its connection files."""
        return self.folder / "runtime"

    def __enter__(self) -> Site:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        self.tmp.mkdir()
        (self.folder / "python").mkdir()
        (self.folder / "python" / "sitecustomize.py").write_text(_SITECUSTOMIZE)
        self._clock.write_bytes(struct.pack("d", 0.0))
        os.environ.pop("XDG_RUNTIME_DIR", None)
        os.environ |= {
            "TMPDIR": str(self.tmp),
            "PYTHONPATH": str(self.folder / "python"),
            "SOAK_CLOCK": str(self._clock),
        }
        self._mount()
        self._nobody.bind(("127.0.0.1", 0))
        self._stack.callback(self._nobody.close)
        self._stack.enter_context(self.upstream)
        self._stack.callback(self._stop)
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def start(self) -> None:
        """Start a server on the data directory."""
        self._up = self.make(self.folder)
        self._up.__enter__()

    def stop(self) -> None:
        """Stop the server as its user would."""
        self._stop()

    def kill(self) -> None:
        """Kill the server, as no user would."""
        os.kill(self.server.pid, signal.SIGKILL)
        self._stop()

    def _stop(self) -> None:
        server, self._up = self._up, None
        if server is not None:
            try:
                server.__exit__(None, None, None)
            finally:
                self.logs.append(server.log.read_bytes()[self._read :].decode("utf-8", "replace"))
                self._read = 0

    def logged(self) -> str:
        """What all servers have logged since this was last asked."""
        if self._up is not None:
            text = self._up.log.read_bytes()
            self.logs.append(text[self._read :].decode("utf-8", "replace"))
            self._read = len(text)
        logs, self.logs = self.logs, []
        return "".join(logs)

    def make(self, folder: Path, *options: str) -> LiveServer:
        """A server with everything below *folder*, not started yet."""
        self.servers += 1
        refused = f"http://127.0.0.1:{self._nobody.getsockname()[1]}/v1"
        providers = '{"closed": {"base_url": "%s", "api_key": "x", "models": ["nobody"]}}'
        return LiveServer(
            folder,
            self.upstream.url,
            "--ModelProvider.local_discovery=False",
            f"--ModelProvider.read_timeout={SILENCE_SECONDS}",
            "--ModelProvider.max_retry_wait=2",
            f"--ModelProvider.providers={providers % refused}",
            "--SessionPool.preload=[]",
            "--SessionPool.max_sessions=4",
            f"--Sandbox.memory={MEMORY}",
            f"--Sandbox.execution_seconds={EXECUTION_SECONDS}",
            "--Sandbox.grace_seconds=1",
            *options,
        )

    @contextlib.contextmanager
    def second(self) -> Iterator[LiveServer]:
        """Another server on the same data directory; killed or not, it is gone afterwards."""
        folder = self.folder / "second"
        server = self.make(folder, f"--CodeInterpreterApp.data_dir={self.data}")
        try:
            with server:
                yield server
        finally:
            self.logs.append(server.log.read_text("utf-8", "replace"))

    def shift_clock(self, seconds: float) -> None:
        """Set the clock of all servers to so much later, or earlier, than it is."""
        with self._clock.open("r+b") as file:
            file.write(struct.pack("d", seconds))

    @property
    def now(self) -> float:
        """Unix seconds as the servers see it."""
        shift: float = struct.unpack("d", self._clock.read_bytes())[0]
        return time.time() + shift

    def processes(self, name: str) -> list[int]:
        """Those of the server's kernels that are called so."""
        return [pid for pid, each, _ in descendants(self.server.pid) if each == name]

    def _mount(self) -> None:
        data = self.folder / "data"
        data.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m", "tmpfs", str(data)]
        with contextlib.suppress(OSError):
            self.has_disk = subprocess.run(mount, check=False, capture_output=True).returncode == 0
        if self.has_disk:
            self._stack.callback(subprocess.run, ["umount", "-l", str(data)], check=True)
