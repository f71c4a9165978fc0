"""The agent loop: the model speaks, its code runs, it sees what came of it, until it has answered.

`converse` knows a language model, something that runs code, and numbers that limit it: no run, no
thread, no store. What it says are the values of `jupyter_ci_ext.engine.values`.

Code that fails is no failure here: its traceback goes back to the model, which repairs it. The loop
ends by itself when the model answers without calling anything, or calls functions of the caller. It
is *closed*, which means that the model is told to answer and gets no tools any more, when the code
calls of the run are used up, or when the same code has given the same result twice. A model that
still asks for code then gets no further: the loop says in its place what is known.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final, Literal

from jupyter_ci_ext.engine.budget import fit, keep_pictures, turn_tokens, window_budget
from jupyter_ci_ext.engine.reply import Reply
from jupyter_ci_ext.engine.stop import Stop, attend
from jupyter_ci_ext.engine.text import shorten
from jupyter_ci_ext.engine.values import (
    CodeDone,
    CodeDropped,
    CodeOutput,
    CodeReady,
    CodeResult,
    Ended,
    ErrorCode,
    FunctionsWanted,
    TurnStarted,
    TurnUsage,
    Value,
)
from jupyter_ci_ext.errors import LLMError, LLMErrorKind, SandboxUnavailable
from jupyter_ci_ext.llm.base import (
    LLM,
    AssistantMessage,
    CallResult,
    CodeCall,
    CodeDelta,
    CodeStarted,
    FunctionCall,
    PromptMessage,
    TextDelta,
    Turn,
)

RunCode = Callable[[CodeCall], AsyncGenerator[CodeOutput | CodeResult, None]]
"""Runs one piece of code; the last value is its `CodeResult`. Raises `SandboxUnavailable`."""

CODES: Final[dict[LLMErrorKind, ErrorCode]] = {
    "rate_limit": "rate_limit_exceeded",
    "quota": "rate_limit_exceeded",
    "context_length": "invalid_prompt",
    "invalid_prompt": "invalid_prompt",
    "authentication": "server_error",
    "not_found": "server_error",
    "timeout": "server_error",
    "connection": "server_error",
    "server": "server_error",
}

_STRAYS: Final = 3
"""How often a model may call a function that does not exist."""

_SHRINK: Final = 3
"""How often a prompt is made smaller after the model's server found it too large."""


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

_TOLD: Final[dict[Closed, str]] = {
    "limit": "This was the last of {calls} code executions in this run. Answer the user now with "
    "what you know, and say what is missing.",
    "repeated": "You ran exactly this code before, with exactly this result. Running it again will "
    "not help. Answer the user now with what you know.",
    "stray": "Answer the user now without calling functions.",
}

_SAID: Final[dict[Closed, str]] = {
    "limit": "I stopped here: the limit of {calls} code executions for one run is reached.",
    "repeated": "I stopped here: the same code gave the same result again.",
    "stray": "I stopped here: no function of that name is available.",
}


