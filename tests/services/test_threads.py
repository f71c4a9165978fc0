"""Threads and messages: what belongs together, and what goes with a thread."""

from __future__ import annotations

import asyncio

import pytest

from jupyter_ci_ext.errors import InvalidRequest, NotFound, SessionLost
from jupyter_ci_ext.events import RunLog
from jupyter_ci_ext.services.threads import Threads
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.message_params import CreateMessage, MessageListQuery, ModifyMessage
from jupyter_ci_ext.wire.params import ListQuery
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.thread_params import CreateThread, ModifyThread
from jupyter_ci_ext.wire.validation import parse

from .house import House, IdleSupervisor, in_house

CODE = [{"type": "code_interpreter"}]


@in_house
async def test_an_empty_body_makes_a_thread(house: House) -> None:
    thread = await house.services.threads.create(parse(CreateThread, None))
    dumped = (await house.services.threads.get(thread.id)).model_dump()
    assert dumped["metadata"] == {}
    assert dumped["tool_resources"] == {}


@in_house
async def test_first_messages_keep_their_order_and_bring_their_files(house: House) -> None:
    one, two = await house.file(), await house.file()
    search = {"file_id": two.id, "tools": [{"type": "file_search"}]}
    messages = [
        {"role": "user", "content": "a", "attachments": [{"file_id": one.id, "tools": CODE}]},
        {"role": "assistant", "content": "b", "attachments": [search]},
        {"role": "user", "content": "c", "attachments": [{"file_id": one.id, "tools": CODE}]},
    ]
    thread = await house.services.threads.create(parse(CreateThread, {"messages": messages}))
    assert thread.tool_resources.code_files == [one.id]
    assert await house.services.threads.get(thread.id) == thread
    page = await house.services.messages.list(thread.id, MessageListQuery(order="asc"))
    assert [text(each) for each in page.data] == ["a", "b", "c"]
    assert page.data[1].attachments[0].file_id == two.id


def text(message: Message) -> str:
    part = message.content[0]
    assert part.type == "text"
    return part.text.value


@in_house
async def test_one_bad_message_and_there_is_no_thread(house: House) -> None:
    bad = {"role": "user", "content": "b", "attachments": [{"file_id": "file-gone"}]}
    messages = [{"role": "user", "content": "a"}, bad]
    with pytest.raises(InvalidRequest, match="No such File object: file-gone") as caught:
        await house.services.threads.create(parse(CreateThread, {"messages": messages}))
    assert caught.value.param == "messages[1].attachments[0].file_id"
    assert (await house.rows("threads"), await house.rows("messages")) == (0, 0)


@in_house
async def test_a_picture_must_be_a_file_that_is_there(house: House) -> None:
    thread = await house.thread()
    picture = [{"type": "image_file", "image_file": {"file_id": "file-gone"}}]
    with pytest.raises(InvalidRequest) as caught:
        await house.services.messages.create(thread.id, house.message(picture))
    assert caught.value.param == "content[0].image_file.file_id"
    file = await house.file()
    picture = [{"type": "image_file", "image_file": {"file_id": file.id}}]
    message = await house.services.messages.create(thread.id, house.message(picture))
    assert message.model_dump()["content"][0]["image_file"] == {
        "file_id": file.id,
        "detail": "auto",
    }


@in_house
async def test_modify_replaces_what_is_given(house: House) -> None:
    file = await house.file()
    thread = await house.thread(metadata={"title": "old"})
    resources = {"code_interpreter": {"file_ids": [file.id]}}
    service = house.services.threads
    new = await service.modify(thread.id, parse(ModifyThread, {"tool_resources": resources}))
    assert new.tool_resources.code_files == [file.id]
    assert new.metadata == {"title": "old"}
    new = await service.modify(thread.id, parse(ModifyThread, {"metadata": {"title": "new"}}))
    assert await service.get(thread.id) == new
    assert (new.metadata, new.tool_resources.code_files) == ({"title": "new"}, [file.id])


@in_house
async def test_messages_wait_for_the_run(house: House) -> None:
    thread, assistant = await house.thread("hi"), await house.assistant()
    run = await house.run(thread, assistant)
    with pytest.raises(InvalidRequest) as caught:
        await house.services.messages.create(thread.id, house.message())
    assert caught.value.message == (
        f"Can't add messages to {thread.id} while a run {run.id} is active."
    )
    await house.services.threads.modify(thread.id, ModifyThread(metadata={"title": "x"}))
    await house.supervisor.put(run.id, status="completed")
    await house.services.messages.create(thread.id, house.message())


