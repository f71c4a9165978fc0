"""Hostile output and hostile text: nothing runs, nothing is fetched, nothing covers Lab."""

from __future__ import annotations

from playwright.sync_api import expect

from tests.fakes.answers import code, say
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
