"""A client of the API that costs as little as possible: one kept-alive connection."""

from __future__ import annotations

import http.client
import json
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from tests.conformance.server import TOKEN

PATIENCE = 900.0
"""Seconds without a byte after which a client gives up: who waits for a session hears nothing."""


class Refused(Exception):
    """The server answered with an error; the message has it."""


class Client:
    """Talks to the server at *url*; paths begin below it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.last_id = ""
        """Number of the newest event that had one."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        self._root = parts.path.rstrip("/")
        self._connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=PATIENCE)
        self._headers = {"Authorization": f"Bearer {TOKEN}"}

    def open(
        self, method: str, path: str, body: bytes | None = None, mime: str = "application/json"
    ) -> http.client.HTTPResponse:
        """The response before its body; raises `Refused`."""
        headers = self._headers | ({} if body is None else {"Content-Type": mime})
        self._connection.request(method, self._root + path, body, headers)
        response = self._connection.getresponse()
        if response.status >= 400:
            raise Refused(f"{method} {path}: {response.status} {response.read()[:500]!r}")
        return response

    def __call__(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON answer; None where there is none."""
        data = None if body is None else json.dumps(body).encode()
        return json.loads(self.open(method, path, data).read() or b"null")

    def content(self, path: str) -> bytes:
        """The bytes of a file."""
        return self.open("GET", path).read()

    def events(self, method: str, path: str, body: Any = None) -> Iterator[tuple[str, Any]]:
        """Name and data of the events of a stream, each as soon as it is there.

        Who stops reading before the end hangs up with `close`, and may go on after that.
        """
        data = None if body is None else json.dumps(body).encode()
        response = self.open(method, path, data)
        rest = b""
        while piece := response.read1(1 << 16):
            *records, rest = (rest + piece).split(b"\n\n")
            for record in records:
                lines = dict(line.split(b": ", 1) for line in record.split(b"\n"))
                self.last_id = lines.get(b"id", self.last_id.encode()).decode()
                said = lines.get(b"data", b"")
                yield lines[b"event"].decode(), None if said == b"[DONE]" else json.loads(said)

    def upload(self, name: str, content: bytes, **fields: str) -> str:
        """Send a file; its id."""
        edge = uuid.uuid4().hex
        parts = [
            f'--{edge}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in {"purpose": "assistants", **fields}.items()
        ]
        parts.append(
            f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        body = "".join(parts).encode() + content + f"\r\n--{edge}--\r\n".encode()
        mime = f"multipart/form-data; boundary={edge}"
        answer = json.loads(self.open("POST", "/openai/v1/files", body, mime).read())
        return str(answer["id"])

    def close(self) -> None:
        """Hang up, in the middle of a stream, too; the next request connects anew."""
        self._connection.close()
