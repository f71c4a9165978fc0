"""Making a prompt fit the model's window; pure.

Tokens are estimated, since every model counts its own way. What is dropped is the oldest first, and
never the last thing the user said nor what came after it: there, long outputs of code are shortened.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from jupyter_ci_ext.engine.text import estimate_tokens, shorten
from jupyter_ci_ext.llm.base import (
    AssistantMessage,
    CallResult,
    CodeCall,
    ImagePart,
    PromptMessage,
    TextPart,
    Turn,
    UserMessage,
)

IMAGE_TOKENS: Final = 800
"""About what a picture costs."""

MESSAGE_TOKENS: Final = 6
"""About what the frame around a message costs."""

_SHORTER: Final = (4000, 1200, 300)
"""Characters to which outputs of code are shortened, one after the other."""


def message_tokens(message: PromptMessage) -> int:
    """About how many tokens a message has."""
    if isinstance(message, UserMessage):
        return MESSAGE_TOKENS + sum(
            estimate_tokens(part.text) if isinstance(part, TextPart) else IMAGE_TOKENS
            for part in message.parts
        )
    if isinstance(message, AssistantMessage):
        texts = [
            call.source if isinstance(call, CodeCall) else call.name + call.arguments
            for call in message.calls
        ]
        return sum(MESSAGE_TOKENS + estimate_tokens(text) for text in [message.text, *texts])
    return MESSAGE_TOKENS + estimate_tokens(message.text) + IMAGE_TOKENS * len(message.images)


def turn_tokens(turn: Turn) -> int:
    """About how many tokens of prompt a request has."""
    return _frame_tokens(turn) + sum(map(message_tokens, turn.messages))


def fit(turn: Turn, budget: int | None) -> Turn:
    """The request within *budget* tokens of prompt, as far as that can be; None: no limit."""
    if budget is None or turn_tokens(turn) <= budget:
        return turn
    room = budget - _frame_tokens(turn)
    messages = _drop_oldest(turn.messages, room)
    for characters in _SHORTER:
        if sum(map(message_tokens, messages)) <= room:
            break
        messages = [_shorter(message, characters) for message in messages]
    return replace(turn, messages=tuple(messages))


def window_budget(context_tokens: int | None, max_tokens: int | None) -> int | None:
    """Tokens of prompt that leave room for an answer in a window of *context_tokens*."""
    if context_tokens is None:
        return None
    answer = min(max_tokens or context_tokens // 4, context_tokens // 2)
    # A tenth less, because the estimate may be off.
    return max(1, (context_tokens - answer) * 9 // 10)


def keep_pictures(messages: Sequence[PromptMessage], most: int) -> tuple[PromptMessage, ...]:
    """The messages with only their newest *most* pictures; the others are mentioned in words."""
    kept: list[PromptMessage] = []
    left = most
    for message in reversed(messages):
        if isinstance(message, CallResult) and message.images:
            images = message.images[-left:] if left > 0 else ()
            left -= len(images)
            kept.append(replace(message, images=images))
        elif isinstance(message, UserMessage):
            parts: list[TextPart | ImagePart] = []
            for part in reversed(message.parts):
                if isinstance(part, ImagePart):
                    left -= 1
                    parts.append(part if left >= 0 else TextPart("[an earlier picture]"))
                else:
                    parts.append(part)
            kept.append(replace(message, parts=tuple(reversed(parts))))
        else:
            kept.append(message)
    return tuple(reversed(kept))


def _frame_tokens(turn: Turn) -> int:
    tools = sum(
        estimate_tokens(tool.name + (tool.description or "") + json.dumps(tool.parameters))
        for tool in turn.functions
    )
    return estimate_tokens(turn.system) + tools + (150 if turn.code else 0)


def _drop_oldest(messages: Sequence[PromptMessage], room: int) -> list[PromptMessage]:
    """Without as many of the oldest as must go; a call goes together with its results."""
    asked = [at for at, message in enumerate(messages) if isinstance(message, UserMessage)]
    must = asked[-1] if asked else len(messages)
    total = sum(map(message_tokens, messages))
    start = 0
    while start < must and (
        total > room or isinstance(messages[start], CallResult)  # its call is gone
    ):
        total -= message_tokens(messages[start])
        start += 1
    return list(messages[start:])


def _shorter(message: PromptMessage, characters: int) -> PromptMessage:
    if isinstance(message, CallResult):
        return replace(message, text=shorten(message.text, characters), images=())
    return message
