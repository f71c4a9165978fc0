"""What a model server's refusals and failures mean, in words a person understands."""

from __future__ import annotations

import email.utils
import json
import re
import time
from typing import Any

import openai

from jupyter_ci_ext.errors import LLMError, LLMErrorKind
from jupyter_ci_ext.llm.endpoint import Settings

_CONTEXT = re.compile(
    r"context.{0,20}(length|size|window|limit)|maximum context|prompt is too long"
    r"|too many (input )?tokens|exceed\w* .{0,20}context|input is too long",
    re.IGNORECASE,
)
_CONTEXT_CODES = ("context_length_exceeded", "exceed_context_size_error", "string_above_max_length")
_QUOTA = re.compile(r"insufficient_quota|exceeded your current quota|billing|credit", re.IGNORECASE)
_TRY_AGAIN = re.compile(r"try again in ((?:\d+h)?(?:\d+m(?!s))?(?:[\d.]+m?s)?)", re.IGNORECASE)
_DURATION = re.compile(r"([\d.]+)(ms|h|m|s)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def translate(error: Exception, at: Settings, model: str, *, began: bool) -> LLMError:
    """The error as this package speaks of it; *began* tells whether the answer had begun."""
    kind, message, retry_after = _meaning(error, at, model, began)
    if at.api_key:
        message = message.replace(at.api_key, "…")
    return LLMError(kind, message, retry_after=retry_after)


def is_retryable(error: LLMError) -> bool:
    """Whether asking again may help, where nothing of an answer had come."""
    return error.kind in ("rate_limit", "connection", "server")


def said(error: openai.APIError) -> str:
    """The server's own words."""
    body = error.body
    if isinstance(body, dict):
        inner = body.get("error", body)
        text = inner.get("message") if isinstance(inner, dict) else inner
        if isinstance(text, str) and text.strip():
            return text.strip()
    if isinstance(body, str) and body.strip():
        return " ".join(body.split())[:300]
    return " ".join(str(error.message).split())[:300]


def is_too_long(error: openai.APIStatusError) -> bool:
    """Whether the prompt does not fit the model's window."""
    if error.status_code == 413 or {error.code, error.type} & set(_CONTEXT_CODES):
        return True
    return error.status_code < 500 and _CONTEXT.search(said(error)) is not None


def window_of(error: Exception) -> int | None:
    """The window's size in tokens, where a refusal for length tells it."""
    body: Any = getattr(error, "body", None)
    if isinstance(body, dict) and isinstance(body.get("n_ctx"), int):
        return int(body["n_ctx"])
    found = re.search(r"maximum context length is (\d+)", str(error))
    return int(found[1]) if found else None


def _meaning(
    error: Exception, at: Settings, model: str, began: bool
) -> tuple[LLMErrorKind, str, float | None]:
    if isinstance(error, openai.APIStatusError):
        return _status(error, at, model)
    # In a stream, older clients let the errors of their transport through: known by name.
    names = {kind.__name__ for kind in type(error).__mro__}
    broken = _broken_connection(error)
    if names & {"APITimeoutError", "TimeoutException"} and broken is None:
        return "timeout", _timeout(error, at), None
    if names & {"APIConnectionError", "TransportError"}:
        if began:
            return "connection", f"The model server at {at.host} broke off in its answer.", None
        cause = str(getattr(broken, "os_error", broken) or error.__cause__ or "").strip()
        detail = f" ({cause})" if cause else ""
        hint = " Is it running?" if at.is_local else ""
        return "connection", f"Cannot reach the model server at {at.host}{detail}.{hint}", None
    if isinstance(error, openai.APIError):  # an error sent as part of the stream
        return _in_stream(error, at)
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        text = f"The model server at {at.host} sent something that is no chat completion."
        return "server", text, None
    return "server", f"The model server at {at.host} cannot be used: {error}", None


def _status(
    error: openai.APIStatusError, at: Settings, model: str
) -> tuple[LLMErrorKind, str, float | None]:
    words = said(error)
    code = error.code or error.type or ""
    status = error.status_code
    where = f"The model server at {at.host}"
    if status == 401:
        if not at.api_key:
            return (
                "authentication",
                f"{where} wants an API key and there is none: set OPENAI_API_KEY for the Jupyter "
                "server, or c.ModelProvider.api_key.",
                None,
            )
        return "authentication", f"{where} refused the API key: {words}", None
    if status == 403:
        return "authentication", f"{where} does not allow this key to use '{model}': {words}", None
    if is_too_long(error):
        return "context_length", f"The prompt is too long for the model '{model}': {words}", None
    if status == 404:
        if "model" in words.lower() or "model" in code:
            return "not_found", f"{where} does not know the model '{model}': {words}", None
        hint = f"Is the base URL right? It is {at.url} and usually ends in /v1."
        return "not_found", f"{where} has no chat completions: {words} {hint}", None
    if status == 402:
        return "quota", words, None
    if status == 429:
        if _QUOTA.search(code) or _QUOTA.search(words):
            return "quota", words, None
        wait = _retry_after(error, words)
        if wait and not _TRY_AGAIN.search(words):
            words = f"{words.rstrip('.')}. Please try again in {wait:g}s."
        return "rate_limit", words, wait
    if status in (408, 504):
        return "timeout", f"{where} did not answer in time: {words}", None
    if status >= 500:
        return "server", f"{where} failed (status {status}): {words}", _retry_after(error, "")
    return "invalid_prompt", f"{where} refused the request: {words}", None


def _in_stream(error: openai.APIError, at: Settings) -> tuple[LLMErrorKind, str, float | None]:
    words = said(error)
    code = f"{error.code} {error.type}"
    if any(c in code for c in _CONTEXT_CODES) or _CONTEXT.search(words):
        return "context_length", f"The prompt is too long for the model: {words}", None
    if _QUOTA.search(code):
        return "quota", words, None
    if "rate_limit" in code or "429" in code:
        return "rate_limit", words, _try_again(words)
    return "server", f"The model server at {at.host} failed in its answer: {words}", None


def _broken_connection(error: Exception) -> BaseException | None:
    """What aiohttp said of a connection that was refused or broken: its adapter calls that a timeout."""
    cause: BaseException | None = error
    while cause is not None:
        names = {kind.__name__ for kind in type(cause).__mro__}
        if "ClientConnectionError" in names:
            return None if "TimeoutError" in names else cause
        cause = cause.__cause__
    return None


def _timeout(error: Exception, at: Settings) -> str:
    if "Connect" in type(error.__cause__).__name__:
        return f"The model server at {at.host} did not take the connection in time."
    return f"The model server at {at.host} was silent for too long."


def _retry_after(error: openai.APIStatusError, words: str) -> float | None:
    """The wait the server asks for, in seconds."""
    headers = error.response.headers
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        text = headers.get(name)
        if not text:
            continue
        try:
            return max(0.0, float(text) * unit)
        except ValueError:
            date = email.utils.parsedate_tz(text)
            if date is not None:
                return max(0.0, email.utils.mktime_tz(date) - time.time())
    return _try_again(words)


def _try_again(words: str) -> float | None:
    found = _TRY_AGAIN.search(words)
    if not found or not found[1]:
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in _DURATION.findall(found[1]))
