"""The fence protocol: code without function tools.

The system text asks for one block fenced as ``python`` per turn, and its output comes back as plain
user text. Small models that loop on function tools answer well this way. Functions of the caller
are asked for in blocks fenced as ``call``. The reader is pure and the same at any chunking.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from jupyter_ci_ext.ids import new_id
from jupyter_ci_ext.llm.base import (
    CodeCall,
    CodeDelta,
    CodeStarted,
    Delta,
    FunctionCall,
    FunctionDelta,
    FunctionStarted,
    FunctionTool,
    TextDelta,
)
from jupyter_ci_ext.llm.pieces import FencedBody

PYTHON = ("python", "py", "python3", "ipython", "tool_code")

CODE_TEXT = """\
You can run Python. To run code, write one block fenced as ```python and end your message with it; \
put nothing after the block. It is run for you and its output comes back in the next message, so \
print what you need to see and never make up an output. Variables stay from block to block. When \
you know the answer, write it as plain text without a ```python block."""

CALL_TEXT = """\
You can call these functions:
{functions}
To call one, write one block fenced as ```call holding {{"name": "…", "arguments": {{…}}}} and end \
your message with it. Its result comes back in the next message."""

NO_CALLS_TEXT = "Do not run code or call functions now: answer from what you know, as plain text."
MUST_CODE_TEXT = "Your next message must hold a ```python block."
MUST_CALL_TEXT = "Your next message must hold a block to run."
MUST_FUNCTION_TEXT = "Your next message must hold a ```call block that calls {name}."

RESULT_TEXT = """\
Output:
{output}

If this is all you need, answer now in plain text; else write one more block."""

_OPENING = re.compile(r"( *)(`{3,})[ \t]*\{?\.?(\w*)[^`\n]*\n")
_MAYBE_OPENING = re.compile(r" *(?:`{0,2}|`{3,}[^`\n]*)")


def system_text(
    *,
    code: bool,
    functions: Sequence[FunctionTool],
    tool_choice: str | tuple[str, str],
) -> str:
    """What is added to the system text to ask for blocks; empty when there is nothing to run."""
    if not code and not functions:
        return ""
    if tool_choice == "none":
        return NO_CALLS_TEXT
    texts = []
    if code:
        texts.append(CODE_TEXT)
    if functions:
        texts.append(CALL_TEXT.format(functions="\n".join(_described(f) for f in functions)))
    if isinstance(tool_choice, tuple):
        texts.append(MUST_FUNCTION_TEXT.format(name=tool_choice[1]))
    elif tool_choice == "code":
        texts.append(MUST_CODE_TEXT)
    elif tool_choice == "required":
        texts.append(MUST_CALL_TEXT)
    return "\n\n".join(texts)


def block(call: CodeCall | FunctionCall) -> str:
    """A call as the model would have written it."""
    if isinstance(call, FunctionCall):
        return f'```call\n{{"name": {json.dumps(call.name)}, "arguments": {call.arguments}}}\n```'
    inner = max((len(m[0]) for m in re.finditer("`{3,}", call.source)), default=2)
    ticks = "`" * (inner + 1)
    return f"{ticks}python\n{call.source}\n{ticks}"


def result(output: str) -> str:
    """What a block printed, as the user's next words."""
    return RESULT_TEXT.format(output=output.strip() or "(nothing was printed)")


