"""Bodies and queries that are not as described: every verb, every parameter, one thing wrong at a
time.

The cases are made of the parameters' own schemas, so that no parameter is left out; the words are
those of protocol.md §10.3. Nothing may be stored of what is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel

from jupyter_ci_ext.api.settings import ApiSettings
from jupyter_ci_ext.kernels.pool import Sessions
from jupyter_ci_ext.wire import container_params, extension, file_params, message_params, run_params
from jupyter_ci_ext.wire.assistant_params import CreateAssistant
from jupyter_ci_ext.wire.v1_params import TWINS, CreateAssistantFile

from .world import V1, Body, Place, Refusal, World, places

JSON = dict[str, Any]

RUN = {"assistant_id": "asst_1"}
MESSAGE = {"role": "user", "content": "hi"}

LEAST: dict[type[BaseModel], JSON] = {
    CreateAssistant: {"model": "demo"},
    message_params.CreateMessage: MESSAGE,
    run_params.CreateRun: RUN,
    run_params.CreateThreadAndRun: RUN,
    run_params.SubmitToolOutputsParams: {"tool_outputs": []},
    file_params.CreateUpload: {
        "filename": "a",
        "purpose": "vision",
        "bytes": 3,
        "mime_type": "text/plain",
    },
    file_params.CompleteUpload: {"part_ids": ["part_1"]},
    container_params.CreateContainer: {"name": "box"},
    container_params.CreateContainerFile: {"file_id": "file-1"},
    extension.ImportFrom: {"path": "a.csv"},
    CreateAssistantFile: {"file_id": "file-1"},
}
"""What must be given; of others everything may be left out."""

ITEMS: JSON = {
    "tools": {"type": "code_interpreter"},
    "tool_outputs": {},
    "part_ids": "part_1",
    "file_ids": "file-1",
}
"""One good item of lists that may be too long."""

SAMPLES: dict[str, tuple[Any, str]] = {
    "object": ({"a": 1}, "an object"),
    "array": ([1], "an array"),
    "string": ("x", "a string"),
    "boolean": (True, "a boolean"),
    "integer": (17, "an integer"),
    "number": (1.5, "a decimal number"),
    "null": (None, "null"),
}
"""A value of each JSON type, and what the API calls it."""


class Case(NamedTuple):
    """One body, and how it is refused; *message* is a pattern."""

    body: Body
    message: str
    code: str | None
    param: str | None


def cases(model: type[BaseModel]) -> Iterator[Case]:
    """What can be wrong with a body of *model*."""
    least = LEAST.get(model, {})
    for body, noun in ([], "an array"), ("x", "a string"), (17, "an integer"), (True, "a boolean"):
        yield Case(
            body,  # type: ignore[arg-type]
            f"Invalid type for request body: expected an object, but got {noun} instead.",
            "invalid_type",
            None,
        )
    for broken in (
        b'{"a": ',
        b"{'a': 1}",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'"\\ud800"',
        b"[" * 9999,
        b" ",
    ):
        yield Case(broken, r"We could not parse the JSON body of your request\. .+", None, None)
    extra = "Unknown parameter: 'no_such'."
    yield Case({**least, "no_such": 1}, re.escape(extra), "unknown_parameter", "no_such")
    schema = model.model_json_schema()
    for name in schema.get("required", ()):
        body = {key: value for key, value in least.items() if key != name}
        text = f"Missing required parameter: '{name}'."
        yield Case(body, re.escape(text), "missing_required_parameter", name)
    for name, field in schema["properties"].items():
        for value, message, code in wrong(name, field, schema.get("$defs", {})):
            yield Case({**least, name: value}, message, code, name)


def wrong(name: str, field: JSON, defs: JSON) -> Iterator[tuple[Any, str, str | None]]:
    """Values that a field does not take: of another type, and beyond its limits."""
    forms = list(resolved(field, defs))
    kinds = {kind for form in forms for kind in kinds_of(form)}
    kinds |= {"integer"} if "number" in kinds else set()
    for kind, (value, noun) in SAMPLES.items():
        if kind not in kinds:
            text = rf"Invalid type for '{name}': expected [a-z ]+, but got {noun} instead\."
            yield value, text, "invalid_type"
    for form in forms:
        yield from beyond(name, form)


def resolved(field: JSON, defs: JSON) -> Iterator[JSON]:
    """The alternatives a field has."""
    for key in ("anyOf", "oneOf"):
        for each in field.get(key, ()):
            yield from resolved(each, defs)
    if "$ref" in field:
        yield from resolved(defs[field["$ref"].rpartition("/")[2]], defs)
    elif "anyOf" not in field and "oneOf" not in field:
        yield field


def kinds_of(form: JSON) -> set[str]:
    """The JSON types of one alternative."""
    return {form["type"]} if "type" in form else set(SAMPLES)


def beyond(name: str, form: JSON) -> Iterator[tuple[Any, str, str | None]]:
    """Values just beyond the limits of one alternative."""
    invalid = f"Invalid '{name}': "
    if "maxLength" in form:
        most = form["maxLength"]
        text = (
            f"string too long. Expected a string with maximum length {most}, but got a string with "
            f"length {most + 1} instead."
        )
        yield "x" * (most + 1), re.escape(invalid + text), "string_above_max_length"
    if "minLength" in form:
        text = "string too short. Expected a string with minimum length 1, but got an empty string"
        yield "", re.escape(f"{invalid}{text} instead."), "string_below_min_length"
    for limit, step, word in ("maximum", 1, "above max"), ("minimum", -1, "below min"):
        if limit in form:
            noun = "integer" if form["type"] == "integer" else "decimal"
            side = "<=" if step > 0 else ">="
            bound, value = int(form[limit]), int(form[limit]) + step
            text = f"{noun} {word}imum value. Expected a value {side} {bound}, but got {value}"
            code = f"{noun}_{word.replace(' ', '_')}_value"
            yield value, re.escape(f"{invalid}{text} instead."), code
    if "maxItems" in form:
        most = form["maxItems"]
        text = (
            f"array too long. Expected an array with maximum length {most}, but got an array with "
            f"length {most + 1} instead."
        )
        yield [ITEMS[name]] * (most + 1), re.escape(invalid + text), "array_above_max_length"
    if "minItems" in form:
        yield [], re.escape(f"{invalid}empty array. ") + ".+", "empty_array"
    if "maxProperties" in form:
        text = "too many properties. Expected an object with at most 16 properties, but got an "
        text += "object with 17 properties instead."
        many = {str(n): "" for n in range(17)}
        yield many, re.escape(invalid + text), "object_above_max_properties"
    if name.endswith("_id") and form.get("pattern"):
        prefix = form["pattern"].strip("^()").split("|")[0]
        text = f"'nope'. Expected an ID that begins with '{prefix}'."
        yield "nope", re.escape(invalid + text), "invalid_value"
    if "enum" in form and name != "purpose":
        listed = r"Invalid value: 'nope'\. Supported values are: '.+'\."
        yield "nope", listed, "invalid_value"
    if name == "purpose":
        yield "nope", re.escape("'nope' is not one of ['fine-tune', ") + ".+ - 'purpose'", None


@pytest.fixture
def kernels(instant_kernels: Sessions) -> Sessions:
    return instant_kernels


@pytest.fixture
def api() -> ApiSettings:
    return ApiSettings(json_bytes=1_000_000)


async def check(world: World, place: Place, all_cases: list[Case], **headers: str) -> list[str]:
    """What is not refused as it should be, or not without a trace."""
    before = await world.stored()
    found = []
    for case in all_cases:
        refused = await world.refusal(place.verb, place.path, case.body, **headers)
        expected = Refusal(400, refused.message, case.code, case.param)
        if refused != expected or not re.fullmatch(case.message, refused.message, re.DOTALL):
            found.append(f"{place} {str(case.body)[:200]}: {refused} instead of {case[1:]}")
    if await world.stored() != before:
        found.append(f"{place}: the store has changed")
    return found


def _bodies() -> list[Place]:
    return [each for each in places() if each.operation.body and not each.operation.file]


async def test_bodies(world: World) -> None:
    found: list[str] = []
    for place in _bodies():
        assert place.operation.body is not None
        headers = V1 if place.operation.v1 else {}
        found += await check(world, place, list(cases(place.operation.body)), **headers)
    assert found == []


async def test_bodies_of_version_1(world: World) -> None:
    found: list[str] = []
    for place in _bodies():
        assert place.operation.body is not None
        twin = TWINS.get(place.operation.body)
        if twin is not None:
            LEAST[twin] = LEAST.get(place.operation.body, {})
            found += await check(world, place, list(cases(twin)), **V1)
    assert found == []


async def test_bodies_that_are_too_large(world: World) -> None:
    """They are read to their end, whatever they are, and refused once."""
    before = await world.stored()
    text = "Request body too large: at most 1000000 bytes."
    for place in places():
        if place.verb == "post" and not place.operation.file:
            headers = V1 if place.operation.v1 else {}
            refused = await world.refusal("post", place.path, b"x" * 1_000_001, **headers)
            assert refused == Refusal(413, text), place
    assert await world.stored() == before


QUERIES: dict[str, list[tuple[str, str, str | None]]] = {
    "order": [
        ("up", "Invalid value: 'up'. Supported values are: 'asc' and 'desc'.", "invalid_value"),
    ],
    "after": [
        ("nope", "Invalid 'after': no object with id 'nope' in this list.", "invalid_value"),
    ],
    "before": [
        ("nope", "Invalid 'before': no object with id 'nope' in this list.", "invalid_value"),
    ],
    "probe": [
        ("maybe", "Invalid type for 'probe': expected a boolean, but got a string instead.",
         "invalid_type"),
    ],
    "query": [
        ("x" * 1001, "Invalid 'query': string too long. Expected a string with maximum length 1000, "
         "but got a string with length 1001 instead.", "string_above_max_length"),
    ],
    "include[]": [
        ("everything", "Invalid value: 'everything'. Supported values are: "
         "'step_details.tool_calls[*].file_search.results[*].content' and "
         "'step_details.tool_calls[*].code_interpreter.outputs[*].display_data'.", "invalid_value"),
    ],
}  # fmt: skip
ANYTHING = {"name", "purpose", "run_id"}
"""Filters: what does not occur is not there."""


def _limits(most: int) -> list[tuple[str, str, str]]:
    high, low = f"above maximum value. Expected a value <= {most}", "below minimum value. Expected"
    return [
        (str(most + 1), f"Invalid 'limit': integer {high}, but got {most + 1} instead.",
         "integer_above_max_value"),
        ("0", f"Invalid 'limit': integer {low} a value >= 1, but got 0 instead.",
         "integer_below_min_value"),
        ("1.5", "Invalid type for 'limit': expected an integer, but got a string instead.",
         "invalid_type"),
        ("x", "Invalid type for 'limit': expected an integer, but got a string instead.",
         "invalid_type"),
    ]  # fmt: skip


async def test_queries(world: World) -> None:
    before = await world.stored()
    for place in places():
        query = place.operation.query
        for name, field in (query.model_json_schema()["properties"] if query else {}).items():
            key = f"{name}[]" if field.get("type") == "array" else name
            if key in ANYTHING:
                continue
            body = LEAST.get(place.operation.body) if place.operation.body else None
            bad = _limits(field["maximum"]) if key == "limit" else QUERIES[key]
            for value, text, code in bad:
                headers = V1 if place.operation.v1 else {}
                refused = await world.refusal(
                    place.verb, place.path, body, f"{key}={value}", **headers
                )
                param = "include[0]" if key == "include[]" else key
                assert refused == Refusal(400, text, code, param), (place, key, value)
    assert await world.stored() == before


@pytest.mark.parametrize("header", [True, False])
@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 17, "²"])
async def test_numbers_of_events(world: World, header: bool, value: str) -> None:
    path = "openai/v1/threads/{thread_id}/runs/{run_id}/events"
    headers = {"Last-Event-ID": value} if header else {}
    refused = await world.refusal("get", path, None, "" if header else f"after={value}", **headers)
    text = "Invalid 'after': expected the number of an event."
    assert refused == Refusal(400, text, None, "after")
