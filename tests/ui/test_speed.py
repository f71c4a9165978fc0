"""What long answers and long threads cost the browser."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from playwright.sync_api import Browser

from tests.fakes.answers import Answer, code, say
from tests.fakes.upstream import ScriptedUpstream
from tests.ui.conftest import BUILT, Lab
from tests.ui.page import PanelPage
from tests.ui.trace import Cost, main_thread

SIZE = 27_000
DELTAS = 400

# Milliseconds. Texts that cannot be cut take up to 30 in one task; where the browser collects what
# all the texts before have left, it may take more.
RARELY = 150

PART = (
    "## Part {n}\n\nSome **bold** words, `code` and a [link](https://example.org), then a list:\n\n"
    "- one of them\n- two of them with {n} more words that make the line a little longer\n\n"
)
SENTENCE = "The **mean** of column {n} is `{n}.5`, as *everybody* can see, and nothing else is. "
FUNCTION = "function f{n}(x, y = {n}) {{\n  // comment {n}\n  return [x + 'a{n}', y];\n}}\n\n"
ROW = "| row {n} | {n}.5 | some words | `x{n}` |\n"
PRINTING = """
import time
for n in range(200):
    print(*(f"line {n} {k} of the /output" for k in range(10)), sep="\\n", flush=True)
    time.sleep(0.002)
"""

# Resolved once the run is over and all of it has been shown: rendering rests for a moment only.
OVER = """() => {
  const log = document.querySelector('.jp-CILog');
  window.over = new Promise(resolve => {
    let begun = false;
    const watch = new MutationObserver(() => {
      if (log.getAttribute('aria-busy') === 'true') {
        begun = true;
      } else if (begun) {
        watch.disconnect();
        setTimeout(resolve, 1000);
      }
    });
    watch.observe(log, { attributeFilter: ['aria-busy'] });
  });
}"""

# Resolved with the milliseconds after which the thread's last answer and image are there.
OPENED = """id => new Promise(resolve => {
  const began = performance.now();
  const look = () => {
    const last = [...document.querySelectorAll('.jp-CIRun')].pop();
    if (last?.querySelector('figure img')?.complete && last.querySelector('.jp-CIAssistant li')) {
      watch.disconnect();
      document.removeEventListener('load', look, true);
      const shown = performance.now() - began;
      setTimeout(() => resolve(shown), 1000);
    }
  };
  const watch = new MutationObserver(look);
  watch.observe(document.querySelector('.jp-CIPanel'), { childList: true, subtree: true });
  document.addEventListener('load', look, true);
  document.querySelector(`[data-thread="${id}"] button`).click();
})"""


def text_of(part: str, head: str = "", foot: str = "") -> str:
    return head + "".join(part.format(n=n) for n in range(SIZE // len(part) + 9))[:SIZE] + foot


def in_deltas(text: str, delay: float) -> Answer:
    return say(text, chunk=len(text) // DELTAS, delay=delay)


def keep(panel: PanelPage, costs: dict[str, Any]) -> None:
    path = panel.shot("long").parent / "speed.json"
    known = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(known | {k: str(v) for k, v in costs.items()}, indent=1))


def test_long_answers_do_not_block_the_page(
    panel: PanelPage, upstream: ScriptedUpstream, chromium: Browser
) -> None:
    answers = {
        "a long answer": [in_deltas(text_of(PART), 0.01)],
        "one long paragraph": [in_deltas(text_of(SENTENCE), 0.003)],
        "one long piece of code": [
            in_deltas(text_of(FUNCTION, "See:\n\n```js\n", "\n```\n\nThat is all."), 0.003)
        ],
        "one long table": [in_deltas(text_of(ROW, "| a | b | c | d |\n|-|-|-|-|\n"), 0.003)],
        "2000 lines of output": [code(PRINTING), say("Done.")],
    }
    panel.use("scripted")
    upstream.enqueue(say("Warm, `x`.\n\n```js\nx\n```\n\nEnd."))
    panel.ask("Warm up")  # the parts of Lab that render are loaded with the first text
    costs: dict[str, Cost] = {}
    for name, turns in answers.items():
        upstream.enqueue(*turns)
        panel.page.evaluate(OVER)
        panel.message.fill(name)
        with main_thread(chromium, panel.page) as cost:
            panel.message.press("Enter")
            panel.page.evaluate("over.then(() => null)")
        costs[name] = cost
        panel.wait_for_end()
    keep(panel, costs)
    for name, cost in costs.items():
        assert len(cost.tasks) > 100, (name, str(cost))
        assert cost.total < 2.5, (name, str(cost))
        assert cost.longest < RARELY, (name, str(cost))
    assert costs["a long answer"].longest < 50, str(costs["a long answer"])


def test_a_thread_of_500_messages_opens_at_once(
    panel: PanelPage, upstream: ScriptedUpstream, chromium: Browser, lab: Lab
) -> None:
    def post(path: str, body: dict[str, Any]) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{lab.url}openai/v1/{path}",
            json.dumps(body).encode(),
            {"Authorization": f"token {lab.token}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return {} if body.get("stream") else json.loads(text)

    assistant = post("assistants", {"model": "scripted", "tools": [{"type": "code_interpreter"}]})
    thread = post("threads", {})
    for n in range(482):
        text = f"Message {n} with **words**.\n\n- a list\n\n```python\nprint({n})\n```\n"
        role = ["user", "assistant"][n % 2]
        post(f"threads/{thread['id']}/messages", {"role": role, "content": text})
    for n in range(9):
        plot = f"import matplotlib.pyplot as plt\nplt.plot([1, {n}, 3])\nplt.show()\nprint({n})"
        upstream.enqueue(code(plot), say(f"Answer {n}:\n\n- one\n- two"))
        post(f"threads/{thread['id']}/messages", {"role": "user", "content": f"Question {n}"})
        # The stream ends with the run.
        run = {"assistant_id": assistant["id"], "stream": True}
        post(f"threads/{thread['id']}/runs", run)

    panel.use("scripted")
    upstream.enqueue(say("Warm.\n\n```python\nx\n```\n\nEnd."))
    panel.ask("Warm up")
    panel.button("Threads").click()
    panel.root.locator(f'[data-thread="{thread["id"]}"]').wait_for()
    with main_thread(chromium, panel.page) as cost:
        shown = panel.page.evaluate(OPENED, thread["id"])
    keep(panel, {"a thread of 500 messages": f"{cost}; shown after {shown:.0f} ms"})
    assert panel.root.locator(".jp-CIItem").count() >= 30
    assert cost.total < 1, str(cost)
    assert cost.longest < RARELY, str(cost)


def test_the_bundle_is_small() -> None:
    scripts = list((BUILT / "static").glob("*.js"))
    assert sum(path.stat().st_size for path in scripts) < 150_000