class FenceReader:
    """Reads an answer as it arrives: text before the first block to run, then that block.

    What follows the block is dropped: there a model makes up the block's output. ``over`` is true
    from the end of the block on, ``dropped`` counts the characters after it.
    """

    def __init__(self, *, code: bool, functions: Sequence[str] = ()) -> None:
        self.over = False
        self.dropped = 0
        self._runs = code
        self._functions = set(functions)
        self._line = ""
        self._mid_line = False
        self._body: FencedBody | None = None
        self._kind = ""
        self._kept: list[str] = []

    def feed(self, text: str) -> list[Delta]:
        """The deltas that *text* makes certain."""
        out: list[Delta] = []
        while text:
            if self.over:
                self.dropped += len(text)
                break
            text = self._in_block(text, out) if self._body else self._in_text(text, out)
        return out

    def close(self) -> list[Delta]:
        """The rest; an unclosed block to run is run: it was cut off or forgotten."""
        out: list[Delta] = []
        if self._body is not None:
            self._took(self._body.close(), out)
            self._ended(out)
        elif self._line:
            out.append(TextDelta(self._line))
            self._line = ""
        return out

    def _in_text(self, text: str, out: list[Delta]) -> str:
        piece, newline, rest = text.partition("\n")
        if self._mid_line:
            self._mid_line = not newline
            out.append(TextDelta(piece + newline))
            return rest
        self._line += piece + newline
        if newline and (opened := _OPENING.fullmatch(self._line)):
            self._open(opened, out)
        elif newline or not _MAYBE_OPENING.fullmatch(self._line):
            self._mid_line = not newline
            out.append(TextDelta(self._line))
        else:
            return rest
        self._line = ""
        return rest

    def _open(self, opened: re.Match[str], out: list[Delta]) -> None:
        language = opened[3].lower()
        if self._runs and language in PYTHON:
            self._kind = "code"
            out.append(CodeStarted(0, new_id("call")))
        elif self._functions and language in ("call", "json", "tool_call"):
            self._kind = "call"
            self._kept = [opened[0]]
        else:
            self._kind = "text"
            out.append(TextDelta(opened[0]))
        indent = 0 if self._kind == "text" else len(opened[1])
        self._body = FencedBody(len(opened[2]), indent)

    def _in_block(self, text: str, out: list[Delta]) -> str:
        assert self._body is not None
        if self._kind == "text":
            return self._in_other_block(text, out)
        self._took(self._body.feed(text), out)
        if not self._body.closed:
            return ""
        rest = self._body.rest
        self._ended(out)
        return rest

    def _in_other_block(self, text: str, out: list[Delta]) -> str:
        """A block that is part of the answer goes through as it is, its closing line included."""
        assert self._body is not None
        self._body.feed(text)
        if not self._body.closed:
            out.append(TextDelta(text))
            return ""
        rest, self._body = self._body.rest, None
        out.append(TextDelta(text[: len(text) - len(rest)]))
        return rest

    def _took(self, body: str, out: list[Delta]) -> None:
        if self._kind == "call":
            self._kept.append(body)
        elif body and self._kind == "code":
            out.append(CodeDelta(0, body))

    def _ended(self, out: list[Delta]) -> None:
        body, self._body = self._body, None
        if self._kind == "code":
            self.over = True
        elif self._kind == "call":
            opening, *kept = self._kept
            wanted = read_call("".join(kept))
            if wanted is not None and wanted[0] in self._functions:
                out.append(FunctionStarted(0, new_id("call"), wanted[0]))
                out.append(FunctionDelta(0, wanted[1]))
                self.over = True
            else:
                closing = "\n```\n" if body is not None and body.closed else ""
                out.append(TextDelta(opening + "".join(kept) + closing))


def read_call(text: str) -> tuple[str, str] | None:
    """Name and arguments (JSON text) of a call written as JSON, or None."""
    try:
        value = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    inner = value.get("function")
    if isinstance(inner, dict):
        value = inner
    name = next((value[k] for k in ("name", "tool", "tool_name", "function") if k in value), None)
    arguments: Any = next(
        (value[k] for k in ("arguments", "parameters", "args", "input") if k in value), {}
    )
    if not isinstance(name, str):
        return None
    return name, arguments if isinstance(arguments, str) else json.dumps(arguments)


def _described(function: FunctionTool) -> str:
    schema = json.dumps(function.parameters, ensure_ascii=False)
    about = f": {function.description}" if function.description else ""
    return f"- {function.name}{about} Arguments as JSON schema: {schema}"
