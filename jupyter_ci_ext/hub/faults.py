"""What the service refuses, in the shape and with the statuses that OpenAI's clients know.

    Refused
    ├── BadRequest          the body is no chat completion request               (400)
    ├── Unauthenticated     no token, or none that the Hub knows                 (401)
    ├── NotAllowed          the Hub knows the caller, who may not do this        (403)
    ├── NoSuchThing         no such address, no such model                       (404)
    ├── TooLarge            the body is over its limit                           (413)
    ├── QuotaUsed           the requests or tokens of the day are used up        (429)
    ├── TooManyAtOnce       as many requests of the caller are under way as may  (429)
    ├── UpstreamFailed      the model server refused the site, or makes no sense (502)
    ├── HubSilent           the Hub cannot be asked who the caller is            (503)
    └── UpstreamSlow        the model server did not answer in time              (504)

Clients repeat 429 and 5xx by themselves; ``x-should-retry: false`` says where that is of no use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from ..errors import CodeInterpreterError

NO_RETRY: Mapping[str, str] = {"x-should-retry": "false"}


class Refused(CodeInterpreterError):
    """Base of all; never raised itself. ``extra`` are further fields of the error object."""

    status = 500
    type = "invalid_request_error"
    code: str | None = None

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
        extra: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code or self.code
        self.param = param
        self.headers = dict(headers or {})
        self.extra = dict(extra or {})

    def body(self) -> dict[str, Any]:
        """The error as the API words it."""
        fields = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        return {"error": fields | self.extra}


class BadRequest(Refused):
    """The request cannot be served as it is worded."""

    status = 400


class Unauthenticated(Refused):
    """No token was given, or the Hub does not know it."""

    status = 401

    def __init__(self, message: str, *, code: str | None = None) -> None:
        super().__init__(
            message, code=code, headers={"WWW-Authenticate": 'Bearer realm="JupyterHub"'}
        )


class NotAllowed(Refused):
    """The caller is known, but has no right to this."""

    status = 403
    code = "permission_denied"


class NoSuchThing(Refused):
    """There is no such address, or no such model for anybody."""

    status = 404


class TooLarge(Refused):
    """The request's body is larger than this service takes."""

    status = 413


class QuotaUsed(Refused):
    """The caller's requests or tokens of the day are used up; told with the time of the next."""

    status = 429
    type = "insufficient_quota"
    code = "insufficient_quota"

    def __init__(self, what: str, limit: int, now: datetime, resets_at: datetime) -> None:
        wait = resets_at - now
        shown = resets_at.strftime("%Y-%m-%d %H:%M %Z")
        super().__init__(
            f"You have used up the {limit} {what} that this JupyterHub grants you per day. The count "
            f"starts again at {shown}, in {spoken(wait)}.",
            headers={**NO_RETRY, "Retry-After": str(math.ceil(wait.total_seconds()))},
            extra={"resets_at": int(resets_at.timestamp())},
        )


class TooManyAtOnce(Refused):
    """The caller has as many requests under way as one may have; worth repeating soon."""

    status = 429
    type = "requests"
    code = "rate_limit_exceeded"

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"You have {limit} requests under way, and no more are served at a time. "
            "Please try again in 2s.",
            headers={"Retry-After": "2"},
        )


class UpstreamFailed(Refused):
    """The model server refuses the site, cannot be reached, or says what makes no sense."""

    status = 502
    type = "server_error"


class HubSilent(Refused):
    """The Hub does not say who the caller is; that passes."""

    status = 503
    type = "server_error"

    def __init__(self) -> None:
        super().__init__(
            "JupyterHub could not be asked whose token this is. Please try again in 5s.",
            headers={"Retry-After": "5"},
        )


class UpstreamSlow(Refused):
    """The model server did not begin to answer in time."""

    status = 504
    type = "server_error"


def spoken(wait: timedelta) -> str:
    """A wait as people say it: ``5 h 12 min``, ``40 s``."""
    seconds = math.ceil(wait.total_seconds())
    hours, minutes = seconds // 3600, seconds % 3600 // 60
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
