"""Every url refuses whom it does not know, and every verb names what it asks the authorizer."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_server.auth import Authorizer
from tornado.web import RequestHandler

from jupyter_ci_ext.api.base import BaseHandler
from jupyter_ci_ext.api.urls import API, EXTENSION

VERBS = ("get", "post", "put", "patch", "delete", "head")


@pytest.fixture
def jp_server_config(tmp_path: Path) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_ci_ext": True}},
        "CodeInterpreterApp": {"data_dir": str(tmp_path / "state")},
    }


def addresses() -> Iterator[tuple[str, type[BaseHandler]]]:
    """Every address there is, with something in place of its ``{names}``."""
    for root, table in (
        ("openai/v1", API),
        ("openai", API),
        ("code-interpreter", EXTENSION),
    ):
        for route in table:
            yield root + re.sub(r"{\w+}", "x", route.path), route.handler


def verbs(handler: type[BaseHandler]) -> Iterator[tuple[str, Any]]:
    for verb in VERBS:
        method = getattr(handler, verb)
        if method is not RequestHandler._unimplemented_method:
            yield verb, method


def test_every_verb_names_action_and_resource() -> None:
    for address, handler in addresses():
        for verb, method in verbs(handler):
            asked = inspect.getclosurevars(method).nonlocals
            where = f"{verb} {address}"
            assert asked.get("resource") == "code_interpreter", where
            allowed = {"read"} if verb in ("get", "head") else {"write", "execute"}
            assert asked.get("action") in allowed, where


def test_every_verb_is_short() -> None:
    for _, handler in addresses():
        for verb, method in verbs(handler):
            source = inspect.getsource(inspect.unwrap(method)).splitlines()
            body = [
                line for line in source if not line.strip().startswith(("@", "async def", '"""'))
            ]
            assert len(body) <= 8, f"{handler.__name__}.{verb}"


@pytest.mark.parametrize(
    ("headers", "code"),
    [({}, None), ({"Authorization": "Bearer not-the-token"}, "invalid_api_key")],
    ids=["no key", "bad key"],
)
async def test_strangers_are_refused_everywhere(
    jp_serverapp, http_server_client, jp_base_url, headers: dict[str, str], code: str | None
) -> None:
    for address, handler in addresses():
        for verb, _ in verbs(handler):
            reply = await http_server_client.fetch(
                jp_base_url + address,
                method=verb.upper(),
                headers=headers,
                body="{}" if verb == "post" else None,
                raise_error=False,
            )
            where = f"{verb} {address}"
            error = json.loads(reply.body)["error"]
            assert (reply.code, error["code"]) == (401, code), where
            assert error["type"] == "invalid_request_error"
            assert set(error) == {"message", "type", "param", "code"}


async def test_strangers_do_not_learn_which_addresses_there_are(
    jp_serverapp, http_server_client, jp_base_url
) -> None:
    for path in ("openai/v1/nothing", "openai", "code-interpreter/nothing"):
        reply = await http_server_client.fetch(jp_base_url + path, raise_error=False)
        assert reply.code == 401


class DeniesAll(Authorizer):
    """An authorizer that allows nothing, and remembers what it was asked."""

    asked: set[tuple[str, str]] = set()  # noqa: RUF012

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        self.asked.add((action, resource))
        return not handler.request.path.startswith("/a%40b/" + "openai") and (
            "code-interpreter" not in handler.request.path
        )


class TestWithoutPermission:
    """Known, but allowed nothing."""

    @pytest.fixture
    def jp_server_config(self, tmp_path: Path) -> dict[str, Any]:
        return {
            "ServerApp": {
                "jpserver_extensions": {"jupyter_ci_ext": True},
                "authorizer_class": DeniesAll,
            },
            "CodeInterpreterApp": {"data_dir": str(tmp_path / "state")},
        }

    async def test_every_verb_is_refused(self, jp_fetch) -> None:
        for address, handler in addresses():
            for verb, _ in verbs(handler):
                body = "{}" if verb == "post" else None
                headers = {"OpenAI-Beta": "assistants=v1"}
                if verb == "post" and address.endswith(("/files", "/parts")):
                    headers["Content-Type"] = "multipart/form-data; boundary=x"
                    body = "--x--\r\n"
                reply = await jp_fetch(
                    address, method=verb.upper(), body=body, headers=headers, raise_error=False
                )
                assert reply.code == 403, f"{verb} {address}"
                assert "not authorized" in json.loads(reply.body)["error"]["message"]
        assert {resource for _, resource in DeniesAll.asked} == {"code_interpreter"}
