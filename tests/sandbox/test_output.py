"""What the kernel prints and shows is held to a budget: head, note, tail."""

from __future__ import annotations

import base64
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_ci_ext.sandbox.stage2.output import BoundedSession, OutputBudget, shorten
from jupyter_ci_ext.sandbox.stage2.reserve import Reserve


def printed(budget: OutputBudget, *texts: str, execution: str = "1") -> str:
    now = "".join(budget.admit("stdout", execution, text) for text in texts)
    return now + budget.settle(execution).get("stdout", "")


def test_what_fits_is_left_alone() -> None:
    assert printed(OutputBudget(1000), "a" * 400, "b" * 100) == "a" * 400 + "b" * 100


def test_a_little_more_than_the_head_is_whole_too() -> None:
    text = "".join(chr(97 + i % 26) for i in range(700))
    assert printed(OutputBudget(1000), text) == text


def test_the_middle_is_left_out_and_said_to_be() -> None:
    text = "h" * 500 + "m" * 10_000 + "t" * 500
    assert printed(OutputBudget(1000), text) == (
        "h" * 500 + "\n[… 10,000 bytes left out …]\n" + "t" * 500
    )


@settings(database=None)
@given(st.lists(st.text(alphabet="abc\n", max_size=300), max_size=30))
def test_however_it_is_cut_nothing_is_lost_or_told_wrong(texts: list[str]) -> None:
    whole = "".join(texts)
    out = printed(OutputBudget(400), *texts)
    if len(whole) <= 400:
        assert out == whole
    else:
        assert out.startswith(whole[:200])
        assert out.endswith(whole[-200:])
        assert f"{len(whole) - 400:,} bytes left out" in out


@settings(database=None)
@given(st.lists(st.text(alphabet="aé€😀\ud800", max_size=60), max_size=30))
def test_it_counts_bytes_and_cuts_between_characters(texts: list[str]) -> None:
    whole = "".join(texts).encode("utf-8", "surrogatepass")
    out = printed(OutputBudget(400), *texts).encode("utf-8", "surrogatepass")
    assert len(out) <= 400 + 50
    note = re.search("\n\\[… ([0-9,]+) bytes left out …\\]\n".encode(), out)
    if note is None:
        assert out == whole
    else:
        head, tail = out[: note.start()], out[note.end() :]
        assert whole.startswith(head)
        assert whole.endswith(tail)
        assert len(head) + len(tail) + int(note[1].replace(b",", b"")) == len(whole)
        assert len(head) > 196
        assert len(tail) > 196


def test_a_flood_leaves_the_other_stream_its_end() -> None:
    budget = OutputBudget(400)
    budget.admit("stdout", "1", "h" * 200)
    budget.admit("stderr", "1", "e" * 60)
    for _ in range(50):
        budget.admit("stdout", "1", "o" * 70)
    assert budget.settle("1") == {
        "stderr": "e" * 60,
        "stdout": f"\n[… {50 * 70 - 140:,} bytes left out …]\n" + "o" * 140,
    }
    budget.admit("stdout", "2", "o" * 5000)
    budget.admit("stderr", "2", "e" * 5000)
    assert {stream: rest[-100:] for stream, rest in budget.settle("2").items()} == {
        "stdout": "o" * 100,
        "stderr": "e" * 100,
    }


def test_each_execution_has_its_own_budget() -> None:
    budget = OutputBudget(100)
    printed(budget, "x" * 500, execution="1")
    assert printed(budget, "y" * 50, execution="2") == "y" * 50


def test_after_its_end_an_execution_cannot_go_on_for_ever() -> None:
    budget = OutputBudget(100)
    printed(budget, "x" * 500)
    assert budget.admit("stdout", "1", "late" * 1000) == ""
    assert budget.settle("1") == {}


def test_a_message_that_is_too_large_is_shortened() -> None:
    session = BoundedSession(key=b"k")
    session.limit = 100_000
    session.reserve = Reserve()
    message = session.msg("stream", {"name": "stdout", "text": "x" * 1_000_000})
    frames = session.serialize(message)
    assert sum(map(len, frames)) <= 100_000
    assert b"characters left out" in b"".join(frames)
    small = session.msg("stream", {"name": "stdout", "text": "x" * 10})
    assert b"x" * 10 in b"".join(session.serialize(small))


def test_half_a_surrogate_pair_does_not_keep_a_message_from_being_sent() -> None:
    session = BoundedSession(key=b"k")
    session.reserve = Reserve()
    content = {"text": "before \ud83d after", "at": datetime(2026, 1, 2, tzinfo=timezone.utc)}
    frames = session.serialize(session.msg("stream", content))
    sent = session.unpack(frames[-1])
    assert sent["text"].encode("utf-8", "replace") == b"before ? after"
    assert sent["at"].startswith("2026-01-02T")


def test_a_bundle_keeps_what_fits() -> None:
    content = {
        "data": {"text/plain": "a figure", "image/png": "p" * 100, "text/html": "h" * 100_000},
        "metadata": {"image/png": {"width": 5}},
        "transient": {"display_id": "7"},
    }
    kept = shorten(content, 10_000)
    assert kept["data"]["image/png"] == "p" * 100
    assert "text/html" not in kept["data"]
    assert kept["data"]["text/plain"].startswith("[text/html of 100,000 bytes left out")
    assert kept["data"]["text/plain"].endswith("a figure")
    assert kept["transient"] == {"display_id": "7"}


def test_a_picture_that_is_too_large_is_saved(tmp_path: Path) -> None:
    png, jpeg = bytes(range(256)) * 100, bytes(30_000)
    data = {"text/plain": "<Image>", "image/png": png, "image/jpeg": jpeg}
    (tmp_path / "image-1.png").write_text("the code's own")
    kept = shorten({"data": data, "metadata": {}}, 10_000, str(tmp_path))
    assert kept["data"] == {
        "text/plain": "[the picture is too large to be sent; it is saved as image-2.png]\n<Image>"
    }
    assert (tmp_path / "image-2.png").read_bytes() == png
    encoded = {"image/png": base64.b64encode(png).decode()}
    shorten({"data": encoded, "metadata": {}}, 10_000, str(tmp_path))
    assert (tmp_path / "image-3.png").read_bytes() == png
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("folder", ["", "/nonexistent"])
def test_a_picture_that_cannot_be_saved_is_left_out(folder: str) -> None:
    kept = shorten({"data": {"image/png": bytes(30_000)}, "metadata": {}}, 10_000, folder)
    assert "image/png of 40,000 bytes left out" in kept["data"]["text/plain"]


def test_a_traceback_keeps_both_ends() -> None:
    content = {
        "ename": "E",
        "evalue": "v" * 1_000_000,
        "traceback": ["first", *["x"] * 5000, "last"],
    }
    kept = shorten(content, 100_000)
    assert kept["ename"] == "E"
    assert len(kept["evalue"]) < 70_000
    assert len(kept["traceback"]) == 1000
    assert (kept["traceback"][0], kept["traceback"][-1]) == ("first", "last")
