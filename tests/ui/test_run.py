"""A run as it happens: texts, code and outputs in their true order."""

from __future__ import annotations

import re

from playwright.sync_api import expect

from tests.fakes.answers import code, error, say
from tests.fakes.upstream import ScriptedUpstream
from tests.ui.page import PanelPage

FAILING = "import pandas as pd\npd.DataFrame({'a': [1]})['Closing Date']"
REPAIRED = "df = pd.DataFrame({'a': [1, 2]})\ndf"
RICH = r"""
from IPython.display import display, Math, SVG, HTML
print("\x1b[31mred\x1b[0m plain")
display(Math(r"\frac{1}{3}"))
display(SVG('<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20" fill="teal"/></svg>'))
spec = {"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "mark": "bar",
        "data": {"values": [{"a": "A", "b": 28}, {"a": "B", "b": 55}]},
        "encoding": {"x": {"field": "a"}, "y": {"field": "b", "type": "quantitative"}}}
display({"application/vnd.vegalite.v5+json": spec, "text/plain": "a chart"}, raw=True)
figure = {"data": [{"type": "bar", "y": [1, 3]}], "layout": {"height": 240}}
display({"application/vnd.plotly.v1+json": figure, "text/plain": "a figure"}, raw=True)
display({"application/geo+json": {"type": "Point", "coordinates": [8, 50]}, "text/plain": "a place"}, raw=True)
styled = "<style>td {{ color: red }}</style><table>{}</table>"
display(HTML(styled.format("<tr><td>short</td></tr>" * 2)))
display(HTML(styled.format("<tr><td>long</td></tr>" * 99)))
for n in range(200): print(f"line {n}")
"""


