"""The service's composition root: everything is made here, and let go of here."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

import anyio
from jupyterhub.services.auth import HubAuth
from tornado.httpserver import HTTPServer
from tornado.web import Application

from ..errors import StoreError
from .completions import ChatHandler
from .config import HubModelService
from .handlers import (
    HealthHandler,
    MetricsHandler,
    ModelsHandler,
    NotFoundHandler,
    Site,
)
from .identity import Identities
from .ledger import Ledger
from .metrics import Metrics
from .places import Places
from .rules import Allowance, Rules
from .upstream import Upstream

_CLEAN_SECONDS = 3600.0
# The longest a request may take to arrive.
_BODY_SECONDS = 120.0
# The Hub asks a service to stop, and kills it some seconds later.
_STOP_SECONDS = 3.0


@asynccontextmanager
async def site(config: HubModelService) -> AsyncIterator[Site]:
    """What the handlers work with, as *config* says; closed at the end of the block."""
    ledger = await Ledger.open(config.database_file())
    upstream = Upstream(
        config.upstream,
        config.api_key(),
        config.upstream_headers,
        connect_seconds=config.connect_timeout,
        silence_seconds=config.silence_timeout,
    )
    try:
        yield Site(
            identities=Identities(HubAuth(cache_max_age=config.token_cache_seconds)),
            rules=rules(config),
            ledger=ledger,
            upstream=upstream,
            places=Places(config.requests_at_once),
            metrics=Metrics(),
            max_body=config.max_body_bytes,
            ask_usage=config.ask_usage,
            refused_parameters=frozenset(map(str.lower, config.refused_parameters)),
            log=config.log,
        )
    finally:
        with anyio.CancelScope(shield=True):
            await upstream.close()
            await ledger.close()


def application(made: Site, prefix: str) -> Application:
    """The url table: below *prefix*, as the Hub's proxy asks, and at the root, as servers may."""
    table: list[tuple[str, type[Any]]] = [
        ("v1/chat/completions", ChatHandler),
        ("v1/models/?", ModelsHandler),
        ("v1/models/(.+)", ModelsHandler),
        ("health", HealthHandler),
        ("metrics", MetricsHandler),
    ]
    roots = dict.fromkeys(["/" + prefix.strip("/") + "/" if prefix.strip("/") else "/", "/"])
    with_site = {"site": made}
    return Application(
        [(root + path, handler, with_site) for root in roots for path, handler in table],
        default_handler_class=NotFoundHandler,
        default_handler_args=with_site,
        log_function=lambda _handler: None,
    )


def rules(config: HubModelService) -> Rules:
    """The settings as rules."""
    return Rules(
        models=tuple(config.models),
        group_models={group: tuple(names) for group, names in config.group_models.items()},
        allowance=Allowance(config.requests_per_day, config.tokens_per_day),
        group_allowances={g: Allowance(**quota) for g, quota in config.group_quotas.items()},
        zone=ZoneInfo(config.time_zone),
    )


async def serve(config: HubModelService) -> None:
    """Serve until SIGTERM or SIGINT; what is under way is cut off, and counted."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    try:
        async with site(config) as made:
            server = HTTPServer(
                application(made, config.prefix),
                max_buffer_size=2 * config.max_body_bytes,
                body_timeout=_BODY_SECONDS,
                xheaders=True,
            )
            server.listen(config.port, config.ip)
            config.log.info(
                "Passing on to %s, listening at %s:%s", config.upstream, config.ip, config.port
            )
            cleaning = asyncio.create_task(_clean(made.ledger, config.keep_days))
            await stopping.wait()
            cleaning.cancel()
            await stop(server, made)
    except (StoreError, OSError) as error:
        sys.exit(f"{config.name}: {error}")


async def stop(server: HTTPServer, made: Site) -> None:
    """Cut off what is under way, and wait until it is counted."""
    server.stop()
    with anyio.move_on_after(_STOP_SECONDS):
        await server.close_all_connections()
        await made.places.all_free()


async def _clean(ledger: Ledger, keep_days: int) -> None:
    while True:
        before = datetime.now(timezone.utc) - timedelta(days=keep_days)
        await ledger.forget(before.date().isoformat())
        await asyncio.sleep(_CLEAN_SECONDS)
