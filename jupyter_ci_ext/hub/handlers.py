"""The service's verbs: chat completions, models, health, metrics."""

from __future__ import annotations

import logging
import math
import secrets
import time
from dataclasses import dataclass
from datetime import datetime, timezone
from types import TracebackType
from typing import Any

import aiohttp
import anyio
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

from ..errors import CodeInterpreterError, StoreError
from .chat import ChatRequest
from .faults import NoSuchThing, QuotaUsed, Refused, TooLarge, UpstreamFailed
from .identity import Caller, Identities
from .ledger import Entry, Ledger, Used
from .metrics import Metrics
from .places import Places
from .rules import Allowance, Rules
from .upstream import PASSED_ON, Upstream
from .usage import Meter, StreamMeter, WholeMeter

_CLIENT_LEFT = 499
# Seconds a client may take nothing of its answer before it counts as gone.
_STALL_SECONDS = 120.0
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
        if not isinstance(value, CodeInterpreterError | HTTPError):
            self.site.log.error("%s %s", self.request.method, self.request.path, exc_info=value)
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


class ChatHandler(Handler):
    """Chat completions: let through, passed on byte for byte, counted."""

    def initialize(self, site: Site) -> None:
        """Called by tornado with what the url table says."""
        super().initialize(site)
        self._scope = anyio.CancelScope()
        self._started = time.monotonic()

    def on_connection_close(self) -> None:
        """Called by tornado when the client went away: the model server is to stop, too."""
        self._scope.cancel()

    async def post(self) -> None:
        """Answer with what the model server says."""
        with self._scope:
            caller = await self.site.identities.caller(self.request.headers)
            if len(self.request.body) > self.site.max_body:
                raise TooLarge(f"Request body too large: at most {self.site.max_body} bytes.")
            wanted = ChatRequest.read(
                self.request.body,
                ask_usage=self.site.ask_usage,
                refused=self.site.refused_parameters,
            )
            self.site.rules.check(caller, wanted.model)
            with self.site.places.taken(caller.key):
                await self._count(caller, wanted)
        if self._scope.cancel_called:
            self.set_status(_CLIENT_LEFT)

    async def _count(self, caller: Caller, wanted: ChatRequest) -> None:
        site, now = self.site, datetime.now(timezone.utc)
        day, resets_at = site.rules.day(now)
        allowance = site.rules.allowance_of(caller)

        def allowed(used: Used) -> None:
            self._tell_limits(allowance, used, (resets_at - now).total_seconds())
            if allowance.requests and used.requests >= allowance.requests:
                raise QuotaUsed("requests", allowance.requests, now, resets_at)
            if allowance.tokens and used.tokens >= allowance.tokens:
                raise QuotaUsed("tokens", allowance.tokens, now, resets_at)

        entry = Entry(day, caller.key, wanted.model, wanted.prompt_tokens)
        used = await site.ledger.admit(entry, allowed)
        self._tell_limits(allowance, used, (resets_at - now).total_seconds())
        self._meter = Meter(wanted.prompt_tokens)
        refused = False
        try:
            with site.metrics.under_way.track_inprogress():
                await self._pass_on(wanted)
        except Refused:
            refused = True
            raise
        finally:
            with anyio.CancelScope(shield=True):
                await self._settle(entry, refused)

    async def _pass_on(self, wanted: ChatRequest) -> None:
        asked = time.monotonic()
        accept = self.request.headers.get("Accept", "")
        async with self.site.upstream.chat(wanted.body, accept) as reply:
            self.site.metrics.first_byte.observe(time.monotonic() - asked)
            for name in PASSED_ON:
                if name in reply.headers:
                    self.set_header(name, reply.headers[name])
            if reply.content_type == "text/event-stream":
                await self._stream(reply, wanted)
            else:
                self._meter = whole = WholeMeter(wanted.prompt_tokens)
                body = await reply.read()
                whole.read(body)
                self.finish(body)

    async def _stream(self, reply: aiohttp.ClientResponse, wanted: ChatRequest) -> None:
        self._meter = meter = StreamMeter(wanted.prompt_tokens, hide_usage=wanted.hide_usage)
        self.set_header("Cache-Control", "no-cache")
        self.set_header("X-Accel-Buffering", "no")
        try:
            await (
                self.flush()
            )  # the model may think for a while: the client is to know it was heard
            async for piece in reply.content.iter_any():
                await self._send(meter.feed(piece))
            await self._send(meter.rest())
            self.finish()
        except StreamClosedError:
            self._scope.cancel()
        except (aiohttp.ClientError, OSError) as error:
            # an end that looks whole would be a lie: the connection breaks here as it did there
            self.site.log.warning("The model server broke off: %s", type(error).__name__)
            self._hang_up()

    async def _send(self, data: bytes) -> None:
        if data:
            self.write(data)
            with anyio.move_on_after(_STALL_SECONDS) as waiting:
                await self.flush()
            if waiting.cancelled_caught:
                self._hang_up()
                raise StreamClosedError

    def _hang_up(self) -> None:
        stream = getattr(self.request.connection, "stream", None)
        if stream is not None:
            stream.close()

    async def _settle(self, entry: Entry, refused: bool) -> None:
        site, status = self.site, self.get_status()
        try:
            if refused:
                await site.ledger.give_back(entry)
                return
            tokens = self._meter.tokens
            site.metrics.count(tokens)
            await site.ledger.settle(
                entry, tokens.prompt, tokens.completion, estimated=tokens.estimated
            )
        except StoreError:
            site.log.exception("A request of %s could not be counted", entry.caller)
        else:
            site.log.info(
                "%s %s %s: %d+%d tokens%s, %.1f s",
                _CLIENT_LEFT if self._scope.cancel_called else status,
                entry.caller,
                entry.model,
                tokens.prompt,
                tokens.completion,
                " (estimated)" if tokens.estimated else "",
                time.monotonic() - self._started,
            )

    def _tell_limits(self, allowance: Allowance, used: Used, seconds: float) -> None:
        """The headers by which OpenAI's clients know how much is left."""
        for what, limit, taken in (
            ("requests", allowance.requests, used.requests),
            ("tokens", allowance.tokens, used.tokens),
        ):
            if limit:
                self.set_header(f"x-ratelimit-limit-{what}", str(limit))
                self.set_header(f"x-ratelimit-remaining-{what}", str(max(0, limit - taken)))
                self.set_header(f"x-ratelimit-reset-{what}", f"{math.ceil(seconds)}s")

    def on_finish(self) -> None:
        """Called by tornado after the answer."""
        status = _CLIENT_LEFT if self._scope.cancel_called else self.get_status()
        self.site.metrics.requests.labels(str(status)).inc()


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
