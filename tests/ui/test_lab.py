"""At home in Lab: commands, context menus, notebooks, settings, keys, roles."""

from __future__ import annotations

import json
import runpy
import urllib.request

import nbformat
from playwright.sync_api import expect

from tests.fakes.answers import code, say
from tests.fakes.upstream import ScriptedUpstream
from tests.ui.conftest import ROOT, Lab
from tests.ui.page import PanelPage


def test_a_thread_becomes_a_notebook(
    panel: PanelPage, upstream: ScriptedUpstream, lab: Lab
) -> None:
    panel.use("scripted")
    (lab.root / "six.txt").write_text("6")
    panel.attach(lab.root / "six.txt")
    upstream.enqueue(
        code("print(six * 7)"),
        code("six = int(open('/mnt/data/six.txt').read())\nprint(six * 7)"),
        say("It is **42**."),
    )
    panel.ask("Six by seven")
    panel.button("Make a notebook of this thread").click()
    notebook_widget = panel.page.locator(".jp-Notebook")
    expect(notebook_widget).to_contain_text("print(six * 7)")
    # It runs again with the user's own kernel, past the attempt that failed, on the same file.
    expect(panel.page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
    panel.command("notebook:clear-all-cell-outputs")
    panel.command("notebook:run-all-cells", wait=False)
    outputs = notebook_widget.locator(".jp-OutputArea-output")
    expect(outputs).to_have_count(2, timeout=60_000)
    expect(outputs.first).to_contain_text("NameError")
    expect(outputs.last).to_have_text("42")
    (path,) = lab.root.glob("Six*.ipynb")
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    assert "42" in json.dumps(notebook.cells)
    (lab.root / "six.txt").unlink()
    panel.shot("notebook", whole=True)


def test_files_cells_and_errors_are_asked_about_from_their_menus(panel: PanelPage) -> None:
    page = panel.page
    page.locator(".jp-DirListing-item", has_text="failed_banks.csv").click(button="right")
    page.get_by_role("menuitem", name="Ask the Code Interpreter about This File").click()
    expect(panel.root.locator(".jp-CIComposer .jp-CIChip")).to_contain_text("failed_banks.csv")
    expect(panel.message).to_be_focused()

    panel.command("notebook:create-new", {"kernelName": "python3", "cwd": ""})
    cell = page.locator(".jp-Notebook .jp-CodeCell").first
    expect(page.get_by_text("Python 3 (ipykernel) | Idle")).to_be_visible(timeout=60_000)
    cell.locator(".cm-content").click()
    page.keyboard.type("1 / 0")
    page.keyboard.press("Control+Enter")
    expect(cell).to_contain_text("ZeroDivisionError", timeout=60_000)
    cell.locator(".cm-content").click(button="right")
    page.get_by_role("menuitem", name="Ask the Code Interpreter about This Error").click()
    value = panel.message.input_value()
    assert "1 / 0" in value
    assert "ZeroDivisionError: division by zero" in value
    assert "\x1b" not in value


def test_commands_describe_their_arguments_and_are_in_the_palette(panel: PanelPage) -> None:
    described = panel.page.evaluate(
        """async () => {
          const { commands } = jupyterapp;
          const ids = commands.listCommands().filter(id => id.startsWith('code-interpreter:'));
          return Promise.all(ids.map(async id =>
            [id, commands.label(id), (await commands.describedBy(id)).args?.type]));
        }"""
    )
    assert len(described) >= 15
    for id, label, kind in described:
        assert label, id
        assert kind == "object", id
    panel.page.get_by_role("menuitem", name="View").click()
    panel.page.get_by_role("menuitem", name="Activate Command Palette").click()
    expect(panel.page.locator("#modal-command-palette input")).to_be_focused()
    panel.page.keyboard.type("code interpreter thread")
    expect(
        panel.page.locator("#modal-command-palette .lm-CommandPalette-item").first
    ).to_contain_text("Thread")
    panel.page.keyboard.press("Escape")
    panel.page.keyboard.press("Control+Alt+i")
    expect(panel.message).to_be_focused()


def test_everything_can_be_reached_and_named(panel: PanelPage, upstream: ScriptedUpstream) -> None:
    panel.use("scripted")
    upstream.enqueue(code("print(1)"), say("One."))
    panel.ask("One")
    expect(panel.root.get_by_role("status")).to_have_text("The answer is there. One.")
    nameless = panel.root.evaluate(
        """root => [...root.querySelectorAll('button, select, textarea, input:not([hidden])')]
             .filter(e => !(e.getAttribute('aria-label') || e.textContent || '').trim())
             .map(e => e.outerHTML)"""
    )
    assert nameless == []
    panel.root.locator(".jp-CIToolbar button").first.focus()
    seen = []
    for _ in range(24):
        seen.append(
            panel.page.evaluate(
                "(document.activeElement.getAttribute('aria-label') || "
                "document.activeElement.textContent).trim()"
            )
        )
        panel.page.keyboard.press("Tab")
    wanted = ["Threads", "New thread", "More", "Conversation", "Copy the code", "Message"]
    positions = [seen.index(name) for name in wanted]
    assert positions == sorted(positions), seen


def test_assistants_are_made_edited_and_used(panel: PanelPage, upstream: ScriptedUpstream) -> None:
    panel.use("scripted")
    panel.command("code-interpreter:new-assistant", wait=False)
    dialog = panel.page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Poet")
    dialog.get_by_label("Instructions").fill("Answer in verse.")
    dialog.get_by_role("button", name="Save").click()
    picker = panel.root.get_by_label("Assistant")
    expect(picker.locator("option:checked")).to_have_text("Poet")
    upstream.enqueue(say("Roses are red."))
    panel.ask("Go")
    assert "Answer in verse." in json.dumps(upstream.chats[-1].body["messages"])


def test_the_settings_are_obeyed(panel: PanelPage) -> None:
    panel.page.evaluate(
        """async () => {
          const { serviceManager } = jupyterapp;
          await serviceManager.settings.save('jupyter-ci-ext:panel', '{"sendWith": "Accel Enter"}');
        }"""
    )
    try:
        panel.open()
        panel.message.fill("one")
        panel.message.press("Enter")
        expect(panel.message).to_have_value("one\n")
    finally:
        panel.page.evaluate("jupyterapp.serviceManager.settings.save('jupyter-ci-ext:panel', '{}')")


def test_a_link_opens_lab_with_the_panel_on_a_thread(
    panel: PanelPage, upstream: ScriptedUpstream, lab: Lab
) -> None:
    """As Binder's links do: the workspace they name is one that binder/welcome.py has written."""
    welcome = runpy.run_path(str(ROOT / "binder" / "welcome.py"))
    panel.use("scripted")
    upstream.enqueue(say("Welcome, whoever you are."))
    panel.ask("Hello")
    thread = json.loads(_request(lab, "openai/v1/threads"))["data"][0]["id"]
    workspace = welcome["workspace"](thread)
    _request(lab, f"lab/api/workspaces/{welcome['WORKSPACE']}", workspace)
    page = panel.page.context.new_page()
    page.goto(f"{lab.url}lab/workspaces/{welcome['WORKSPACE']}?token={lab.token}")
    shown = page.locator("#jupyter-ci-ext-panel")
    expect(shown).to_be_visible(timeout=90_000)
    expect(shown).to_contain_text("Welcome, whoever you are.", timeout=60_000)


def _request(lab: Lab, path: str, body: object = None) -> bytes:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(
        lab.url + path,
        data,
        {"Authorization": f"token {lab.token}", "Content-Type": "application/json"},
        method="GET" if data is None else "PUT",
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        content: bytes = answer.read()
    return content
