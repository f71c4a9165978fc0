"""The agent loop: the model speaks, its code runs, it sees what came of it, until it has answered.

`converse` knows a language model, something that runs code, and numbers that limit it: no run, no
thread, no store. What it says are the values of `jupyter_ci_ext.engine.values`.

Code that fails is no failure here: its traceback goes back to the model, which repairs it. The loop
ends by itself when the model answers without calling anything, or calls functions of the caller. It
is *closed*, which means that the model is told to answer and gets no tools any more, when the code
calls of the run are used up, or when the same code has given the same result twice. A model that
still asks for code then gets no further: the loop says in its place what is known. So it does for a
model that says nothing at all, lest the newest message of the thread be taken for the answer.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Final

from jupyter_ci_ext.engine.allowance import (
    TOLD,
    Allowance,
    Closed,
    Spent,
    Stopped,
    exhausted,
    last_words,
)
from jupyter_ci_ext.engine.budget import fit, keep_pictures, turn_tokens, window_budget
from jupyter_ci_ext.engine.reply import Reply
from jupyter_ci_ext.engine.stop import Stop, attend
from jupyter_ci_ext.engine.values import (
    CodeDone,
    CodeDropped,
    CodeOutput,
    CodeReady,
    CodeResult,
    CodeStopped,
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
    Finished,
    FunctionCall,
    PromptMessage,
    TextDelta,
    Turn,
    Usage,
)
from jupyter_ci_ext.metrics import FIRST_TOKEN

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


_CUT: Final = "max_completion_tokens"

_DROPPED: Final = {
    "length": "The code was cut off by the limit of tokens, so it was not run.",
    "content_filter": "The model's server broke the code off, so it was not run.",
}


def converse(
    llm: LLM,
    turn: Turn,
    run_code: RunCode,
    stop: Stop,
    allowance: Allowance,
    spent: Spent | None = None,
) -> AsyncGenerator[Value, None]:
    """Work on *turn* until there is an answer; *turn* is the first request of this stretch of work.

    A forced ``tool_choice`` holds for the first request of the run only.
    """
    return _Loop(llm, turn, run_code, stop, allowance, spent or Spent()).values()


class _Loop:
    def __init__(
        self,
        llm: LLM,
        turn: Turn,
        run_code: RunCode,
        stop: Stop,
        allowance: Allowance,
        spent: Spent,
    ) -> None:
        self._llm = llm
        self._turn = turn
        self._run_code = run_code
        self._stop = stop
        self._allowance = allowance
        self._spent = spent
        self._messages: list[PromptMessage] = list(turn.messages)
        self._seen = {
            call.id for m in turn.messages if isinstance(m, AssistantMessage) for call in m.calls
        }
        self._gave: dict[str, str] = {}  # what a piece of code gave the last time
        self._last_result = ""
        self._showed = False  # whether the last code showed pictures, an answer of their own
        self._strays = 0
        self._closed: Closed = "limit" if spent.code_calls >= allowance.code_calls else ""

    async def values(self) -> AsyncGenerator[Value, None]:
        """Everything, `Ended` last."""
        try:
            while True:
                async with aclosing(self._one_turn()) as values:
                    async for value in values:
                        yield value
                        if isinstance(value, Ended):
                            return
        except LLMError as error:
            yield Ended("failed", CODES[error.kind], error.message)
        except SandboxUnavailable as error:
            yield Ended("failed", "server_error", error.message)

    async def _one_turn(self) -> AsyncGenerator[Value, None]:
        """One request to the model and what follows from the reply."""
        request = self._request()
        used_up = exhausted(self._allowance, self._spent, turn_tokens(request))
        if self._stop.asked:
            yield Ended("stopped")
            return
        if used_up is not None:
            yield Ended(used_up)
            return
        reply = Reply(request, self._seen, closed=bool(self._closed))
        yield TurnStarted()
        async with aclosing(self._ask(request, reply)) as values:
            async for value in values:
                yield value
        if self._stop.asked:
            yield Ended("stopped")
            return
        yield TurnUsage(reply.usage)
        self._charge(request, reply)
        if reply.finish in ("length", "content_filter"):
            if reply.writing_code:
                yield CodeDropped(_DROPPED[reply.finish])
            yield Ended("content_filter" if reply.finish == "content_filter" else _CUT)
            return
        if not reply.asked_for_anything:
            refused = self._closed if reply.refused_calls else ""
            if not reply.said_anything and (refused or not self._showed):
                why: Stopped = refused or "silent"
                yield TextDelta(last_words(why, self._allowance, self._last_result))
            most = self._allowance.max_prompt_tokens
            over = most is not None and self._spent.prompt_tokens > most
            yield Ended("max_prompt_tokens" if over else "answered")
            return
        told: list[CallResult] = []
        async with aclosing(self._run_codes(reply, told)) as values:
            async for value in values:
                yield value
        if self._stop.asked:
            yield Ended("stopped")
            return
        if reply.late_text.strip():
            yield TextDelta(reply.late_text)
        if reply.functions:
            for value in reply.held_functions():
                yield value
            yield FunctionsWanted(tuple(reply.functions))
            yield Ended("functions")
            return
        self._remember(reply, told)

    async def _ask(self, request: Turn, reply: Reply) -> AsyncGenerator[Value, None]:
        """One request. A prompt that the server finds too large is tried again, smaller."""
        for attempt in range(_SHRINK + 1):
            asked = time.monotonic()
            waiting = True
            try:
                async with aclosing(attend(self._llm.stream(request), self._stop)) as deltas:
                    async for delta in deltas:
                        if waiting and not isinstance(delta, Usage | Finished):
                            FIRST_TOKEN.observe(time.monotonic() - asked)
                            waiting = False
                        for value in reply.take(delta):
                            yield value
                return
            except LLMError as error:
                smaller = fit(request, turn_tokens(request) * 6 // 10)
                hopeless = attempt == _SHRINK or smaller == request
                if error.kind != "context_length" or reply.begun or hopeless:
                    raise
                request = smaller

    async def _run_codes(self, reply: Reply, told: list[CallResult]) -> AsyncGenerator[Value, None]:
        """Run the code of a reply, one piece after the other; what the model is *told* of it."""
        for call, live in reply.codes:
            if self._spent.code_calls >= self._allowance.code_calls:
                told.append(CallResult(call.id, "Not run: no more code executions are left."))
                continue
            if not live:
                yield CodeStarted(0, call.id)
                yield CodeDelta(0, call.source)
            yield CodeReady(call)
            result = CodeResult("", status="lost")
            async with aclosing(self._run_code(call)) as outputs:
                async for output in outputs:
                    if isinstance(output, CodeResult):
                        result = output
                    else:
                        yield output
            if self._stop.asked and result.status not in ("ok", "error"):
                yield CodeStopped(call, result)
                return
            yield CodeDone(call, result)
            if self._stop.asked:
                return
            self._judge(call, result)
            images = result.images if self._llm.vision else ()
            told.append(CallResult(call.id, result.text, images))

    def _judge(self, call: CodeCall, result: CodeResult) -> None:
        """Whether it makes sense to let the model go on running code after this."""
        self._spent = replace(self._spent, code_calls=self._spent.code_calls + 1)
        self._last_result = result.text
        self._showed = bool(result.images)
        source = call.source.strip()
        if self._spent.code_calls >= self._allowance.code_calls:
            self._closed = "limit"
        elif result.status in ("ok", "error") and self._gave.get(source) == result.text:
            self._closed = "repeated"
        self._gave[source] = result.text

    def _remember(self, reply: Reply, told: list[CallResult]) -> None:
        """Put what was said and what came of it behind the prompt."""
        told += [
            CallResult(stray.id, f"There is no function named {stray.name!r}.")
            for stray in reply.strays
        ]
        self._strays += bool(reply.strays)
        if self._strays >= _STRAYS and not self._closed:
            self._closed = "stray"
        if self._closed:
            note = TOLD[self._closed].format(calls=self._allowance.code_calls)
            told[-1] = replace(told[-1], text=f"{told[-1].text}\n\n{note}")
        calls: list[CodeCall | FunctionCall] = [call for call, _ in reply.codes]
        text = reply.text + reply.late_text
        self._messages.append(AssistantMessage(text, (*calls, *reply.strays)))
        self._messages += told

    def _charge(self, request: Turn, reply: Reply) -> None:
        """Count what a request has used; where its server does not say, what it must have been."""
        usage, spent = reply.usage, self._spent
        prompt = usage.prompt_tokens or turn_tokens(request)
        completion = usage.completion_tokens or reply.estimated_tokens
        self._spent = replace(
            spent,
            prompt_tokens=spent.prompt_tokens + prompt,
            completion_tokens=spent.completion_tokens + completion,
            turns=spent.turns + 1,
        )

    def _request(self) -> Turn:
        """The next request: what is left of the tools and of the tokens, as much as fits."""
        turn, allowance, spent = self._turn, self._allowance, self._spent
        code, choice = turn.code, turn.tool_choice
        if choice != "none" and spent.turns:
            choice = "auto"
        if self._closed:
            # Where the caller has functions they stay; else the model keeps reading of its code
            # tool, which some servers demand once there are calls of it, but may not use it.
            if turn.functions and self._closed != "stray":
                code, choice = False, "auto" if choice == "code" else choice
            else:
                choice = "none"
        max_tokens = turn.max_tokens
        if allowance.max_completion_tokens is not None:
            left = max(1, allowance.max_completion_tokens - spent.completion_tokens)
            max_tokens = left if max_tokens is None else min(max_tokens, left)
        budget = window_budget(self._llm.context_tokens, max_tokens)
        if allowance.max_prompt_tokens is not None:
            left = max(1, allowance.max_prompt_tokens - spent.prompt_tokens)
            budget = left if budget is None else min(budget, left)
        request = replace(
            turn,
            messages=keep_pictures(self._messages, allowance.pictures),
            code=code,
            tool_choice=choice,
            max_tokens=max_tokens,
        )
        return fit(request, budget)
