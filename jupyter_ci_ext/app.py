"""The composition root: the only place that constructs anything.

At server start only traits are read and one route is registered. What serves the API is imported
and brought up at the first request, see `jupyter_ci_ext.api.lazy`.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, ExitStack
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import anyio
from jupyter_core.paths import jupyter_data_dir
from jupyter_server.extension.application import ExtensionApp
from jupyter_server.serverapp import ServerApp
from tornado.routing import Router
from tornado.web import Application
from traitlets import Bool, Float, Integer, TraitError, Unicode, default

from . import to_thread
from .api.lazy import LazyRouter
from .api.routing import address_pattern
from .api.telemetry import Telemetry
from .collector import loading
from .errors import CodeInterpreterError
from .kernels.config import SessionPool
from .kernels.remote.config import RemoteKernels
from .llm.config import ModelProvider
from .sandbox.config import Sandbox
from .site_limits import Limited, at_most, bounded

if TYPE_CHECKING:
    from .api.rooms import Rooms
    from .api.settings import ApiSettings
    from .engine.limits import RunLimits
    from .engine.supervisor import Supervisor
    from .events import EventBus
    from .kernels.launcher import Launcher
    from .kernels.pool import Sessions
    from .wire.extension import Limits

# Imported together at the first request, on a thread, so that the server goes on serving.
_HEAVY = (
    "jupyter_ci_ext.api.urls",
    "jupyter_ci_ext.api.workspace",
    "jupyter_ci_ext.engine.supervisor",
    "jupyter_ci_ext.kernels.pool",
    "jupyter_ci_ext.kernels.remote.launcher",
    "jupyter_ci_ext.llm.provider",
    "jupyter_ci_ext.store.database",
)

# Seconds each part may take to stop; what takes longer is left to its own crash safety.
_STOP_SECONDS = 15.0

# JupyterHub's culler looks at the last activity; it is told anew this often while a run is live.
_REPORT_SECONDS = 2.0

# Parameters of addresses that have words of the user's; the access log leaves their values out.
_SECRET = ("search", "name")


class CodeInterpreterApp(Limited, ExtensionApp):
    """The OpenAI Assistants API with a sandboxed code interpreter, on this Jupyter server."""

    name = "jupyter_ci_ext"
    description = __doc__ or ""
    classes = [ServerApp, Sandbox, SessionPool, RemoteKernels, ModelProvider]  # noqa: RUF012
    tightened = {  # noqa: RUF012
        **dict.fromkeys(("run_expiry", "max_upload_bytes"), bounded),
        **dict.fromkeys(("max_code_calls", "max_json_bytes"), at_most),
    }
    # what is wrong with them is for who uses it to read, not to stop the server
    limited_at_once = False

    data_dir = Unicode(
        help="Directory of the database, the files and the workspaces; made with mode 0700. Empty: "
        "<jupyter data dir>/code-interpreter/<JUPYTERHUB_SERVER_NAME or default>. Better on a local "
        "disk than on a network file system."
    ).tag(config=True)

    run_expiry = Float(
        600.0,
        help="Seconds after which a run that is not over expires, counted from its creation. "
        "0: never.",
        min=0,
    ).tag(config=True)

    max_code_calls = Integer(
        20,
        help="Pieces of code one run may execute; after that the model is asked to answer with what "
        "it has. 0: none.",
        min=0,
    ).tag(config=True)

    retention_days = Float(
        0.0,
        allow_none=True,
        help="Days after which threads and containers that nobody has touched are deleted, with the "
        "files that only their runs made, and event logs of runs that are over; once a day while "
        "the server runs, or by `jupyter ci gc`. Assistants and files that clients sent stay. 0 or "
        "None: everything is kept.",
        min=0,
    ).tag(config=True)

    max_upload_bytes = Integer(
        512 * 1024 * 1024, help="Bytes of the largest file that is taken. 0: no limit.", min=0
    ).tag(config=True)

    max_json_bytes = Integer(
        32 * 1024 * 1024,
        help="Bytes of the largest JSON body that is taken; it is held in memory.",
        min=1024,
    ).tag(config=True)

    require_version = Bool(
        False,
        help="Whether to refuse requests that do not say which version of the API they speak, as "
        "OpenAI and Azure do: those without an OpenAI-Beta header (400), and those to /openai/… "
        "without api-version (404). If not they are served as version 2.",
    ).tag(config=True)

    poll_after_ms = Integer(
        300,
        help="Milliseconds the helpers of the official clients are told to wait between two looks "
        "at a run (openai-poll-after-ms). 0: nothing is said, and they wait a second.",
        min=0,
    ).tag(config=True)

    keep_alive = Float(
        0.0,
        help="Seconds of silence after which a stream gets a comment line, for proxies that close "
        "idle connections. 0: never, since azure-ai-agents cannot read such lines; JupyterLab's "
        "panel asks for them itself.",
        min=0,
    ).tag(config=True)

    _router: LazyRouter | None = None
    _supervisor: Supervisor | None = None

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._closing = AsyncExitStack()
        self._leaving = ExitStack()

    @default("data_dir")
    def _default_data_dir(self) -> str:
        server = quote(os.environ.get("JUPYTERHUB_SERVER_NAME", ""), safe="") or "default"
        return str(Path(jupyter_data_dir()) / "code-interpreter" / server)

    def _config_file_name_default(self) -> str:
        return "jupyter_ci_ext_config"

    @property
    def _web_app(self) -> Application:
        assert self.serverapp is not None
        web_app: Application = self.serverapp.web_app
        return web_app

    @property
    def _data_dir(self) -> Path:
        return Path(self.data_dir).expanduser()

    @property
    def _addresses(self) -> str:
        return address_pattern(self._web_app.settings["base_url"])

    # ---- called by Jupyter Server ------------------------------------------------------------

    def initialize_settings(self) -> None:
        """Make the events known, and keep what people search for out of the access log."""
        assert self.serverapp is not None
        self._telemetry = Telemetry(self.serverapp.event_logger, self.log)
        self._telemetry.register()
        # The rooms' own loggers speak where the server's does, at its level.
        rooms = logging.getLogger(__package__)
        before, rooms.parent = rooms.parent, self.log
        self._leaving.callback(setattr, rooms, "parent", before)
        secret = self.settings.get("extra_log_scrub_param_keys") or ()
        more = [key for key in _SECRET if key not in secret]
        self.settings["extra_log_scrub_param_keys"] = [*secret, *more]

    def initialize_handlers(self) -> None:
        """Register the one route of the API, which comes to life at its first request."""
        self._router = LazyRouter(self._bring_up, self._unavailable)
        # Past Jupyter Server's own method, which takes classes of handlers only.
        Application.add_handlers(self._web_app, ".*$", [(self._addresses, self._router)])

    def current_activity(self) -> list[str] | None:
        """What keeps the server from being shut down for idleness: runs that do not just wait."""
        runs = self._supervisor
        return [f"{self.name}: a run is at work"] if runs is not None and runs.busy else None

    async def stop_extension(self) -> None:
        """End runs and sessions and close the store, each within a limit; twice does no harm."""
        if self._router is not None:
            await self._router.close()
        await self._closing.aclose()
        self._leaving.close()

    # ---- at the first request ----------------------------------------------------------------

    async def _bring_up(self) -> Router:
        self.keep_to_limits()
        await to_thread.run_sync(_import_rooms)
        from .api.routing import HandlerRouter
        from .api.urls import rules

        async with AsyncExitStack() as building:
            rooms = await self._construct(building)
            self._closing = building.pop_all()
        table = rules(self._web_app.settings["base_url"], self._api_settings(), rooms)
        return HandlerRouter(self._web_app, table, self.max_json_bytes)

    async def _construct(self, closing: AsyncExitStack) -> Rooms:
        """Everything, in the order in which it depends on each other; *closing* undoes it."""
        from .api.rooms import Rooms
        from .api.status import StatusReport
        from .api.workspace import Workspace
        from .engine.supervisor import Supervisor
        from .events import EventBus
        from .kernels.leftovers import Workspaces
        from .kernels.pool import Sessions
        from .kernels.remote.launcher import launcher_for
        from .llm.provider import Models
        from .services.bundle import Services
        from .services.retention import Housekeeping, Retention
        from .store.database import Store

        assert self.serverapp is not None
        data_dir, sandbox = self._data_dir, Sandbox(parent=self)
        pool = SessionPool(parent=self)
        store = await Store.open(data_dir, log=self.log)
        closing.push_async_callback(self._limited, "store", store.close)
        models = Models(ModelProvider(parent=self))
        closing.push_async_callback(self._limited, "models", models.close)
        workspaces, kernel_manager = data_dir / "workspaces", self.serverapp.kernel_manager
        root = Path(self.serverapp.root_dir) if sandbox.workspace_folders else None
        remote = RemoteKernels(parent=self)
        launcher = launcher_for(kernel_manager, pool, remote, sandbox.policy())
        tell = self._telemetry
        sessions = Sessions(
            pool,
            sandbox,
            kernel_manager,
            workspaces,
            self.log,
            launcher=launcher,
            root=root,
            tell=tell,
        )
        closing.push_async_callback(self._limited, "sessions", sessions.stop)
        await sessions.start()
        closing.callback(_show_gauges(sessions, data_dir))
        bus, limits = EventBus(), self._run_limits(sandbox, launcher)
        supervisor = Supervisor(
            store=store,
            bus=bus,
            models=models,
            sessions=sessions,
            limits=limits,
            log=self.log,
            tell=tell,
        )
        closing.push_async_callback(self._limited, "runs", supervisor.stop)
        await supervisor.start()
        reporting = asyncio.create_task(self._report(bus))
        closing.push_async_callback(_cancelled, reporting)
        if self.retention_days:
            retention = Retention(store, Workspaces(workspaces), self.retention_days)
            stamp = data_dir / "last-cleared"
            keeper = Housekeeping(retention, stamp, self.log, lambda: supervisor.busy)
            closing.push_async_callback(_cancelled, asyncio.create_task(keeper.keep()))
        services = Services.over(store, supervisor, models, sessions, limits)
        self._supervisor = supervisor
        return Rooms(
            services=services,
            store=store,
            workspace=Workspace(
                self.serverapp.contents_manager, services, store, self.max_upload_bytes or None
            ),
            status=StatusReport(
                services, self._limits(sandbox, pool), partial(_probe, sandbox, launcher)
            ),
        )

    async def _report(self, bus: EventBus) -> None:
        """Tell Jupyter Server, and through it JupyterHub, that it is in use while a run is live."""
        activity: dict[str, datetime] = self._web_app.settings["last_activity_times"]
        while True:
            await bus.wait_live()
            activity[self.name] = datetime.now(timezone.utc)
            await asyncio.sleep(_REPORT_SECONDS)

    def _unavailable(self, error: Exception) -> Router:
        from .api.base import UnavailableHandler
        from .api.errors import Unavailable
        from .api.routing import HandlerRouter

        self.log.error("The code interpreter could not be brought up", exc_info=error)
        # what a setting must be is said to whoever may use the server; other errors may tell of its files
        tellable = isinstance(error, CodeInterpreterError | TraitError)
        why = f"{error}." if tellable and not str(error).endswith(".") else str(error)
        why = why if tellable else type(error).__name__
        reason = Unavailable(
            f"The code interpreter could not be brought up: {why} The log of the Jupyter server "
            "has the details; the next request tries again."
        )
        rule = (
            self._addresses,
            UnavailableHandler,
            {"api": self._api_settings(), "reason": reason},
        )
        return HandlerRouter(self._web_app, [rule], self.max_json_bytes)

    # ---- traits as values --------------------------------------------------------------------

    def _api_settings(self) -> ApiSettings:
        from .api.settings import ApiSettings

        return ApiSettings(
            strict=self.require_version,
            upload_bytes=self.max_upload_bytes or None,
            json_bytes=self.max_json_bytes,
            poll_after_ms=self.poll_after_ms or None,
            keep_alive=self.keep_alive or None,
        )

    def _run_limits(self, sandbox: Sandbox, launcher: Launcher) -> RunLimits:
        from .engine.limits import RunLimits

        policy, remote = sandbox.policy(), launcher.remote
        return RunLimits(
            code_calls=self.max_code_calls,
            expiry=round(self.run_expiry),
            memory=None if remote else policy.memory or None,
            execution_time=policy.execution_seconds or None,
            disk=policy.disk or None,
            python=policy.python,
            folders=sandbox.workspace_folders and not remote,
            network=remote is not None and remote.network,
            packages=None if remote is None else remote.packages,
        )

    def _limits(self, sandbox: Sandbox, pool: SessionPool) -> Limits:
        from .wire.extension import Limits

        return Limits(
            upload_bytes=self.max_upload_bytes or None,
            run_expiry_seconds=self.run_expiry or None,
            code_calls_per_run=self.max_code_calls,
            memory_bytes=sandbox.memory or None,
            processes=sandbox.processes or None,
            execution_seconds=sandbox.execution_seconds or None,
            disk_bytes=sandbox.disk or None,
            session_life_seconds=pool.max_life or None,
            session_idle_seconds=pool.idle_timeout or None,
        )

    async def _limited(self, name: str, stop: Callable[[], Awaitable[None]]) -> None:
        """Stop one part; neither its failure nor its slowness keeps the others from stopping."""
        try:
            with anyio.fail_after(_STOP_SECONDS):
                await stop()
        except TimeoutError:
            self.log.warning("The code interpreter's %s did not stop in time", name)
        except Exception:
            self.log.exception("The code interpreter's %s did not stop cleanly", name)


def _import_rooms() -> None:
    with loading("rooms"):
        for name in _HEAVY:
            importlib.import_module(name)


def _show_gauges(sessions: Sessions, data_dir: Path) -> Callable[[], None]:
    """Let Prometheus see sessions and disk, asked for when it looks; returns what ends that."""
    from .metrics import SESSION_MEMORY, SESSIONS, STORED
    from .store.usage import DiskUsage

    disk = DiskUsage(data_dir)

    def show(
        count: Callable[[], float], memory: Callable[[], float], stored: Callable[[str], float]
    ) -> None:
        SESSIONS.set_function(count)
        SESSION_MEMORY.set_function(memory)
        for kind in ("blobs", "database"):
            STORED.labels(kind).set_function(partial(stored, kind))

    def memory() -> float:
        return float(sum(live.usage.get("memory_bytes", 0) for live in sessions.list()))

    show(lambda: len(sessions.list()), memory, disk.bytes)
    return lambda: show(float, float, lambda _: 0.0)


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait([task])


async def _probe(sandbox: Sandbox, launcher: Launcher) -> dict[str, Any]:
    from .sandbox.probe import probe

    return launcher.report() or (await probe(sandbox.policy())).to_dict()
