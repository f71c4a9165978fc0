"""What the tests of this room share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from jupyter_ci_ext.llm import openai_chat
from jupyter_ci_ext.llm.base import Delta, TextPart, Turn, UserMessage
from jupyter_ci_ext.llm.endpoint import Endpoint, Patience, Settings
from jupyter_ci_ext.llm.openai_chat import OpenAIChat
from tests.fakes import upstream as upstream
from tests.fakes.upstream import ScriptedUpstream

TURN = Turn(
    model="scripted",
    system="You help.",
    messages=(UserMessage((TextPart("How much is 6 times 7?"),)),),
    code=True,
)


@pytest.fixture(autouse=True)
def _no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openai_chat, "FIRST_BACKOFF", 0.0)


@pytest.fixture
def chat(upstream: ScriptedUpstream) -> Callable[..., OpenAIChat]:
    """Makes an adapter to the scripted upstream; keywords are those of `OpenAIChat`."""

    def make(*, key: str = "sk-secret", patience: Patience | None = None, **how: Any) -> OpenAIChat:
        settings = Settings(base_url=upstream.url, api_key=key)
        how.setdefault("code_protocol", "tools")
        return OpenAIChat(Endpoint("main", settings, patience or Patience()), **how)

    return make


async def collect(llm: Any, turn: Turn = TURN, **changes: Any) -> list[Delta]:
    """All deltas of one turn."""
    try:
        return [delta async for delta in llm.stream(replace(turn, **changes))]
    finally:
        endpoint = getattr(llm, "_endpoint", None)
        if endpoint is not None:
            await endpoint.close()