@in_house
async def test_messages_of_other_threads_are_not_found(house: House) -> None:
    here, there = await house.thread("a"), await house.thread("b")
    service = house.services.messages
    (message,) = (await service.list(here.id, MessageListQuery())).data
    assert await service.get(here.id, message.id) == message
    with pytest.raises(NotFound, match=f"No message found with id '{message.id}'."):
        await service.get(there.id, message.id)
    with pytest.raises(NotFound, match=r"No thread found with id 'nope'\."):
        await service.get("nope", message.id)
    with pytest.raises(NotFound, match=r"No thread found"):
        await service.list("nope", MessageListQuery())
    with pytest.raises(NotFound, match=r"No thread found"):
        await service.create("nope", house.message())


@in_house
async def test_metadata_is_all_that_changes_in_a_message(house: House) -> None:
    thread = await house.thread("a")
    service = house.services.messages
    (message,) = (await service.list(thread.id, MessageListQuery())).data
    changed = await service.modify(thread.id, message.id, ModifyMessage(metadata={"a": "b"}))
    assert changed == message.model_copy(update={"metadata": {"a": "b"}})
    assert await service.modify(thread.id, message.id, ModifyMessage()) == changed
    gone = await service.delete(thread.id, message.id)
    assert gone.object == "thread.message.deleted"
    assert (await service.list(thread.id, MessageListQuery())).data == []


@in_house
async def test_files_of_a_message_in_v1(house: House) -> None:
    thread, file = await house.thread(), await house.file()
    attached = {"file_id": file.id, "tools": CODE}
    params: CreateMessage = house.message(attachments=[attached, attached])
    message = await house.services.messages.create(thread.id, params)
    page = await house.services.messages.list_files(thread.id, message.id, ListQuery())
    assert [each.id for each in page.data] == [file.id]
    found = await house.services.messages.get_file(thread.id, message.id, file.id)
    assert (found.object, found.message_id) == ("thread.message.file", message.id)
    with pytest.raises(NotFound):
        await house.services.messages.get_file(thread.id, message.id, "file-else")


@in_house
async def test_a_deleted_thread_takes_everything_along(house: House) -> None:
    thread, assistant = await house.thread("a"), await house.assistant()
    run = await house.run(thread, assistant)
    gone = await house.services.threads.delete(thread.id)
    assert gone.model_dump() == {"id": thread.id, "object": "thread.deleted", "deleted": True}
    assert house.sessions.forgotten == [thread.id]
    assert [await house.rows(name) for name in ("threads", "messages", "runs")] == [0, 0, 0]
    with pytest.raises(NotFound, match="No thread found"):
        await house.services.runs.get(thread.id, run.id)
    with pytest.raises(NotFound, match="No thread found"):
        await house.services.threads.delete(thread.id)


class SlowToStop(IdleSupervisor):
    """Needs a while until a cancelled run is over; its last words come before that."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.logs: dict[str, RunLog] = {}
        self.ended: asyncio.Task[None] | None = None

    async def cancel(self, thread_id: str, run_id: str, /) -> Run:
        run = await self.put(run_id, status="cancelling")
        self.logs[run_id] = RunLog(run_id)
        self.ended = asyncio.create_task(self._end(run_id))
        return run

    async def _end(self, run_id: str) -> None:
        await asyncio.sleep(0.05)
        await self.put(run_id, status="cancelled")  # fails when the run is gone already
        self.logs[run_id].append("thread.run.cancelled", "{}")
        self.logs[run_id].close()

    def log(self, run_id: str, /) -> RunLog | None:
        return self.logs.get(run_id)


@in_house
async def test_a_thread_is_deleted_once_its_run_has_stopped(house: House) -> None:
    thread, assistant = await house.thread("a"), await house.assistant()
    await house.run(thread, assistant)
    supervisor = SlowToStop(house.store)
    await Threads(house.store, supervisor, house.sessions).delete(thread.id)
    assert supervisor.ended is not None
    await supervisor.ended
    assert [await house.rows(name) for name in ("threads", "messages", "runs")] == [0, 0, 0]
    assert house.sessions.forgotten == [thread.id]


class StubbornSessions:
    """Cannot let go of a workspace."""

    async def forget(self, key: str, /) -> None:
        raise SessionLost("The workspace cannot be removed.")


@in_house
async def test_a_workspace_that_stays_does_not_keep_the_thread(house: House) -> None:
    thread = await house.thread("a")
    service = Threads(house.store, house.supervisor, StubbornSessions())
    await service.delete(thread.id)
    assert await house.rows("threads") == 0


@in_house
async def test_threads_are_listed(house: House) -> None:
    ids = [(await house.thread()).id for _ in range(3)]
    page = await house.services.threads.list(ListQuery(order="asc", limit=2))
    assert [each.id for each in page.data] == ids[:2]
    assert page.has_more


@in_house
async def test_a_run_of_a_dead_server_does_not_hold_the_thread(house: House) -> None:
    thread = await house.thread("hi")
    run = await house.run(thread, await house.assistant())
    house.supervisor.dead.add(run.id)
    await house.services.messages.create(thread.id, house.message("again"))
    assert await house.rows("messages") == 2
