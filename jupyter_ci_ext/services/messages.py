"""Messages of threads, and their files as the API's first version has them."""

from __future__ import annotations

from ..errors import InvalidRequest, NotFound
from ..ids import new_id
from ..store.database import Store
from ..store.transaction import Tables, Transaction
from ..wire.common import Deleted, ListPage
from ..wire.message import Message
from ..wire.message_params import CreateMessage, MessageListQuery, ModifyMessage
from ..wire.params import ListQuery
from ..wire.stored import StoredPage
from ..wire.thread import Thread
from ..wire.v1 import MessageFile
from .attached import page_of
from .collaborators import RunSupervisor
from .lookup import look_after_thread, now, require_files, require_message, require_thread


class Messages:
    """The rules about messages."""

    def __init__(self, store: Store, supervisor: RunSupervisor) -> None:
        self._store = store
        self._supervisor = supervisor

    async def create(self, thread_id: str, params: CreateMessage) -> Message:
        """Add a message; raises `InvalidRequest` while a run holds the thread."""

        async def add(tx: Transaction) -> Message:
            thread = await require_thread(tx, thread_id)
            await tx.runs.require_idle(thread_id)
            _, message = await add_message(tx, thread, params)
            return message

        try:
            return await self._store.writing(add)
        except InvalidRequest:
            if not await look_after_thread(self._store, self._supervisor, thread_id):
                raise
            return await self._store.writing(add)

    async def get(self, thread_id: str, id: str) -> Message:
        """The message; raises `NotFound`."""
        return await require_message(self._store, thread_id, id)

    async def list(self, thread_id: str, query: MessageListQuery) -> StoredPage[Message]:
        """One page of the thread's messages, or of those one run wrote."""

        async def page(tables: Tables) -> StoredPage[Message]:
            await require_thread(tables, thread_id)
            return await tables.messages.page(
                query.limit,
                query.order,
                query.after,
                query.before,
                thread_id=thread_id,
                run_id=query.run_id,
            )

        return await self._store.reading(page)

    async def modify(self, thread_id: str, id: str, params: ModifyMessage) -> Message:
        """The message with other metadata."""

        async def change(tx: Transaction) -> Message:
            message = await require_message(tx, thread_id, id)
            if params.given("metadata"):
                message = message.model_copy(update={"metadata": params.metadata or {}})
                await tx.messages.update(message)
            return message

        return await self._store.writing(change)

    async def delete(self, thread_id: str, id: str) -> Deleted:
        """Remove the message."""

        async def remove(tx: Transaction) -> None:
            await require_message(tx, thread_id, id)
            await tx.messages.delete(id)

        await self._store.writing(remove)
        return Deleted(id=id, object="thread.message.deleted")

    # ---- files, as v1 has them ------------------------------------------------------------

    async def list_files(self, thread_id: str, id: str, query: ListQuery) -> ListPage[MessageFile]:
        """One page of the message's files."""
        return page_of(_files_of(await require_message(self._store, thread_id, id)), query)

    async def get_file(self, thread_id: str, id: str, file_id: str) -> MessageFile:
        """One of the message's files; raises `NotFound`."""
        message = await require_message(self._store, thread_id, id)
        for file in _files_of(message):
            if file.id == file_id:
                return file
        raise NotFound(f"No file found with id '{file_id[:100]}' attached to '{id}'.")


async def add_message(
    tx: Transaction, thread: Thread, params: CreateMessage, prefix: str = ""
) -> tuple[Thread, Message]:
    """Store a message that a client wrote; *prefix* leads to *params* within the body.

    What it attaches for the code interpreter is added to the thread, which is returned as it is
    then.
    """
    await require_files(tx, [(prefix + param, id) for param, id in params.file_ids()])
    stamp = now()
    message = Message(
        id=new_id("message"),
        created_at=stamp,
        thread_id=thread.id,
        completed_at=stamp,
        role=params.role,
        content=params.to_content(),
        attachments=params.to_attachments(),
        metadata=params.metadata or {},
    )
    await tx.messages.insert(message)
    old = thread.tool_resources.code_files
    attached = [
        attachment.file_id
        for attachment in message.attachments
        if any(tool.type == "code_interpreter" for tool in attachment.tools)
    ]
    new = list(dict.fromkeys([*old, *attached]))
    if new != old:
        resources = thread.tool_resources.with_code_files(new)
        thread = thread.model_copy(update={"tool_resources": resources})
        await tx.threads.update(thread)
    return thread, message


def _files_of(message: Message) -> list[MessageFile]:
    ids = dict.fromkeys(attachment.file_id for attachment in message.attachments)
    return [MessageFile(id=id, created_at=message.created_at, message_id=message.id) for id in ids]
