"""Outputs of a code call as a notebook has them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat.v4

from jupyter_ci_ext.engine.cells import ERROR_MIME, STDOUT_MIME
from jupyter_ci_ext.services.notebook import _picture, _Writer
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.run_step import CodeInterpreterToolCall


async def cell_of(tmp_path: Path, *outputs: dict[str, Any]) -> Any:
    store = await Store.open(tmp_path / "data")
    try:
        call = CodeInterpreterToolCall.model_validate(
            {"id": "call_1", "code_interpreter": {"input": "x", "outputs": list(outputs)}}
        )
        cell = await _Writer(store, {}, "talk_files").cell(call)
    finally:
        await store.close()
    notebook = nbformat.v4.new_notebook(cells=[cell])
    nbformat.validate(notebook)
    return cell


def rich(replaces: int, **data: Any) -> dict[str, Any]:
    return {"type": "display_data", "data": data, "metadata": {"replaces": replaces}}


def logs(text: str) -> dict[str, Any]:
    return {"type": "logs", "logs": text}


async def test_a_rich_form_takes_the_place_of_the_plain_one(tmp_path: Path) -> None:
    table = rich(1, **{"text/html": "<table>", "text/plain": "1"})
    cell = await cell_of(tmp_path, logs("a"), logs("1"), logs("b"), table)
    assert [each.output_type for each in cell.outputs] == ["stream", "display_data", "stream"]
    assert cell.outputs[1].metadata == {}


async def test_a_traceback_is_an_error_and_colours_stay(tmp_path: Path) -> None:
    error = {"ename": "KeyError", "evalue": "x", "traceback": "one\ntwo"}
    red = "\x1b[31mred\x1b[0m"
    printed, raised = rich(0, **{STDOUT_MIME: red}), rich(1, **{ERROR_MIME: error})
    cell = await cell_of(tmp_path, logs("red"), logs("KeyError: x"), raised, printed)
    assert cell.outputs[0].text == red
    assert cell.outputs[1].output_type == "error"
    assert cell.outputs[1].traceback == ["one", "two"]
    assert cell.metadata["tags"] == ["raises-exception"]
    assert "tags" not in (await cell_of(tmp_path, logs("fine"))).metadata


def test_pictures_are_named_by_what_they_are() -> None:
    assert _picture(b"\x89PNG\r\n")[0] == "image/png"
    assert _picture(b"\xff\xd8\xff")[0] == "image/jpeg"
    assert _picture(b"<svg/>") == ("image/svg+xml", "<svg/>")
