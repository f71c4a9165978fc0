"""A live Jupyter server with the extension, in a process of its own, with directories of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any

TOKEN = "conformance-token-of-the-tests"
BASE = "/user/jovyan/"
START_SECONDS = 60


class LiveServer:
    """``jupyter server`` below *directory*, asking the model server at *upstream* (…/v1).

    A context manager. ``url`` ends without a slash; clients add ``/openai/v1`` or nothing.
    """

    def __init__(self, directory: Path, upstream: str, *options: str) -> None:
        self._directory = directory
        self._options = options
        self._upstream = upstream
        self._process: subprocess.Popen[bytes] | None = None
        self.url = ""
        self.log = directory / "server.log"

    @property
    def openai(self) -> str:
        """The base URL of OpenAI's clients."""
        return f"{self.url}/openai/v1"

    @property
    def pid(self) -> int:
        """Of its process."""
        assert self._process is not None
        return self._process.pid

    @property
    def database(self) -> Path:
        """Where its rows are."""
        return self._directory / "data" / "code-interpreter" / "default" / "state.db"

    def __enter__(self) -> LiveServer:
        for name in ("home", "config", "data", "runtime", "root"):
            (self._directory / name).mkdir(parents=True, exist_ok=True)
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("JUPYTER", "OPENAI_", "AZURE_"))
        }
        env |= {
            "HOME": str(self._directory / "home"),
            "JUPYTER_CONFIG_DIR": str(self._directory / "config"),
            "JUPYTER_DATA_DIR": str(self._directory / "data"),
            "JUPYTER_RUNTIME_DIR": str(self._directory / "runtime"),
            "OPENAI_BASE_URL": self._upstream,
            "OPENAI_API_KEY": "sk-of-the-upstream",
        }
        argv = [sys.executable, "-m", "jupyter", "server", "--no-browser"]
        argv += ["--ip=127.0.0.1", "--port=0", f"--ServerApp.base_url={BASE}"]
        argv += [f"--IdentityProvider.token={TOKEN}", f"--ServerApp.root_dir={self._root}"]
        argv += ["--ServerApp.allow_root=True", *self._options]
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                argv, env=env, cwd=self._directory, stdout=log, stderr=subprocess.STDOUT
            )
        try:
            self.url = self._wait()
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

    @property
    def _root(self) -> Path:
        return self._directory / "root"

    def _wait(self) -> str:
        assert self._process is not None
        until = time.monotonic() + START_SECONDS
        card = self._directory / "runtime" / f"jpserver-{self._process.pid}.json"
        while time.monotonic() < until and self._process.poll() is None:
            try:
                url = f"http://127.0.0.1:{json.loads(card.read_text())['port']}{BASE}".rstrip("/")
                with urllib.request.urlopen(f"{url}/api", timeout=5):
                    return url
            except (OSError, ValueError):
                time.sleep(0.1)
        raise AssertionError(f"the server did not start:\n{self.log.read_text()[-3000:]}")

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError("the server did not stop within 30 s of SIGTERM") from None


class Api:
    """The API without any client: JSON in, JSON out, and the bytes of streams."""

    def __init__(self, base: str, headers: dict[str, str] | None = None) -> None:
        self.base = base
        self._headers = {"Authorization": f"Bearer {TOKEN}"} | (headers or {})

    def open(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: str = "",
        seconds: float = 60,
        **headers: str,
    ) -> Any:
        """The open response; raises `urllib.error.HTTPError`. *raw* is a body that is no JSON."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        data = raw.encode() or (None if body is None else json.dumps(body).encode())
        request = urllib.request.Request(
            self.base + path,
            data,
            self._headers | {"Content-Type": "application/json"} | names,
            method=method,
        )
        return urllib.request.urlopen(request, timeout=seconds)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON answer, whatever its status."""
        return self.ask(method, path, body, **headers)[1]

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        """Status and JSON answer."""
        try:
            with self.open(method, path, body, **headers) as response:
                return response.status, json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.load(error)

    def stream(self, method: str, path: str, body: Any = None, **headers: str) -> str:
        """The whole of an event stream."""
        with self.open(method, path, body, **headers) as response:
            assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
            text: str = response.read().decode()
            return text
