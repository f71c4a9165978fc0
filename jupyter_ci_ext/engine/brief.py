"""Reading what a run needs to know from the store, once per stretch of work."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Final

from jupyter_ci_ext import to_thread
from jupyter_ci_ext.engine.allowance import Spent
from jupyter_ci_ext.engine.environment import (
    UNKNOWN,
    describe,
    describe_search,
    installed,
)
from jupyter_ci_ext.engine.limits import RunLimits
from jupyter_ci_ext.engine.transcript import (
    Background,
    first_turn,
    has_code_interpreter,
    pictures_wanted,
)
from jupyter_ci_ext.kernels.attach import METADATA_KEY
from jupyter_ci_ext.kernels.names import free_name, safe_name
from jupyter_ci_ext.kernels.workspace import StagedFile
from jupyter_ci_ext.llm.base import LLM, FileNote, ImagePart, Turn
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.store.files import StoredFile
from jupyter_ci_ext.store.transaction import Tables
from jupyter_ci_ext.wire.azure import file_id_out
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import RunStep, ToolCallsDetails
from jupyter_ci_ext.wire.thread import Thread

_RUNS: Final = 20
"""Newest runs of a thread whose code is told to the model."""

_STEPS: Final = 100
"""Most steps of an earlier run that are read."""

_MAGIC: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"RIFF": "image/webp",
}


@dataclass(frozen=True)
class Brief:
    """All that one stretch of work on a run starts from."""

    turn: Turn
    spent: Spent
    files: Sequence[StagedFile]
    names: Mapping[str, str]
    """The names under which the model is told of ``files``, by id."""
    made: Sequence[StoredFile]
    """What code of the thread wrote before, oldest first."""
    folder: str
    """The user's folder that the code may read, below the server's root; empty for none."""
    earlier_code: bool
    """Whether code ran on the thread before, whose variables the model may count on."""


@dataclass(frozen=True)
class _Found:
    thread: Thread | None
    messages: Sequence[Message]
    runs: Sequence[Run]
    steps: Mapping[str, Sequence[RunStep]]
    uploads: Sequence[StoredFile]
    files: Sequence[StoredFile]


async def _look(tables: Tables, *, run: Run, history: int) -> _Found:
    """What there is for *run*, read in one trip to the store."""
    thread_id = run.thread_id
    thread = await tables.threads.get(thread_id)
    messages = (await tables.messages.page(history, "desc", thread_id=thread_id)).data[::-1]
    runs = (await tables.runs.page(_RUNS, "desc", thread_id=thread_id)).data[::-1]
    steps = {
        each.id: (await tables.steps.page(_STEPS, "asc", run_id=each.id)).data for each in runs
    }
    steps[run.id] = await tables.steps.of_run(run.id)  # what it has done itself it must all know
    uploads = await _uploads(tables, run, thread, messages)
    files = await tables.files.of_thread(thread_id)
    return _Found(thread, messages, runs, steps, uploads, files)


async def read_brief(
    store: Store, run: Run, llm: LLM, model: str, limits: RunLimits, *, resumed: bool
) -> Brief:
    """The brief for *run*; *resumed* when it goes on with submitted outputs."""
    found = await store.reading(partial(_look, run=run, history=limits.history))
    messages, runs, steps, uploads = found.messages, found.runs, found.steps, found.uploads
    labels = found.thread.metadata if found.thread else {}
    folder = (labels.get(METADATA_KEY) or "") if limits.folders else ""
    names = staged_names(uploads)
    shown = {id for each in steps.values() for step in each for id in _shown(step)}
    made = [file for file in found.files if file.id not in shown]
    background = Background(
        messages=messages,
        runs=runs,
        steps=steps,
        files=[FileNote(file.id, names[file.id], file.file.bytes) for file in uploads],
    )
    if llm.vision:
        wanted = pictures_wanted(run, background)[: limits.pictures]
        background = replace(background, pictures=await _pictures(store, wanted, limits))
    environment = ""
    if has_code_interpreter(run):
        environment = describe(
            [replace(file, id=_known_as(file.id, run, messages)) for file in background.files],
            list(
                {
                    file.file.filename: (file.file.filename, file.file.bytes) for file in made
                }.values()
            ),
            limits,
            await to_thread.run_sync(installed, limits.python)
            if limits.packages is None
            else limits.packages or UNKNOWN,
            folder,
        )
    if any(tool.type == "file_search" for tool in run.tools):
        search = describe_search(code=has_code_interpreter(run))
        environment = f"{environment}\n\n{search}" if environment else search
    turn = first_turn(
        run, background, model=model, environment=environment, told=limits.told_characters
    )
    return Brief(
        turn=turn,
        spent=_spent(steps.get(run.id, ()), resumed=resumed),
        files=[
            StagedFile(file.id, file.file.filename, store.blobs.path(file.sha256), file.file.bytes)
            for file in uploads
        ],
        names=names,
        made=made,
        folder=folder,
        earlier_code=any(_codes(step) for each in steps.values() for step in each),
    )


def _known_as(file_id: str, run: Run, messages: Sequence[Message]) -> str:
    """The id the user calls a file by, which for users of Azure's clients is another one."""
    texts = [part.text.value for each in messages for part in each.content if part.type == "text"]
    azure = file_id_out(file_id)
    return azure if any(azure in text for text in (run.instructions or "", *texts)) else file_id