def test_a_failed_attempt_and_its_repair_read_as_one_story(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.use("scripted")
    upstream.enqueue(
        code(FAILING, text="I look first."),
        code(REPAIRED, text="The column is called otherwise."),
        say("There are **two** rows.", delay=0.02),
    )
    panel.ask("How many rows?")
    order = panel.root.locator(".jp-CIAssistant, .jp-CIStep")
    assert [element.split("\n")[0] for element in panel.texts(order)] == [
        "I look first.",
        "✕",
        "The column is called otherwise.",
        "✓",
        "There are two rows.",
    ]
    first, second = panel.steps.nth(0), panel.steps.nth(1)
    expect(first).to_contain_text("KeyError: 'Closing Date' · repaired below")
    expect(first).not_to_contain_text("import pandas")
    first.get_by_role("button", name="Show the failed attempt").click()
    expect(first).to_contain_text("import pandas")
    expect(first.locator(".ansi-red-fg").first).to_be_visible()
    # The data frame is its table, in the place of its plain form.
    expect(second.locator("table.dataframe")).to_be_visible()
    expect(second.locator(".jp-CILogs")).to_have_count(0)
    expect(panel.log.locator("strong")).to_have_text("two")
    expect(panel.root.locator(".jp-CISummary")).to_contain_text(
        re.compile(r"scripted · 2 code runs · \d+ tokens")
    )
    panel.shot("repaired")


def test_code_is_shown_while_it_is_written_and_while_it_runs(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.use("scripted")
    source = (
        "import time\nfor n in range(6):\n    print('tick', n, flush=True)\n    time.sleep(0.4)"
    )
    upstream.enqueue(code(source, chunk=4, delay=0.04), say("Done."))
    panel.ask("Count", wait=False)
    step = panel.steps.first
    expect(step).to_contain_text("writing")
    expect(step.locator("pre code span").first).to_be_visible()  # coloured already
    expect(step).to_contain_text("running", timeout=60_000)
    expect(step).to_contain_text("tick 1")
    assert "tick 5" not in step.inner_text()
    expect(panel.button("Stop")).to_be_visible()
    panel.shot("running")
    panel.accessible()
    panel.wait_for_end()
    expect(step).to_contain_text("tick 5")
    expect(step.get_by_role("img", name="Done")).to_be_visible()


def test_rich_outputs(panel: PanelPage, upstream: ScriptedUpstream) -> None:
    panel.use("scripted")
    upstream.enqueue(code(RICH), say("See $e^{i\\pi}$:\n\n```python\nx = 1\n```\n\n- [x] done"))
    panel.ask("Show me")
    step = panel.steps.first
    expect(step).to_contain_text("red plain")
    expect(step.locator("mjx-container")).to_be_visible()
    expect(step.locator(".jp-CIRendered svg, .jp-CIRendered canvas").first).to_be_visible()
    expect(step.locator(".js-plotly-plot .bars")).to_be_visible()
    expect(step.locator(".jp-RenderedJSON")).to_contain_text("coordinates")
    # What has a style sheet of its own is in a frame of its own height, up to a limit.
    short, long = step.locator("iframe").all()
    expect(short.content_frame.locator("td").first).to_have_css("color", "rgb(255, 0, 0)")
    expect(short).to_have_css("height", re.compile(r"^[5-9]\dpx$"))
    expect(long).to_have_css("height", "420px")
    expect(step.locator("svg rect[fill=teal]")).to_have_count(0)  # a picture, no part of the page
    more = step.get_by_role("button", name=re.compile("more lines"))
    expect(step).not_to_contain_text("line 100")
    more.click()
    expect(step).to_contain_text("line 100")
    expect(panel.root.locator(".jp-CIAssistant mjx-container")).to_be_visible()
    expect(panel.root.locator(".jp-CIAssistant pre span").first).to_be_visible()
    panel.shot("rich")


def test_stop_interrupts_the_code_and_says_what_is_kept(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.use("scripted")
    upstream.enqueue(code("kept = 41\nimport time\nprint('ready now', flush=True)\ntime.sleep(60)"))
    panel.ask("Wait", wait=False)
    expect(panel.steps.first.locator(".jp-CILogs")).to_contain_text("ready now", timeout=60_000)
    panel.message.press("Escape")
    panel.wait_for_end()
    expect(panel.steps.first).to_contain_text("stopped")
    expect(panel.log).to_contain_text("Stopped. Variables and files are kept.")
    panel.shot("stopped")
    upstream.enqueue(code("print(kept + 1)"), say("Still there."))
    panel.ask("And now?")
    expect(panel.steps.last).to_contain_text("42")


def test_errors_are_said_in_plain_words_and_can_be_tried_again(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.use("scripted")
    upstream.enqueue(error(401, "Incorrect API key provided: sk-wrong", code="invalid_api_key"))
    panel.ask("Hello")
    notice = panel.root.get_by_role("alert")
    expect(notice).to_contain_text("The model refused the key.")
    notice.get_by_role("button", name="Connect a model").click()
    dialog = panel.page.get_by_role("dialog")
    expect(dialog).to_contain_text("OPENAI_BASE_URL")
    dialog.get_by_role("button", name="Close").click()
    panel.shot("failed")
    panel.accessible()
    upstream.enqueue(say("Now it works."))
    notice.get_by_role("button", name="Try again").click()
    expect(panel.log).to_contain_text("Now it works.")


def test_code_can_be_copied_inserted_and_run_again(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    panel.use("scripted")
    upstream.enqueue(code("print('once')"), say("Done."))
    panel.ask("Print")
    step = panel.steps.first
    panel.command("notebook:create-new", {"kernelName": "python3", "kernelId": None, "cwd": ""})
    panel.page.locator(".jp-Notebook .jp-Cell").first.wait_for()
    step.get_by_role("button", name="Insert into the notebook").click()
    expect(panel.page.locator(".jp-Notebook .jp-Cell").last).to_contain_text("print('once')")
    step.get_by_role("button", name="Copy the code").click()
    assert panel.page.evaluate("navigator.clipboard.readText()") == "print('once')"
    upstream.enqueue(code("print('once')"), say("Again."))
    step.get_by_role("button", name="Run this code again").click()
    expect(panel.steps).to_have_count(2)
    panel.wait_for_end()
    asked = upstream.chats[-2].body
    assert asked["tool_choice"] != "auto"
    assert "print('once')" in str(asked["messages"][-1]["content"])


def test_a_reload_and_a_lost_connection_go_on_where_the_run_is(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.use("scripted")
    # It goes on until it is stopped, however long the reload takes.
    source = (
        "import time\nfor n in range(900):\n    print('tick', n, flush=True)\n    time.sleep(0.1)"
    )
    upstream.enqueue(code(source, text="I count."))
    panel.ask("Count", wait=False)
    expect(panel.steps.first).to_contain_text("tick 2", timeout=60_000)
    panel.page.wait_for_timeout(700)  # Lab writes its state half a second later
    events = "**/runs/*/events*"
    panel.page.route(events, lambda route: route.abort())
    panel.open()  # a reload, after which the run cannot be reached
    expect(panel.log).to_contain_text("I count.")
    expect(panel.button("Stop")).to_be_visible()
    expect(panel.log).to_contain_text("Connection lost")
    panel.page.unroute(events)
    expect(panel.log).not_to_contain_text("Connection lost")
    shown = panel.steps.first.inner_text()
    newest = re.findall(r"tick \d+", shown)[-1]
    expect(panel.steps.first).not_to_contain_text(newest)  # the next have taken its place
    panel.button("Stop").click()
    panel.wait_for_end()
    expect(panel.steps.first).to_contain_text("stopped")
    expect(panel.root.locator(".jp-CIUser")).to_have_count(1)
    expect(panel.steps).to_have_count(1)


def test_what_is_entered_during_a_run_is_sent_after_it(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.use("scripted")
    upstream.enqueue(say("One, two, three. " * 20, delay=0.03), say("Six."))
    panel.ask("Count", wait=False)
    expect(panel.log).to_contain_text("One, two")
    panel.message.fill("And twice that?")
    panel.message.press("Enter")
    expect(panel.root.locator(".jp-CIComposer")).to_contain_text(
        "Is sent when the answer is complete."
    )
    expect(panel.log).to_contain_text("Six.")
    panel.wait_for_end()
    expect(panel.root.locator(".jp-CIUser")).to_have_count(2)
    expect(panel.message).to_have_value("")


def test_escape_stops_nothing_but_what_it_is_meant_for(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.use("scripted")
    upstream.enqueue(say("Still talking. " * 40, delay=0.1))
    panel.ask("Talk", wait=False)
    expect(panel.log).to_contain_text("Still talking.")
    panel.button("Threads").press("Enter")
    expect(panel.root.get_by_label("Search threads")).to_be_focused()
    panel.page.keyboard.press("Escape")
    expect(panel.message).to_be_focused()
    panel.root.locator(".jp-CISession-toggle").press("Enter")
    expect(panel.root.get_by_role("region", name="Session")).to_be_visible()
    panel.page.keyboard.press("Escape")
    expect(panel.root.get_by_role("region", name="Session")).to_have_count(0)
    expect(panel.runs).to_have_attribute("data-status", "in_progress")
    panel.message.press("Escape")
    panel.wait_for_end()
    expect(panel.log).to_contain_text("Stopped. No code was running: nothing is lost.")


def test_a_server_that_is_away_is_noticed_and_what_failed_is_mended(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.use("scripted")
    upstream.enqueue(say("Here."))
    panel.ask("Hello")
    everything = re.compile("/(openai|code-interpreter)/")
    panel.page.route(everything, lambda route: route.abort())
    expect(panel.root.locator(".jp-CISession")).to_contain_text("no connection")
    panel.message.fill("Are you there?")
    panel.button("Send").click()
    expect(panel.root.get_by_role("alert")).to_contain_text("The Jupyter server does not answer.")
    expect(panel.message).to_have_value("Are you there?")
    panel.shot("no-connection")
    panel.page.unroute(everything)
    expect(panel.root.locator(".jp-CISession")).not_to_contain_text("no connection")
    expect(panel.root.get_by_role("alert")).to_have_count(0)


def test_the_end_is_followed_until_one_scrolls_away(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.use("scripted")
    upstream.enqueue(say("A line of many.\n\n" * 60, chunk=200))
    panel.ask("Talk")
    to_end = panel.button("To the end")
    at_end = "(e => e.scrollHeight - e.scrollTop - e.clientHeight < 40)"
    at_end += "(document.querySelector('.jp-CILog'))"
    panel.page.wait_for_function(at_end)
    # Content that shrinks and grows moves what is shown, too: that is nobody's wish.
    panel.log.evaluate("e => new Promise(done => { e.onscroll = done; e.scrollTop -= 300; })")
    expect(to_end).to_have_count(0)
    panel.page.set_viewport_size({"width": 1280, "height": 760})
    panel.page.wait_for_function(at_end)
    panel.log.hover()
    panel.page.mouse.wheel(0, -400)
    expect(to_end).to_be_visible()
    panel.page.set_viewport_size({"width": 1280, "height": 700})
    expect(to_end).to_be_visible()
    to_end.click()
    panel.page.wait_for_function(at_end)
    expect(to_end).to_have_count(0)
