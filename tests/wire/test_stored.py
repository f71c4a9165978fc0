"""Lists are put together from what is stored, and are the same bytes as if they had been read."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic_core import to_json

from jupyter_ci_ext.wire.assistant import Assistant
from jupyter_ci_ext.wire.common import ListPage, WireObject, dump
from jupyter_ci_ext.wire.file import File
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import RunStep
from jupyter_ci_ext.wire.stored import StoredPage, as_stored
from jupyter_ci_ext.wire.thread import Thread

from .shapes import Shapes, fields

LISTED: tuple[type[WireObject], ...] = (Assistant, Thread, Message, Run, RunStep, File)

RECORDED = Path(__file__).parent / "data"


def as_read(model: type[WireObject], rows: list[tuple[str, str]], more: bool) -> bytes:
    """The answer that is made of objects."""
    page = ListPage.of([model.model_validate_json(text) for _, text in rows], more)
    return to_json(page, indent=2)


@pytest.mark.parametrize("model", LISTED)
def test_a_list_is_answered_as_if_its_objects_had_been_read(model: type[WireObject]) -> None:
    shapes = Shapes(7)
    for count in (0, 1, 2, 200):
        listed = [shapes.object(model) for _ in range(count)]
        stored = [(str(each.model_dump()["id"]), as_stored(each)) for each in listed]
        page = StoredPage(model, stored, bool(count % 2))
        assert page.to_json().encode() == as_read(model, stored, page.has_more)
        # every other row was written by an earlier version: in one line
        older = [(id, dump(each)) for (id, _), each in zip(stored, listed, strict=True)]
        mixed = [pair[n % 2] for n, pair in enumerate(zip(stored, older, strict=True))]
        assert StoredPage(model, mixed, page.has_more).to_json() == page.to_json()
        for each, (_, text) in zip(page.data, stored, strict=True):
            assert as_stored(each) == text


def test_only_what_is_concerned_is_changed() -> None:
    threads = [Thread(id=f"thread_{n}", created_at=n) for n in range(3)]
    rows = [(each.id, as_stored(each)) for each in threads]
    later = {each.id: each.model_copy(update={"created_at": 9}) for each in threads}
    page = StoredPage(Thread, rows, True).changed(
        lambda text: '"thread_1"' in text, lambda thread: later[thread.id]
    )
    assert page.data == [threads[0], later["thread_1"], threads[2]]
    assert (page.first_id, page.last_id, page.has_more) == ("thread_0", "thread_2", True)


def test_rows_have_all_fields_there_are() -> None:
    """The file's number is that of the schema since which rows have these fields.

    When this fails: add a migration that makes rows one line again (``replace(body, char(10),
    '')``), the dump of its schema that every migration needs, and the new fields under its number.
    """
    newest = max(RECORDED.glob("fields-*.txt"), key=lambda path: int(path.stem.split("-")[1]))
    found = "".join(f"{line}\n" for model in LISTED for line in fields(model))
    assert found == newest.read_text(encoding="utf-8")
