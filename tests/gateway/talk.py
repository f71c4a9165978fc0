"""What the tests say to a server: code in, what came of it out, all through the official client."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from openai import OpenAI

from tests.conformance.playbook import Playbook
from tests.conformance.server import TOKEN, Api, LiveServer
from tests.fakes.answers import code, say
from tests.gateway.cutter import Cutter
from tests.gateway.gateways import Gateway

_numbers = itertools.count()


@dataclass
class Ran:
    """One run: its status, what its code printed, and the files it left by name."""

    status: str
    logs: str
    files: dict[str, str] = field(default_factory=dict)


class House:
    """A server, its gateway, and the way between them."""

    def __init__(
        self, server: LiveServer, playbook: Playbook, gateway: Gateway, cutter: Cutter
    ) -> None:
        self.server = server
        self.gateway = gateway
        self.cutter = cutter
        self._playbook = playbook
        self.client = OpenAI(base_url=server.openai, api_key=TOKEN, max_retries=0, timeout=120)
        self.extra = Api(f"{server.url}/code-interpreter")
        self.assistant = self.client.beta.assistants.create(
            model="scripted", tools=[{"type": "code_interpreter"}]
        )

    def thread(self) -> Talk:
        """A new thread."""
        return Talk(self, self.client.beta.threads.create().id)

    def teach(self, source: str) -> str:
        """Words to which the model answers with *source*."""
        return self._playbook.teach(f"piece {next(_numbers)};", code(source), say("Done."))


class Talk:
    """One thread."""

    def __init__(self, house: House, id: str) -> None:
        self.id = id
        self._house = house
        self._client = house.client

    @property
    def session(self) -> Any:
        """The session as the panel sees it."""
        return self._house.extra("GET", f"/sessions/{self.id}")

    def run(
        self,
        source: str,
        *attached: str,
        when: str | None = None,
        then: Callable[[str], object] | None = None,
    ) -> Ran:
        """Have *source* run; *then* is called with the run's id once *when* is printed."""
        self._client.beta.threads.messages.create(
            self.id,
            role="user",
            content=self._house.teach(source),
            attachments=[
                {"file_id": id, "tools": [{"type": "code_interpreter"}]} for id in attached
            ],
        )
        seen, run_id = "", ""
        with self._client.beta.threads.runs.stream(
            thread_id=self.id, assistant_id=self._house.assistant.id
        ) as stream:
            for event in stream:
                if event.event == "thread.run.created":
                    run_id = event.data.id
                elif event.event == "thread.run.step.delta":
                    seen += _printed(event.data.delta)
                if then is not None and when is not None and when in seen:
                    then(run_id)
                    then = None
        assert then is None, f"{when!r} was not printed: {seen[:1000]}"
        run = self._client.beta.threads.runs.retrieve(run_id, thread_id=self.id)
        return Ran(run.status, self._logs(run_id), self._files())

    def _logs(self, run_id: str) -> str:
        steps = self._client.beta.threads.runs.steps.list(run_id, thread_id=self.id, order="asc")
        return "".join(
            output.logs
            for step in steps
            if step.step_details.type == "tool_calls"
            for call in step.step_details.tool_calls
            if call.type == "code_interpreter"
            for output in call.code_interpreter.outputs
            if output.type == "logs"
        )

    def _files(self) -> dict[str, str]:
        made = self._client.files.list(purpose="assistants_output")
        return {file.filename: file.id for file in made}


def _printed(delta: Any) -> str:
    calls = getattr(delta.step_details, "tool_calls", None) or []
    outputs = [output for call in calls for output in (call.code_interpreter.outputs or [])]
    return "".join(output.logs or "" for output in outputs if output.type == "logs")
