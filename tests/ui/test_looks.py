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


FAILURES = {2000: 2, 2001: 4, 2002: 11, 2003: 3, 2004: 4, 2007: 3, 2008: 25, 2009: 140, 2010: 157,
            2011: 92, 2012: 51, 2013: 24, 2014: 18, 2015: 8, 2016: 5, 2017: 8, 2019: 4, 2020: 4,
            2023: 5}  # fmt: skip
FIRST = ("Citizens", "First", "Heartland", "Pioneer", "Valley", "Signature", "Lakeside")
SECOND = ("Bank", "State", "Trust", "Savings", "& Co")
STATES = ("GA", "FL", "IL", "CA", "MN", "WA")
LOOK = """import pandas as pd
df = pd.read_csv("/mnt/data/bank_failures.csv")
df["Closing Date"].head()"""
CHART = """df.columns = df.columns.str.strip()
years = pd.to_datetime(df["Closing Date"]).dt.year
per_year = years.value_counts().sort_index()
per_year.plot.bar(figsize=(7, 2.5), xlabel="", ylabel="failures")
worst = per_year.nlargest(3).rename_axis("year").reset_index()
worst.to_csv("/mnt/data/worst_years.csv", index=False)"""
ANSWER = (
    "568 banks failed between 2000 and 2023. **2010 was the peak with 157**; three quarters of "
    "all failures fall into 2009–2012: [worst_years.csv](sandbox:/mnt/data/worst_years.csv)."
)


def test_the_picture_in_the_readme(panel: PanelPage, upstream: ScriptedUpstream, lab: Lab) -> None:
    """docs/panel.png is the picture that this takes, ui-report/lab.png."""
    years = [year for year, count in FAILURES.items() for _ in range(count)]
    rows = ["Bank Name ,State ,Closing Date "] + [
        f"{FIRST[n % 7]} {SECOND[n % 5]},{STATES[n * 5 % 6]},{year}-{1 + n % 12:02}-{1 + n % 28:02}"
        for n, year in enumerate(years)
    ]
    table = lab.root / "bank_failures.csv"
    table.write_text("\n".join(rows))
    panel.page.set_viewport_size({"width": 1400, "height": 1010})
    panel.command("docmanager:open", {"path": table.name})
    panel.resize(440)
    panel.use("my-model")
    panel.command("filebrowser:go-to-path", {"path": "/"})
    panel.attach(table)
    upstream.enqueue(
        code(LOOK, text="I'll look at the file first."),
        code(CHART, text="The column names end in a blank."),
        say(ANSWER),
    )
    panel.ask("How many banks failed each year? Chart it, and save the worst years as a CSV.")
    panel.root.get_by_title("Show a preview").click()
    expect(panel.root.locator(".jp-CIPreview tbody tr")).to_have_count(3)
    expect(panel.root.locator(".jp-CIFigure img")).to_be_visible()
    expect(panel.root.locator(".jp-CISession")).to_contain_text("min idle left", timeout=20_000)
    panel.page.locator(".jp-CIPanel textarea").blur()
    picture = panel.shot("lab", whole=True)
    assert picture.stat().st_size < 300_000
    table.unlink()
