"""From the chunks of one streamed chat completion to deltas; pure, and forgiving.

Servers leave out ids and indices, send ``content: null``, chunks without choices, arguments as
objects, several calls under one index, or a call as text: all of it is read here.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any, Literal

from jupyter_ci_ext.errors import LLMError
from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.llm.base import (
    CodeDelta,
    CodeStarted,
    Delta,
    Finished,
    FunctionDelta,
    FunctionStarted,
    RefusalDelta,
    TextDelta,
    Turn,
    Usage,
)
from jupyter_ci_ext.llm.fence import FenceReader
from jupyter_ci_ext.llm.folding import SourceReader
from jupyter_ci_ext.llm.inline import CODE_NAMES, InlineReader
from jupyter_ci_ext.llm.openai_prompt import code_tool_name
from jupyter_ci_ext.llm.pieces import Pairs, Thoughtless, joined

Reason = Literal["stop", "length", "calls", "content_filter"]

#: How many characters after a fenced call are waited for, in the hope of the usage at the end.
DROPPED_MAX = 200

#: No answer has as many tokens; what tells of more tells nothing.
MOST_TOKENS = 2**53


@dataclass
class _Call:
    """A tool call that is arriving."""

    key: Any
    id: str
    name: str = ""
    index: int | None = None
    """Its number among the calls, once it was announced."""
    reader: SourceReader | None = None
    held: list[str] = field(default_factory=list)
    empty: bool = True
    pairs: Pairs = field(default_factory=Pairs)


#: Deltas that come in one read from which on those that follow one another are made one.
MANY = 32


def merged(deltas: list[Delta]) -> list[Delta]:
    """*deltas* as they are where they are few; of a flood, what belongs together as one."""
    if len(deltas) < MANY:
        return deltas
    out: list[Delta] = []
    for kind, group in groupby(deltas, _kind):
        first, *more = same = list(group)
        if not more or kind[1] is None:
            out += same
        elif isinstance(first, (TextDelta, RefusalDelta)):
            out.append(type(first)("".join(each.text for each in same)))  # type: ignore[union-attr]
        elif isinstance(first, CodeDelta):
            out.append(CodeDelta(first.index, "".join(each.source for each in same)))  # type: ignore[union-attr]
        elif isinstance(first, FunctionDelta):
            whole = "".join(each.arguments for each in same)  # type: ignore[union-attr]
            out.append(FunctionDelta(first.index, whole))
    return out


def _kind(delta: Delta) -> tuple[type[Delta], int | None]:
    """What it may be made one with: the same type, of the same call; None: with nothing."""
    if isinstance(delta, (TextDelta, RefusalDelta)):
        return type(delta), 0
    if isinstance(delta, (CodeDelta, FunctionDelta)):
        return type(delta), delta.index
    return type(delta), None


class ChunkReader:
    """Reads one answer. Feed it every chunk, then `close` it for the last deltas."""

    def __init__(self, turn: Turn, *, fenced: bool) -> None:
        names = [f.name for f in turn.functions]
        self._code_name = code_tool_name(turn.functions) if turn.code else None
        self._functions: Collection[str] = set(names)
        forced_code = turn.tool_choice == "code"
        self._fence = (
            FenceReader(code=turn.code, functions=names if fenced else ())
            if (fenced and turn.tool_choice != "none") or (forced_code and turn.code)
            else None
        )
        self._inline = InlineReader(
            code=turn.code and turn.tool_choice != "none",
            functions=() if turn.tool_choice == "none" else self._functions,
            json_answer=(turn.response_format or {}).get("type") in ("json_object", "json_schema"),
        )
        self._pairs = Pairs()
        self._refusal = Pairs()
        self._thoughtless = Thoughtless()
        self._calls: list[_Call] = []
        self._announced = 0
        self._finish: str | None = None
        self._usage: Usage | None = None

    @property
    def over(self) -> bool:
        """Whether what still comes is of no use: a fenced call is complete and more text follows."""
        return self._fence is not None and self._fence.dropped > DROPPED_MAX

    @property
    def finished(self) -> bool:
        """Whether the server has said why the answer ends."""
        return self._finish is not None or (self._fence is not None and self._fence.over)

    def feed(self, chunk: object) -> list[Delta]:
        """The deltas of one chunk, as its JSON was."""
        usage = _of(chunk, "usage")
        if usage is not None:
            self._usage = _usage(usage)
        out: list[Delta] = []
        for choice in _list_of(chunk, "choices"):
            delta = _of(choice, "delta")
            if delta is not None:
                self._delta(delta, out)
            finish = _of(choice, "finish_reason")
            if finish:
                self._finish = str(finish)
        return out

    def close(self) -> list[Delta]:
        """The last deltas: text held back, the usage, and why it ended."""
        if not self.finished:
            raise LLMError("connection", "The model server ended its answer before it was done.")
        out: list[Delta] = []
        rest = self._thoughtless.feed(self._pairs.close()) + self._thoughtless.close()
        if self._fence is not None:
            out += self._number(self._fence.feed(rest) + self._fence.close())
        else:
            self._close_inline(rest, out)
        if refused := self._refusal.close():
            out.append(RefusalDelta(refused))
        for call in self._calls:
            self._close_call(call, out)
        if self._usage is not None:
            out.append(self._usage)
        out.append(Finished(self._reason()))
        return out

    # ---- text ---------------------------------------------------------------------------------

    def _delta(self, delta: Any, out: list[Delta]) -> None:
        content = _of(delta, "content")
        if isinstance(content, str) and content:
            text = self._thoughtless.feed(self._pairs.feed(content))
            if self._fence is not None:
                out += self._number(self._fence.feed(text))
            elif text := self._inline.feed(text):
                out.append(TextDelta(text))
        refusal = _of(delta, "refusal")
        if isinstance(refusal, str) and (text := self._refusal.feed(refusal)):
            out.append(RefusalDelta(text))
        for piece in _list_of(delta, "tool_calls"):
            self._call_piece(piece, out)

    def _number(self, deltas: list[Delta]) -> list[Delta]:
        """The fence's deltas; its one call is the first of the turn."""
        if any(isinstance(d, CodeStarted | FunctionStarted) for d in deltas):
            self._announced += 1
        return deltas

    def _close_inline(self, rest: str, out: list[Delta]) -> None:
        text = self._inline.feed(rest)
        more, calls = self._inline.close()
        if text + more:
            out.append(TextDelta(text + more))
        for call in calls:
            index, self._announced = self._announced, self._announced + 1
            if call.name is None:
                out += [CodeStarted(index, new_id("call")), CodeDelta(index, call.text)]
            else:
                out.append(FunctionStarted(index, new_id("call"), call.name))
                out.append(FunctionDelta(index, call.text))

    # ---- tool calls ---------------------------------------------------------------------------

    def _call_piece(self, piece: Any, out: list[Delta]) -> None:
        function = _of(piece, "function")
        name = _text_of(function, "name")
        call = self._call_of(_of(piece, "index"), _text_of(piece, "id"), name)
        if name and not call.name:
            call.name = name
        arguments = _of(function, "arguments")
        if arguments is None:
            arguments = ""
        elif not isinstance(arguments, str):
            arguments = json.dumps(arguments)
        self._announce(call, out)
        if arguments:
            self._take(call, arguments, out)

    def _call_of(self, key: Any, call_id: str, name: str) -> _Call:
        """The call a piece belongs to: by index, by id, or else the last one."""
        last = self._calls[-1] if self._calls else None
        same = (c for c in reversed(self._calls) if c.key == key)
        found = last if key is None else next(same, None)
        if found is not None and call_id and call_id != found.id and name:
            found = None  # a server that numbers every call 0
        if found is None:
            found = _Call(key, call_id or new_id("call"))
            self._calls.append(found)
        return found

    def _announce(self, call: _Call, out: list[Delta]) -> None:
        if call.index is not None or not call.name:
            return
        is_code = self._code_name is not None and (
            call.name == self._code_name
            or (call.name in CODE_NAMES and call.name not in self._functions)
        )
        call.index, self._announced = self._announced, self._announced + 1
        if is_code:
            call.reader = SourceReader()
            out.append(CodeStarted(call.index, call.id))
        else:
            out.append(FunctionStarted(call.index, call.id, call.name))
        held, call.held = "".join(call.held), []
        if held:
            self._take(call, held, out)

    def _take(self, call: _Call, arguments: str, out: list[Delta]) -> None:
        if call.index is None:
            call.held.append(arguments)
        elif call.reader is not None:
            if source := call.reader.feed(arguments):
                out.append(CodeDelta(call.index, source))
        elif text := call.pairs.feed(arguments):
            call.empty = False
            out.append(FunctionDelta(call.index, text))

    def _close_call(self, call: _Call, out: list[Delta]) -> None:
        if call.index is None:
            return  # a call without a name is none
        if call.reader is not None:
            if source := call.reader.close():
                out.append(CodeDelta(call.index, source))
        else:
            if rest := call.pairs.close() or ("{}" if call.empty else ""):
                out.append(FunctionDelta(call.index, rest))

    def _reason(self) -> Reason:
        if self._finish in ("length", "max_tokens"):
            return "length"
        if self._finish == "content_filter":
            return "content_filter"
        return "calls" if self._announced else "stop"


def _of(value: Any, name: str) -> Any:
    """A field of what a server sent; None where it is missing, or where that is no object."""
    return value.get(name) if isinstance(value, dict) else None


def _text_of(value: Any, name: str) -> str:
    """A field that is text; empty where it is missing, or anything else."""
    text = _of(value, name)
    return joined(text) if isinstance(text, str) else ""


def _list_of(value: Any, name: str) -> list[Any]:
    """A field that is a list; empty where it is missing, or anything else."""
    found = _of(value, name)
    return found if isinstance(found, list) else []


def _usage(usage: Any) -> Usage:
    def count(of: Any, name: str) -> int:
        value = _of(of, name)
        return value if type(value) is int and 0 <= value <= MOST_TOKENS else 0

    return Usage(
        prompt_tokens=count(usage, "prompt_tokens"),
        completion_tokens=count(usage, "completion_tokens"),
        cached_tokens=count(_of(usage, "prompt_tokens_details"), "cached_tokens"),
        reasoning_tokens=count(_of(usage, "completion_tokens_details"), "reasoning_tokens"),
    )
