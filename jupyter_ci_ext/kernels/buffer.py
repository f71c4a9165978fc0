"""What lies between a kernel that prints and a reader that may be slow.

A kernel's output socket must always be read, or the kernel's side drops messages, the one that
says "done" among them. So outputs are kept here until they are asked for, within bounds: text that
waits is joined, text over the limit loses its middle, rich outputs over theirs are left out. The
sandbox cuts more politely inside the kernel; this is for code that goes around it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections import deque

from jupyter_ci_ext.kernels.outputs import (
    ClearOutput,
    DisplayData,
    ErrorOutput,
    Output,
    StreamText,
)

TEXT_LEFT_OUT = "\n[… {count} characters left out …]\n"
DISPLAYS_LEFT_OUT = "[further figures and tables were left out: more than {limit} bytes]\n"
TAIL = 32768
"""Characters kept of the end of a text that is over its limit."""
PIECE = 16384


class OutputBuffer:
    """The outputs of one execution: one writer, one reader, the last value an `ExecutionEnd`.

    *text_limit* bounds the characters of stdout and stderr together: so much is passed on as it
    comes, of what follows only the end, when the execution is over. *display_limit* bounds the
    bytes of rich outputs. A figure is held back until something follows it, so that an animation
    made with ``clear_output`` leaves its last picture only.
    """

    def __init__(self, text_limit: int, display_limit: int) -> None:
        self.ended = False
        self._ready: deque[Output] = deque()
        self._changed = asyncio.Event()
        self._held: DisplayData | None = None
        self._clear_next = False
        self._text_left = text_limit
        self._tail: deque[StreamText] = deque()
        self._tail_size = 0
        self._text_dropped = 0
        self._display_limit = display_limit
        self._display_left = display_limit
        self._display_dropped = False

    def put(self, output: Output | ClearOutput) -> None:
        """Take one output; after an `ExecutionEnd` whatever comes is ignored."""
        if self.ended:
            return
        if isinstance(output, ClearOutput):
            self._clear_next = output.wait
            if not output.wait:
                self._held = None
            return
        if isinstance(output, StreamText):
            self._follow()
            self._put_text(output)
        elif isinstance(output, DisplayData):
            self._put_display(output)
        elif isinstance(output, ErrorOutput):
            self._follow()
            self._ready.append(output)
        else:
            self._clear_next = False
            self._follow()
            self._ready.extend(self._end_of_text())
            self._ready.append(output)
            self.ended = True
        if self._ready:
            self._changed.set()

    async def get(self) -> Output:
        """The next output, waiting for it; text that piled up comes as one."""
        while not self._ready:
            self._changed.clear()
            await self._changed.wait()
        return self._ready.popleft()

    def _follow(self) -> None:
        """Let go of the figure held back: shown, or cleared if the code said so."""
        if self._held is not None and not self._clear_next:
            self._ready.append(self._held)
        self._held = None
        self._clear_next = False

    def _put_text(self, output: StreamText) -> None:
        head, rest = output.text[: self._text_left], output.text[self._text_left :]
        self._text_left -= len(head)
        if head:
            _join(self._ready, StreamText(output.name, head))
        for at in range(0, len(rest), PIECE):
            piece = StreamText(output.name, rest[at : at + PIECE])
            self._tail_size += len(piece.text)
            _join(self._tail, piece)
            while self._tail_size - len(self._tail[0].text) >= TAIL:
                dropped = len(self._tail.popleft().text)
                self._tail_size -= dropped
                self._text_dropped += dropped

    def _end_of_text(self) -> list[StreamText]:
        if self._tail_size > TAIL:
            first = self._tail.popleft()
            over = self._tail_size - TAIL
            self._text_dropped += over
            self._tail.appendleft(StreamText(first.name, first.text[over:]))
        if not self._text_dropped:
            return list(self._tail)
        note = TEXT_LEFT_OUT.format(count=self._text_dropped)
        return [StreamText(self._tail[0].name, note), *self._tail]

    def _put_display(self, output: DisplayData) -> None:
        held = self._held
        same = held is not None and output.display_id and output.display_id == held.display_id
        if held is not None and same and output.update:
            # The figure was not shown yet: show what it became, once.
            self._held = dataclasses.replace(held, data=output.data, metadata=output.metadata)
            return
        self._follow()
        size = sum(map(_size, output.data.values()))
        if size <= self._display_left:
            self._display_left -= size
            self._held = output
        elif not self._display_dropped:
            self._display_dropped = True
            note = DISPLAYS_LEFT_OUT.format(limit=self._display_limit)
            self._ready.append(StreamText("stderr", note))


def _size(value: object) -> int:
    return len(value) if isinstance(value, str) else len(json.dumps(value, default=str))


def _join(queue: deque[Output] | deque[StreamText], text: StreamText) -> None:
    """Put *text* at the end, as one with the text there if both are short."""
    last = queue[-1] if queue else None
    if isinstance(last, StreamText) and last.name == text.name and len(last.text) < PIECE:
        queue[-1] = StreamText(text.name, last.text + text.text)
    else:
        queue.append(text)
