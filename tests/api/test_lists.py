"""Lists of stored objects, in every form of the API: each object in them is as it is alone."""

from __future__ import annotations

import json
from itertools import product

import pytest
from pydantic_core import from_json, to_json

from jupyter_ci_ext.kernels.pool import Sessions

from .world import V1, World

LISTS = {
    "/assistants": "/assistants/{}",
    "/threads": "/threads/{}",
    "/threads/{thread_id}/messages": "/threads/{thread_id}/messages/{}",
    "/threads/{thread_id}/runs": "/threads/{thread_id}/runs/{}",
    "/threads/{thread_id}/runs/{run_id}/steps": "/threads/{thread_id}/runs/{run_id}/steps/{}",
    "/files": "/files/{}",
}

FORMS: dict[str, tuple[str, str, dict[str, str]]] = {
    "v2": ("openai/v1", "", {}),
    "v1": ("openai/v1", "", V1),
    "azure": ("openai", "api-version=2024-05-01-preview", {}),
    "azure v1": ("openai", "api-version=2024-02-15-preview", {}),
    "foundry": ("openai", "api-version=v1", {}),
}


@pytest.fixture
def kernels(instant_kernels: Sessions) -> Sessions:
    return instant_kernels


async def test_objects_of_lists_are_as_they_are_alone(world: World) -> None:
    title = {"metadata": {"title": "line\u2028end, größe 😀"}}
    await world.make("openai/v1/threads/{thread_id}", title)
    for (path, alone), (root, query, headers) in product(LISTS.items(), FORMS.values()):
        reply = await world.send("get", root + path, query=query, **headers)
        page = json.loads(reply.body)
        assert page["data"], path
        # the bytes, too, are those of an answer that was made of objects
        assert reply.body == to_json(from_json(reply.body), indent=2)
        assert (page["first_id"], page["last_id"]) == (
            page["data"][0]["id"],
            page["data"][-1]["id"],
        )
        for each in page["data"]:
            single = await world.send(
                "get", root + alone.replace("{}", each["id"]), query=query, **headers
            )
            assert single.code == 200
            assert json.loads(single.body) == each
            assert list(json.loads(single.body)) == list(each)


async def test_an_empty_list_and_one_that_goes_on(world: World) -> None:
    thread = await world.make("openai/v1/threads")
    reply = await world.send("get", f"openai/v1/threads/{thread}/messages")
    empty = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    assert reply.body == to_json(empty, indent=2)
    reply = await world.send("get", "openai/v1/files", query="limit=1")
    assert json.loads(reply.body)["has_more"] is True
    assert "ETag" not in reply.headers
