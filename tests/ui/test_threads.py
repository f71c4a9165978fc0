"""The list of threads: search, rename, delete, and the last one after a reload."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.fakes.answers import say
from tests.fakes.upstream import ScriptedUpstream
from tests.ui.page import PanelPage


def test_threads_are_listed_searched_renamed_reopened_and_deleted(
    panel: PanelPage, upstream: ScriptedUpstream
) -> None:
    panel.use("scripted")
    for question in ("Zebra stripes", "Yak wool"):
        upstream.enqueue(say(f"About {question}."))
        panel.button("New thread").click()
        panel.ask(question)
    panel.button("Threads").click()
    rows = panel.root.locator(".jp-CIThreads-row")
    expect(rows.first).to_contain_text("Yak wool")
    expect(rows.first).to_have_attribute("data-current", "true")
    panel.shot("threads")

    panel.root.get_by_role("searchbox").fill("zebra")
    expect(rows).to_have_count(1)
    rows.first.hover()
    rows.first.get_by_role("button", name="Rename Zebra stripes").click()
    dialog = panel.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("Stripes of the zebra")
    dialog.get_by_role("button", name="Ok").click()
    expect(rows.first).to_contain_text("Stripes of the zebra")
    rows.first.locator(".jp-CIThreads-open").click()
    expect(panel.log).to_contain_text("About Zebra stripes.")
    expect(panel.root.get_by_role("heading", name="Stripes of the zebra")).to_be_visible()

    panel.page.wait_for_timeout(700)  # Lab writes its state half a second later
    panel.open()  # a reload: the last thread is there again
    expect(panel.log).to_contain_text("About Zebra stripes.")

    panel.command("code-interpreter:delete-thread", wait=False)
    dialog.get_by_role("button", name="Delete").click()
    expect(panel.root.get_by_role("heading", name="New thread")).to_be_visible()
    panel.button("Threads").click()
    expect(rows.first).to_be_visible()
    expect(panel.root.get_by_text("Stripes of the zebra")).to_have_count(0)


def test_earlier_messages_come_on_demand(panel: PanelPage) -> None:
    """500 messages, made through the API; the panel opens their end in under a second."""
    opened = panel.page.evaluate(
        """async () => {
          const { serverSettings } = jupyterapp.serviceManager;
          const xsrf = /_xsrf=([^;]*)/.exec(document.cookie)[1];
          const post = async (path, body) => {
            const answer = await fetch(serverSettings.baseUrl + path, {
              method: 'POST', body: JSON.stringify(body),
              headers: { 'Content-Type': 'application/json', 'X-XSRFToken': xsrf } });
            if (!answer.ok) throw new Error(await answer.text());
            return answer.json();
          };
          const messages = (from) => Array.from({ length: 50 }, (_, at) => ({
            role: at % 2 ? 'assistant' : 'user', content: `message ${from + at} with **bold** words` }));
          const thread = await post('openai/v1/threads', { messages: messages(0) });
          for (let from = 50; from < 500; from += 50)
            for (const message of messages(from))
              await post(`openai/v1/threads/${thread.id}/messages`, message);
          return thread.id;
        }"""
    )
    panel.button("Threads").click()
    row = panel.root.locator(f'[data-thread="{opened}"] .jp-CIThreads-open')
    row.wait_for()
    seconds = panel.page.evaluate(
        """async ([id]) => {
          const start = performance.now();
          document.querySelector(`[data-thread="${id}"] .jp-CIThreads-open`).click();
          while (!document.querySelector('.jp-CILog')?.textContent.includes('message 499'))
            await new Promise(requestAnimationFrame);
          return (performance.now() - start) / 1000;
        }""",
        [opened],
    )
    assert seconds < 1.0
    articles = panel.root.get_by_role("article")
    first = articles.count()
    panel.button("Show earlier messages").click()
    expect(panel.log).to_contain_text("message 450")
    assert articles.count() > first
    expect(panel.log.get_by_text("message 499", exact=False)).to_have_count(1)
