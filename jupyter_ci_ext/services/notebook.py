"""A thread as a notebook that can be run again: questions and answers as text, code as cells.

Paths below ``/mnt/data`` become paths below a folder beside the notebook, where its files go, too.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import nbformat.v4
from nbformat import NotebookNode

from ..engine.cells import ERROR_MIME, STDOUT_MIME
from ..store.database import Store
from ..store.files import StoredFile
from ..wire.content import Content
from ..wire.message import Message
from ..wire.run import Run
from ..wire.run_step import (
    CodeInterpreterOutput,
    CodeInterpreterToolCall,
    DisplayDataOutput,
    RunStep,
    ToolCallsDetails,
)
from .lookup import require_thread

v4: Any = nbformat.v4  # has no types

_PAGE = 100
_DATA = "/mnt/data/"
_LINK = re.compile(r"sandbox:/mnt/data/([^)\s\"'>]+)")
# Larger pictures stay files beside the notebook.
_MOST_PICTURE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True)
class Export:
    """A notebook, and the files that go into *folder* beside it, by name."""

    notebook: NotebookNode
    folder: str
    files: Mapping[str, StoredFile]


class Notebooks:
    """Makes notebooks of threads."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def export(self, thread_id: str, folder: str) -> Export:
        """The thread as a notebook whose files are in *folder*; raises `NotFound`."""
        thread = await require_thread(self._store, thread_id)
        attached = await self._store.files.get_many(thread.tool_resources.code_files)
        written = await self._store.files.of_thread(thread_id)
        files = _named([*attached.values(), *written])
        paths = {f"{_DATA}{file.id}": f"{folder}/{name}" for name, file in files.items()}
        cells: list[NotebookNode] = []
        writer = _Writer(self._store, paths, folder)
        for item in await self._story(thread_id):
            if isinstance(item, Message):
                cells.append(v4.new_markdown_cell("**Question**\n\n" + writer.text(item.content)))
            else:
                cells += await self._run(item, writer)
        notebook = v4.new_notebook(
            cells=cells,
            metadata={
                "kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"},
                "language_info": {"name": "python"},
            },
        )
        return Export(notebook, folder, files)

    async def _story(self, thread_id: str) -> list[Message | Run]:
        """What people wrote and the runs that followed, in their order.

        A run stands where its first message stands; one that wrote none, by its time.
        """
        waiting = await self._runs(thread_id)
        story: list[Message | Run] = []
        for message in await self._messages(thread_id):
            if message.run_id is None:
                done = sum(1 for run in waiting if run.created_at < message.created_at)
            else:
                ids = [run.id for run in waiting]
                done = ids.index(message.run_id) + 1 if message.run_id in ids else 0
            story += waiting[:done]
            del waiting[:done]
            if message.run_id is None:
                story.append(message)
        return story + waiting

    async def _messages(self, thread_id: str) -> list[Message]:
        found: list[Message] = []
        while True:
            after = found[-1].id if found else None
            page = await self._store.messages.page(_PAGE, "asc", after, thread_id=thread_id)
            found += page.data
            if not page.has_more:
                return found

    async def _runs(self, thread_id: str) -> list[Run]:
        found: list[Run] = []
        while True:
            after = found[-1].id if found else None
            page = await self._store.runs.page(_PAGE, "asc", after, thread_id=thread_id)
            found += page.data
            if not page.has_more:
                return found

    async def _run(self, run: Run, writer: _Writer) -> list[NotebookNode]:
        cells: list[NotebookNode] = []
        for step in await self._steps(run.id):
            details = step.step_details
            if isinstance(details, ToolCallsDetails):
                calls = [c for c in details.tool_calls if isinstance(c, CodeInterpreterToolCall)]
                cells += [await writer.cell(call) for call in calls]
                continue
            message = await self._store.messages.get(details.message_creation.message_id)
            if message is not None:
                cells.append(v4.new_markdown_cell(writer.text(message.content)))
        return cells

    async def _steps(self, run_id: str) -> list[RunStep]:
        found: list[RunStep] = []
        while True:
            after = found[-1].id if found else None
            page = await self._store.steps.page(_PAGE, "asc", after, run_id=run_id)
            found += page.data
            if not page.has_more:
                return found


