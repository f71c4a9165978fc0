"""What a run may use, what it has used, and what is said when that is all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from jupyter_ci_ext.engine.text import shorten


@dataclass(frozen=True)
class Allowance:
    """What a whole run may use; None: no limit."""

    code_calls: int
    max_prompt_tokens: int | None = None
    max_completion_tokens: int | None = None
    pictures: int = 8


@dataclass(frozen=True)
class Spent:
    """What the run has used before: all zero for a new one."""

    prompt_tokens: int = 0
    completion_tokens: int = 0
    code_calls: int = 0
    turns: int = 0


Closed = Literal["", "limit", "repeated", "stray"]
Stopped = Literal["limit", "repeated", "stray", "silent"]

TOLD: Final[dict[Closed, str]] = {
    "limit": "This was the last of {calls} code executions in this run. Answer the user now with "
    "what you know, and say what is missing.",
    "repeated": "You ran exactly this code before, with exactly this result. Running it again will "
    "not help. Answer the user now with what you know.",
    "stray": "Answer the user now without calling functions.",
}

SAID: Final[dict[Stopped, str]] = {
    "limit": "I stopped here: the limit of {calls} code executions for one run is reached.",
    "repeated": "I stopped here: the same code gave the same result again.",
    "stray": "I stopped here: no function of that name is available.",
    "silent": "The model ended its turn without an answer.",
}


def exhausted(
    allowance: Allowance, spent: Spent, prompt_tokens: int
) -> Literal["max_prompt_tokens", "max_completion_tokens"] | None:
    """Which limit leaves nothing for a request of *prompt_tokens*; the first is always made."""
    if not spent.turns:
        return None
    most = allowance.max_completion_tokens
    if most is not None and spent.completion_tokens >= most:
        return "max_completion_tokens"
    most = allowance.max_prompt_tokens
    if most is not None and spent.prompt_tokens + prompt_tokens > most:
        return "max_prompt_tokens"
    return None


def last_words(why: Stopped, allowance: Allowance, result: str) -> str:
    """What is known, said in place of a model that does not say it."""
    said = SAID[why].format(calls=allowance.code_calls)
    if not result:
        return said
    return f"{said} The last result was:\n\n```\n{shorten(result, 2000).strip()}\n```"
