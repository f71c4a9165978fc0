"""The description of the API says what is true."""

from __future__ import annotations

import ast
import inspect
import json
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator
from tornado.web import RequestHandler

from jupyter_ci_ext.api.description import DescriptionHandler
from jupyter_ci_ext.api.openapi import describe
from jupyter_ci_ext.api.operations import OPERATIONS
from jupyter_ci_ext.api.urls import API, EXTENSION, addresses

DESCRIPTION = describe(addresses(), "/")


def verbs(handler: type[RequestHandler]) -> set[str]:
    stock = RequestHandler._unimplemented_method
    names = ("get", "post", "put", "patch", "delete")
    return {verb for verb in names if getattr(handler, verb) is not stock}


def test_every_verb_is_described() -> None:
    for route in (*API, *EXTENSION):
        if route.handler is not DescriptionHandler:
            assert set(OPERATIONS[route.handler]) == verbs(route.handler), route.path
            for operation in OPERATIONS[route.handler].values():
                assert operation.v1 == route.v1_only, route.path


def test_verbs_take_what_is_described() -> None:
    """The classes a verb reads its parameters as are those of the table."""
    for handler, described in OPERATIONS.items():
        for verb, operation in described.items():
            source = textwrap.dedent(inspect.getsource(inspect.unwrap(getattr(handler, verb))))
            read = dict(_read(ast.parse(source)))
            where = f"{handler.__name__}.{verb}"
            if operation.file is None:
                assert read.get("params") == getattr(operation.body, "__name__", None), where
            assert read.get("query") == getattr(operation.query, "__name__", None), where


def _read(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            (*_, name) = [None, *(a.id for a in node.args if isinstance(a, ast.Name))]
            if node.func.attr in ("params", "query") and name is not None:
                yield node.func.attr, name


def _schemas(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        for key, item in value.items():
            if key == "schema":
                yield item
            yield from _schemas(item)
    elif isinstance(value, list):
        for item in value:
            yield from _schemas(item)


def test_it_is_openapi() -> None:
    """Clients in other languages are generated from it."""
    assert [error.message for error in OpenAPIV31SpecValidator(DESCRIPTION).iter_errors()] == []


def test_people_find_words_for_everything() -> None:
    assert {tag["name"] for tag in DESCRIPTION["tags"]} == {
        tag for each in _operations() for tag in each["tags"]
    }
    for path, verbs in DESCRIPTION["paths"].items():
        assert [each["name"] for each in verbs["parameters"]] == re.findall(r"{(\w+)}", path)
        for parameter in verbs["parameters"]:
            assert parameter["description"], path
    for operation in _operations():
        where = operation["operationId"]
        assert operation["summary"], where
        for parameter in operation["parameters"]:
            assert parameter["description"], (where, parameter["name"])
        assert {"200", "400", "401", "403", "500", "503"} <= set(operation["responses"]), where
    for name, schema in DESCRIPTION["components"]["schemas"].items():
        for field, described in schema.get("properties", {}).items():
            assert described.get("description") or "$ref" in described, (name, field)


def test_addresses_of_version_1_say_so() -> None:
    path = "/openai/v1/assistants/{assistant_id}/files"
    (header,) = [
        each for each in DESCRIPTION["paths"][path]["post"]["parameters"] if each["in"] == "header"
    ]
    assert (header["name"], header["required"]) == ("OpenAI-Beta", True)
    assert header["schema"]["enum"] == ["assistants=v1"]


def _operations() -> list[dict[str, Any]]:
    return [
        operation
        for verbs in DESCRIPTION["paths"].values()
        for verb, operation in verbs.items()
        if verb != "parameters"
    ]


def test_schemas_are_valid_and_all_there() -> None:
    schemas = DESCRIPTION["components"]["schemas"]
    for schema in (*schemas.values(), *_schemas(DESCRIPTION["paths"])):
        Draft202012Validator.check_schema(schema)
    text = json.dumps(DESCRIPTION)
    referred = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert referred <= set(schemas)


def test_names_of_operations_are_unique() -> None:
    ids = [operation["operationId"] for operation in _operations()]
    assert len(ids) == len(set(ids))


def validator(path: str, verb: str) -> Draft202012Validator:
    answer = DESCRIPTION["paths"][path][verb]["responses"]["200"]
    schema = answer["content"]["application/json"]["schema"]
    return Draft202012Validator({**schema, "components": DESCRIPTION["components"]})


@pytest.mark.usefixtures("server")
async def test_answers_are_as_described(jp_fetch) -> None:
    async def check(path: str, verb: str, body: Any = None, **ids: str) -> Any:
        reply = await jp_fetch(
            path.format(**ids), method=verb.upper(), body=json.dumps(body) if body else None
        )
        data = json.loads(reply.body)
        validator(path, verb).validate(data)
        return data.get("id")

    assistant = await check("/openai/v1/assistants", "post", {"model": "demo"})
    await check("/openai/v1/assistants", "get")
    message = {"role": "user", "content": "hello"}
    thread = await check("/openai/v1/threads", "post", {"messages": [message]})
    await check("/openai/v1/threads/{thread_id}", "get", thread_id=thread)
    await check("/openai/v1/threads/{thread_id}/messages", "get", thread_id=thread)
    run = await check(
        "/openai/v1/threads/{thread_id}/runs", "post", {"assistant_id": assistant}, thread_id=thread
    )
    steps = "/openai/v1/threads/{thread_id}/runs/{run_id}/steps"
    await check(steps, "get", thread_id=thread, run_id=run)
    await check("/openai/v1/models", "get")
    await check("/openai/v1/files", "get")
    upload = {"filename": "a", "purpose": "assistants", "bytes": 1, "mime_type": "text/plain"}
    await check("/openai/v1/uploads", "post", upload)
    await check("/code-interpreter/status", "get")
    await check("/code-interpreter/sessions", "get")
    await check("/code-interpreter/threads", "get")
    await check("/openai/v1/assistants/{assistant_id}", "delete", assistant_id=assistant)


@pytest.mark.usefixtures("server")
async def test_the_description_is_served(jp_fetch, jp_base_url) -> None:
    served = json.loads((await jp_fetch("openai/v1/openapi.json")).body)
    assert served["paths"] == json.loads(json.dumps(DESCRIPTION["paths"]))
    assert served["servers"] == [{"url": jp_base_url.rstrip("/")}]
