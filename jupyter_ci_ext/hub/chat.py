"""A chat completion request: what of it matters here, and the body that is passed on. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from .faults import BadRequest
from .usage import characters, estimate


@dataclass(frozen=True)
class ChatRequest:
    """A request that was read; ``body`` goes to the model server."""

    model: str
    stream: bool
    prompt_tokens: int
    """An estimate."""
    hide_usage: bool
    """Whether the usage comes only because the service asks for it."""
    body: bytes

    @classmethod
    def read(cls, body: bytes, *, ask_usage: bool) -> ChatRequest:
        """Read *body*; it is left as it is, but for asking a stream for its usage.

        Raises `BadRequest`.
        """
        wanted = _object(body)
        model = wanted.get("model")
        if not isinstance(model, str) or not model:
            raise BadRequest("you must provide a model parameter", param="model")
        texts = (wanted.get("messages"), wanted.get("tools"), wanted.get("response_format"))
        prompt = estimate(sum(map(characters, texts)))
        stream = wanted.get("stream") is True
        options = wanted.get("stream_options")
        asked = isinstance(options, dict) and options.get("include_usage") is True
        if not stream or asked or not ask_usage:
            return cls(model, stream, prompt, False, body)
        kept = options if isinstance(options, dict) else {}
        wanted["stream_options"] = {**kept, "include_usage": True}
        return cls(model, stream, prompt, True, json.dumps(wanted).encode())


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except ValueError as error:
        raise BadRequest("We could not parse the JSON body of your request.") from error
    if not isinstance(found, dict):
        raise BadRequest("The JSON body of your request is no object.")
    return found
