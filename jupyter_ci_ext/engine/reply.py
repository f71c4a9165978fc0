"""One reply of the model, as it comes in: what is passed on at once, and what waits for its turn.

Text and the first call are passed on as they come. What comes behind that call waits until it has
run: further calls, and text. Functions of the caller wait behind code too, so they are passed on at
once only where there is no code interpreter.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jupyter_ci_ext.engine.text import well_formed
from jupyter_ci_ext.engine.values import Value
from jupyter_ci_ext.ids import PREFIX, new_id
from jupyter_ci_ext.llm.base import (
    CodeCall,
    CodeDelta,
    CodeStarted,
    Delta,
    Finished,
    FunctionCall,
    FunctionDelta,
    FunctionStarted,
    RefusalDelta,
    TextDelta,
    Turn,
    Usage,
)


@dataclass
class _Call:
    id: str
    name: str | None  # None: code
    live: bool
    known: bool = True
    pieces: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(self.pieces)


class Reply:
    """Folds the deltas of one reply. *seen* are the ids of calls so far; it is added to.

    *closed* means that the model may not run code any more, whatever it asks for.
    """

    def __init__(self, request: Turn, seen: set[str], *, closed: bool) -> None:
        self._said: list[str] = []
        self._said_late: list[str] = []
        self.usage = Usage()
        self.finish = "stop"
        self.begun = False
        """Whether anything has come."""
        self.refused_calls = False
        """Whether the model asked for something it may not."""
        self.said_anything = False
        """Whether there was any text, be it a refusal, other than blanks."""
        self._seen = seen
        self._closed = closed
        self._code = request.code and not closed
        self._one = not request.parallel_tool_calls
        self._names = {tool.name for tool in request.functions}
        self._calls: dict[tuple[str, int], _Call] = {}
        self._characters = 0

    def take(self, delta: Delta) -> list[Value]:
        """Fold *delta* in; what is to be passed on now."""
        self.begun = True
        if isinstance(delta, (TextDelta, RefusalDelta)):
            return self._say(delta)
        if isinstance(delta, CodeStarted):
            return self._start("code", delta.index, delta.id, None)
        if isinstance(delta, FunctionStarted):
            return self._start("function", delta.index, delta.id, delta.name)
        if isinstance(delta, CodeDelta):
            return self._more("code", delta.index, delta.source)
        if isinstance(delta, FunctionDelta):
            return self._more("function", delta.index, delta.arguments)
        if isinstance(delta, Usage):
            self.usage = delta
        elif isinstance(delta, Finished):
            self.finish = delta.reason
        return []

    @property
    def text(self) -> str:
        """What it says before any call."""
        return "".join(self._said)

    @property
    def late_text(self) -> str:
        """What it says behind a call."""
        return "".join(self._said_late)

    @property
    def estimated_tokens(self) -> int:
        """About how many tokens the model wrote, for servers that do not say."""
        return (self._characters + 3) // 4

    @property
    def writing_code(self) -> bool:
        """Whether code has been passed on as it was written."""
        return any(call.live and call.name is None for call in self._calls.values())

    @property
    def asked_for_anything(self) -> bool:
        """Whether there is code or a function that it wants to be called."""
        return bool(self._calls)

    @property
    def codes(self) -> list[tuple[CodeCall, bool]]:
        """The code to run, and whether it has been passed on already."""
        return [(CodeCall(c.id, c.text), c.live) for c in self._calls.values() if c.name is None]

    @property
    def functions(self) -> list[FunctionCall]:
        """The calls of the caller's functions."""
        return self._called(known=True)

    @property
    def strays(self) -> list[FunctionCall]:
        """Calls of functions that do not exist."""
        return self._called(known=False)

    def held_functions(self) -> list[Value]:
        """The caller's functions as they would have been passed on."""
        values: list[Value] = []
        held = [c for c in self._calls.values() if c.name is not None and c.known and not c.live]
        for index, call in enumerate(held):
            values.append(FunctionStarted(index, call.id, call.name or ""))
            values += [FunctionDelta(index, piece) for piece in call.pieces]
        return values

    def _say(self, delta: TextDelta | RefusalDelta) -> list[Value]:
        text = well_formed(delta.text)
        if not text:
            return []
        self._characters += len(text)
        self.said_anything |= not text.isspace()
        if isinstance(delta, RefusalDelta):
            return [RefusalDelta(text)]
        if self._calls:
            self._said_late.append(text)
            return []
        self._said.append(text)
        return [TextDelta(text)]

    def _start(self, kind: str, index: int, id: str, name: str | None) -> list[Value]:
        known = self._code if name is None else name in self._names
        if (self._closed and not known) or (self._one and self._calls):
            self.refused_calls = True
            return []
        if name is None and not known:  # no code interpreter, yet code
            name = "python"
        if not id.startswith(PREFIX["call"]) or id in self._seen:
            id = new_id("call")
        self._seen.add(id)
        live = known and (not self._calls if name is None else self._all_live_functions())
        self._calls[kind, index] = call = _Call(id, name, live, known)
        if not live:
            return []
        return [
            CodeStarted(0, id) if name is None else FunctionStarted(self._place(call), id, name)
        ]

    def _all_live_functions(self) -> bool:
        return not self._code and all(c.live for c in self._calls.values())

    def _more(self, kind: str, index: int, text: str) -> list[Value]:
        text = well_formed(text)
        self._characters += len(text)
        call = self._calls.get((kind, index))
        if call is None or not text:
            return []
        call.pieces.append(text)
        if not call.live:
            return []
        if call.name is None:
            return [CodeDelta(0, text)]
        return [FunctionDelta(self._place(call), text)]

    def _place(self, call: _Call) -> int:
        """Which of the live functions it is."""
        return [c.id for c in self._calls.values() if c.live].index(call.id)

    def _called(self, *, known: bool) -> list[FunctionCall]:
        return [
            FunctionCall(c.id, c.name, c.text)
            for c in self._calls.values()
            if c.name is not None and c.known is known
        ]
