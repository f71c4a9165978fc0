"""A chat completion request: what of it matters here, and the body that is passed on. Pure."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from .faults import BadRequest
from .usage import characters, estimate

_NAME_CHARACTERS = 256


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
    def read(cls, body: bytes, *, ask_usage: bool, refused: Collection[str] = ()) -> ChatRequest:
        """Read *body*; it is left as it is, but for asking a stream for its usage.

        *refused* are parameters it must not have. Raises `BadRequest`.
        """
        wanted = _object(body)
        model = wanted.get("model")
        if not isinstance(model, str) or not model:
            raise BadRequest("you must provide a model parameter", param="model")
        if len(model) > _NAME_CHARACTERS or not model.isprintable():
            raise BadRequest("this is no name of a model", param="model")
        for name in wanted:
            if name.lower() in refused:
                text = f"The parameter '{name}' cannot be used on this JupyterHub."
                raise BadRequest(text, param=name, code="unsupported_parameter")
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
        found = json.loads(body, object_pairs_hook=_once)
    except ValueError as error:
        raise BadRequest("We could not parse the JSON body of your request.") from error
    if not isinstance(found, dict):
        raise BadRequest("The JSON body of your request is no object.")
    if len({name.lower() for name in found}) < len(found):
        raise BadRequest("The JSON body of your request has a key twice.")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys all differ: of two, the model server might take the other."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise BadRequest("The JSON body of your request has a key twice.")
    return found
