"""One object of each kind on a live server, a valid body for every POST, and what an answer must be."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.api.world import form
from tests.conformance.server import Api, LiveServer
from tests.soak.fuzzing.line import HungUp, Line, Reply, Request, Unanswered

FORM = ("Content-Type", "multipart/form-data; boundary=X")
CONTENT = b"name,amount\n" + b"pear,1\n" * 300
JSON = dict[str, Any]


@dataclass
class Tally:
    """What came of the cases of one kind; *wrong* are the findings, each with what was sent."""

    kind: str
    cases: int = 0
    taken: int = 0
    refused: int = 0
    hung_up: int = 0
    wrong: list[str] = field(default_factory=list)

    def __iadd__(self, more: Tally) -> Tally:
        self.cases += more.cases
        self.taken += more.taken
        self.refused += more.refused
        self.hung_up += more.hung_up
        self.wrong += more.wrong
        return self

    def count(self, reply: Reply) -> None:
        """Take note of an answer."""
        self.cases += 1
        if reply.status < 400:
            self.taken += 1
        else:
            self.refused += 1

    def blame(self, fault: str, case: object) -> None:
        """Take note of a finding."""
        told = re.sub(r"(.{1,9}?)\1{9,}", r"\1…", str(case))
        self.wrong.append(f"{fault}: {told[:1500]}")


class World:
    """``ids`` has the object of each name in a path, and the assistant of all runs, ``runner``."""

    def __init__(self, server: LiveServer) -> None:
        self.line = Line(server.url)
        self.api = Api(f"{server.url}/openai/v1", {"OpenAI-Beta": "assistants=v2"})
        self.ids: dict[str, str] = {"model": "scripted"}
        self.runs: list[tuple[str, str]] = []

    def begin(self) -> None:
        """Make the objects; one run has code, so that its thread has a session."""
        make, ids = self.make, self.ids
        ids["file_id"] = self.upload()
        tools = [{"type": "code_interpreter"}, {"type": "function", "function": {"name": "look"}}]
        ids["runner"] = make("/assistants", {"model": "scripted", "tools": tools})
        ids["assistant_id"] = make("/assistants", {"model": "scripted", "tools": tools})
        resources = {"code_interpreter": {"file_ids": [ids["file_id"]]}}
        make(f"/assistants/{ids['assistant_id']}", {"tool_resources": resources})
        ids["thread_id"], ids["run_id"] = self.run("Compute.")
        self.runs = [(ids["thread_id"], ids["run_id"]), self.run("Say something.")]
        attached = [{"file_id": ids["file_id"], "tools": [{"type": "code_interpreter"}]}]
        message = {"role": "user", "content": "hi", "attachments": attached}
        ids["message_id"] = make(f"/threads/{ids['thread_id']}/messages", message)
        steps = self.api("GET", f"/threads/{ids['thread_id']}/runs/{ids['run_id']}/steps")
        ids["step_id"] = steps["data"][0]["id"]
        upload = {"filename": "a", "purpose": "vision", "bytes": 3, "mime_type": "text/plain"}
        ids["upload_id"] = make("/uploads", upload)
        ids["container_id"] = make("/containers", {"name": "box"})
        inside = f"/containers/{ids['container_id']}/files"
        ids["container_file_id"] = make(inside, {"file_id": ids["file_id"]})

    def make(self, path: str, body: JSON) -> str:
        """The id of what a request made."""
        status, made = self.api.ask("POST", path, body)
        assert status == 200, made
        return str(made["id"])

    def upload(self) -> str:
        """The id of a new file."""
        reply = self.line.ask(Request("POST", "/openai/v1/files", form(CONTENT), [FORM]))
        assert reply.status == 200, reply
        return str(json.loads(reply.body)["id"])

    def run(self, text: str, **fields: Any) -> tuple[str, str]:
        """Thread and run, which is over and must have been completed."""
        body = {
            "assistant_id": self.ids["runner"],
            "thread": {"messages": [{"role": "user", "content": text}]},
            "stream": True,
            **fields,
        }
        stream = self.api.stream("POST", "/threads/runs", body)
        assert "event: thread.run.completed" in stream, stream[-2000:]
        line = next(line for line in stream.splitlines() if '"object":"thread.run"' in line)
        run = json.loads(line.removeprefix("data: "))
        return run["thread_id"], run["id"]

    def check(
        self, tally: Tally, request: Request, *, own_shape: bool = True, hang_up: bool = False
    ) -> Reply | None:
        """Send *request* and look at what comes: see `fault_of`. None: no answer at all.

        *hang_up* says that the server may close the connection without a word.
        """
        try:
            reply = self.line.ask(request)
        except Unanswered:
            tally.cases += 1
            tally.blame("no answer", request)
            return None
        except HungUp as error:
            tally.cases += 1
            tally.hung_up += 1
            if not hang_up:
                tally.blame(f"hung up ({error})", request)
            return None
        tally.count(reply)
        fault = fault_of(reply, own_shape=own_shape)
        if fault:
            tally.blame(f"{fault} {reply.status} {reply.body[:300]!r}", request)
        return reply


def fault_of(reply: Reply, *, own_shape: bool = True) -> str:
    """What is wrong with an answer; empty if nothing is. *own_shape*: errors are the API's objects."""
    if reply.status >= 500:
        return "server error"
    if reply.status == 304 or reply.headers.get("content-type", "").startswith(
        ("application/octet-stream", "text/event-stream")
    ):
        return ""
    if reply.status >= 400 and not own_shape and not reply.body:
        return ""
    try:
        body = json.loads(reply.body, parse_constant=no_json)
    except (ValueError, RecursionError):
        return "not JSON"
    if reply.status < 400:
        return ""
    error = body.get("error") if isinstance(body, dict) else None
    if not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return "not the API's error"
    azure = set(error) == {"code", "message"}
    if not azure and set(error) != {"message", "type", "param", "code"}:
        return "not the API's error"
    return "" if error["message"] else "an error without words"


