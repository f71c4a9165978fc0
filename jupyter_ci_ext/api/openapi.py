"""The API's description (OpenAPI 3.1), made of the url table and the wire's models."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .. import __version__
from .base import BaseHandler
from .openapi_texts import ABOUT, EVENT, HEADERS, IN_PATH, REFUSALS, SCHEMES
from .operations import OPERATIONS, Operation

JSON = dict[str, Any]

Address = tuple[str, type[BaseHandler]]
"""A path below the server, and its handler."""

_REF = "#/components/schemas/{model}"

_ERROR = {
    "type": "object",
    "description": "What every refusal answers.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "description": "The first thing that is wrong.",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string", "description": "A sentence for people."},
                "type": {"type": "string", "description": "The kind of error."},
                "param": {"type": ["string", "null"], "description": "The parameter it is about."},
                "code": {"type": ["string", "null"], "description": "A word for programs."},
            },
        }
    },
}

_AFTER = {
    "name": "after",
    "in": "query",
    "allowEmptyValue": True,
    "description": "Number of the last event that was seen; so does the header Last-Event-ID.",
    "schema": {"type": "integer", "minimum": 0, "maximum": 10**15 - 1, "default": 0},
}

_VERSION_1 = {
    "name": "OpenAI-Beta",
    "in": "header",
    "required": True,
    "description": "There only in the API's first version.",
    "schema": {"type": "string", "enum": ["assistants=v1"]},
}


def describe(addresses: Iterable[Address], server: str) -> JSON:
    """The description of *addresses*, which are below *server*."""
    routes = [(path, handler) for path, handler in addresses if handler in OPERATIONS]
    writer = _Writer(routes)
    paths: dict[str, JSON] = {}
    for path, handler in routes:
        verbs = {verb: writer.operation(path, verb, handler) for verb in OPERATIONS[handler]}
        paths[path] = {**verbs, "parameters": [_in_path(name) for name in _names(path)]}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Code interpreter", "version": __version__, "description": ABOUT},
        "servers": [{"url": server}],
        "security": [{"bearer": []}, {"api-key": []}],
        "tags": _tags(routes),
        "paths": paths,
        "components": {
            "schemas": {**writer.schemas, "Error": _ERROR},
            "responses": {name: _refusal(text) for name, text in REFUSALS.values()},
            "headers": HEADERS,
            "securitySchemes": SCHEMES,
        },
    }


class _Writer:
    """Knows the schemas of all models that occur."""

    def __init__(self, routes: list[Address]) -> None:
        operations = [each for _, handler in routes for each in OPERATIONS[handler].values()]
        bodies = {body for each in operations for body in (each.body, each.instead) if body}
        answers = {each.returns for each in operations if each.returns}
        pairs: list[Any] = [(model, "validation") for model in sorted(bodies, key=_name)]
        pairs += [(model, "serialization") for model in sorted(answers, key=_name)]
        self._refs, definitions = models_json_schema(pairs, ref_template=_REF)
        self.schemas: JSON = definitions.get("$defs", {})

    def operation(self, path: str, verb: str, handler: type[BaseHandler]) -> JSON:
        """One verb of one path."""
        operation = OPERATIONS[handler][verb]
        summary = inspect.getdoc(getattr(handler, verb)) or ""
        described: JSON = {
            "operationId": f"{verb}_{re.sub(r'[^A-Za-z0-9]+', '_', path).strip('_')}",
            "summary": summary.splitlines()[0].rstrip("."),
            "tags": [_tag(handler)],
            "parameters": _in_query(operation.query),
            "responses": {**self._answers(operation), **_refusals(path, operation)},
        }
        if operation.answer == "events":
            described["parameters"].append(_AFTER)
        if operation.v1:
            described["parameters"].append(_VERSION_1)
        if operation.file is not None:
            described["requestBody"] = self._form(operation.file, operation.body)
            if operation.instead is not None:
                named = _json(self._refs[(operation.instead, "validation")])
                described["requestBody"]["content"] |= named["content"]
        elif operation.body is not None:
            body = self._refs[(operation.body, "validation")]
            required = bool(operation.body.model_json_schema().get("required"))
            if not required:  # no body, or null, says as much as an empty object
                body = {"anyOf": [body, {"type": "null"}]}
            described["requestBody"] = {"required": required, **_json(body)}
        return described

    def _answers(self, operation: Operation) -> JSON:
        content: JSON = {}
        if operation.returns is not None:
            content = _json(self._refs[(operation.returns, "serialization")])["content"]
        if "events" in operation.answer:
            content["text/event-stream"] = {"schema": EVENT}
        if operation.answer != "bytes":
            return {"200": {"description": "Done.", "headers": _stamps(), "content": content}}
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
        answer = {"headers": _stamps(), "content": content}
        return {
            "200": {"description": "The whole of it.", **answer},
            "206": {"description": "The range that was asked for.", **answer},
            "416": {"description": "There is no such range.", **answer},
        }

    def _form(self, file: str, fields: type[BaseModel] | None) -> JSON:
        part = {"type": "string", "format": "binary", "description": "The file."}
        schema: JSON = {"type": "object", "required": [file], "properties": {file: part}}
        if fields is not None:
            form = fields.model_json_schema(ref_template=_REF)
            self.schemas.update(form.get("$defs", {}))
            schema["required"] += form.get("required", [])
            schema["properties"].update(form["properties"])
        nested = {
            name: {"style": "deepObject", "explode": True}
            for name, field in schema["properties"].items()
            if "$ref" in str(field)
        }
        media: JSON = {"schema": schema, **({"encoding": nested} if nested else {})}
        return {"required": True, "content": {"multipart/form-data": media}}


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _ref(name: str) -> JSON:
    return {"$ref": _REF.format(model=name)}


def _json(schema: Any) -> JSON:
    return {"content": {"application/json": {"schema": schema}}}


def _names(path: str) -> list[str]:
    return re.findall(r"{(\w+)}", path)


def _in_path(name: str) -> JSON:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": IN_PATH[name],
        "schema": {"type": "string", "minLength": 1},
    }


def _tag(handler: type[BaseHandler]) -> str:
    return handler.__module__.rpartition(".")[2]


def _tags(routes: list[Address]) -> list[JSON]:
    modules = {_tag(handler): sys.modules[handler.__module__] for _, handler in routes}
    return [
        {"name": name, "description": (inspect.getdoc(module) or "").splitlines()[0]}
        for name, module in modules.items()
    ]


def _stamps() -> JSON:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in HEADERS}


def _refusal(text: str) -> JSON:
    return {"description": text, "headers": _stamps(), **_json(_ref("Error"))}


def _refusals(path: str, operation: Operation) -> JSON:
    """The statuses of errors that an operation may answer with."""
    sent = operation.body is not None or operation.file is not None
    possible = {400, 401, 403, 500, 503}
    possible |= {404} if sent or operation.v1 or _names(path) else set()
    possible |= {413} if sent else set()
    return {
        str(status): {"$ref": f"#/components/responses/{name}"}
        for status, (name, _) in REFUSALS.items()
        if status in possible
    }


def _in_query(query: type[BaseModel] | None) -> list[JSON]:
    if query is None:
        return []
    found = []
    for name, schema in query.model_json_schema()["properties"].items():
        if "anyOf" in schema:  # none is given by leaving it out
            (given,) = [each for each in schema.pop("anyOf") if each != {"type": "null"}]
            schema.update(given)
            schema.pop("default")
        listed = "[]" if schema.get("type") == "array" else ""
        found.append({
            "name": name + listed,
            "in": "query",
            "allowEmptyValue": True,
            "description": schema.pop("description", ""),
            "schema": schema,
        })  # fmt: skip
    return found
