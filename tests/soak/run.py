"""One run as a client sees it: what its code printed, what the model was told, when the code began."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import Any

from jupyter_ci_ext.engine.results import FRESH

from .client import Client

BEGAN = "import time; print('began', time.monotonic_ns())\n"
"""The first line of all code: the clock is that of all processes of the machine."""

REMEMBER = """
try:
    print("kept", kept)
except NameError:
    print("nothing kept")
kept = {turn}
"""
"""Tells whether the variable of the run before is there, and sets it for the next."""

_BEGAN = re.compile(r"^began (\d+)\n", re.MULTILINE)


class Wrong(Exception):
    """A run did not do what was asked of it; the message says what it did."""


@dataclass
class Outcome:
    """What became of a run; moments are seconds of the monotonic clock."""

    id: str = ""
    status: str = ""
    error: str = ""
    code: str = ""
    printed: str = ""
    told: str = ""
    pictures: int = 0
    files: list[str] = field(default_factory=list)
    asked: float = 0.0
    began: float = 0.0
    ended: float = 0.0

    @property
    def waited(self) -> float:
        """Seconds from asking for the run to its code's first line."""
        return self.began - self.asked

    @property
    def started(self) -> bool:
        """Whether a session was started for it: there was no variable of an earlier run."""
        return "\nnothing kept\n" in self.printed

    @property
    def fresh(self) -> bool:
        """Whether the model was told that the variables of earlier runs are gone."""
        return FRESH in self.told


class Listener:
    """Folds the events of a run, in as many streams as they may come."""

    def __init__(self) -> None:
        self.outcome = Outcome(asked=time.monotonic())

    def hear(self, name: str, data: Any) -> None:
        """Take note of an event."""
        found = self.outcome
        if name == "error":
            raise Wrong(f"the stream broke off: {data}")
        if name.startswith("thread.run.") and not name.startswith("thread.run.step."):
            found.id, found.status = data["id"], data["status"]
            found.error = (data.get("last_error") or {}).get("message", "")
        elif name == "thread.run.step.completed":
            for call in data["step_details"].get("tool_calls", ()):
                self._note(call["code_interpreter"])
        elif name == "thread.message.completed":
            for part in data["content"]:
                if part["type"] == "text":
                    found.told += part["text"]["value"]
                    notes = part["text"]["annotations"]
                    found.files += [note["file_path"]["file_id"] for note in notes]

    def result(self) -> Outcome:
        """The run, which is over; raises `Wrong` unless it is completed and its code ran."""
        found = self.outcome
        found.ended = time.monotonic()
        if found.status != "completed":
            raise Wrong(f"{found.id} is {found.status!r} ({found.error}), told {found.told!r}")
        began = _BEGAN.search(found.printed)
        if began is None:
            raise Wrong(f"{found.id}: the code did not run: {found.printed!r}, {found.told!r}")
        found.began = int(began[1]) / 1e9
        return found

    def _note(self, call: dict[str, Any]) -> None:
        self.outcome.code += call["input"]
        for output in call["outputs"]:
            self.outcome.printed += output.get("logs", "")
            self.outcome.pictures += output["type"] == "image"


def ask(client: Client, thread: str, assistant: str, code: str, *files: str) -> Outcome:
    """Have *code* run in the thread, with *files* attached to its message, and listen to the end."""
    say(client, thread, code, *files)
    listener = Listener()
    path = f"/openai/v1/threads/{thread}/runs"
    for event in client.events("POST", path, {"assistant_id": assistant, "stream": True}):
        listener.hear(*event)
    return listener.result()


def say(client: Client, thread: str, code: str, *files: str) -> None:
    """Add the message that asks for *code*."""
    tools = [{"type": "code_interpreter"}]
    attached = [{"file_id": id, "tools": tools} for id in files]
    body = {"role": "user", "content": BEGAN + code, "attachments": attached}
    client("POST", f"/openai/v1/threads/{thread}/messages", body)


def new_assistant(client: Client, **fields: Any) -> str:
    """The id of a new assistant with the interpreter."""
    body = {"model": "scripted", "tools": [{"type": "code_interpreter"}], **fields}
    return str(client("POST", "/openai/v1/assistants", body)["id"])


def new_thread(client: Client, **fields: Any) -> str:
    """The id of a new thread."""
    return str(client("POST", "/openai/v1/threads", fields)["id"])
