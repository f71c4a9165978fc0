"""Assistants, and their files as the API's first version has them."""

from __future__ import annotations

from typing import Any

from ..errors import InvalidRequest, NotFound
from ..ids import new_id
from ..store.database import Store
from ..store.transaction import Tables, Transaction
from ..wire.assistant import Assistant
from ..wire.assistant_params import CreateAssistant, ModifyAssistant
from ..wire.choice_params import to_format
from ..wire.common import Deleted, ListPage
from ..wire.params import ListQuery
from ..wire.stored import StoredPage
from ..wire.tool_params import (
    ToolResourcesParam,
    changed_resources,
    to_resources,
    to_tools,
)
from ..wire.v1 import AssistantFile
from ..wire.v1_params import CreateAssistantFile
from .attached import page_of
from .collaborators import ModelCatalog
from .lookup import now, require_assistant, require_file, require_files

_MOST_FILES = 20


class Assistants:
    """The rules about assistants."""

    def __init__(self, store: Store, models: ModelCatalog) -> None:
        self._store = store
        self._models = models

    async def create(self, params: CreateAssistant) -> Assistant:
        """A new assistant; raises `NotFound` for a model that does not exist."""
        await self._models.check(params.model)
        tools = to_tools(params.tools)
        assistant = Assistant(
            id=new_id("assistant"),
            created_at=now(),
            name=params.name,
            description=params.description,
            model=params.model,
            instructions=params.instructions,
            tools=tools,
            top_p=1.0 if params.top_p is None else params.top_p,
            temperature=1.0 if params.temperature is None else params.temperature,
            reasoning_effort=params.reasoning_effort,
            tool_resources=to_resources(params.tool_resources, tools),
            metadata=params.metadata or {},
            response_format=to_format(params.response_format),
        )

        async def add(tx: Transaction) -> Assistant:
            await _check_files(tx, params.tool_resources)
            await tx.assistants.insert(assistant)
            return assistant

        return await self._store.writing(add)

    async def get(self, id: str) -> Assistant:
        """The assistant; raises `NotFound`."""
        return await require_assistant(self._store, id)

    async def list(self, query: ListQuery) -> StoredPage[Assistant]:
        """One page of all assistants."""
        return await self._store.reading(
            lambda tables: tables.assistants.page(
                query.limit, query.order, query.after, query.before
            )
        )

    async def modify(self, id: str, params: ModifyAssistant) -> Assistant:
        """The assistant with what is given in place of what was there."""
        await require_assistant(self._store, id)
        if params.model is not None:
            await self._models.check(params.model)

        async def change(tx: Transaction) -> Assistant:
            await _check_files(tx, params.tool_resources)
            old = await require_assistant(tx, id)
            assistant = old.model_copy(update=_changes(old, params))
            await tx.assistants.update(assistant)
            return assistant

        return await self._store.writing(change)

    async def delete(self, id: str) -> Deleted:
        """Remove the assistant; its threads and runs stay."""

        async def remove(tx: Transaction) -> None:
            await require_assistant(tx, id)
            await tx.assistants.delete(id)

        await self._store.writing(remove)
        return Deleted(id=id, object="assistant.deleted")

    # ---- files, as v1 has them ------------------------------------------------------------

    async def add_file(self, id: str, params: CreateAssistantFile) -> AssistantFile:
        """Attach an uploaded file."""
        async with self._store.transaction() as tx:
            assistant = await require_assistant(tx, id)
            await require_files(tx, [("file_id", params.file_id)])
            ids = assistant.tool_resources.code_files
            if params.file_id not in ids:
                if len(ids) >= _MOST_FILES:
                    raise InvalidRequest(
                        f"Invalid 'file_ids': array too long. Expected an array with maximum "
                        f"length {_MOST_FILES}, but got an array with length {len(ids) + 1} "
                        "instead.",
                        param="file_ids",
                        code="array_above_max_length",
                    )
                await tx.assistants.update(_with_files(assistant, [*ids, params.file_id]))
            stored = await require_file(tx, params.file_id)
        return _file_of(assistant, stored.id, stored.file.created_at)

    async def get_file(self, id: str, file_id: str) -> AssistantFile:
        """One of the assistant's files; raises `NotFound`."""
        assistant = await require_assistant(self._store, id)
        if file_id not in assistant.tool_resources.code_files:
            raise NotFound(f"No file found with id '{file_id[:100]}' attached to '{id}'.")
        stored = await require_file(self._store, file_id)
        return _file_of(assistant, stored.id, stored.file.created_at)

    async def list_files(self, id: str, query: ListQuery) -> ListPage[AssistantFile]:
        """One page of the assistant's files."""
        assistant = await require_assistant(self._store, id)
        ids = assistant.tool_resources.code_files
        there = await self._store.files.get_many(ids)
        files = [_file_of(assistant, n, there[n].file.created_at) for n in ids if n in there]
        return page_of(files, query)

    async def remove_file(self, id: str, file_id: str) -> Deleted:
        """Detach a file, which itself stays."""
        async with self._store.transaction() as tx:
            assistant = await require_assistant(tx, id)
            ids = assistant.tool_resources.code_files
            if file_id not in ids:
                raise NotFound(f"No file found with id '{file_id[:100]}' attached to '{id}'.")
            await tx.assistants.update(_with_files(assistant, [n for n in ids if n != file_id]))
        return Deleted(id=file_id, object="assistant.file.deleted")


async def _check_files(tables: Tables, resources: ToolResourcesParam | None) -> None:
    ids = resources.file_ids if resources else ()
    param = "tool_resources.code_interpreter.file_ids"
    await require_files(tables, [(f"{param}[{n}]", id) for n, id in enumerate(ids)])


def _changes(old: Assistant, params: ModifyAssistant) -> dict[str, Any]:
    """What a modification sets: given values replace, null sets the default."""
    changes: dict[str, Any] = {
        name: getattr(params, name)
        for name in ("name", "description", "instructions", "reasoning_effort")
        if params.given(name)
    }
    if params.model is not None:
        changes["model"] = params.model
    for name in ("temperature", "top_p"):
        if params.given(name):
            value = getattr(params, name)
            changes[name] = 1.0 if value is None else value
    if params.given("metadata"):
        changes["metadata"] = params.metadata or {}
    if params.given("response_format"):
        changes["response_format"] = to_format(params.response_format)
    tools = to_tools(params.tools) if params.given("tools") else old.tools
    changes["tools"] = tools
    given = params.tool_resources if params.given("tool_resources") else ToolResourcesParam()
    changes["tool_resources"] = changed_resources(old.tool_resources, given, tools)
    return changes


def _with_files(assistant: Assistant, file_ids: list[str]) -> Assistant:
    resources = assistant.tool_resources.with_code_files(file_ids)
    return assistant.model_copy(update={"tool_resources": resources})


def _file_of(assistant: Assistant, file_id: str, created_at: int) -> AssistantFile:
    return AssistantFile(id=file_id, created_at=created_at, assistant_id=assistant.id)
