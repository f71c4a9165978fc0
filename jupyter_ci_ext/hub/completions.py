"""Chat completions: let through, passed on as they come, counted."""

from __future__ import annotations

import math
import time
from datetime import datetime, timezone

import aiohttp
import anyio
from tornado.iostream import StreamClosedError

from ..errors import StoreError
from ..quiet import trace
from .chat import ChatRequest
from .faults import QuotaUsed, Refused, TooLarge
from .handlers import Handler, Site
from .identity import Caller
from .ledger import Entry, Used
from .rules import Allowance
from .upstream import PASSED_ON
from .usage import Meter, StreamMeter, WholeMeter

_CLIENT_LEFT = 499
# Seconds a client may take nothing of its answer before it counts as gone.
_STALL_SECONDS = 120.0


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
        except StoreError as error:
            site.log.error("A request of %s was not counted: %s", entry.caller, trace(error))
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
