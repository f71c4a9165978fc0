"""Files of the user in the session, and files the code leaves."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_ci_ext.engine.brief import staged_names
from jupyter_ci_ext.llm.base import CallResult, FileNote, TextPart, UserMessage
from jupyter_ci_ext.wire.content import FilePathAnnotation, TextContent
from jupyter_ci_ext.wire.tools import (
    CodeInterpreterResources,
    CodeInterpreterTool,
    FileSearchTool,
    ToolResources,
)

from .house import Recorded, house_in, runs
from .models import ScriptedLLM, codes, says
from .sessions import Cell, ScriptedSessions


def linked(done: Recorded) -> list[tuple[str, str]]:
    """Text and file of the last message's links."""
    text = next(part for part in done.messages[-1].content if isinstance(part, TextContent))
    links = [each for each in text.text.annotations if isinstance(each, FilePathAnnotation)]
    return [(each.text, each.file_path.file_id) for each in links]


@runs
async def test_files_of_the_user_are_there_and_told(tmp_path: Path) -> None:
    llm = ScriptedLLM(codes("read()"), says("See [it](sandbox:/mnt/data/a.csv)."))
    sessions = ScriptedSessions(tmp_path / "w", Cell())
    async with house_in(tmp_path, llm, sessions) as house:
        attached, of_run = await house.file("a.csv"), await house.file("b.csv", b"x" * 2048)
        thread = await house.thread("Look")
        await house.say(thread, "At this", attached.id)
        resources = ToolResources(
            code_interpreter=CodeInterpreterResources(file_ids=[of_run.id, "file-gone"])
        )
        done = await house.finish(await house.start(thread, tool_resources=resources))
    assert sessions.session.names == {attached.id: "a.csv", of_run.id: "b.csv"}
    assert (sessions.session.folder / "b.csv").stat().st_size == 2048
    assert llm.asked[0].files == (
        FileNote(of_run.id, "b.csv", 2048),
        FileNote(attached.id, "a.csv", 8),
    )
    assert f"- /mnt/data/b.csv (id {of_run.id}, 2.0 KiB)" in llm.asked[0].system
    last = llm.asked[0].messages[-1]
    assert last == UserMessage((TextPart("At this\n\n[Attached: /mnt/data/a.csv]"),))
    assert linked(done) == [("sandbox:/mnt/data/a.csv", attached.id)]


@runs
async def test_files_are_rows_and_the_newest_version_is_linked(tmp_path: Path) -> None:
    answer = "[a](sandbox:/mnt/data/out/a.csv) [a](sandbox:/mnt/data/out/a.csv)"
    llm = ScriptedLLM(codes("one"), codes("two"), says(answer))
    sessions = ScriptedSessions(
        tmp_path / "w",
        Cell(files={"out/a.csv": b"1"}),
        Cell(files={"out/a.csv": b"22"}, notes=["big.bin was not saved: it is too large."]),
    )
    async with house_in(tmp_path, llm, sessions) as house:
        done = await house.go()
        first, second = await house.store.files.of_thread(done.run.thread_id)
        content = (house.store.blobs.path(second.sha256)).read_bytes()
    assert content == b"22"
    assert (first.file.filename, first.file.purpose, first.file.bytes) == (
        "a.csv", "assistants_output", 1,
    )  # fmt: skip
    assert first.step_id == done.steps[0].id
    assert first.run_id == done.run.id
    assert linked(done) == [("sandbox:/mnt/data/out/a.csv", second.id)] * 2
    assert [each.file_id for each in done.messages[-1].attachments] == [second.id]
    results = [m.text for m in llm.asked[2].messages if isinstance(m, CallResult)]
    assert "/mnt/data/out/a.csv (1 byte)" in results[0]
    assert "big.bin was not saved" in results[1]
    assert "big.bin" in done.steps[1].metadata["reason"]
    assert not list((tmp_path / "w").glob(".copy*")), "copies are taken away"


@runs
async def test_a_link_to_a_file_nobody_registered(tmp_path: Path) -> None:
    """It was there before, or was not collected: it gets an id when it is linked, once."""
    llm = ScriptedLLM(codes("x"), says("sandbox:/mnt/data/old.txt, sandbox:/mnt/data/old.txt"))
    sessions = ScriptedSessions(tmp_path / "w", Cell())
    (tmp_path / "w" / "old.txt").write_bytes(b"old")
    async with house_in(tmp_path, llm, sessions) as house:
        done = await house.go()
        [stored] = await house.store.files.of_thread(done.run.thread_id)
    assert stored.file.filename == "old.txt"
    assert stored.file.bytes == 3
    assert [id for _, id in linked(done)] == [stored.id] * 2


