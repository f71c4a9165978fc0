"""Assistants: defaults, what replaces what, models and files that must exist."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_ci_ext.errors import InvalidRequest, NotFound
from jupyter_ci_ext.wire.assistant_params import ModifyAssistant
from jupyter_ci_ext.wire.params import ListQuery
from jupyter_ci_ext.wire.v1_params import CreateAssistantFile
from jupyter_ci_ext.wire.validation import parse

from .house import House, in_house


@in_house
async def test_a_tool_brings_its_resources(house: House) -> None:
    bare = await house.assistant()
    assert bare.model_dump()["tool_resources"] == {}
    tools = [{"type": "code_interpreter"}, {"type": "file_search"}]
    both = (await house.assistant(tools=tools)).model_dump()["tool_resources"]
    assert both == {"code_interpreter": {"file_ids": []}, "file_search": {"vector_store_ids": []}}


@in_house
async def test_what_is_created_is_what_is_read(house: House) -> None:
    made = await house.assistant(
        name="n",
        tools=[{"type": "function", "function": {"name": "f"}}],
        temperature=0,
        response_format={"type": "json_object"},
        metadata={"a": "b"},
    )
    assert await house.services.assistants.get(made.id) == made
    assert made.temperature == 0.0
    assert made.response_format == {"type": "json_object"}


@in_house
async def test_an_unknown_model_is_refused_and_nothing_stored(house: House) -> None:
    with pytest.raises(NotFound) as caught:
        await house.assistant(model="gpt-9")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert await house.rows("assistants") == 0


@in_house
async def test_a_file_that_is_not_there_is_refused(house: House) -> None:
    resources = {"code_interpreter": {"file_ids": ["file-gone"]}}
    with pytest.raises(InvalidRequest, match="No such File object: file-gone") as caught:
        await house.assistant(tool_resources=resources)
    assert caught.value.param == "tool_resources.code_interpreter.file_ids[0]"
    assert await house.rows("assistants") == 0


@pytest.mark.parametrize(
    ("body", "changed"),
    [
        ({}, {}),
        ({"name": "new"}, {"name": "new"}),
        ({"name": None, "temperature": None}, {"name": None, "temperature": 1.0}),
        ({"metadata": {"x": "y"}}, {"metadata": {"x": "y"}}),
        ({"metadata": None}, {"metadata": {}}),
        ({"tools": []}, {"tools": []}),
        ({"model": None}, {}),
        ({"tool_resources": {"code_interpreter": {"file_ids": []}}}, {}),
        (
            {"tool_resources": {"file_search": {"vector_store_ids": []}}},
            {
                "tool_resources": {
                    "code_interpreter": {"file_ids": []},
                    "file_search": {"vector_store_ids": []},
                }
            },
        ),
        ({"response_format": {"type": "text"}}, {"response_format": {"type": "text"}}),
    ],
)
@in_house
async def test_modify_replaces_what_is_given(
    house: House, body: dict[str, Any], changed: dict[str, Any]
) -> None:
    old = await house.assistant(
        name="old", temperature=0.5, tools=[{"type": "code_interpreter"}], metadata={"a": "b"}
    )
    new = await house.services.assistants.modify(old.id, parse(ModifyAssistant, body))
    assert new.model_dump() == {**old.model_dump(), **changed}
    assert await house.services.assistants.get(old.id) == new


@in_house
async def test_deleting_twice(house: House) -> None:
    made = await house.assistant()
    gone = await house.services.assistants.delete(made.id)
    assert gone.model_dump() == {"id": made.id, "object": "assistant.deleted", "deleted": True}
    with pytest.raises(NotFound, match=f"No assistant found with id '{made.id}'."):
        await house.services.assistants.delete(made.id)


@in_house
async def test_lists_are_newest_first_and_end_with_an_empty_page(house: House) -> None:
    ids = [(await house.assistant()).id for _ in range(3)]
    first = await house.services.assistants.list(ListQuery(limit=2))
    assert [each.id for each in first.data] == [ids[2], ids[1]]
    assert (first.first_id, first.last_id, first.has_more) == (ids[2], ids[1], True)
    rest = await house.services.assistants.list(ListQuery(limit=2, after=ids[0]))
    assert (rest.data, rest.last_id, rest.has_more) == ([], None, False)


@in_house
async def test_files_of_an_assistant_in_v1(house: House) -> None:
    made, service = await house.assistant(), house.services.assistants
    files = [await house.file() for _ in range(3)]
    for file in files:
        added = await service.add_file(made.id, CreateAssistantFile(file_id=file.id))
        assert (added.id, added.assistant_id) == (file.id, made.id)
    newest = await service.list_files(made.id, ListQuery(limit=2))
    assert [each.id for each in newest.data] == [files[2].id, files[1].id]
    assert newest.has_more
    rest = await service.list_files(made.id, ListQuery(after=newest.last_id))
    assert [each.id for each in rest.data] == [files[0].id]
    back = await service.list_files(made.id, ListQuery(limit=1, before=files[0].id))
    assert [each.id for each in back.data] == [files[1].id]
    assert (await service.get_file(made.id, files[1].id)).id == files[1].id
    assert (await service.remove_file(made.id, files[1].id)).object == "assistant.file.deleted"
    assert await house.services.files.get(files[1].id) == files[1]
    with pytest.raises(NotFound):
        await service.get_file(made.id, files[1].id)
    with pytest.raises(InvalidRequest, match="after"):
        await service.list_files(made.id, ListQuery(after="file-else"))
    with pytest.raises(InvalidRequest, match="No such File object"):
        await service.add_file(made.id, CreateAssistantFile(file_id="file-gone"))


@in_house
async def test_an_assistant_takes_twenty_files(house: House) -> None:
    ids = [(await house.file()).id for _ in range(21)]
    resources = {"code_interpreter": {"file_ids": ids[:20]}}
    made = await house.assistant(tool_resources=resources)
    await house.services.assistants.add_file(made.id, CreateAssistantFile(file_id=ids[0]))
    with pytest.raises(InvalidRequest) as caught:
        await house.services.assistants.add_file(made.id, CreateAssistantFile(file_id=ids[20]))
    assert caught.value.code == "array_above_max_length"
