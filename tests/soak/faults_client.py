"""A client that writes down what it was told, to hold the server to it."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
import urllib.error
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.conformance.server import Api

JSON = dict[str, Any]
V2 = {"OpenAI-Beta": "assistants=v2"}
OVER = ("completed", "failed", "cancelled", "expired", "incomplete")
GONE = (OSError, http.client.HTTPException, ValueError)
"""What is raised when the server dies under a request."""


class Refused(Exception):
    """The server answered with an error; that is an answer."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status} {body}")
        self.status = status
        self.message = str(body.get("error", {}).get("message", "")) if body else ""


@dataclass
class Told:
    """What a server has acknowledged."""

    objects: dict[str, JSON] = field(default_factory=dict)
    """What does not change any more, by path."""
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Length and SHA-256 of contents, by the id of the file."""
    runs: dict[str, JSON] = field(default_factory=dict)
    """Runs as they were last told, by path."""
    events: dict[str, list[tuple[str, JSON]]] = field(default_factory=dict)
    """Names and data of the events that a stream has brought, by the run's path."""

    def add(self, more: Told) -> None:
        """Join *more* to it."""
        for name in ("objects", "files", "runs", "events"):
            getattr(self, name).update(getattr(more, name))


class Client:
    """Talks to the server at *address*, which may be another one tomorrow."""

    def __init__(self, address: Callable[[], str]) -> None:
        self._address = address
        self.told = Told()

    @property
    def api(self) -> Api:
        """The API as it is."""
        return Api(self._address(), V2)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The JSON answer; raises `Refused`, or one of `GONE`."""
        try:
            with self.api.open(method, path, body, seconds=60, **headers) as response:
                return json.load(response)
        except urllib.error.HTTPError as error:
            with error:
                raise Refused(error.code, json.load(error)) from None

    def make(self, path: str, body: Any, place: str = "") -> JSON:
        """Create something, and write down that it is there."""
        made: JSON = self.ask("POST", path, body)
        self.told.objects[f"{place or path}/{made['id']}"] = made
        return made

    def upload(self, name: str, content: bytes) -> str:
        """Send a file; its id."""
        limit = uuid.uuid4().hex
        part = f'--{limit}\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n'
        head = part % ("purpose", "") + "assistants\r\n" + part % ("file", f'; filename="{name}"')
        body = head.encode() + content + f"\r\n--{limit}--\r\n".encode()
        kind = f"multipart/form-data; boundary={limit}"
        headers = {**self.api._headers, "Content-Type": kind}
        host, _, path = self._address().removeprefix("http://").partition("/")
        connection = http.client.HTTPConnection(host, timeout=60)
        try:
            connection.request("POST", f"/{path}/files", body, headers)
            response = connection.getresponse()
            made = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise Refused(response.status, made)
        self.told.objects[f"/files/{made['id']}"] = made
        self.told.files[made["id"]] = (len(content), hashlib.sha256(content).hexdigest())
        return str(made["id"])

    def prepare(self, phrase: str, *files: str, model: str = "scripted") -> tuple[str, str]:
        """The ids of a new assistant and of a new thread with a message that says *phrase*."""
        tools = [{"type": "code_interpreter"}, {"type": "function", "function": {"name": "ask"}}]
        assistant = self.make("/assistants", {"model": model, "tools": tools})["id"]
        thread = self.ask("POST", "/threads", {})["id"]
        messages = f"/threads/{thread}/messages"
        self.make(messages, {"role": "user", "content": "Before."})
        tool = [{"type": "code_interpreter"}]
        attached = [{"file_id": file, "tools": tool} for file in files]
        self.make(messages, {"role": "user", "content": phrase, "attachments": attached})
        # with its resources, which messages add to
        self.told.objects[f"/threads/{thread}"] = self.ask("GET", f"/threads/{thread}")
        return assistant, thread

    def start(self, assistant: str, thread: str) -> str:
        """Start a run; its path."""
        runs = f"/threads/{thread}/runs"
        run = self.ask("POST", runs, {"assistant_id": assistant})
        self.told.runs[f"{runs}/{run['id']}"] = run
        return f"{runs}/{run['id']}"

    def look(self, run: str) -> JSON:
        """The run as it is now."""
        found: JSON = self.ask("GET", run)
        self.told.runs[run] = found
        return found

    def stream(self, assistant: str, thread: str) -> Iterator[tuple[str, JSON]]:
        """Start a run and give its events as they come, each written down."""
        runs, path = f"/threads/{thread}/runs", ""
        body = {"assistant_id": assistant, "stream": True}
        with self.api.open("POST", runs, body, seconds=60) as response:
            for name, data in events(response):
                if not path:
                    path = f"{runs}/{data['id']}"
                    self.told.events[path] = []
                self.told.events[path].append((name, data))
                if name.startswith("thread.run.") and ".step." not in name:
                    self.told.runs[path] = data
                yield name, data

    def replay(self, run: str, after: int = 0) -> list[tuple[int, str, JSON]]:
        """Events of a run after that number, with theirs, as a client gets them that comes back."""
        with self.api.open("GET", f"{run}/events", Last_Event_ID=str(after)) as response:
            lines = response.read().decode().splitlines()
        numbers = [int(line[4:]) for line in lines if line.startswith("id: ")]
        return [
            (number, *event)
            for number, event in zip(numbers, events(line.encode() for line in lines), strict=True)
        ]

    def until(self, look: Callable[[], Any], what: str, seconds: float = 60) -> Any:
        """What *look* sees once it sees something."""
        deadline = time.monotonic() + seconds
        while not (seen := look()):
            if time.monotonic() > deadline:
                raise AssertionError(f"{what} did not happen within {seconds:g} s")
            time.sleep(0.05)
        return seen

    def ended(self, run: str, *statuses: str, seconds: float = 90) -> JSON:
        """The run once it is over, or in one of *statuses*."""

        def look() -> JSON | None:
            found = self.look(run)
            return found if found["status"] in (statuses or OVER) else None

        found: JSON = self.until(look, f"the end of {run}", seconds)
        return found

    def printed(self, run: str, line: str) -> None:
        """Wait until the code of a run has printed *line*, or the run is over."""

        def look() -> bool:
            steps = self.ask("GET", f"{run}/steps")["data"]
            calls = [call for step in steps for call in step["step_details"].get("tool_calls", [])]
            outputs = [out for call in calls for out in call["code_interpreter"]["outputs"]]
            logs = "".join(out.get("logs", "") for out in outputs)
            return line in logs.splitlines() or self.look(run)["status"] in OVER

        self.until(look, f"{line!r} of {run}")


def events(response: Any) -> Iterator[tuple[str, JSON]]:
    """Names and data of the events of a stream; without that of its end."""
    name = ""
    for line in response:
        text = line.decode().rstrip("\n")
        if text.startswith("event: "):
            name = text[7:]
        elif text.startswith("data: ") and name != "done":
            yield name, json.loads(text[6:])
