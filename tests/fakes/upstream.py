"""A language-model server on loopback that speaks chat completions and does as it is told.

It runs on threads of its own, so it serves any test: with or without an event loop, or clients in
other processes. A test queues answers, points a client at ``url`` and reads ``requests``::

    upstream.enqueue(code("print(6 * 7)"), say("It is **42**."))   # from tests.fakes.answers

Each POST to ``/chat/completions`` takes the next answer of the queue; an empty queue answers with
``otherwise`` (status 500 unless set), so that a call nobody expected is seen. ``otherwise`` may
also be a function of the request, for models that decide by what they are asked.
"""

from __future__ import annotations

import json
import select
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tests.fakes.answers import Answer, Refusal, Script, completion, error, payloads
from tests.fakes.loopback import Handler, Loopback


@dataclass(frozen=True)
class Request:
    """What a client sent: method, path below ``/v1``, headers (lower-case) and parsed body."""

    method: str
    path: str
    headers: dict[str, str]
    body: dict[str, Any]

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The prompt's messages."""
        found: list[dict[str, Any]] = self.body["messages"]
        return found


class ScriptedUpstream(Loopback):
    """The server; a context manager. ``url`` is the base URL that clients want (…/v1)."""

    def __init__(self, models: Sequence[str | dict[str, Any]] = ("scripted",)) -> None:
        self.models: list[str | dict[str, Any]] = list(models)
        self.models_error: Refusal | None = None
        self.requests: list[Request] = []
        self.left_early = 0
        """How many streams the client closed before they were done."""
        self.otherwise: Script | Callable[[Request], Script] = error(
            500, "the scripted upstream has no answer left"
        )
        self._queue: deque[Script] = deque()
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._stopping = threading.Event()
        super().__init__(_Handler)

    @property
    def url(self) -> str:
        """The base URL to give a client."""
        return f"{self.root}/v1"

    @property
    def chats(self) -> list[Request]:
        """The chat completion requests so far, in order."""
        return [r for r in self.requests if r.path.split("?")[0].endswith("/chat/completions")]

    def enqueue(self, *answers: Script) -> None:
        """Add the next answers."""
        with self._lock:
            self._queue.extend(answers)

    def forget(self) -> None:
        """Begin anew: no answers, no requests, nobody who left early."""
        with self._lock:
            self._queue.clear()
            self.requests.clear()
            self.left_early = 0

    def wait_for(self, ready: Callable[[ScriptedUpstream], bool], seconds: float = 10.0) -> bool:
        """Wait until *ready* holds, looked at after each request and each early leave.

        Blocks: from a coroutine call it in a thread.
        """
        with self._changed:
            return self._changed.wait_for(lambda: ready(self), seconds)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stopping.set()
        super().__exit__(kind, value, trace)

    # ---- called by the handler's threads --------------------------------------------------

    def _take(self, request: Request) -> Script:
        with self._changed:
            self.requests.append(request)
            self._changed.notify_all()
            if not request.path.split("?")[0].endswith("/chat/completions"):
                return self._catalogue(request)
            if self._queue:
                return self._queue.popleft()
            otherwise = self.otherwise
        return otherwise(request) if callable(otherwise) else otherwise

    def _catalogue(self, request: Request) -> Script:
        path = request.path.split("?")[0]
        if not path.startswith("/v1/models"):
            return error(404, f"Invalid URL ({request.method} {path})")
        if self.models_error is not None:
            return self.models_error
        rows = [
            {"object": "model", "created": 1700000000, "owned_by": "tests"}
            | ({"id": m} if isinstance(m, str) else m)
            for m in self.models
        ]
        name = path.removeprefix("/v1/models").strip("/")
        if not name:
            return Refusal(200, {"object": "list", "data": rows})
        for row in rows:
            if row["id"] == name:
                return Refusal(200, row)
        return error(404, f"The model '{name}' does not exist", code="model_not_found")

    def _left(self) -> None:
        with self._changed:
            self.left_early += 1
            self._changed.notify_all()


class _Handler(Handler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._respond({})

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if len(body) < length:  # the client left between head and body: it asked nothing
            self.close_connection = True
            self.server.owner._left()
            return
        self._respond(json.loads(body or b"{}"))

    def _respond(self, body: dict[str, Any]) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        script = self.server.owner._take(Request(self.command, self.path, headers, body))
        if isinstance(script, Refusal):
            self._send_json(script)
        elif body.get("stream"):
            self._stream(script, body)
        else:
            self._send_json(Refusal(200, completion(script, body)))

    def _send_json(self, refusal: Refusal) -> None:
        body = refusal.body
        payload = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        self.send_response(refusal.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        for name, value in refusal.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(payload)

    def _stream(self, answer: Answer, body: dict[str, Any]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        try:
            if not self._wait(answer.first_delay):
                return
            for n, payload in enumerate(payloads(answer, body)):
                if n == answer.stall_after:
                    self._wait(3600)
                    return
                if n == answer.cut_after:
                    self.close_connection = True
                    return
                if not self._wait(answer.delay):
                    return
                self._chunk(f"data: {payload}\n\n".encode())
            self.wfile.write(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
            self.server.owner._left()

    def _chunk(self, payload: bytes) -> None:
        self.wfile.write(b"%x\r\n%s\r\n" % (len(payload), payload))
        self.wfile.flush()

    def _wait(self, seconds: float) -> bool:
        """Wait that long; False when the client hung up or the server stops."""
        until = time.monotonic() + seconds
        while True:
            left = until - time.monotonic()
            readable, _, _ = select.select([self.connection], [], [], max(0.0, min(left, 0.02)))
            if readable:
                self.close_connection = True
                self.server.owner._left()
                return False
            if self.server.owner._stopping.is_set():
                self.close_connection = True
                return False
            if left <= 0:
                return True
