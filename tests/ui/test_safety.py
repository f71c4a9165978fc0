"""Hostile output and hostile text: nothing runs, nothing is fetched, nothing covers Lab."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.fakes.answers import code, error, say
from tests.fakes.upstream import ScriptedUpstream
from tests.ui.beacon import Beacon
from tests.ui.page import PanelPage

HTML = """
<script>window.pwned = 'script'</script>
<img src="{url}/img" onerror="window.pwned = 'onerror'">
<img srcset="{url}/srcset 1x"><picture><source srcset="{url}/source"><img></picture>
<video src="{url}/video" poster="{url}/poster" autoplay></video><audio src="{url}/audio"></audio>
<iframe src="{url}/iframe"></iframe><iframe srcdoc="<script>top.pwned = 'srcdoc'</script>"></iframe>
<object data="{url}/object"></object><embed src="{url}/embed">
<svg onload="window.pwned = 'svg'"><image href="{url}/svgimage"/><script>window.pwned='svg'</script></svg>
<math><mtext><table><mglyph><style><img src=x onerror="window.pwned='mxss'"></style></mglyph></table></mtext></math>
<div style="background: url({url}/style)">x</div>
<div class="jp-Dialog lm-mod-cover" id="cover" style="position: fixed; inset: 0; z-index: 99999; background: red">COVERED</div>
<a href="javascript:window.pwned = 'href'">click me</a>
<button data-commandlinker-command="terminal:create-new" data-commandlinker-args="{{}}">terminal</button>
<a href="#" data-commandlinker-command="terminal:create-new">open a terminal</a>
<form action="{url}/form"><input name="a" autofocus onfocus="window.pwned = 'focus'"><button>send</button></form>
<link rel="stylesheet" href="{url}/css"><meta http-equiv="refresh" content="0;url={url}/refresh"><base href="{url}/">
"""
STYLED = (
    "<style>@import url({url}/import); @font-face {{ font-family: f; src: url({url}/font) }} "
    "body {{ font-family: f; display: none }} #jupyterlab {{ display: none }}</style>" + HTML
)
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20">'
    '<script>top.pwned = "svgfile"</script><image href="{url}/svgout"/>'
    '<style>@import url({url}/svgstyle);</style><rect width="40" height="20" fill="teal"/></svg>'
)
CODE = """
from IPython.display import display, HTML, SVG, Javascript, Markdown, Latex
html, styled, svg = {html!r}, {styled!r}, {svg!r}
display(HTML(html))
display(HTML(styled))
display(SVG(svg))
display(Javascript("window.pwned = 'javascript'"))
display(Markdown(html + "\\n\\n![x]({url}/markdown)"))
display(Latex(r"$\\href{{javascript:window.pwned='latex'}}{{x}}$"))
spec = {{"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "mark": "bar", "data": {{"url": "{url}/vega"}}}}
display({{"application/vnd.vegalite.v5+json": spec, "text/plain": "chart"}}, raw=True)
print(html)
"""


def test_nothing_runs_is_fetched_or_covers_lab(
    panel: PanelPage, upstream: ScriptedUpstream, beacon: Beacon
) -> None:
    url = beacon.url
    html, styled, svg = (text.format(url=url) for text in (HTML, STYLED, SVG))
    panel.use("scripted")
    text = f"![x]({url}/message?d=secret)\n\n$\\href{{javascript:window.pwned='tex'}}{{x}}$\n{html}"
    upstream.enqueue(
        code(CODE.format(html=html, styled=styled, svg=svg, url=url), text=text), say(text)
    )
    panel.ask(html)  # what a person pastes is no better
    panel.page.wait_for_timeout(1000)
    panel.shot("hostile", whole=True)
    assert panel.page.evaluate("window.pwned") is None
    assert beacon.hits == []

    # Links and buttons that are left do nothing of Lab's.
    for link in (
        panel.log.get_by_text("click me").all() + panel.log.get_by_text("open a terminal").all()
    ):
        link.scroll_into_view_if_needed()
        link.click(force=True)
    assert panel.page.evaluate("window.pwned") is None
    expect(panel.page.get_by_role("tab", name="Terminal 1")).to_have_count(0)
    expect(panel.page.locator(".jp-Dialog")).to_have_count(0)
    assert (
        panel.log.locator("[data-commandlinker-command], form, input, button[type=submit]").count()
        == 0
    )

    # Lab is where it was: what is under the pointer in its middle is not ours, and nothing is hidden.
    assert panel.page.evaluate("document.elementFromPoint(500, 400).closest('.jp-CIPanel')") is None
    expect(panel.page.locator("#jp-menu-panel")).to_be_visible()

    # A remote image is loaded when one asks for it, and not before.
    panel.log.locator("[data-ci-remote]").first.click()
    panel.page.wait_for_timeout(300)
    assert len(beacon.hits) == 1
    beacon.hits.clear()


NAME = "<img src=x onerror=window.pwned=1>.csv"
LINK = (
    "\x1b]8;;javascript:window.pwned=1\x1b\\link\x1b]8;;\x1b\\ \x1b[31m<img src=x onerror=alert(1)>"
)
EVIL = (
    "<img src=x onerror=\"window.pwned='t'\"><script>window.pwned='s'</script>"
    "<svg onload=\"window.pwned='v'\"> ![x]({url}/md) [c](javascript:window.pwned='j')"
)


def test_names_titles_and_errors_are_text(
    panel: PanelPage, upstream: ScriptedUpstream, beacon: Beacon
) -> None:
    page = panel.page
    evil = EVIL.format(url=beacon.url)
    panel.use("scripted")
    table = f"a,b\n{evil},2\n"
    upstream.enqueue(
        code(
            f"open({NAME!r}, 'w').write({table!r})\n"
            f"print({evil!r})\nprint({LINK!r})\n"
            f"raise ValueError({evil!r})"
        ),
        say("[file](sandbox:/mnt/data/%3Cimg%20src=x%20onerror=window.pwned=1%3E.csv)"),
        error(400, evil),
    )
    panel.ask(evil)
    card = panel.root.locator(".jp-CIFileCard")
    expect(card).to_contain_text(NAME)
    card.get_by_title("Show a preview").click()
    expect(card.locator("td").first).to_contain_text("<script>")
    panel.ask("Fail, please")
    notice = panel.root.get_by_role("alert")
    expect(notice).to_contain_text("The model server refused the request.")
    notice.get_by_role("button", name="Details").click()
    expect(notice).to_contain_text("<script>")

    panel.command("code-interpreter:new-assistant", wait=False)
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill(evil)
    dialog.get_by_role("button", name="Save").click()
    expect(panel.root.get_by_label("Assistant").locator("option:checked")).to_contain_text("<img")
    panel.command("code-interpreter:delete-assistant", wait=False)
    expect(dialog).to_contain_text("<script>")
    dialog.get_by_role("button", name="Delete").click()
    expect(panel.root.get_by_label("Assistant").locator("option", has_text="<img")).to_have_count(0)

    panel.button("Threads").click()
    expect(panel.root.locator(".jp-CIThreads-row").first).to_contain_text("<img src=x")
    panel.command("code-interpreter:delete-thread", wait=False)
    expect(dialog).to_contain_text("<img src=x")
    dialog.get_by_role("button", name="Cancel").click()
    panel.command("running:show-panel")
    expect(page.locator("#jp-running-sessions").get_by_text("<img src=x").first).to_be_visible()
    assert page.evaluate("window.pwned") is None
    assert page.locator("#jupyterlab img[src=x], #jupyterlab img[onerror]").count() == 0
    assert beacon.hits == []
