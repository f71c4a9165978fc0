"""Files: into the message, and out of the answer."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Route, expect

from tests.fakes.answers import code, say
from tests.fakes.upstream import ScriptedUpstream
from tests.ui.conftest import Lab
from tests.ui.page import PanelPage

MAKES_FILES = """
import pathlib
pathlib.Path("per_year.csv").write_text("year,failed\\n2000,2\\n2001,4\\n")
pathlib.Path("page.html").write_text("<script>document.title = 'pwned'</script>")
"""
ANSWER = (
    "Here: [the table](sandbox:/mnt/data/per_year.csv) and [page](sandbox:/mnt/data/page.html)."
)


def test_the_demo_profiles_a_table_that_is_dropped_in(panel: PanelPage, lab: Lab) -> None:
    panel.use("demo")
    expect(panel.root.get_by_text("Demo model, not AI.")).to_be_visible()
    panel.attach(lab.root / "failed_banks.csv")
    panel.ask("Profile this table and chart it")
    expect(panel.root.locator(".jp-CIUser .jp-CIChip")).to_contain_text("failed_banks.csv")
    expect(panel.steps.locator("img").first).to_be_visible()
    expect(panel.log).to_contain_text("240 rows")
    expect(panel.root.locator(".jp-CIFileCard").first).to_be_visible()
    # What comes last is in sight: the panel followed the answer down.
    expect(panel.root.locator(".jp-CISummary")).to_be_in_viewport()
    panel.shot("answered")


def test_generated_files_are_previewed_downloaded_saved_and_opened(
    panel: PanelPage, upstream: ScriptedUpstream, lab: Lab, tmp_path: Path
) -> None:
    panel.use("scripted")
    upstream.enqueue(code(MAKES_FILES), say(ANSWER))
    panel.ask("Make files")
    card = panel.root.locator(".jp-CIFileCard", has_text="per_year.csv")
    expect(card).to_contain_text("2 rows · 2 columns · 26 B")
    card.get_by_title("Show a preview").click()
    expect(card.locator("table")).to_contain_text("2001")
    for opener in (
        card.get_by_role("button", name="Download per_year.csv"),
        panel.log.get_by_role("link", name="the table"),
    ):
        with panel.page.expect_download() as download:
            opener.click()
        assert download.value.suggested_filename == "per_year.csv"
        assert "2001,4" in download.value.path().read_text()
    card.get_by_role("button", name="Save per_year.csv to the workspace").click()
    expect(panel.page.get_by_text("Saved as per_year.csv")).to_be_visible()
    assert (lab.root / "per_year.csv").read_text().startswith("year,failed")
    card.get_by_role("button", name="Open per_year.csv in JupyterLab").click()
    expect(panel.page.get_by_role("tab", name="per_year.csv")).to_be_visible()
    # HTML is never shown as a page of this origin: its preview is its text.
    page = panel.root.locator(".jp-CIFileCard", has_text="page.html")
    page.get_by_title("Show a preview").click()
    expect(page).to_contain_text("document.title")
    assert panel.page.title() != "pwned"
    panel.shot("files")


def test_an_upload_shows_its_progress_and_can_be_cancelled(
    panel: PanelPage, tmp_path: Path
) -> None:
    held: list[Route] = []
    panel.page.route("**/openai/v1/files", lambda route: held.append(route))
    big = tmp_path / "arrivals.bin"
    big.write_bytes(b"\0" * 3_000_000)
    panel.root.locator('input[type="file"]').set_input_files(str(big))
    chip = panel.root.locator(".jp-CIComposer .jp-CIChip")
    expect(chip).to_have_attribute("data-state", "sending")
    expect(chip).to_contain_text("arrivals.bin· 2.9 MB")
    panel.message.fill("and then")
    expect(panel.button("Send")).to_be_disabled()
    chip.get_by_role("button", name="Cancel the upload of arrivals.bin").click()
    expect(chip).to_have_count(0)
    expect(panel.button("Send")).to_be_enabled()
    for route in held:
        route.abort()
    panel.page.unroute("**/openai/v1/files")


def test_files_come_by_paste_by_drop_and_from_the_file_browser(panel: PanelPage) -> None:
    give = """([kind, name, type]) => {
      const data = new DataTransfer();
      data.items.add(new File(["abc"], name, { type }));
      const target = document.querySelector('#jupyter-ci-ext-panel textarea');
      const event = kind === 'paste'
        ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true, cancelable: true })
        : new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true });
      target.dispatchEvent(event);
    }"""
    chips = panel.root.locator(".jp-CIComposer .jp-CIChip")
    panel.page.evaluate(give, ["paste", "image.png", "image/png"])
    expect(chips.first).to_contain_text(re.compile(r"pasted-.*\.png"))
    panel.page.evaluate(give, ["dragover", "drop.txt", "text/plain"])
    expect(panel.root.locator(".jp-CIDropHint")).to_be_visible()
    panel.page.evaluate(give, ["drop", "drop.txt", "text/plain"])
    expect(panel.root.locator(".jp-CIDropHint")).to_be_hidden()
    expect(chips.nth(1)).to_contain_text("drop.txt")
    item = panel.page.locator(".jp-DirListing-item", has_text="failed_banks.csv")
    item.drag_to(panel.message)
    expect(chips.nth(2)).to_contain_text("failed_banks.csv")
    for chip in chips.all():
        expect(chip).to_have_attribute("data-state", "ready")
    chips.first.get_by_role("button").click()
    expect(chips).to_have_count(2)


def test_a_mention_brings_a_file_in(panel: PanelPage) -> None:
    mention = "failed_banks.csv"
    panel.page.locator(".jp-DirListing-item", has_text=mention).wait_for()
    panel.message.press_sequentially("Describe @failed")
    panel.root.get_by_role("listbox", name="Bring in").get_by_role("option").click()
    expect(panel.message).to_have_value(f"Describe {mention}")
    expect(panel.root.locator(".jp-CIComposer .jp-CIChip")).to_contain_text(mention)