def staged_names(files: Sequence[StoredFile]) -> dict[str, str]:
    """The names that files get below ``/mnt/data``, as far as can be told before they are there."""
    taken = {file.id for file in files}
    names: dict[str, str] = {}
    for file in files:
        names[file.id] = free_name(safe_name(file.file.filename), taken)
        taken.add(names[file.id])
    return names


async def _uploads(
    tables: Tables, run: Run, thread: Thread | None, messages: Sequence[Message]
) -> list[StoredFile]:
    """The user's files the run's code can read: of assistant, run, thread and messages."""
    assistant = await tables.assistants.get(run.assistant_id)
    ids = list(run.tool_resources.code_files)
    if assistant is not None:
        ids += assistant.tool_resources.code_files
    if thread is not None:
        ids += thread.tool_resources.code_files
    # Files meant for a search that does not take place can at least be read by code.
    readers = {"code_interpreter", "file_search"} if has_code_interpreter(run) else set()
    for message in messages:
        for attachment in message.attachments:
            if message.run_id is None and any(tool.type in readers for tool in attachment.tools):
                ids.append(attachment.file_id)
    ids = list(dict.fromkeys(ids))
    found = await tables.files.get_many(ids)
    return [found[id] for id in ids if id in found]


async def _pictures(store: Store, ids: Sequence[str], limits: RunLimits) -> dict[str, ImagePart]:
    found = await store.files.get_many(list(ids))
    pictures: dict[str, ImagePart] = {}
    for id, stored in found.items():
        if stored.file.bytes > limits.picture_bytes:
            continue
        data = await to_thread.run_sync(_read, store.blobs.path(stored.sha256))
        mime = next((mime for magic, mime in _MAGIC.items() if data.startswith(magic)), None)
        if mime is not None:
            pictures[id] = ImagePart(data=data, mime=mime)
    return pictures


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _spent(steps: Sequence[RunStep], *, resumed: bool) -> Spent:
    """What the run has used, as its steps tell."""
    usages = [step.usage for step in steps if step.usage is not None]
    return Spent(
        prompt_tokens=sum(usage.prompt_tokens for usage in usages),
        completion_tokens=sum(usage.completion_tokens for usage in usages),
        code_calls=sum(map(_codes, steps)),
        turns=int(resumed),
    )


def _codes(step: RunStep) -> int:
    """How many pieces of code a step ran."""
    details = step.step_details
    if not isinstance(details, ToolCallsDetails):
        return 0
    return sum(call.type == "code_interpreter" for call in details.tool_calls)


def _shown(step: RunStep) -> list[str]:
    """Ids of the pictures that a step's code showed, which are no files of the workspace."""
    details = step.step_details
    if not isinstance(details, ToolCallsDetails):
        return []
    return [
        output.image.file_id
        for call in details.tool_calls
        if call.type == "code_interpreter"
        for output in call.code_interpreter.outputs
        if output.type == "image"
    ]
