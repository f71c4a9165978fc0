"""The demo model as the engine sees it: an `LLM` that plays scripts and streams what they want."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from itertools import chain

from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.llm.base import (
    LLM,
    AssistantMessage,
    CallResult,
    CodeDelta,
    CodeStarted,
    Delta,
    Finished,
    FunctionDelta,
    FunctionStarted,
    PromptMessage,
    TextDelta,
    TextPart,
    Turn,
    Usage,
    UserMessage,
)
from jupyter_ci_ext.llm.demo import functions, text
from jupyter_ci_ext.llm.demo.intents import is_small_talk, script_for
from jupyter_ci_ext.llm.demo.script import Ask, Move, Run, Say, play
from jupyter_ci_ext.llm.demo.talk import Talk, read
from jupyter_ci_ext.llm.discovery import LocalServer

LocalServers = Callable[[], Awaitable[Sequence[LocalServer]]]

_TOKEN = re.compile(r"\s*\S{1,8}|\s+")
"""What the demo model counts as a token, and sends as one delta."""


class DemoModel(LLM):
    """Rules, not AI: needs no network and no key, and goes the way of any other model.

    *local_servers* is asked when the model tells how to connect a real one.
    """

    def __init__(self, local_servers: LocalServers) -> None:
        self._local_servers = local_servers

    async def stream(self, turn: Turn) -> AsyncGenerator[Delta, None]:
        """See `LLM.stream`."""
        move = next_move(turn)
        if move is None:
            talk = read(turn)
            servers = await self._local_servers()
            asked = not is_small_talk(talk)
            move = Say(text.cannot(asked, code=turn.code, servers=servers))
        if isinstance(move, Say):
            move = Say(_formatted(move.text, turn))
        written = 0
        cut = False
        for delta in _deltas(move):
            if written == turn.max_tokens:
                cut = True
                break
            written += isinstance(delta, TextDelta | CodeDelta | FunctionDelta)
            yield delta
            await asyncio.sleep(0)
        yield Usage(prompt_tokens=_count(turn), completion_tokens=written)
        yield Finished("length" if cut else "stop" if isinstance(move, Say) else "calls")


def next_move(turn: Turn) -> Move | Say | None:
    """What the demo model does in *turn*; None: this is beyond it."""
    talk = read(turn)
    choice = turn.tool_choice
    if isinstance(choice, tuple):
        forced = [f for f in turn.functions if f.name == choice[1]]
        return play(functions.ask(forced, talk.text), talk.done)
    may_call = choice != "none"
    named = functions.wanted(talk.text, turn.functions) if may_call else []
    if not named and choice == "required" and not turn.code:
        named = list(turn.functions[:1])
    if named and not (choice == "code" and not talk.done):
        return play(functions.ask(named, talk.text, turn.parallel_tool_calls), talk.done)
    script = script_for(talk)
    forced_code = (choice == "code" or (choice == "required" and turn.code)) and not talk.done
    if script is None:
        if forced_code or (talk.done and turn.code and may_call):
            return play(text.nothing_to_run(), talk.done)
        return None
    move = play(script, talk.done)
    if isinstance(move, Run) and not (turn.code and may_call):
        return Say(_without_code(talk, turn.code))
    if isinstance(move, Say) and forced_code:
        return play(text.nothing_to_run(), ())
    return move


def _without_code(talk: Talk, allowed: bool) -> str:
    if not allowed:
        return text.NO_INTERPRETER
    last = talk.done[-1].printed if talk.done else ""
    return text.stopped(last)


def _deltas(move: Move | Say) -> Iterator[Delta]:
    if isinstance(move, Say):
        return (TextDelta(piece) for piece in _TOKEN.findall(move.text))
    if isinstance(move, Run):
        before = (TextDelta(piece) for piece in _TOKEN.findall(move.preface))
        code = (CodeDelta(0, piece) for piece in _TOKEN.findall(move.source))
        return chain(before, [CodeStarted(0, new_id("call"))], code)
    return chain.from_iterable(
        chain(
            [FunctionStarted(index, new_id("call"), name)],
            (FunctionDelta(index, piece) for piece in _TOKEN.findall(arguments)),
        )
        for index, (name, arguments) in enumerate(_calls(move))
    )


def _calls(move: Ask) -> Sequence[tuple[str, str]]:
    return move.calls


def _formatted(answer: str, turn: Turn) -> str:
    """The answer as JSON where the caller asked for JSON."""
    wanted = turn.response_format or {}
    if wanted.get("type") == "json_schema":
        schema = (wanted.get("json_schema") or {}).get("schema") or {}
        return json.dumps(functions.fill(schema, answer), ensure_ascii=False)
    if wanted.get("type") == "json_object":
        return json.dumps({"answer": answer}, ensure_ascii=False)
    return answer


def _count(turn: Turn) -> int:
    """The prompt's size in the demo model's tokens, about four characters each."""
    return (len(turn.system) + sum(map(_length, turn.messages))) // 4 + 1


def _length(message: PromptMessage) -> int:
    if isinstance(message, UserMessage):
        return sum(len(part.text) for part in message.parts if isinstance(part, TextPart))
    if isinstance(message, AssistantMessage):
        return len(message.text) + sum(len(str(call)) for call in message.calls)
    assert isinstance(message, CallResult)
    return len(message.text)
