"""Pictures of the panel in its widths and themes, to be looked at; kept in ui-report/."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.fakes.answers import code, say
from tests.fakes.upstream import ScriptedUpstream
from tests.ui.conftest import Lab
from tests.ui.page import PanelPage


@pytest.mark.parametrize(
    ("theme", "width"),
    [("JupyterLab Light", 600), ("JupyterLab Dark", 280), ("JupyterLab Dark High Contrast", 400)],
)
def test_nothing_is_cut_off(
    panel: PanelPage, upstream: ScriptedUpstream, lab: Lab, theme: str, width: int
) -> None:
    panel.theme(theme)
    panel.resize(width)
    name = f"{theme.removeprefix('JupyterLab ').replace(' ', '-').lower()}-{width}"
    panel.shot(f"empty-{name}")
    panel.accessible()
    panel.use("scripted")
    panel.attach(lab.root / "failed_banks.csv")
    upstream.enqueue(
        code("import pandas as pd\npd.read_csv('x.csv')", text="I look at the file."),
        code(
            "df = pd.read_csv('/mnt/data/failed_banks.csv')\n"
            "df.columns = df.columns.str.strip()\n"
            "df['year'] = pd.to_datetime(df['Closing Date']).dt.year\n"
            "ax = df.groupby('year').size().plot.bar()\n"
            "df.groupby('year').size().to_csv('per_year.csv')"
        ),
        say("It is **all** in [per_year.csv](sandbox:/mnt/data/per_year.csv)."),
    )
    panel.ask("How many banks failed each year? Chart it and give me the yearly table.")
    expect(panel.root.locator(".jp-CIFileCard")).to_be_visible()
    panel.page.wait_for_timeout(500)
    panel.shot(f"answered-{name}")
    panel.accessible()
    wider = panel.root.evaluate(
        """root => [...root.querySelectorAll('.jp-CIToolbar, .jp-CISession-bar, .jp-CIComposer-row, .jp-CILog')]
             .filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.className)"""
    )
    assert wider == []
    panel.button("Threads").click()
    expect(panel.root.locator(".jp-CIThreads-row").first).to_be_visible()
    panel.shot(f"threads-{name}")
    panel.accessible()
    panel.theme("JupyterLab Light")
