"""The session bar, the console on the session's kernel, and what is running."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.fakes.answers import code, say
from tests.fakes.upstream import ScriptedUpstream
from tests.ui.page import PanelPage


def test_the_session_is_shown_inspected_restarted_and_shut_down(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.use("scripted")
    bar = panel.root.locator(".jp-CISession")
    expect(bar).to_contain_text("no session yet", timeout=30_000)
    upstream.enqueue(code("answer = 42\nprint(answer)"), say("Done."))
    panel.ask("Begin")
    expect(bar).to_contain_text(re.compile(r"\d+ MB / \d+ GB"), timeout=15_000)
    expect(bar).to_contain_text(re.compile(r"\d+ min idle left"))
    toggle = bar.locator(".jp-CISession-toggle")
    toggle.click()
    details = panel.root.get_by_role("region", name="Session")
    for fact in ("Isolation: level", "Memory", "Disk", "Processes", "CPU"):
        expect(details).to_contain_text(fact)
    assert details.locator("li").count() >= 2
    panel.shot("session")
    panel.accessible()

    # A console sees the assistant's variables, and leaves the kernel alone when it is closed.
    details.get_by_role("button", name="Open a console").click()
    console = panel.page.locator(".jp-CodeConsole")
    expect(console).to_contain_text("IPython", timeout=30_000)  # its greeting: it is connected
    console.locator(".jp-CodeConsole-promptCell .cm-content").click()
    panel.page.keyboard.type("answer + 1")
    panel.page.keyboard.press("Shift+Enter")
    expect(console.locator(".jp-OutputArea-output", has_text="43")).to_be_visible(timeout=30_000)
    panel.shot("console", whole=True)

    panel.command("running:show-panel")
    running = panel.page.locator("#jp-running-sessions")
    expect(running.get_by_text("Begin").first).to_be_visible(timeout=20_000)
    panel.shot("running-panel", whole=True)

    panel.command("code-interpreter:restart-session", wait=False)
    panel.page.get_by_role("dialog").get_by_role("button", name="Restart").click()
    expect(panel.log).to_contain_text("The session was restarted. Files are kept")
    upstream.enqueue(code("print('answer' in globals())"), say("Gone."))
    panel.ask("Is it there?")
    expect(panel.steps.last).to_contain_text("False")

    details.get_by_role("button", name="Shut down").click()
    expect(bar).to_contain_text("session closed", timeout=20_000)
    expect(panel.log).to_contain_text("Files are kept and will be there when you go on")
    toggle.press("Escape")
    expect(details).to_have_count(0)
    expect(toggle).to_be_focused()
