"""JupyterLab with the panel, as a person meets it: token and XSRF on, below a base URL.

One server serves all tests of this folder; each test has a browser context of its own. Where
there is no browser, or where the panel is not built, the tests say so and are skipped.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.fakes.upstream import ScriptedUpstream
from tests.ui.beacon import Beacon

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")

from tests.ui.page import PanelPage  # noqa: E402  (needs playwright)

# What a quiet machine shows at once, a busy one shows late.
sync_api.expect.set_options(timeout=30_000)

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "jupyter_ci_ext" / "labextension"
REPORT = ROOT / "ui-report"

BANKS_TEXT = "\n".join(
    ["Bank Name\xa0,State\xa0,Closing Date\xa0"]
    + [f"Bank {n},{['GA', 'FL', 'IL'][n % 3]},{1 + n % 28}-Mar-{2000 + n % 12}" for n in range(240)]
)


@pytest.fixture(autouse=True)
def jp_asyncio_loop() -> None:
    """None is made in this process: playwright has one of its own, which stays between tests."""


@pytest.fixture(autouse=True)
def jp_server_cleanup() -> None:
    """No server runs in this process."""


@dataclass
class Lab:
    """The running server: ``url`` with its base URL, ``token``, and the workspace's ``root``."""

    url: str
    token: str
    root: Path


def _chromium() -> str:
    for name in ("chromium", "chromium-browser", "google-chrome"):
        path = shutil.which(name)
        if path:
            return path
    pytest.skip("there is no Chromium on this machine")


@pytest.fixture(scope="package")
def upstream() -> Iterator[ScriptedUpstream]:
    """The language model behind the models "scripted" and "my-model"."""
    with ScriptedUpstream(("scripted", "my-model")) as server:
        yield server


@pytest.fixture(scope="package")
def beacon() -> Iterator[Beacon]:
    """A web server that nobody must ever ask anything."""
    with Beacon() as listener:
        yield listener


@pytest.fixture(scope="package")
def lab(tmp_path_factory: pytest.TempPathFactory, upstream: ScriptedUpstream) -> Iterator[Lab]:
    """JupyterLab in a process of its own, with the demo model and the scripted one."""
    if not (BUILT / "package.json").is_file():
        pytest.skip("the panel is not built: make lab, or jlpm build in labextension/")
    home = tmp_path_factory.mktemp("lab")
    root = home / "root"
    extensions = home / "labextensions"
    settings = home / "settings" / "@jupyterlab" / "apputils-extension"
    for folder in (root, extensions, settings):
        folder.mkdir(parents=True)
    (extensions / "jupyter-ci-ext").symlink_to(BUILT)
    (root / "failed_banks.csv").write_text(BANKS_TEXT, encoding="utf-8")
    (settings / "notification.jupyterlab-settings").write_text(
        '{"fetchNews": "false", "checkForUpdates": false}'
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    token = secrets.token_hex(8)
    command = [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *(f"--port={port}", "--ServerApp.port_retries=0", "--ServerApp.base_url=/user/alice/"),
        *(f"--IdentityProvider.token={token}", f"--ServerApp.root_dir={root}"),
        f"--LabApp.extra_labextensions_path={extensions}",
        "--LabApp.expose_app_in_browser=True",
        f"--CodeInterpreterApp.data_dir={home / 'data'}",
        "--ServerApp.jpserver_extensions=jupyter_ci_ext=True",
    ]
    env = {
        **os.environ,
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "IPYTHONDIR": str(home / "ipython"),
        "OPENAI_BASE_URL": upstream.url,
        "OPENAI_API_KEY": "test",
    }
    env.pop("JUPYTERHUB_SERVER_NAME", None)
    log = (home / "lab.log").open("wb")
    server = subprocess.Popen(command, env=env, stdout=log, stderr=log, cwd=home)
    url = f"http://127.0.0.1:{port}/user/alice/"
    try:
        _wait_for(f"{url}api", server, home / "lab.log")
        yield Lab(url, token, root)
    finally:
        server.terminate()
        try:
            server.wait(20)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()
        log.close()


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if server.poll() is not None:
            raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"JupyterLab did not answer in time:\n{log.read_text()[-3000:]}")


@pytest.fixture(scope="package")
def chromium() -> Iterator[sync_api.Browser]:
    """One browser for all tests; closed before tests of other folders run."""
    executable = _chromium()
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


@pytest.fixture
def panel(
    request: pytest.FixtureRequest,
    chromium: sync_api.Browser,
    lab: Lab,
    upstream: ScriptedUpstream,
) -> Iterator[PanelPage]:
    """The panel, open in a fresh JupyterLab; a picture is kept when the test fails."""
    context = chromium.new_context(viewport={"width": 1280, "height": 860}, accept_downloads=True)
    context.set_default_timeout(30_000)
    upstream.forget()  # what a test that failed has left
    page = PanelPage(context.new_page(), lab.url, lab.token, REPORT)
    failed_before = request.session.testsfailed
    try:
        page.open(reset=True)
        yield page
        assert page.errors == [], "errors in the browser's console"
    finally:
        if request.session.testsfailed > failed_before or sys.exc_info()[0] is not None:
            page.shot(f"failed-{request.node.name}", whole=True)
        context.close()
