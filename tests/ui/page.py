"""The panel as tests drive it: by role, label and text, as people find things."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import ConsoleMessage, Locator, Page, expect

EXPECTED_ERRORS = (
    "Blocked script execution",  # what the sandbox of a frame is there for
    "is sandboxed",
    "Content Security Policy",
    "Failed to load resource",  # a request that the test itself makes fail
    "net::ERR_",
)

OVER = re.compile("completed|failed|cancelled|incomplete|expired")


class PanelPage:
    """A page of JupyterLab with the panel open."""

    def __init__(self, page: Page, url: str, token: str, report: Path) -> None:
        self.page = page
        self.errors: list[str] = []
        self._url = url
        self._token = token
        self._report = report
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.errors.append(str(error)))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type == "error" and not any(k in message.text for k in EXPECTED_ERRORS):
            self.errors.append(message.text)

    # ---- Lab ------------------------------------------------------------------------------

    def open(self, *, reset: bool = False) -> None:
        """Load JupyterLab, wait until the panel's plugin is there, and show the panel."""
        self.page.goto(f"{self._url}lab?token={self._token}{'&reset' if reset else ''}")
        self.page.locator("#jupyterlab-splash").wait_for(state="detached", timeout=90_000)
        self.page.locator('.jp-SideBar [data-id="jupyter-ci-ext-panel"]').wait_for()
        # Lab moves the focus while it restores its layout, and once more to what it has restored.
        self.page.evaluate("jupyterapp.restored.then(() => null)")
        self.page.locator(".jp-DirListing-item").first.wait_for()
        self.page.locator(".jp-Launcher, .jp-Document, .jp-CodeConsole").first.wait_for()
        self.command("code-interpreter:open")
        self.message.wait_for()
        expect(self.root.get_by_label("Model")).not_to_have_value("", timeout=60_000)

    def command(self, id: str, args: dict[str, Any] | None = None, *, wait: bool = True) -> None:
        """Execute a command of Lab; *wait* for its end (not where it opens a dialog)."""
        call = "([id, args]) => { const done = jupyterapp.commands.execute(id, args);"
        call += " return done.then(() => null); }" if wait else " done.catch(() => 0); }"
        self.page.evaluate(call, [id, args or {}])

    def resize(self, width: int) -> None:
        """Give the panel this width by dragging its edge."""
        box = self.root.bounding_box()
        assert box is not None
        self.page.mouse.move(box["x"] - 1, 400)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] - 1 + box["width"] - width, 400, steps=3)
        self.page.mouse.up()

    def theme(self, name: str) -> None:
        """Change Lab's theme and wait until it is on."""
        self.command("apputils:change-theme", {"theme": name})
        self.page.locator(f'body[data-jp-theme-name="{name}"]').wait_for(state="attached")

    def shot(self, name: str, *, whole: bool = False) -> Path:
        """A picture of the panel, or of the whole page, in ui-report/."""
        self._report.mkdir(exist_ok=True)
        path = self._report / f"{name}.png"
        if whole or not self.root.is_visible():
            self.page.screenshot(path=path)
        else:
            self.root.screenshot(path=path)
        return path

    def accessible(self) -> None:
        """What axe finds in the panel as it is now must be nothing serious."""
        found = Axe().run(self.page, "#jupyter-ci-ext-panel", {"resultTypes": ["violations"]})
        serious = [
            (rule["id"], rule["help"], [node["html"][:200] for node in rule["nodes"]])
            for rule in found.response["violations"]
            if rule["impact"] in ("serious", "critical")
        ]
        assert serious == []

    # ---- the panel's parts ----------------------------------------------------------------

    @property
    def root(self) -> Locator:
        """The panel."""
        return self.page.locator("#jupyter-ci-ext-panel")

    @property
    def message(self) -> Locator:
        """The text field."""
        return self.root.get_by_role("textbox", name="Message")

    @property
    def log(self) -> Locator:
        """The conversation."""
        return self.root.get_by_role("log")

    @property
    def runs(self) -> Locator:
        """The runs, in their order."""
        return self.root.locator(".jp-CIRun")

    @property
    def steps(self) -> Locator:
        """The pieces of code, in their order."""
        return self.root.get_by_role("group", name="Python code")

    def button(self, name: str) -> Locator:
        """A button of the panel, by what it is called."""
        return self.root.get_by_role("button", name=name)

    def use(self, model: str) -> None:
        """Pick a model."""
        self.root.get_by_label("Model").select_option(model)

    def attach(self, *paths: Path) -> None:
        """Attach files of this computer and wait until they are on the server."""
        self.root.locator('input[type="file"]').set_input_files(list(paths))
        for path in paths:
            expect(
                self.root.locator(".jp-CIComposer .jp-CIChip", has_text=path.name)
            ).to_have_attribute("data-state", "ready")

    def ask(self, text: str, *, wait: bool = True) -> None:
        """Send a message; *wait* until the run is over."""
        before = self.runs.count()
        self.message.fill(text)
        self.button("Send").click()
        if wait:
            expect(self.runs).to_have_count(before + 1)
            self.wait_for_end()

    def wait_for_end(self) -> None:
        """Wait until the last run is over."""
        expect(self.runs.last).to_have_attribute("data-status", OVER, timeout=90_000)
        expect(self.log).to_have_attribute("aria-busy", "false", timeout=90_000)
        expect(self.button("Send")).to_be_visible()

    def texts(self, locator: Locator) -> Sequence[str]:
        """What the elements say."""
        return locator.all_inner_texts()
