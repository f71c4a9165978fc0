"""The API's description (OpenAPI 3.1), made of the url table and the wire's models."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from .. import __version__
from .base import BaseHandler
from .operations import OPERATIONS, Operation

JSON = dict[str, Any]

Address = tuple[str, type[BaseHandler]]
"""A path below the server, and its handler."""

_REF = "#/components/schemas/{model}"

_ERROR = {
    "type": "object",
    "description": "What went wrong.",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
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
    "description": "Number of the last event that was seen; so does the header Last-Event-ID.",
    "schema": {"type": "integer", "minimum": 0, "default": 0},
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
        "info": {
            "title": "Code interpreter",
            "version": __version__,
            "description": "The OpenAI Assistants API on this Jupyter server.",
        },
        "servers": [{"url": server}],
        "security": [{"bearer": []}, {"api-key": []}],
        "paths": paths,
        "components": {
            "schemas": {**writer.schemas, "Error": _ERROR},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer"},
                "api-key": {"type": "apiKey", "in": "header", "name": "api-key"},
            },
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
            "operationId": f"{verb}_{re.sub(r'[^A-Za-z]+', '_', path).strip('_')}",
            "summary": summary.splitlines()[0].rstrip("."),
            "parameters": _in_query(operation.query),
            "responses": {
                "200": self._answer(operation),
                "4XX": {"description": "The request is at fault.", **_json(_ref("Error"))},
                "5XX": {"description": "The server is at fault.", **_json(_ref("Error"))},
            },
        }
        if operation.answer == "events":
            described["parameters"].append(_AFTER)
        if operation.file is not None:
            described["requestBody"] = self._form(operation.file, operation.body)
            if operation.instead is not None:
                named = _json(self._refs[(operation.instead, "validation")])
                described["requestBody"]["content"] |= named["content"]
        elif operation.body is not None:
            body = self._refs[(operation.body, "validation")]
            required = bool(operation.body.model_json_schema().get("required"))
            described["requestBody"] = {"required": required, **_json(body)}
        return described

    def _answer(self, operation: Operation) -> JSON:
        content: JSON = {}
        if operation.returns is not None:
            content = _json(self._refs[(operation.returns, "serialization")])["content"]
        if "events" in operation.answer:
            content["text/event-stream"] = {"schema": {"type": "string"}}
        if operation.answer == "bytes":
            content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
        return {"description": "Done.", "content": content}

    def _form(self, file: str, fields: type[BaseModel] | None) -> JSON:
        part = {"type": "string", "format": "binary", "description": "The file."}
        schema: JSON = {"type": "object", "required": [file], "properties": {file: part}}
        if fields is not None:
            form = fields.model_json_schema(ref_template=_REF)
            self.schemas.update(form.get("$defs", {}))
            schema["required"] += form.get("required", [])
            schema["properties"].update(form["properties"])
        return {"required": True, "content": {"multipart/form-data": {"schema": schema}}}


def _name(model: type[BaseModel]) -> str:
    return model.__name__


def _ref(name: str) -> JSON:
    return {"$ref": _REF.format(model=name)}


def _json(schema: Any) -> JSON:
    return {"content": {"application/json": {"schema": schema}}}


def _names(path: str) -> list[str]:
    return re.findall(r"{(\w+)}", path)


def _in_path(name: str) -> JSON:
    return {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


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
            "description": schema.pop("description", ""),
            "schema": schema,
        })  # fmt: skip
    return found
