"""A real JupyterHub on loopback, with its proxy, started from the configuration that the docs give."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import requests

from tests.conformance import environments

T = TypeVar("T")

PAGE = Path(__file__).parent.parent.parent / "docs" / "jupyterhub.md"
SERVICE = "code-interpreter-models"
PASSWORD = "the-password-of-everybody"
KEY = "sk-the-key-of-the-site-0123456789"
START_SECONDS = 120

WISHES = """
c.Sandbox.memory = 64 * 2**30
c.Sandbox.minimum_level = 1
c.Sandbox.execution_seconds = 30.0
c.SessionPool.max_sessions = 100
"""
"""What users write into their own configuration."""

# What the tests need besides what the page says: no TLS, one password, servers in this folder.
_BESIDES = """
c.JupyterHub.bind_url = "http://127.0.0.1:{port}{base}"
c.JupyterHub.hub_port = {hub_port}
c.JupyterHub.db_url = "sqlite:///hub.sqlite"
c.JupyterHub.cookie_secret_file = "cookie_secret"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{api_port}"
c.ConfigurableHTTPProxy.command = {proxy!r}
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.DummyAuthenticator.password = {password!r}
c.JupyterHub.spawner_class = "simple"
c.SimpleLocalProcessSpawner.home_dir_template = {homes!r}
c.LocalProcessSpawner.interrupt_timeout = 1
c.LocalProcessSpawner.term_timeout = 1
c.JupyterHub.allow_named_servers = True
c.JupyterHub.load_groups = {{"research": {{"users": ["bob"]}}}}
c.Spawner.cmd = [{python!r}, "-m", "jupyterhub.singleuser"]
c.Spawner.args = ["--allow-root", "--SessionPool.warm_spares=0", "--CodeInterpreterApp.max_upload_bytes=1000000"]
c.Spawner.poll_interval = 1
c.Spawner.environment["JUPYTERHUB_ACTIVITY_INTERVAL"] = "1"
c.Spawner.http_timeout = 120
c.Spawner.start_timeout = 120
c.JupyterHub.services.append({{"name": "tests", "api_token": {token!r}}})
c.JupyterHub.load_roles.append({{
    "name": "tests",
    "services": ["tests"],
    "scopes": ["admin:users", "admin:servers", "tokens", "read:metrics", "read:users:activity"],
}})
"""


def page_config() -> str:
    """The configuration as the page has it."""
    found = re.search(r"## `jupyterhub_config.py`\n\n```python\n(.*?)```", PAGE.read_text(), re.S)
    assert found is not None
    return found[1]


class Hub:
    """JupyterHub below *directory*, with the model server *upstream*; a context manager.

    ``url`` is that of the proxy and ends without a slash; everything is served below ``/hub-base``.
    """

    base = "/hub-base"

    def __init__(self, directory: Path, upstream: str) -> None:
        self.directory = directory
        self.log = directory / "hub.log"
        self.url = ""
        self.service_port = 0
        self._upstream = upstream
        self._token = secrets.token_hex(16)
        self._process: subprocess.Popen[bytes] | None = None
        self._tokens: dict[tuple[str, tuple[str, ...]], str] = {}

    @property
    def service(self) -> str:
        """The base URL of the model service behind the proxy."""
        return f"{self.url}/services/{SERVICE}/v1"

    def home(self, user: str) -> Path:
        """Where *user*'s files are."""
        return self.directory / "homes" / user

    def __enter__(self) -> Hub:
        for user in ("alice", "bob"):
            settings = self.home(user) / ".jupyter" / "jupyter_ci_ext_config.py"
            settings.parent.mkdir(parents=True)
            settings.write_text(WISHES)
        (self.directory / "model.key").write_text(KEY + "\n")
        (self.directory / "model.key").chmod(0o600)
        for attempt in range(3):
            try:
                self._start()
                return self
            except AssertionError:
                self._stop()
                if attempt == 2:  # else another program may have taken a port
                    raise
        raise AssertionError("not reached")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    # ---- the Hub's API ---------------------------------------------------------------------

    def api(self, method: str, path: str, body: Any = None, ok: bool = True) -> Any:
        """JSON of the Hub's API, asked by a service that administers it."""
        reply = requests.request(
            method,
            f"{self.url}/hub/api{path}",
            json=body,
            headers={"Authorization": f"token {self._token}"},
            timeout=60,
        )
        if ok:
            assert reply.ok, f"{method} {path}: {reply.status_code} {reply.text[:500]}"
        return reply.json() if reply.text else None

    @property
    def admin(self) -> str:
        """The token of that service."""
        return self._token

    def token(self, user: str, *scopes: str) -> str:
        """A token of *user* with these scopes only, or with all the user has."""
        if (user, scopes) not in self._tokens:
            body = {"note": "tests"} | ({"scopes": list(scopes)} if scopes else {})
            made = self.api("POST", f"/users/{user}/tokens", body)
            self._tokens[user, scopes] = made["token"]
        return self._tokens[user, scopes]

    def key(self, user: str, server: str = "") -> str:
        """A token that is good for nothing but that server."""
        return self.token(user, f"access:servers!server={user}/{server}")

    def start(self, user: str, server: str = "") -> str:
        """Start a server of *user*, who is made if need be; its URL without the last slash."""
        self.api("POST", f"/users/{user}", ok=False)
        path = f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"
        if not self.state(user, server).get("ready"):
            self.api("POST", path, {})
        until(lambda: self.state(user, server).get("ready"), f"{user}'s server", self._words)
        return f"{self.url}/user/{user}" + (f"/{server}" if server else "")

    def stop(self, user: str, server: str = "") -> None:
        """Stop it as the Hub does, and wait until it is gone."""
        path = f"/users/{user}/servers/{server}" if server else f"/users/{user}/server"
        self.api("DELETE", path)
        until(lambda: not self.state(user, server), f"the end of {user}'s server", self._words)

    def state(self, user: str, server: str = "") -> dict[str, Any]:
        """What the Hub knows of a server; empty where there is none."""
        known = self.api("GET", f"/users/{user}?include_stopped_servers")["servers"]
        found: dict[str, Any] = known.get(server, {})
        return found if found.get("ready") or found.get("pending") else {}

    def pid(self, user: str) -> int:
        """The process of *user*'s unnamed server, by what the operating system says."""
        assert self._process is not None
        hub, wanted = self._process.pid, {"JUPYTERHUB_USER": user, "JUPYTERHUB_SERVER_NAME": ""}
        children = (pid for pid in _processes() if _parent(pid) == hub)
        [found] = [pid for pid in children if wanted.items() <= self.variables(pid).items()]
        return found

    @staticmethod
    def variables(pid: int) -> dict[str, str]:
        """The environment a process was started with; empty where it is gone."""
        try:
            raw = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
        except OSError:
            return {}
        pairs = (each.partition("=") for each in raw.split("\0") if each)
        return {name: value for name, _, value in pairs}

    # ---- starting and stopping ----------------------------------------------------------------

    def _start(self) -> None:
        port, hub_port, api_port, self.service_port = free_ports(4)
        self.url = f"http://127.0.0.1:{port}{self.base}"
        text = page_config()
        for said, here in (
            ('"https://api.openai.com/v1"', repr(self._upstream)),
            ('"/etc/jupyterhub/model.key"', repr(str(self.directory / "model.key"))),
            ('"http://127.0.0.1:10101"', repr(f"http://127.0.0.1:{self.service_port}")),
        ):
            assert text.count(said) == 1
            text = text.replace(said, here)
        program = environments.proxy() / "node_modules/.bin/configurable-http-proxy"
        text += _BESIDES.format(
            port=port,
            base=self.base,
            hub_port=hub_port,
            api_port=api_port,
            proxy=["node", str(program)],
            password=PASSWORD,
            homes=str(self.directory / "homes" / "{username}"),
            python=sys.executable,
            token=self._token,
        )
        (self.directory / "jupyterhub_config.py").write_text(text)
        env = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(("JUPYTER", "OPENAI_", "AZURE_"))
            and not name.upper().endswith("_PROXY")
        }
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "jupyterhub", "-f", "jupyterhub_config.py"],
                cwd=self.directory,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        until(self._is_up, "the Hub", self._words)

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "the Hub has ended\n" + self._words()
        for url in (f"{self.url}/hub/health", f"{self.service.removesuffix('/v1')}/health"):
            try:
                if requests.get(url, timeout=5).status_code != 200:
                    return False
            except requests.RequestException:
                return False
        return True

    def _words(self) -> str:
        return self.log.read_text(errors="replace")[-4000:]

    def _stop(self) -> None:
        """End the Hub, which ends its proxy, service and servers; and whatever that forgets."""
        process, self._process = self._process, None
        if process is None:
            return
        with ExitStack() as stack:
            stack.callback(self._kill_leftovers)
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _kill_leftovers(self) -> None:
        for pid in _processes():
            try:
                where = Path(f"/proc/{pid}/cwd").readlink()
                if where.is_relative_to(self.directory):
                    os.kill(pid, signal.SIGKILL)
            except OSError:
                pass  # gone, or another user's


def until(
    ready: Callable[[], T],
    what: str,
    words: Callable[[], str] = str,
    seconds: float = START_SECONDS,
) -> T:
    """Wait for *ready* to be true, and return what it said."""
    give_up = time.monotonic() + seconds
    while True:
        found = ready()
        if found:
            return found
        assert time.monotonic() < give_up, f"{what} did not come in {seconds:g} s\n{words()}"
        time.sleep(0.1)


def free_ports(number: int) -> list[int]:
    """Ports of loopback that nobody listens at now."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(number)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [int(each.getsockname()[1]) for each in sockets]


def _processes() -> list[int]:
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def why_not() -> str:
    """Why there can be no Hub on this machine; empty where there can."""
    if not sys.platform.startswith("linux") or shutil.which("node") is None:
        return "a Hub needs Linux and Node"
    return environments.why_no_node()


def as_json(reply: requests.Response) -> Any:
    """The JSON of an answer; says what it was where it is none."""
    try:
        return reply.json()
    except json.JSONDecodeError as error:
        raise AssertionError(f"{reply.status_code} {reply.text[:500]}") from error