@runs
async def test_a_later_run_links_what_an_earlier_one_made(tmp_path: Path) -> None:
    llm = ScriptedLLM(
        codes("x"),
        says("Done."),
        says("[a](sandbox:/mnt/data/a.csv)"),
        codes("y"),
        says("[a](sandbox:/mnt/data/a.csv)"),
    )
    sessions = ScriptedSessions(tmp_path / "w", Cell(files={"a.csv": b"1"}), Cell())
    async with house_in(tmp_path, llm, sessions) as house:
        thread = await house.thread()
        await house.finish(await house.start(thread))
        without_session = await house.finish(await house.start(thread))
        with_session = await house.finish(await house.start(thread))
        [stored] = await house.store.files.of_thread(thread.id)
    assert (
        linked(without_session) == linked(with_session) == [("sandbox:/mnt/data/a.csv", stored.id)]
    )
    assert "- a.csv (1 byte)" in llm.asked[2].system


@runs
async def test_links_lead_nowhere_else(tmp_path: Path) -> None:
    text = "sandbox:/mnt/data/../secret sandbox:/mnt/data/%2e%2e/secret sandbox:/mnt/data//etc/passwd sandbox:/mnt/data/a%00b"
    sessions = ScriptedSessions(tmp_path / "w", Cell())
    (tmp_path / "secret").write_text("secret")
    async with house_in(tmp_path, ScriptedLLM(codes("x"), says(text)), sessions) as house:
        done = await house.go()
    assert done.run.status == "completed"
    assert done.text == text
    assert linked(done) == []


@runs
async def test_two_files_of_one_name_have_two_names(tmp_path: Path) -> None:
    async with house_in(tmp_path, ScriptedLLM(), ScriptedSessions(tmp_path / "w")) as house:
        ids = [(await house.file("a.csv")).id for _ in range(3)] + [(await house.file("../b")).id]
        files = await house.store.files.get_many(ids)
    names = staged_names([files[id] for id in ids])
    assert [names[id] for id in ids] == ["a.csv", "a (2).csv", "a (3).csv", "b"]


@runs
async def test_files_by_the_ids_azure_has_for_them(tmp_path: Path) -> None:
    sessions = ScriptedSessions(tmp_path / "w", Cell(), Cell())
    async with house_in(tmp_path, llm := ScriptedLLM(), sessions) as house:
        mentioned, other = await house.file("a.csv"), await house.file("b.csv")
        theirs = mentioned.id.replace("file-", "assistant-")
        llm.queue(
            codes("open('a.csv')"),
            codes(f"open('/mnt/data/{theirs}')"),
            says(f"See [it](sandbox:/mnt/data/{theirs})."),
        )
        thread = await house.thread(f"Read {theirs}")
        await house.say(thread, "Now", mentioned.id, other.id)
        done = await house.finish(await house.start(thread))
    assert f"- /mnt/data/a.csv (id {theirs}, 8 bytes)" in llm.asked[0].system
    assert f"- /mnt/data/b.csv (id {other.id}, 8 bytes)" in llm.asked[0].system
    assert sessions.session.aliases[theirs] == "a.csv"
    assert linked(done) == [(f"sandbox:/mnt/data/{theirs}", mentioned.id)]


@runs
async def test_ids_of_azure_are_not_there_for_code_that_does_not_name_them(tmp_path: Path) -> None:
    sessions = ScriptedSessions(tmp_path / "w", Cell())
    async with house_in(tmp_path, ScriptedLLM(codes("x"), says("Ok.")), sessions) as house:
        thread = await house.thread("Look")
        await house.say(thread, "At this", (await house.file()).id)
        await house.finish(await house.start(thread))
    assert sessions.session.names
    assert sessions.session.aliases == {}


@pytest.mark.parametrize("code", [False, True])
@runs
async def test_a_model_that_was_promised_file_search_is_told(tmp_path: Path, code: bool) -> None:
    llm = ScriptedLLM(says("I cannot search."))
    async with house_in(tmp_path, llm, ScriptedSessions(tmp_path / "w")) as house:
        file = await house.file("a.csv")
        thread = await house.thread("Hello")
        await house.say(thread, "What is in it?", file.id, tool="file_search")
        tools = [FileSearchTool(), *([CodeInterpreterTool()] if code else [])]
        done = await house.finish(await house.start(thread, tools=tools))
    assert done.text == "I cannot search."
    assert "nothing was searched, nothing can be cited" in llm.asked[0].system
    assert ("read them with Python" in llm.asked[0].system) is code
    assert [note.name for note in llm.asked[0].files] == ["a.csv"] * code
