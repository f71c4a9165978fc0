"""Base of the verbs: parameters in, objects out, in the dialect of the request."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel
from pydantic_core import from_json

from ..errors import InvalidRequest
from ..wire import azure
from ..wire.run import ACTIVE, Run
from ..wire.run_params import RunQuery
from ..wire.stored import StoredPage
from ..wire.v1_params import parse_v1
from ..wire.validation import parse, read_json
from .base import BaseHandler
from .rendering import OPENAI_V2, EventRenderer, translate
from .rooms import Rooms
from .sse import EventStream, record

RESOURCE = "code_interpreter"
"""The resource every verb names to Jupyter's authorizer."""

P = TypeVar("P", bound=BaseModel)


class ResourceHandler(BaseHandler):
    """What the verbs are made of."""

    _stream: EventStream | None = None

    def initialize(self, *, rooms: Rooms, **kwargs: Any) -> None:  # type: ignore[override]
        """Called by tornado with what the url table says of the route."""
        super().initialize(**kwargs)
        self.rooms = rooms
        self.services = rooms.services

    # ---- in --------------------------------------------------------------------------------

    def params(self, cls: type[P]) -> P:
        """The request's JSON body as parameters; raises `InvalidRequest`."""
        data = azure.incoming(read_json(self.request.body))
        return parse_v1(cls, data) if self.dialect.version == "v1" else parse(cls, data)

    def query(self, cls: type[P]) -> P:
        """The request's query as parameters; raises `InvalidRequest`."""
        data: dict[str, Any] = {}
        for name in self.request.query_arguments:
            values = self.get_query_arguments(name)
            data[name.removesuffix("[]")] = values if name.endswith("[]") else values[-1]
        return parse(cls, azure.incoming(data))

    # ---- out -------------------------------------------------------------------------------

    def reply(self, value: BaseModel | StoredPage[Any]) -> None:
        """Answer with an object, a page or a deletion."""
        plain = self.dialect == OPENAI_V2
        if not isinstance(value, StoredPage):
            data = value if plain else translate(value.model_dump(mode="json"), self.dialect)
            self.write_json(data)
        elif plain:
            self.write_text(value.to_json())
        else:
            self.write_json(translate(from_json(value.to_json()), self.dialect))

    def reply_run(self, run: Run) -> None:
        """Answer with a run; pollers are told when to come back while it is not over."""
        if run.status in ACTIVE and self.api.poll_after_ms is not None:
            self.set_header("openai-poll-after-ms", str(self.api.poll_after_ms))
        self.reply(run)

    async def stream_run(
        self,
        run: Run,
        query: RunQuery,
        *,
        after: int = 0,
        first: tuple[str, BaseModel] | None = None,
    ) -> None:
        """Answer with the run's events after number *after*, and *first* before them."""
        renderer = EventRenderer(self.dialect, query.include)
        stream = EventStream(self, renderer, after=after, keep_alive=self._keep_alive())
        await self._send(stream, run, record(*renderer.object(*first)) if first else "")

    async def resume_run(self, run: Run, query: RunQuery, after: int) -> None:
        """Answer with the run's events after number *after*, each with its number."""
        stream = EventStream(
            self,
            EventRenderer(self.dialect, query.include),
            after=after,
            resumable=True,
            keep_alive=self._keep_alive(),
        )
        await self._send(stream, run, "")

    async def _send(self, stream: EventStream, run: Run, first: str) -> None:
        self._stream = stream
        await stream.send(self.services.events.follow(run), first)

    def on_connection_close(self) -> None:
        """Called by tornado when the client went away; its run goes on."""
        super().on_connection_close()
        if self._stream is not None:
            self._stream.disconnected()

    def last_seen(self) -> int:
        """The number of the last event a client has got that comes back; 0: none."""
        headers, query = self.request.headers, self.get_query_argument("after", "")
        given = headers.get("Last-Event-ID") or query or "0"
        if not (given.isascii() and given.isdigit() and len(given) < 16):
            raise InvalidRequest("Invalid 'after': expected the number of an event.", param="after")
        return int(given)

    def run_options(self) -> dict[str, int]:
        """What the dialect has to say about a new run."""
        return {"lifetime": azure.FOUNDRY_RUN_SECONDS} if self.dialect.flavour == "foundry" else {}

    def _keep_alive(self) -> float | None:
        """Seconds between comments; only our own clients ask, since others cannot read them."""
        asked = self.request.headers.get("X-CI-Keep-Alive", "")
        if asked.isascii() and asked.isdigit() and len(asked) < 4 and 1 <= int(asked) <= 60:
            return float(asked)
        return self.api.keep_alive
