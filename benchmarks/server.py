"""A Jupyter server to measure, and a client that costs as little as possible."""

from __future__ import annotations

import http.client
import json
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from tests.conformance.server import TOKEN, LiveServer

STAMPED = re.compile(rb"\d{19}")


class Client:
    """One kept-alive connection to *base*."""

    def __init__(self, base: str) -> None:
        parts = urlsplit(base)
        assert parts.hostname is not None
        self._root = parts.path.rstrip("/")
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=120)
        self._headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}

    def open(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> http.client.HTTPResponse:
        """The response before its body; bytes, files and iterators are sent as they are."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        self._connection.request(method, self._root + path, data, {**self._headers, **given})
        response = self._connection.getresponse()
        if response.status >= 400:
            raise RuntimeError(f"{method} {path}: {response.status} {response.read()[:500]!r}")
        return response

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON answer."""
        return json.loads(self.open(method, path, body, **headers).read() or b"null")

    def events(self, path: str, body: dict[str, Any]) -> Iterator[tuple[str, bytes]]:
        """Name and data of the events of a stream, each as soon as it is there."""
        response = self.open("POST", path, {**body, "stream": True})
        rest = b""
        while piece := response.read1(1 << 16):
            *records, rest = (rest + piece).split(b"\n\n")
            for record in records:
                name, _, data = record.partition(b"\n")
                yield name.removeprefix(b"event: ").decode(), data.removeprefix(b"data: ")

    def ask(self, thread: str, **wanted: Any) -> None:
        """Add a message that tells the scripted upstream what to do."""
        self("POST", f"/threads/{thread}/messages", asking(**wanted))

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


class Server:
    """A running server: ``url``, ``directory``, and the process."""

    def __init__(self, live: LiveServer, directory: Path) -> None:
        self.url = live.url
        self.directory = directory
        card = next((directory / "runtime").glob("jpserver-*.json"))
        self.process = psutil.Process(json.loads(card.read_text())["pid"])

    def client(self, path: str = "/openai/v1") -> Client:
        """A new connection."""
        return Client(self.url + path)

    def assistant(self) -> str:
        """A new assistant with the interpreter, of the scripted model."""
        body = {"model": "scripted", "tools": [{"type": "code_interpreter"}]}
        created: str = self.client()("POST", "/assistants", body)["id"]
        return created

    def wait_quiet(self, kernels: int, seconds: float = 60) -> None:
        """Until that many kernels are there, and have been idle for a moment."""
        jupyter, since = self.client("/api"), time.monotonic()
        until = since + seconds
        while time.monotonic() - since < 0.6:
            there = jupyter("GET", "/kernels")
            if len(there) != kernels or any(k["execution_state"] != "idle" for k in there):
                since = time.monotonic()
            if since > until:
                raise RuntimeError(f"no {kernels} idle kernels: {there}")
            time.sleep(0.1)


@contextmanager
def jupyter(
    upstream: str = "", *options: str, before: Callable[[Path], None] | None = None
) -> Iterator[Server]:
    """A server in a directory of its own; *before* may put things there."""
    with tempfile.TemporaryDirectory(prefix="bench-", ignore_cleanup_errors=True) as folder:
        directory = Path(folder)
        if before is not None:
            before(directory)
        with LiveServer(directory, upstream, *options) as live:
            yield Server(live, directory)


def asking(**wanted: Any) -> dict[str, Any]:
    """A user's message that tells the scripted upstream what to do."""
    return {"role": "user", "content": json.dumps(wanted)}


def new_thread(client: Client) -> str:
    """The id of a new thread."""
    created: str = client("POST", "/threads", {})["id"]
    return created


def is_code_result(name: str, data: bytes) -> bool:
    """Whether an event says that a piece of code is done."""
    return name == "thread.run.step.completed" and b'"type":"tool_calls"' in data.replace(b" ", b"")
