"""Ids in paths and bodies that lead nowhere: of nothing, of what is gone, of another kind, of another
parent. Every verb answers 404 in the API's words (400 for a file or part that a body names), and
nothing is stored.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from jupyter_ci_ext.api.settings import ApiSettings
from jupyter_ci_ext.kernels.pool import Sessions
from jupyter_ci_ext.wire import container_params, extension, message_params, run_params

from .test_bad_bodies import LEAST
from .world import FORM, V1, Place, Refusal, World, form, places

NOT_FOUND = {
    "assistant_id": "No assistant found with id '{}'.",
    "thread_id": "No thread found with id '{}'.",
    "message_id": "No message found with id '{}'.",
    "run_id": "No run found with id '{}'.",
    "step_id": "No run step found with id '{}'.",
    "file_id": "No such File object: {}",
    "upload_id": "No upload found with id '{}'.",
    "container_id": "Container with id '{}' not found.",
    "container_file_id": "Container file with id '{}' not found.",
    "model": "The model '{}' does not exist",
}
"""The words for each name in a path."""

OTHERS = {
    "assistants": "No file found with id '{}' attached to '{assistant_id}'.",
    "messages": "No file found with id '{}' attached to '{message_id}'.",
}
"""Those for a file of an assistant or of a message."""

FIELDS = {"file_id": {"param": "id"}, "model": {"param": "model", "code": "model_not_found"}}

BELOW = {"message_id": "thread_id", "run_id": "thread_id", "step_id": "run_id"}
"""What an object stands below."""

LONG = "x" * 300


@pytest.fixture
def kernels(instant_kernels: Sessions) -> Sessions:
    return instant_kernels


@pytest.fixture
def api() -> ApiSettings:
    return ApiSettings(json_bytes=1_000_000, upload_bytes=1000)


def bodies(world: World) -> dict[Any, Any]:
    """Bodies that are good."""
    file, assistant = world.ids["file_id"], world.ids["assistant_id"]
    return LEAST | {
        run_params.CreateRun: {"assistant_id": assistant},
        container_params.CreateContainerFile: {"file_id": file},
        LEAST_FILE: {"file_id": file},
        message_params.CreateMessage: {"role": "user", "content": "hi"},
        extension.SaveTo: {},
    }


LEAST_FILE = next(each for each in LEAST if each.__name__ == "CreateAssistantFile")


def names_in(place: Place) -> list[str]:
    """The names in a path, files in containers by a name of their own."""
    names = re.findall(r"{(\w+)}", place.path)
    inside = place.path.startswith("openai/v1/containers/")
    return ["container_file_id" if inside and name == "file_id" else name for name in names]


async def refused(world: World, place: Place, ids: dict[str, str]) -> Refusal:
    """The answer of a place to a good request with these ids in its path."""
    operation = place.operation
    body: Any = bodies(world).get(operation.body) if operation.body else None
    headers = dict(V1) if operation.v1 else {}
    if operation.file:
        body, headers = form(field=operation.file), {**headers, "Content_Type": FORM}
    named = {**ids, "file_id": ids["container_file_id"]} if "container" in place.path else ids
    return await world.refusal(place.verb, place.path.format(**named), body, **headers)


def expected(place: Place, name: str, bad: str, ids: dict[str, str]) -> Refusal:
    """How a place speaks of a bad id of the name."""
    parts = place.path.split("/")
    shown = bad if name == "model" else bad[:100]
    text = NOT_FOUND[name].replace("{}", shown)
    if name == "file_id" and parts[2] != "files" and parts[1] != "files":
        holder = "messages" if "messages" in parts else "assistants"
        text = OTHERS[holder].replace("{}", bad[:100]).format(**ids)
        return Refusal(404, text)
    return Refusal(404, text, **FIELDS.get(name, {}))


async def test_ids_in_paths(world: World) -> None:
    found, before = [], await world.stored()
    for place in places():
        for name in names_in(place):
            kind = "assistant_id" if name != "assistant_id" else "thread_id"
            for bad in ("nope", LONG, world.gone[name], world.ids[kind]):
                if name == "upload_id" and bad == world.gone[name]:
                    continue  # uploads are not deleted
                ids = {**world.ids, name: bad}
                answer = await refused(world, place, ids)
                if answer != expected(place, name, bad, ids):
                    found.append(f"{place} {name}={bad[:50]}: {answer}")
    assert await world.stored() == before
    assert found == []


async def test_objects_of_other_parents(world: World) -> None:
    found, before = [], await world.stored()
    for place in places():
        for name in names_in(place):
            if (
                (name in BELOW and BELOW[name] in names_in(place))
                or name == "container_file_id"
                or (name == "file_id" and place.operation.v1)
            ):
                ids = {**world.ids, name: world.strange[name]}
            else:
                continue
            answer = await refused(world, place, ids)
            if answer != expected(place, name, world.strange[name], ids):
                found.append(f"{place} {name}: {answer}")
    assert await world.stored() == before
    assert found == []


RESOURCES = "tool_resources.code_interpreter.file_ids"
CODE = {"type": "code_interpreter"}


def _resources(file_id: str) -> dict[str, Any]:
    return {"tool_resources": {"code_interpreter": {"file_ids": [file_id]}}}


def _attached(file_id: str) -> dict[str, Any]:
    return {"role": "user", "content": "hi", "attachments": [{"file_id": file_id, "tools": [CODE]}]}


def _shown(file_id: str) -> dict[str, Any]:
    image = {"type": "image_file", "image_file": {"file_id": file_id}}
    return {"role": "user", "content": [{"type": "text", "text": "hi"}, image]}


def _run(**more: Any) -> dict[str, Any]:
    return {"assistant_id": "{assistant_id}", **more}


NAMED: list[tuple[str, Any, str]] = [
    ("assistants", lambda f: {"model": "demo", **_resources(f)}, f"{RESOURCES}[0]"),
    ("assistants/{assistant_id}", _resources, f"{RESOURCES}[0]"),
    ("threads", _resources, f"{RESOURCES}[0]"),
    ("threads", lambda f: {"messages": [_attached(f)]}, "messages[0].attachments[0].file_id"),
    ("threads/{thread_id}", _resources, f"{RESOURCES}[0]"),
    ("threads/{thread_id}/messages", _attached, "attachments[0].file_id"),
    ("threads/{thread_id}/messages", _shown, "content[1].image_file.file_id"),
    (
        "threads/{thread_id}/runs",
        lambda f: _run(additional_messages=[_attached(f)]),
        "additional_messages[0].attachments[0].file_id",
    ),
    (
        "threads/runs",
        lambda f: _run(thread={"messages": [_attached(f)]}),
        "thread.messages[0].attachments[0].file_id",
    ),
    ("threads/runs", lambda f: _run(thread=_resources(f)), f"thread.{RESOURCES}[0]"),
    ("threads/runs", lambda f: _run(**_resources(f)), f"{RESOURCES}[0]"),
    ("containers", lambda f: {"name": "box", "file_ids": [f]}, "file_ids[0]"),
    ("containers/{container_id}/files", lambda f: {"file_id": f}, "file_id"),
]


async def test_files_in_bodies(world: World) -> None:
    before = await world.stored()
    for path, body, param in NAMED:
        for bad in (world.gone["file_id"], "file-nope", "assistant-nope"):
            sent = _filled(body(bad), world.ids)
            answer = await world.refusal("post", f"openai/v1/{path}", sent)
            shown = bad.replace("assistant-", "file-")
            assert answer == Refusal(400, f"No such File object: {shown}", None, param), path
        answer = await world.refusal("post", f"openai/v1/{path}", _filled(body("nope"), world.ids))
        text = f"Invalid '{param}': 'nope'. Expected an ID that begins with 'file'."
        assert answer == Refusal(400, text, "invalid_value", param), path
    assert await world.stored() == before


def _filled(value: Any, ids: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {key: _filled(item, ids) for key, item in value.items()}
    if isinstance(value, list):
        return [_filled(item, ids) for item in value]
    return ids["assistant_id"] if value == "{assistant_id}" else value


@pytest.mark.parametrize("path", ["threads/{thread_id}/runs", "threads/runs"])
async def test_assistants_in_bodies(world: World, path: str) -> None:
    before = await world.stored()
    path, message = f"openai/v1/{path}", [{"role": "user", "content": "hi"}]
    for bad in (world.gone["assistant_id"], "asst_nope"):
        body: dict[str, Any] = {"assistant_id": bad}
        body |= {"thread": {"messages": message}} if path.endswith("threads/runs") else {}
        answer = await world.refusal("post", path, body)
        assert answer == Refusal(404, f"No assistant found with id '{bad}'.")
    answer = await world.refusal("post", path, {"assistant_id": world.ids["thread_id"]})
    assert (answer.status, answer.code, answer.param) == (400, "invalid_value", "assistant_id")
    body = {"assistant_id": world.ids["assistant_id"], "model": "nope"}
    answer = await world.refusal("post", path, body)
    missing = Refusal(404, "The model 'nope' does not exist", "model_not_found", "model")
    assert answer == missing
    assert await world.refusal("post", "openai/v1/assistants", {"model": "nope"}) == missing
    changed = await world.refusal("post", "openai/v1/assistants/{assistant_id}", {"model": "nope"})
    assert changed == missing
    assert await world.stored() == before
