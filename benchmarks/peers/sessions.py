"""A session of a peer, through its driver, and one of ours, through the whole API."""

from __future__ import annotations

import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from ..server import Server, asking, is_code_result
from .catalogue import Peer

SECONDS = 90.0
MB = 10**6


class PeerFailed(Exception):
    """A peer does not start or does not answer; the message has its last words."""


@dataclass(frozen=True)
class Ran:
    """What came of a piece of code: how long it took, what it printed (its beginning), how much that
    was in characters, the bytes of a PNG that was handed back, and what the peer raised."""

    seconds: float
    text: str = ""
    length: int = 0
    image: int = 0
    error: str = ""


class Session(Protocol):
    """Of whichever executor."""

    def run(self, code: str) -> Ran:
        """Run code; the first also makes the session."""

    def draw(self) -> Ran:
        """A chart as PNG."""

    def memory(self) -> float:
        """Megabytes the session has added, pages that are shared counted by share."""

    def end(self) -> None:
        """End it as one would; whatever its code left is not looked for. A second time does nothing."""


Executor = Callable[[], AbstractContextManager[Session]]


class Driven:
    """A session of a peer, in a program of its own that has imported the peer."""

    def __init__(
        self, python: Path, driver: Path, home: Path, environment: Mapping[str, str]
    ) -> None:
        work = home / "work"
        work.mkdir(parents=True, exist_ok=True)
        self._log = home / "driver.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(python), str(driver)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=work,
                env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", "HOME": str(home)}
                | dict(environment),
                start_new_session=True,
            )
        self._left: list[psutil.Process] = []
        try:
            self._said()
            self._before = tree(psutil.Process(self._process.pid))
        except BaseException:
            self.sweep()
            raise

    def run(self, code: str) -> Ran:
        """Run *code*."""
        return self._ask(code)

    def draw(self) -> Ran:
        """A chart as PNG, by the peer's shortest way."""
        return self._ask(None)

    def memory(self) -> float:
        """What the program and its processes have grown by."""
        return tree(psutil.Process(self._process.pid)) - self._before

    def end(self) -> None:
        """End the session and the program, as a program ends."""
        assert self._process.stdin is not None
        if self._process.stdin.closed:
            return
        with suppress(psutil.NoSuchProcess):
            self._left = psutil.Process(self._process.pid).children(recursive=True)
        with suppress(OSError):
            self._process.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(30)

    def sweep(self) -> None:
        """Kill what is left of it."""
        with suppress(psutil.NoSuchProcess):
            self._left += psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with suppress(OSError):
                pipe.close()
        for each in self._left:
            with suppress(psutil.NoSuchProcess):
                each.kill()

    def _ask(self, code: str | None) -> Ran:
        assert self._process.stdin is not None
        with suppress(OSError):
            self._process.stdin.write(json.dumps({"code": code}) + "\n")
            self._process.stdin.flush()
        return Ran(**self._said())

    def _said(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        watchdog = threading.Timer(SECONDS, self._process.kill)
        watchdog.start()
        try:
            line = self._process.stdout.readline()
        finally:
            watchdog.cancel()
        if not line:
            raise PeerFailed(self._log.read_text(errors="replace").strip()[-1500:] or "it ended")
        said: dict[str, Any] = json.loads(line)
        return said


def peer_executor(peer: Peer, python: Path, home: Path, environment: Mapping[str, str]) -> Executor:
    """Sessions of *peer*, which is installed beside *python*."""

    @contextmanager
    def session() -> Iterator[Session]:
        driven = Driven(python, peer.driver, home, {**environment, **dict(peer.environment)})
        try:
            yield driven
            driven.end()
        finally:
            driven.sweep()

    return session


class Ours:
    """A thread, asked by an HTTP client; *spares* kernels are warm before it begins."""

    PICTURE = "import matplotlib.pyplot as plt\nplt.plot([1, 3, 2])\nplt.show()"

    def __init__(self, server: Server, assistant: str, spares: int) -> None:
        self._server, self._client = server, server.client()
        self._assistant, self._spares = assistant, spares
        self._thread = ""
        self._ready()
        self._before = tree(server.process)

    def run(self, code: str) -> Ran:
        """Post a message, run the thread, hear its events until the run has ended."""
        began = time.perf_counter()
        return self._timed(self._step(code), began)

    def draw(self) -> Ran:
        """The chart, fetched as the file it became."""
        began = time.perf_counter()
        step = self._step(self.PICTURE)
        images = [each["image"]["file_id"] for each in step if each["type"] == "image"]
        content = self._client.open("GET", f"/files/{images[-1]}/content").read() if images else b""
        return self._timed(step, began, len(content) if content.startswith(b"\x89PNG") else 0)

    def memory(self) -> float:
        """What the server and its processes have grown by, the spare that was used up replaced."""
        self._ready(1, asked=True)
        return tree(self._server.process) - self._before

    def end(self) -> None:
        """Delete the thread."""
        if self._thread:
            self._client("DELETE", f"/threads/{self._thread}")
            self._thread = ""
            self._ready(asked=True)
        self._client.close()

    def _ready(self, kernels: int = 0, *, asked: bool = False) -> None:
        # A server that was never asked has no spare yet.
        if asked or self._server.client("/api")("GET", "/kernels"):
            self._server.wait_quiet(self._spares + kernels)

    def _step(self, code: str) -> list[dict[str, Any]]:
        body: dict[str, Any] = {"assistant_id": self._assistant}
        if not self._thread:
            path, body["thread"] = "/threads/runs", {"messages": [asking(code=code)]}
        else:
            path = f"/threads/{self._thread}/runs"
            self._client.ask(self._thread, code=code)
        outputs, ended = [], ""
        for name, data in self._client.events(path, body):
            if name == "thread.created":
                self._thread = json.loads(data)["id"]
            elif is_code_result(name, data):
                details = json.loads(data)["step_details"]
                outputs = details["tool_calls"][0]["code_interpreter"]["outputs"]
            elif name.startswith("thread.run.") and "step" not in name:
                ended = name
        if ended != "thread.run.completed":
            raise PeerFailed(f"the run ended with {ended}")
        return outputs

    def _timed(self, outputs: list[dict[str, Any]], began: float, image: int = 0) -> Ran:
        took = time.perf_counter() - began
        text = "".join(each["logs"] for each in outputs if each["type"] == "logs")
        return Ran(took, text[:20_000], len(text), image)


def our_executor(server: Server, spares: int) -> Executor:
    """Sessions of ours on *server*."""
    assistant = server.assistant()

    @contextmanager
    def session() -> Iterator[Session]:
        ours = Ours(server, assistant, spares)
        try:
            yield ours
        finally:
            ours.end()

    return session


def tree(process: psutil.Process) -> float:
    """Megabytes of *process* and all below it, pages that are shared counted by share."""
    total = 0.0
    for each in (process, *process.children(recursive=True)):
        with suppress(psutil.NoSuchProcess):
            total += float(each.memory_full_info().pss) / MB
    return total
