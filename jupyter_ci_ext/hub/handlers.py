"""What the service's verbs share, and all of them but the completions: models, health, metrics."""

from __future__ import annotations

import logging
import secrets
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from tornado.web import HTTPError, RequestHandler

from ..errors import CodeInterpreterError, StoreError
from ..quiet import trace
from .faults import NoSuchThing, Refused, UpstreamFailed
from .identity import Caller, Identities
from .ledger import Ledger
from .metrics import Metrics
from .places import Places
from .rules import Rules
from .upstream import Upstream

_CRASH = "The model service of this JupyterHub failed. The log of the Hub has the details."


@dataclass(frozen=True)
class Site:
    """What the handlers work with; made once, when the service starts."""

    identities: Identities
    rules: Rules
    ledger: Ledger
    upstream: Upstream
    places: Places
    metrics: Metrics
    max_body: int
    ask_usage: bool
    refused_parameters: frozenset[str]
    log: logging.Logger


class Handler(RequestHandler):
    """Base of all: errors in the API's shape, and the headers every answer has."""

    def initialize(self, site: Site) -> None:
        """Called by tornado with what the url table says."""
        self.site = site

    def set_default_headers(self) -> None:
        """Called by tornado first of all, and again before an error is written."""
        self.clear_header("Server")
        self.set_header("x-request-id", f"req_{secrets.token_hex(12)}")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Called by tornado for whatever a verb raised."""
        error = kwargs.get("exc_info", (None, HTTPError(status_code)))[1]
        refused = _refused(error, self.request.method or "", self.request.path)
        self.set_status(refused.status)
        for name, value in refused.headers.items():
            self.set_header(name, value)
        self.finish(refused.body())

    def log_exception(
        self,
        _typ: type[BaseException] | None,
        value: BaseException | None,
        _tb: TracebackType | None,
    ) -> None:
        """Called by tornado; only what nobody foresaw is worth a trace."""
        if value is not None and not isinstance(value, CodeInterpreterError | HTTPError):
            where = f"{self.request.method} {self.request.path}"
            self.site.log.error("%s: %s", where, trace(value))
        elif isinstance(value, StoreError):
            self.site.log.error("%s", value)


class NotFoundHandler(Handler):
    """Every address that is not in the url table."""

    def prepare(self) -> None:
        """Called by tornado before any verb."""
        raise NoSuchThing(f"Invalid URL ({self.request.method} {self.request.path})")


class HealthHandler(Handler):
    """Whether the service is up; asks nobody and tells nothing else."""

    async def get(self) -> None:
        """``{"status": "ok"}``."""
        self.finish({"status": "ok"})


class MetricsHandler(Handler):
    """The counts, for holders of the Hub's scope ``read:metrics``."""

    async def get(self) -> None:
        """Text as Prometheus reads it."""
        await self.site.identities.holder(self.request.headers, "read:metrics")
        self.set_header("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
        self.finish(self.site.metrics.text())


class ModelsHandler(Handler):
    """The models the caller may use."""

    async def get(self, name: str | None = None) -> None:
        """The list, or the one *name*."""
        caller = await self.site.identities.caller(self.request.headers)
        if name:
            self.site.rules.check(caller, name)
        rows = await self._rows(caller)
        if name is None:
            self.finish({"object": "list", "data": rows})
            return
        found = next((row for row in rows if row["id"] == name), None)
        if found is None:
            text = f"The model '{name}' does not exist or you do not have access to it."
            raise NoSuchThing(text, code="model_not_found", param="model")
        self.finish(found)

    async def _rows(self, caller: Caller) -> list[dict[str, Any]]:
        rules = self.site.rules
        named = {
            name: {"id": name, "object": "model", "created": 0, "owned_by": "jupyterhub"}
            for name in rules.named(caller)
        }
        try:
            listed = await self.site.upstream.models()
        except Refused:
            if not named:
                raise
            return list(named.values())
        return [row for row in listed if rules.allows(caller, row["id"])]


def _refused(error: BaseException | None, method: str, path: str) -> Refused:
    """The error as it is told; what nobody foresaw is not told at all."""
    if isinstance(error, Refused):
        return error
    if isinstance(error, StoreError):
        told: Refused = UpstreamFailed(
            "The model service of this JupyterHub cannot count. " + _CRASH
        )
        told.status = 503
        return told
    status = error.status_code if isinstance(error, HTTPError) else 500
    if status == 405:
        told = NoSuchThing(f"Not allowed to {method} on {path}.", code="method_not_supported")
    elif status < 500:
        told = NoSuchThing(str(getattr(error, "reason", None) or "The request cannot be read."))
    else:
        told = UpstreamFailed(_CRASH)
    told.status = status
    return told