def no_json(constant: str) -> None:
    """Refuse NaN and its like, which Python's parser would take."""
    raise ValueError(constant)


def valid_bodies(ids: Mapping[str, str]) -> dict[str, JSON]:
    """A body for every POST that takes JSON, by its path, as rich as it may be."""
    file, tool = ids["file_id"], {"type": "code_interpreter"}
    function = {
        "type": "function",
        "function": {
            "name": "look",
            "description": "Looks.",
            "parameters": {"type": "object", "properties": {"at": {"type": "string"}}},
            "strict": False,
        },
    }
    resources = {"code_interpreter": {"file_ids": [file]}}
    assistant: JSON = {
        "model": "scripted",
        "name": "n",
        "description": "d",
        "instructions": "i",
        "tools": [tool, function, {"type": "file_search", "file_search": {"max_num_results": 3}}],
        "tool_resources": resources,
        "metadata": {"a": "b", "c": "d"},
        "temperature": 0.5,
        "top_p": 1,
        "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}},
        "reasoning_effort": "low",
    }
    attachments = [{"file_id": file, "tools": [tool, {"type": "file_search"}]}]
    parts: list[JSON] = [
        {"type": "text", "text": "Look at this."},
        {"type": "image_file", "image_file": {"file_id": file, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "high"}},
    ]
    message: JSON = {"role": "user", "content": parts, "attachments": attachments, "metadata": {}}
    thread: JSON = {
        "messages": [message, {"role": "assistant", "content": "Yes?"}],
        "tool_resources": resources,
        "metadata": {"title": "t"},
    }
    run: JSON = {
        "assistant_id": ids["runner"],
        "model": "scripted",
        "instructions": "i",
        "tools": [function],
        "metadata": {"a": "b"},
        "temperature": 1,
        "top_p": 0.5,
        "max_prompt_tokens": 5000,
        "max_completion_tokens": 500,
        "truncation_strategy": {"type": "last_messages", "last_messages": 4},
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "response_format": "auto",
        "parallel_tool_calls": True,
    }
    own = "openai/v1/threads/{thread_id}"
    nothing: JSON = {}
    return {
        "openai/v1/assistants": assistant,
        "openai/v1/assistants/{assistant_id}": assistant,
        "openai/v1/assistants/{assistant_id}/files": {"file_id": file},
        "openai/v1/threads": thread,
        "openai/v1/threads/runs": {**run, "thread": thread, "tool_resources": resources},
        own: {"tool_resources": resources, "metadata": {"a": "b"}},
        f"{own}/messages": message,
        f"{own}/messages/{{message_id}}": {"metadata": {"a": "b"}},
        f"{own}/runs": {**run, "additional_instructions": "j", "additional_messages": [message]},
        f"{own}/runs/{{run_id}}": {"metadata": {"a": "b"}},
        f"{own}/runs/{{run_id}}/submit_tool_outputs": {
            "tool_outputs": [{"tool_call_id": "call_1", "output": "1"}],
            "stream": False,
        },
        f"{own}/runs/{{run_id}}/cancel": nothing,
        "openai/v1/uploads": {
            "filename": "a.csv",
            "purpose": "assistants",
            "bytes": 3,
            "mime_type": "text/csv",
            "expires_after": {"anchor": "created_at", "seconds": 3600},
        },
        "openai/v1/uploads/{upload_id}/complete": {"part_ids": ["part_1"], "md5": "0" * 32},
        "openai/v1/uploads/{upload_id}/cancel": nothing,
        "openai/v1/containers": {
            "name": "box",
            "file_ids": [file],
            "expires_after": {"anchor": "last_active_at", "minutes": 5},
            "memory_limit": "1g",
        },
        "openai/v1/containers/{container_id}/files": {"file_id": file},
        "openai/v1/containers/{container_id}/interrupt": nothing,
        "code-interpreter/sessions/{thread_id}/interrupt": nothing,
        "code-interpreter/threads/{thread_id}/notebook": {"path": "n.ipynb", "overwrite": True},
        "code-interpreter/files/import": {"path": "a.csv"},
        "code-interpreter/files/{file_id}/save": {"path": "b.csv", "overwrite": True},
    }
