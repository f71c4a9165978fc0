"""A Jupyter server of our own for a while: free port, random token, nothing of it left behind."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from urllib.parse import urlsplit

START_SECONDS = 60.0
STOP_SECONDS = 30.0
IDLE_SECONDS = 900
"""The server ends by itself after this long without activity, should nobody be left to stop it."""


class ServerFailed(Exception):
    """The server did not come up; the message is for people, with the end of its log."""


class OwnServer:
    """A context manager around ``jupyter server``; ``url`` and ``token`` are known inside it.

    Configuration, data and files are in a temporary folder: a user's own are neither read nor
    touched, unless *environment* says where they are. The server is a process of its own session, so that an interrupt meant for us does not
    reach it before we have said goodbye.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self.url = ""
        self.token = secrets.token_hex(24)
        self._folder = tempfile.TemporaryDirectory(prefix="jupyter-ci-", ignore_cleanup_errors=True)
        self._environment = dict(environment or {})
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What the server has written."""
        path = Path(self._folder.name) / "server.log"
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def __enter__(self) -> OwnServer:
        try:
            self._start()
            self._wait()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _start(self) -> None:
        folder = Path(self._folder.name)
        work = folder / "work"
        work.mkdir()
        options = {
            "ServerApp.ip": "127.0.0.1",
            "ServerApp.port": _free_port(),
            "ServerApp.open_browser": False,
            "ServerApp.root_dir": work,
            "ServerApp.shutdown_no_activity_timeout": IDLE_SECONDS,
            "ServerApp.allow_root": os.geteuid() == 0,
        }
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("JUPYTERHUB_", "JPY_"))},
            "JUPYTER_TOKEN": self.token,
            "JUPYTER_CONFIG_DIR": str(folder / "config"),
            "JUPYTER_DATA_DIR": str(folder / "data"),
            "JUPYTER_RUNTIME_DIR": str(folder / "runtime"),
            **self._environment,
        }
        with (folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "jupyter_server",
                    *(f"--{name}={value}" for name, value in options.items()),
                ],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def _wait(self) -> None:
        """Until the server has written where it will listen, and does, which is a moment later."""
        assert self._process is not None
        runtime = Path(self._folder.name) / "runtime"
        until = time.monotonic() + START_SECONDS
        while time.monotonic() < until:
            if self._process.poll() is not None:
                raise ServerFailed(f"The Jupyter server ended at once.\n{self._tail()}")
            for path in runtime.glob("jpserver-*.json"):
                try:
                    self.url = str(json.loads(path.read_text())["url"])
                except (ValueError, KeyError):
                    continue  # still being written
                if _listens(self.url):
                    return
            time.sleep(0.05)
        raise ServerFailed(
            f"The Jupyter server was not ready after {START_SECONDS:g} s.\n{self._tail()}"
        )

    def _stop(self) -> None:
        process = self._process
        if process is not None and process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._folder.cleanup()

    def _tail(self) -> str:
        return "\n".join(self.log.splitlines()[-15:])


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        socket.create_connection((parts.hostname or "", parts.port or 80), timeout=5).close()
    except OSError:
        return False
    return True


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])