async def converse(
    llm: LLM,
    turn: Turn,
    run_code: RunCode,
    stop: Stop,
    allowance: Allowance,
    spent: Spent = Spent(),
) -> AsyncGenerator[Value, None]:
    """Work on *turn* until there is an answer; *turn* is the first request of this stretch of work.

    A forced ``tool_choice`` holds for the first request of the run only.
    """
    messages: list[PromptMessage] = list(turn.messages)
    seen = {call.id for m in messages if isinstance(m, AssistantMessage) for call in m.calls}
    gave: dict[str, str] = {}  # what a piece of code gave the last time
    closed: Closed = "limit" if spent.code_calls >= allowance.code_calls else ""
    strays = 0
    last_result = ""
    while True:
        if stop.asked:
            yield Ended("stopped")
            return
        request = _request(llm, turn, messages, allowance, spent, closed)
        exhausted = _exhausted(request, allowance, spent)
        if exhausted:
            yield Ended(exhausted)
            return
        reply = Reply(request, seen, closed=bool(closed))
        yield TurnStarted()
        try:
            async with aclosing(_ask(llm, request, reply, stop)) as values:
                async for value in values:
                    yield value
        except LLMError as error:
            yield Ended("failed", CODES[error.kind], error.message)
            return
        if stop.asked:
            yield Ended("stopped")
            return
        yield TurnUsage(reply.usage)
        spent = replace(
            spent,
            prompt_tokens=spent.prompt_tokens + (reply.usage.prompt_tokens or turn_tokens(request)),
            completion_tokens=spent.completion_tokens
            + (reply.usage.completion_tokens or reply.estimated_tokens),
            turns=spent.turns + 1,
        )
        if reply.finish in ("length", "content_filter"):
            cut = reply.finish == "length"
            if reply.writing_code:
                yield CodeDropped(
                    "The code was cut off by the limit of tokens, so it was not run."
                    if cut
                    else "The model's server broke the code off, so it was not run."
                )
            yield Ended("max_completion_tokens" if cut else "content_filter")
            return
        codes, functions, strayed = reply.codes, reply.functions, reply.strays
        if not codes and not functions and not strayed:
            if closed and reply.refused_calls and not reply.text.strip():
                yield TextDelta(_last_words(closed, allowance, last_result))
            over = (
                allowance.max_prompt_tokens is not None
                and spent.prompt_tokens > allowance.max_prompt_tokens
            )
            yield Ended("max_prompt_tokens" if over else "answered")
            return

        told: list[CallResult] = []
        for call, live in codes:
            if spent.code_calls >= allowance.code_calls:
                told.append(
                    CallResult(call.id, "Not run: the limit of code executions is reached.")
                )
                continue
            if not live:
                yield CodeStarted(0, call.id)
                yield CodeDelta(0, call.source)
            yield CodeReady(call)
            result = CodeResult("", ran=False)
            try:
                async with aclosing(run_code(call)) as outputs:
                    async for output in outputs:
                        if isinstance(output, CodeResult):
                            result = output
                        else:
                            yield output
            except SandboxUnavailable as error:
                yield Ended("failed", "server_error", error.message)
                return
            yield CodeDone(call, result)
            if stop.asked:
                yield Ended("stopped")
                return
            spent = replace(spent, code_calls=spent.code_calls + 1)
            last_result = result.text
            text = result.text
            source = call.source.strip()
            if spent.code_calls >= allowance.code_calls:
                closed = "limit"
            elif result.ran and gave.get(source) == result.text:
                closed = "repeated"
            gave[source] = result.text
            told.append(CallResult(call.id, text, result.images if llm.vision else ()))
        if reply.late_text.strip():
            yield TextDelta(reply.late_text)
        if functions:
            for value in reply.held_functions():
                yield value
            yield FunctionsWanted(tuple(functions))
            yield Ended("functions")
            return

        told += [CallResult(s.id, f"There is no function named {s.name!r}.") for s in strayed]
        strays += bool(strayed)
        if strays >= _STRAYS and not closed:
            closed = "stray"
        if closed and told:
            note = _TOLD[closed].format(calls=allowance.code_calls)
            told[-1] = replace(told[-1], text=f"{told[-1].text}\n\n{note}")
        calls: list[CodeCall | FunctionCall] = [call for call, _ in codes]
        messages.append(AssistantMessage(reply.text + reply.late_text, (*calls, *strayed)))
        messages.extend(told)


def _request(
    llm: LLM,
    turn: Turn,
    messages: list[PromptMessage],
    allowance: Allowance,
    spent: Spent,
    closed: Closed,
) -> Turn:
    """The next request: what is left of the tools and of the tokens, as much as fits."""
    choice = turn.tool_choice
    if choice != "none" and spent.turns:
        choice = "auto"
    code = turn.code
    if closed:
        # Where the caller has functions they stay; else the model keeps reading of its code tool,
        # which some servers demand once there are calls of it, but may not use it.
        if turn.functions and closed != "stray":
            code, choice = False, "auto" if choice == "code" else choice
        else:
            choice = "none"
    max_tokens = turn.max_tokens
    if allowance.max_completion_tokens is not None:
        left = max(1, allowance.max_completion_tokens - spent.completion_tokens)
        max_tokens = left if max_tokens is None else min(max_tokens, left)
    budget = window_budget(llm.context_tokens, max_tokens)
    if allowance.max_prompt_tokens is not None:
        left = max(1, allowance.max_prompt_tokens - spent.prompt_tokens)
        budget = left if budget is None else min(budget, left)
    request = replace(
        turn,
        messages=keep_pictures(messages, allowance.pictures),
        code=code,
        tool_choice=choice,
        max_tokens=max_tokens,
    )
    return fit(request, budget)


def _exhausted(
    request: Turn, allowance: Allowance, spent: Spent
) -> Literal["", "max_prompt_tokens", "max_completion_tokens"]:
    """Which limit of the run leaves nothing for *request*; the first request is always made."""
    if not spent.turns:
        return ""
    most = allowance.max_completion_tokens
    if most is not None and spent.completion_tokens >= most:
        return "max_completion_tokens"
    most = allowance.max_prompt_tokens
    if most is not None and spent.prompt_tokens + turn_tokens(request) > most:
        return "max_prompt_tokens"
    return ""


async def _ask(llm: LLM, request: Turn, reply: Reply, stop: Stop) -> AsyncGenerator[Value, None]:
    """One request. A prompt that the server finds too large is tried again, smaller."""
    for attempt in range(_SHRINK + 1):
        try:
            async with aclosing(attend(llm.stream(request), stop)) as deltas:
                async for delta in deltas:
                    for value in reply.take(delta):
                        yield value
            return
        except LLMError as error:
            smaller = fit(request, turn_tokens(request) * 6 // 10)
            if error.kind != "context_length" or reply.begun or attempt == _SHRINK:
                raise
            if smaller == request:
                raise
            request = smaller


def _last_words(closed: Closed, allowance: Allowance, result: str) -> str:
    """What is known, said in place of a model that does not say it."""
    said = _SAID[closed].format(calls=allowance.code_calls)
    if not result:
        return said
    return f"{said} The last result was:\n\n```\n{shorten(result, 2000).strip()}\n```"
