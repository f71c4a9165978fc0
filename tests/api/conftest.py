"""A Jupyter server in this process, with token and XSRF on, under a base URL.

The store, the services and everything above are real; no run ever starts and no kernel.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.serverapp import ServerApp
from tornado.web import Application

from jupyter_ci_ext.api.rooms import Rooms
from jupyter_ci_ext.api.routing import HandlerRouter, address_pattern
from jupyter_ci_ext.api.settings import ApiSettings
from jupyter_ci_ext.api.status import StatusReport
from jupyter_ci_ext.api.urls import rules
from jupyter_ci_ext.api.workspace import Workspace
from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.kernels.pool import Sessions
from jupyter_ci_ext.services.bundle import Services
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.extension import Limits
from tests.kernels.fakes import InstantLauncher
from tests.kernels.plain import pool

from .fakes import NeverStarts, NoKernels, OneModel
from .world import World

LIMITS = Limits(
    upload_bytes=1000,
    run_expiry_seconds=600,
    code_calls_per_run=20,
    memory_bytes=None,
    processes=256,
    execution_seconds=120,
    disk_bytes=None,
    session_life_seconds=3600,
    session_idle_seconds=1800,
)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def api() -> ApiSettings:
    return ApiSettings(upload_bytes=3_000_000, json_bytes=100_000, stall=5.0)


@pytest.fixture
def kernels() -> NoKernels:
    return NoKernels()


@pytest.fixture
def supervisor() -> NeverStarts:
    return NeverStarts()


@pytest.fixture
def store(jp_asyncio_loop: Any, data_dir: Path) -> Iterator[Store]:
    store = jp_asyncio_loop.run_until_complete(Store.open(data_dir))
    yield store
    jp_asyncio_loop.run_until_complete(store.close())


@pytest.fixture
def server(
    http_server: object,
    jp_serverapp: ServerApp,
    jp_base_url: str,
    api: ApiSettings,
    store: Store,
    supervisor: NeverStarts,
    kernels: NoKernels,
) -> ServerApp:
    services = Services.over(store, supervisor, OneModel(), kernels, RunLimits())

    async def probe() -> dict[str, Any]:
        return {"level": 3, "minimum_level": 2, "sufficient": True, "reasons": [], "hints": []}

    rooms = Rooms(
        services=services,
        store=store,
        workspace=Workspace(jp_serverapp.contents_manager, services, store, api.upload_bytes),
        status=StatusReport(services, LIMITS, probe),
    )
    router = HandlerRouter(jp_serverapp.web_app, rules(jp_base_url, api, rooms), api.json_bytes)
    Application.add_handlers(jp_serverapp.web_app, ".*$", [(address_pattern(jp_base_url), router)])
    return jp_serverapp


@pytest.fixture
def instant_kernels(jp_asyncio_loop: Any, tmp_path: Path) -> Iterator[Sessions]:
    """The real pool, over kernels that cost nothing."""
    sessions = pool(tmp_path, InstantLauncher())
    yield jp_asyncio_loop.run_until_complete(sessions.__aenter__())
    jp_asyncio_loop.run_until_complete(sessions.__aexit__(None, None, None))


@pytest.fixture
def world(
    server: ServerApp, jp_fetch: Any, jp_asyncio_loop: Any, store: Store, data_dir: Path
) -> World:
    """Objects of every kind behind the server."""
    world = World(jp_fetch, store, data_dir)
    jp_asyncio_loop.run_until_complete(world.begin())
    return world