class _Writer:
    """Turns pieces of a thread into pieces of a notebook."""

    def __init__(self, store: Store, paths: Mapping[str, str], folder: str) -> None:
        self._store = store
        self._paths = paths
        self._folder = folder

    def text(self, content: Iterable[Content]) -> str:
        """The text of a message; pictures the code made are in the cells already."""
        texts = [part.text.value for part in content if part.type == "text"]
        return _LINK.sub(lambda found: f"{self._folder}/{quote(found[1])}", "\n\n".join(texts))

    async def cell(self, call: CodeInterpreterToolCall) -> NotebookNode:
        """A piece of code with what it gave."""
        source = call.code_interpreter.input
        for path, local in self._paths.items():
            source = source.replace(path, local)
        source = source.replace(_DATA, f"{self._folder}/")
        # A rich form comes last and stands where the plain one was.
        by_place: dict[int, CodeInterpreterOutput] = {}
        for index, each in enumerate(call.code_interpreter.outputs):
            if each.type == "display_data":
                by_place[each.metadata.get("replaces", index)] = each
            else:
                by_place[index] = each
        made = [await self._output(by_place[place]) for place in sorted(by_place)]
        shown = [output for output in made if output is not None]
        cell: NotebookNode = v4.new_code_cell(source, outputs=shown)
        if any(output.output_type == "error" for output in shown):
            # An attempt that failed, and was made better further down, fails again: whoever runs
            # all cells is to come to those that follow.
            cell.metadata["tags"] = ["raises-exception"]
        return cell

    async def _output(self, output: CodeInterpreterOutput) -> NotebookNode | None:
        made: NotebookNode
        if output.type == "logs":
            made = v4.new_output("stream", name="stdout", text=output.logs)
        elif output.type == "display_data":
            made = _rich(output)
        else:
            file = await self._store.files.get(output.image.file_id)
            if file is None or file.file.bytes > _MOST_PICTURE_BYTES:
                return None
            content = b"".join([chunk async for chunk in self._store.blobs.read(file.sha256)])
            mime, picture = _picture(content)
            made = v4.new_output("display_data", data={mime: picture})
        return made


def _rich(output: DisplayDataOutput) -> NotebookNode:
    """A rich output as nbformat has it; tracebacks and coloured text have forms of their own."""
    made: NotebookNode
    if (error := output.data.get(ERROR_MIME)) is not None:
        lines = str(error.get("traceback", "")).split("\n")
        made = v4.new_output(
            "error", ename=error.get("ename", ""), evalue=error.get("evalue", ""), traceback=lines
        )
    elif (printed := output.data.get(STDOUT_MIME)) is not None:
        made = v4.new_output("stream", name="stdout", text=printed)
    else:
        metadata = {key: value for key, value in output.metadata.items() if key != "replaces"}
        made = v4.new_output("display_data", data=output.data, metadata=metadata)
    return made


def _picture(content: bytes) -> tuple[str, str]:
    """MIME type and value of a picture, as nbformat has it: SVG is text, the others base64."""
    if content.startswith(b"\xff\xd8"):
        return "image/jpeg", base64.b64encode(content).decode()
    if content.startswith(b"\x89PNG"):
        return "image/png", base64.b64encode(content).decode()
    return "image/svg+xml", content.decode("utf-8", "replace")


def _named(files: Iterable[StoredFile]) -> dict[str, StoredFile]:
    """Each file under a name of its own that is safe on any file system."""
    found: dict[str, StoredFile] = {}
    for file in files:
        name = safe_name(file.file.filename)
        if name in found:
            stem, dot, end = name.rpartition(".")
            tail = file.id[-6:]
            name = f"{stem}-{tail}.{end}" if dot and stem else f"{name}-{tail}"
        found[name] = file
    return found


def safe_name(filename: str) -> str:
    """The last part of a name that a client or code gave, fit for the user's own folder."""
    base = filename.replace("\\", "/").rstrip("/").rpartition("/")[2]
    kept = "".join("_" if not char.isprintable() or char in ':*?"<>|' else char for char in base)
    kept = kept.strip().lstrip(".")
    while len(kept.encode()) > 200:
        kept = kept[1:]
    return kept or "file"
