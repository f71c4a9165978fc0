"""Every error this package raises on purpose.

    CodeInterpreterError
    ├── InvalidRequest          the caller's words are off                          (400)
    │   └── PayloadTooLarge     a body or file is over its limit                    (413)
    ├── NotFound                no such object, or it belongs to another parent     (404)
    ├── StoreError              the database or the disk cannot serve the request   (503)
    │   └── DiskFull            there is no space left
    ├── LLMError                the language model's server refused or broke off
    ├── SandboxUnavailable      this host cannot isolate code as the policy demands
    └── SessionLost             the kernel of a session died or was closed

Rooms below ``api`` know no status codes: ``api/errors.py`` maps these classes once. The texts are
those of the API (protocol.md §10), because client code matches on them.
"""

from __future__ import annotations

from typing import Literal


class CodeInterpreterError(Exception):
    """Base of all; ``message`` is fit to be read by the person who made the request."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(CodeInterpreterError):
    """The request cannot be served as it is worded; repeating it unchanged is of no use."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class PayloadTooLarge(InvalidRequest):
    """A request body or an uploaded file is larger than its limit."""


class NotFound(CodeInterpreterError):
    """No object of that id, or not below the parent that was named."""

    def __init__(self, message: str, *, param: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        self.param = param
        self.code = code


class StoreError(CodeInterpreterError):
    """The database is locked, or the disk is full or unreadable; nothing was half-written."""


class DiskFull(StoreError):
    """No space is left on the disk, or none of the user's share of it."""


LLMErrorKind = Literal[
    "authentication",  # key missing or refused
    "not_found",  # no such model or no such path on the upstream
    "rate_limit",  # 429; retry_after may be set
    "quota",  # 429 that waiting does not cure
    "context_length",  # the prompt is larger than the model's window
    "invalid_prompt",  # any other 400: the upstream cannot take this request
    "timeout",  # no answer, or no further token, in time
    "connection",  # unreachable, or the stream broke off
    "server",  # 5xx or an answer that makes no sense
]


class LLMError(CodeInterpreterError):
    """The language model's server refused, failed or broke off.

    ``retry_after`` is in seconds, as the upstream asked for; None where it did not.
    """

    def __init__(
        self, kind: LLMErrorKind, message: str, *, retry_after: float | None = None
    ) -> None:
        super().__init__(message)
        self.kind: LLMErrorKind = kind
        self.retry_after = retry_after


class SandboxUnavailable(CodeInterpreterError):
    """No code runs: this host cannot isolate it as the policy demands; says what to do."""


class SessionLost(CodeInterpreterError):
    """The kernel died, was killed for a limit, or was closed; its variables are gone."""
