"""What an object is not in a state for, and forms that are broken: refused without a trace."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import pytest

from jupyter_ci_ext.api.settings import ApiSettings
from jupyter_ci_ext.kernels.pool import Sessions
from jupyter_ci_ext.wire.run import (
    ACTIVE,
    CalledFunction,
    RequiredAction,
    RequiredToolCall,
    RunStatus,
    SubmitToolOutputs,
)

from .world import FORM, Refusal, World, form, places

RUN = "openai/v1/threads/{thread_id}/runs/{run_id}"
UPLOAD = "openai/v1/uploads/{upload_id}"


@pytest.fixture
def kernels(instant_kernels: Sessions) -> Sessions:
    return instant_kernels


@pytest.fixture
def api() -> ApiSettings:
    return ApiSettings(json_bytes=1_000_000, upload_bytes=1000)


def outputs(*ids: Any) -> dict[str, Any]:
    return {"tool_outputs": [{"tool_call_id": id, "output": "x"} for id in ids]}


async def asked_of(world: World, status: RunStatus) -> dict[str, Refusal]:
    """What a run in this state, and its thread, refuse."""
    run = {"assistant_id": world.ids["assistant_id"]}
    more = [{"role": "user", "content": "more"}]
    asked: dict[str, tuple[str, Any]] = {
        "submit": (f"{RUN}/submit_tool_outputs", outputs("call_a"))
    }
    if status in ACTIVE:
        asked["modify"] = (RUN, {"metadata": {"a": "b"}})
        asked["message"] = ("openai/v1/threads/{thread_id}/messages", more[0])
        asked["run"] = ("openai/v1/threads/{thread_id}/runs", {**run, "additional_messages": more})
    else:
        asked["cancel"] = (f"{RUN}/cancel", None)
    return {name: await world.refusal("post", *request) for name, request in asked.items()}


@pytest.mark.parametrize("status", get_args(RunStatus))
async def test_states_of_runs(world: World, status: RunStatus) -> None:
    calls = [
        RequiredToolCall(id=id, function=CalledFunction(name="f", arguments="{}"))
        for id in ("call_a", "call_b")
    ]
    action = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=calls))
    waiting = {"required_action": action} if status == "requires_action" else {}
    await world.put_run(status, **waiting)
    before = await world.stored()
    answers = await asked_of(world, status)
    assert await world.stored() == before
    thread, run = world.ids["thread_id"], world.ids["run_id"]
    texts = {
        "submit": f'Runs in status "{status}" do not accept tool outputs.',
        "modify": f"Cannot update run with status '{status}'.",
        "message": f"Can't add messages to {thread} while a run {run} is active.",
        "run": f"Thread {thread} already has an active run {run}.",
        "cancel": f"Cannot cancel run with status '{status}'.",
    }
    if status == "requires_action":
        expected = "Expected tool outputs for call_ids ['call_a', 'call_b'], got ['call_a']"
        texts["submit"] = expected
    assert answers == {name: Refusal(400, texts[name]) for name in answers}


@pytest.mark.parametrize(
    "ids",
    [(), ("call_a",), ("call_a", "call_a"), ("call_a", "call_b", "call_c"), ("call_x", "call_b")],
)
async def test_outputs_that_are_not_those(world: World, ids: tuple[str, ...]) -> None:
    calls = [
        RequiredToolCall(id=id, function=CalledFunction(name="f", arguments="{}"))
        for id in ("call_a", "call_b")
    ]
    action = RequiredAction(submit_tool_outputs=SubmitToolOutputs(tool_calls=calls))
    await world.put_run("requires_action", required_action=action)
    before = await world.stored()
    text = f"Expected tool outputs for call_ids ['call_a', 'call_b'], got {list(ids)}"
    for stream in ({}, {"stream": True}):
        body = {**outputs(*ids), **stream}
        answer = await world.refusal("post", f"{RUN}/submit_tool_outputs", body)
        assert answer == Refusal(400, text)
    assert await world.stored() == before


# ---- uploads -----------------------------------------------------------------------------------


async def asked_of_upload(world: World) -> list[Refusal]:
    part = form(b"abc", field="data")
    return [
        await world.refusal("post", f"{UPLOAD}/parts", part, Content_Type=FORM),
        await world.refusal("post", f"{UPLOAD}/complete", {"part_ids": [world.ids["part_id"]]}),
        await world.refusal("post", f"{UPLOAD}/cancel"),
    ]


@pytest.mark.parametrize("status", ["completed", "cancelled", "expired"])
async def test_uploads_that_are_over(world: World, store: Any, status: str) -> None:
    if status == "completed":
        await world.make(f"{UPLOAD}/complete", {"part_ids": [world.ids["part_id"]]})
    elif status == "cancelled":
        await world.make(f"{UPLOAD}/cancel")
    else:
        async with store.transaction() as tx:
            stored = await tx.uploads.get(world.ids["upload_id"])
            await tx.uploads.update(stored.upload.model_copy(update={"expires_at": 1}))
    before = await world.stored()
    asked = ("Cannot add a part to", "Cannot complete", "Cannot cancel")
    expected = [Refusal(400, f"{each} an upload with status '{status}'.") for each in asked]
    assert await asked_of_upload(world) == expected
    await settled(world, before)


async def test_parts_that_do_not_make_the_file(world: World) -> None:
    part, strange = world.ids["part_id"], world.strange["part_id"]
    second = await world.make(f"{UPLOAD}/parts", form(b"de", field="data"), Content_Type=FORM)
    before = await world.stored()
    wrong: list[tuple[dict[str, Any], str, str]] = [
        ({"part_ids": ["part_nope"]}, "No part found with id 'part_nope' in this upload.",
         "part_ids[0]"),
        ({"part_ids": [part, strange]}, f"No part found with id '{strange}' in this upload.",
         "part_ids[1]"),
        ({"part_ids": [part, part]}, f"The part '{part}' is named more than once.", "part_ids[1]"),
        ({"part_ids": []}, "The parts have 0 bytes together, but the upload was created for 3 "
         "bytes.", "part_ids"),
        ({"part_ids": [part, second]}, "The parts have 5 bytes together, but the upload was created "
         "for 3 bytes.", "part_ids"),
        ({"part_ids": [part], "md5": "0" * 32}, "The MD5 of the parts is "
         "900150983cd24fb0d6963f7d28e17f72, not the one given.", "md5"),
    ]  # fmt: skip
    for body, text, param in wrong:
        answer = await world.refusal("post", f"{UPLOAD}/complete", body)
        assert answer == Refusal(400, text, None, param)
    await settled(world, before)
    await world.make(f"{UPLOAD}/complete", {"part_ids": [part]})


async def settled(world: World, before: dict[str, Any]) -> None:
    """What was refused is thrown away once the answer is out."""
    for _ in range(100):
        if await world.stored() == before:
            return
        await asyncio.sleep(0.02)
    assert await world.stored() == before


# ---- forms -------------------------------------------------------------------------------------

NO_TYPE = "Invalid Content-Type header ({}), expected multipart/form-data with a boundary."


async def test_forms_that_are_broken(world: World) -> None:
    before = await world.stored()
    for place in places():
        field = place.operation.file
        if field is None:
            continue
        good = form(field=field)
        early = "Could not parse multipart form: the body ended too early."
        wrong: list[tuple[bytes, str, Refusal]] = [
            (good[:-9], FORM, Refusal(400, early)),
            (b"", FORM, Refusal(400, early)),
            (good, "multipart/form-data", Refusal(400, NO_TYPE.format("multipart/form-data"))),
            (good, "text/csv", Refusal(400, NO_TYPE.format("text/csv"))),
            (form(field=field, content=None), FORM,
             Refusal(400, f"'{field}' is a required property")),
            (form(field=field, **{f"field{n}": "" for n in range(65)}), FORM,
             Refusal(400, "Too many parts in the form, at most 64 are taken.")),
            (form(field=field, long="x" * 70_000), FORM,
             Refusal(400, "The form's field 'long' is too long.", None, "long")),
            (good.replace(b"--X--\r\n", good), FORM,
             Refusal(400, f"Only one '{field}' is taken.", None, field)),
        ]  # fmt: skip
        for body, kind, expected in wrong:
            answer = await world.refusal("post", place.path, body, Content_Type=kind)
            if place.operation.instead is not None and "multipart" not in kind:
                # A body that is no form is taken for JSON there.
                assert "could not parse the JSON body" in answer.message
            elif place.operation.instead is not None and "required property" in expected.message:
                # Such a form names a file that is there already.
                assert answer.code in ("missing_required_parameter", "unknown_parameter"), answer
            else:
                assert answer == expected, (place, body[:80])
        body = good.replace(b"\r\n\r\n", b"\r\n", 1)
        answer = await world.refusal("post", place.path, body, Content_Type=FORM)
        assert answer.status == 400, place
        assert "Could not parse multipart form" in answer.message, place
    await settled(world, before)


FIELDS: list[tuple[dict[str, str], str, str | None, str | None]] = [
    ({"purpose": ""}, "Missing required parameter: 'purpose'.", "missing_required_parameter",
     "purpose"),
    ({"purpose": "assistants_output"}, "'assistants_output' is not one of ['fine-tune', "
     "'assistants', 'batch', 'user_data', 'vision', 'evals'] - 'purpose'", None, "purpose"),
    ({"expires_after": "x"}, "Invalid type for 'expires_after': expected an object, but got a "
     "string instead.", "invalid_type", "expires_after"),
    ({"expires_after": "{x"}, "Invalid type for 'expires_after': expected an object, but got a "
     "string instead.", "invalid_type", "expires_after"),
    ({"expires_after[seconds]": "3600"}, "Missing required parameter: 'expires_after.anchor'.",
     "missing_required_parameter", "expires_after.anchor"),
    ({"expires_after[anchor]": "now", "expires_after[seconds]": "3600"}, "Invalid value: 'now'. "
     "Supported values are: 'created_at'.", "invalid_value", "expires_after.anchor"),
    ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "x"}, "Invalid type for "
     "'expires_after.seconds': expected an integer, but got a string instead.", "invalid_type",
     "expires_after.seconds"),
    ({"expires_after[anchor]": "created_at", "expires_after[seconds]": "2592001"},
     "Invalid 'expires_after.seconds': integer above maximum value. Expected a value <= 2592000, "
     "but got 2592001 instead.", "integer_above_max_value", "expires_after.seconds"),
]  # fmt: skip


async def test_fields_of_forms(world: World) -> None:
    before = await world.stored()
    for fields, text, code, param in FIELDS:
        body = form(**fields)
        answer = await world.refusal("post", "openai/v1/files", body, Content_Type=FORM)
        assert answer == Refusal(400, text, code, param), fields
    for place in places():
        if place.operation.file == "file":
            body = form(b"x" * 1001)
            answer = await world.refusal("post", place.path, body, Content_Type=FORM)
            assert (answer.status, "1000 bytes" in answer.message) == (413, True), place
            body = form(name="n" * 1025)
            answer = await world.refusal("post", place.path, body, Content_Type=FORM)
            assert (answer.status, "too long" in answer.message) == (400, True), place
    await settled(world, before)
