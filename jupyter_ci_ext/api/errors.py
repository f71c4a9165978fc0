"""The one place where errors become HTTP: exception → status and the API's error object.

Rooms below know no status codes. Clients match on texts, statuses and codes (protocol.md §10), and
their libraries retry 408, 409, 429 and every 5xx: hence none of these for what repeating does not
cure, and ``x-should-retry: false`` where a 5xx is right all the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import responses
from typing import Any

from tornado.web import HTTPError

from ..errors import (
    CodeInterpreterError,
    InvalidRequest,
    LLMError,
    NotFound,
    PayloadTooLarge,
    SandboxUnavailable,
    SessionLost,
    StoreError,
)

NO_RETRY: Mapping[str, str] = {"x-should-retry": "false"}

NOT_JSON = (
    "We could not parse the JSON body of your request. (HINT: This likely means you aren't using "
    "your HTTP library correctly. The API expects a JSON payload, but what was sent was not valid "
    "JSON.)"
)

CRASH = (
    "The server had an error processing your request. Sorry about that! You can retry your request; "
    "if you keep seeing this error, look for the request ID in the log of the Jupyter server. "
    "(Please include the request ID {request_id} when you report it.)"
)


@dataclass(frozen=True)
class ErrorReply:
    """What goes out for an error: a status, the four fields of the error object, headers."""

    status: int
    message: str
    type: str = "invalid_request_error"
    param: str | None = None
    code: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> dict[str, Any]:
        """The error as OpenAI words it."""
        return {
            "error": {
                "message": self.message,
                "type": self.type,
                "param": self.param,
                "code": self.code,
            }
        }


class Unauthenticated(CodeInterpreterError):
    """No credentials, or none that this server knows."""

    def __init__(self, message: str, code: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.headers = {"WWW-Authenticate": 'Bearer realm="Jupyter Server"'}


class InvalidURL(NotFound):
    """No such route; *path* is counted from the API's root, as ``/v1/xyz``."""

    def __init__(self, method: str, path: str) -> None:
        super().__init__(f"Invalid URL ({method} {path})")


class WrongMethod(CodeInterpreterError):
    """The route is there, but not for this verb; *allowed* are those it has."""

    code = "method_not_supported"

    def __init__(self, method: str, path: str, allowed: list[str]) -> None:
        hint = "(HINT: Perhaps you meant to use a different HTTP method?)"
        super().__init__(f"Not allowed to {method} on {path}. {hint}")
        self.headers = {"Allow": ", ".join(allowed)}


class Unavailable(CodeInterpreterError):
    """The extension could not be brought up; the next request tries again."""


# Looked up along the exception's MRO: the nearest class wins.
_REPLIES: Mapping[type[CodeInterpreterError], tuple[int, str, Mapping[str, str]]] = {
    InvalidRequest: (400, "invalid_request_error", {}),
    PayloadTooLarge: (413, "invalid_request_error", {}),
    NotFound: (404, "invalid_request_error", {}),
    StoreError: (503, "server_error", {}),
    LLMError: (502, "server_error", NO_RETRY),
    SandboxUnavailable: (503, "server_error", NO_RETRY),
    SessionLost: (400, "invalid_request_error", {}),
    Unauthenticated: (401, "invalid_request_error", {}),
    WrongMethod: (405, "invalid_request_error", {}),
    Unavailable: (503, "server_error", NO_RETRY),
    CodeInterpreterError: (500, "server_error", NO_RETRY),
}


def error_reply(error: BaseException, request_id: str) -> ErrorReply:
    """How *error* is told to the client; what nobody foresaw becomes the text of a crash."""
    if isinstance(error, CodeInterpreterError):
        status, kind, headers = next(_REPLIES[c] for c in type(error).__mro__ if c in _REPLIES)
        param, code = getattr(error, "param", None), getattr(error, "code", None)
        headers = {**headers, **getattr(error, "headers", {})}
        return ErrorReply(status, error.message, kind, param, code, headers)
    if isinstance(error, HTTPError):
        kind = "invalid_request_error" if error.status_code < 500 else "server_error"
        message = error.log_message % error.args if error.log_message else ""
        fallback = error.reason or responses.get(error.status_code, "Unknown error")
        return ErrorReply(error.status_code, message or fallback, kind)
    return ErrorReply(500, CRASH.format(request_id=request_id), "server_error")
