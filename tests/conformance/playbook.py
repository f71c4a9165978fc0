"""What the scripted model answers, by what it was asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.fakes.answers import Script, error
from tests.fakes.upstream import Request, ScriptedUpstream

Line = Script | Callable[[], Script]


class Playbook:
    """Answers by the newest user message that has a phrase of the book in it, line by line.

    Which line of the script is next shows in the prompt: it is the number of times the model has
    spoken since. So the order in which tests run, and runs that go on at once, do not matter.
    """

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self._upstream = upstream
        self._scripts: dict[str, tuple[Line, ...]] = {}

    def teach(self, phrase: str, *answers: Line) -> str:
        """Answer *phrase* with *answers*, one per turn; gives *phrase* back.

        A turn that changes its mind, such as a refusal that does not last, is a function.
        """
        self._scripts[phrase] = answers
        return phrase

    def __call__(self, request: Request) -> Script:
        found = self._place(request)
        if found is None:
            return error(400, "the playbook does not know what it is asked")
        phrase, turn = found
        script = self._scripts[phrase]
        if turn >= len(script):
            return error(400, f"the script of {phrase!r} has no line {turn}")
        line = script[turn]
        return line() if callable(line) else line

    def asked(self, phrase: str) -> list[dict[str, Any]]:
        """The bodies of the requests that *phrase* answered, in order."""
        chats = [(self._place(request), request) for request in self._upstream.chats]
        return [request.body for place, request in chats if place and place[0] == phrase]

    def _place(self, request: Request) -> tuple[str, int] | None:
        turn = 0
        for message in reversed(request.messages):
            if message["role"] == "assistant":
                turn += 1
            elif message["role"] == "user":
                text = text_of(message)
                for phrase in self._scripts:
                    if phrase in text:
                        return phrase, turn
        return None


def text_of(message: dict[str, Any]) -> str:
    """The text of a message in a prompt, whatever form its content has."""
    content = message.get("content") or ""
    if isinstance(content, str):
        return content
    return "\n".join(part.get("text", "") for part in content)
