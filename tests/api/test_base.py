"""Credentials, headers and error shapes, over a real server."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

import pytest
from jupyter_server.auth import IdentityProvider
from jupyter_server.serverapp import ServerApp
from tornado.web import HTTPError

from jupyter_ci_ext.api.base import NO_VECTOR_STORES
from jupyter_ci_ext.api.settings import ApiSettings
from jupyter_ci_ext.store.threads import Threads

pytestmark = pytest.mark.usefixtures("server")

MODELS = "openai/v1/models"


@pytest.fixture
def bare(http_server_client: Any, jp_base_url: str) -> Any:
    """Requests that bring their own credentials, or none."""

    async def send(path: str = MODELS, **kwargs: Any) -> Any:
        return await http_server_client.fetch(jp_base_url + path, raise_error=False, **kwargs)

    return send


async def login_cookie(bare: Any, token: str) -> str:
    """The cookie of somebody who has logged in to Jupyter."""
    reply = await bare("api/status", headers={"Authorization": f"token {token}"})
    cookie: str = reply.headers["Set-Cookie"].split(";")[0]
    return cookie


@pytest.mark.parametrize(
    "headers",
    [
        lambda token: {"Authorization": f"Bearer {token}"},
        lambda token: {"Authorization": f"token {token}"},
        lambda token: {"Authorization": "Basic " + base64.b64encode(f":{token}".encode()).decode()},
        lambda token: {"api-key": token},
        lambda token: {"api-key": "wrong", "Authorization": f"Bearer {token}"},
    ],
    ids=["bearer", "token", "basic", "api-key", "authorization goes first"],
)
async def test_the_ways_to_bring_a_key(bare, server: ServerApp, headers) -> None:
    given = headers(server.identity_provider.token)
    assert (await bare(headers=given)).code == 200
    reply = await bare("openai/v1/threads", method="POST", body="{}", headers=given)
    assert reply.code == 200
    assert "Set-Cookie" not in reply.headers, "a key makes no login"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, None),
        ({"Authorization": "Basic dXNlcjpwYXNz"}, None),
        ({"Authorization": "Basic ???"}, None),
        ({"Authorization": "Basic \x9b\xff"}, None),
        ({"Authorization": "Bearer "}, None),
        ({"Authorization": "Bearer x"}, "invalid_api_key"),
        ({"api-key": "x"}, "invalid_api_key"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT"])
async def test_without_a_good_key_every_verb_is_401(bare, headers, code, method: str) -> None:
    body = "{}" if method in ("POST", "PUT") else None
    reply = await bare(method=method, headers=headers, body=body)
    assert (reply.code, json.loads(reply.body)["error"]["code"]) == (401, code)
    assert reply.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_wrong_key_is_not_repeated_in_full(bare) -> None:
    reply = await bare(headers={"Authorization": "Bearer sk-abcdefghijklmnop"})
    message = json.loads(reply.body)["error"]["message"]
    assert message.startswith("Incorrect API key provided: sk-a****mnop.")
    assert "bcdefghijkl" not in message


async def test_a_cookie_needs_its_xsrf_token(bare, server: ServerApp) -> None:
    token = server.identity_provider.token
    login = await login_cookie(bare, token)
    cookies = {"Cookie": f"{login}; _xsrf=abc"}
    assert (await bare(headers=cookies)).code == 200
    post = {"path": "openai/v1/threads", "method": "POST", "body": "{}"}
    refused = await bare(**post, headers=cookies)
    assert refused.code == 403
    assert "_xsrf" in json.loads(refused.body)["error"]["message"]
    assert (await bare(**post, headers={**cookies, "X-XSRFToken": "abc"})).code == 200


async def test_headers_of_the_api(jp_fetch) -> None:
    reply = await jp_fetch(MODELS)
    assert re.fullmatch(r"req_[0-9a-f]{32}", reply.headers["x-request-id"])
    assert int(reply.headers["openai-processing-ms"]) >= 1
    assert reply.headers["openai-version"] == "2020-10-01"
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.body.decode().startswith('{\n  "object": "list",\n  "data": [\n')


async def test_a_preflight_allows_what_the_clients_send(bare) -> None:
    asked = "authorization, api-key, openai-beta, x-stainless-os, x-evil"
    reply = await bare(
        "openai/v1/threads",
        method="OPTIONS",
        headers={"Access-Control-Request-Headers": asked, "Origin": "https://example.org"},
    )
    assert reply.code in (200, 204)
    allowed = reply.headers["Access-Control-Allow-Headers"].split(", ")
    assert allowed == ["authorization", "api-key", "openai-beta", "x-stainless-os"]
    assert "POST" in reply.headers["Access-Control-Allow-Methods"]


async def test_pages_of_other_sites_need_the_key_not_a_cookie(bare, server: ServerApp) -> None:
    origin = {"Origin": "https://example.org"}
    token = server.identity_provider.token
    reply = await bare(headers={**origin, "Authorization": f"Bearer {token}"})
    assert (reply.code, reply.headers["Access-Control-Allow-Origin"]) == (200, origin["Origin"])
    assert "x-request-id" in reply.headers["Access-Control-Expose-Headers"]
    login = await login_cookie(bare, token)
    assert (await bare(headers={**origin, "Cookie": login})).code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "openai/v1/xyz", 404, "Invalid URL (GET /v1/xyz)"),
        ("POST", "openai/v1/xyz", 404, "Invalid URL (POST /v1/xyz)"),
        ("GET", "openai/v1/threads//messages", 404, "Invalid URL (GET /v1/threads//messages)"),
        ("POST", "openai/v1/vector_stores", 404, NO_VECTOR_STORES),
        ("GET", "openai/vector_stores/vs_1?api-version=2024-05-01-preview", 404, NO_VECTOR_STORES),
        ("GET", "openai", 404, "Invalid URL (GET /)"),
        ("GET", "openai/v1/assistants/a/files", 404, "Invalid URL (GET /v1/assistants/a/files)"),
        ("GET", "openai/v1/assistants/x", 404, "No assistant found with id 'x'."),
        ("GET", "openai/v1/files/file-x", 404, "No such File object: file-x"),
    ],
)
async def test_what_is_not_there(
    jp_fetch, method: str, path: str, status: int, message: str
) -> None:
    body = "{}" if method == "POST" else None
    reply = await jp_fetch(path, method=method, body=body, raise_error=False)
    assert (reply.code, json.loads(reply.body)["error"]["message"]) == (status, message)


async def test_wrong_verbs(jp_fetch) -> None:
    reply = await jp_fetch(MODELS, method="DELETE", raise_error=False)
    assert (reply.code, reply.headers["Allow"]) == (405, "GET, OPTIONS")
    assert json.loads(reply.body)["error"]["message"].startswith(
        "Not allowed to DELETE on /v1/models."
    )


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, None),
        (b"[]", 400, "invalid_type"),
        (b'"text"', 400, "invalid_type"),
        (b"\xff\xfe", 400, None),
        (b'{"metadata": {"a": "\\ud800"}}', 400, None),
        (b'{"metadata": NaN}', 400, None),
        (b"[" * 50_000, 400, None),
        (b'{"unknown": 1}', 400, "unknown_parameter"),
        (b" " * 200_000 + b"{}", 413, None),
        (b"", 200, None),
        (b"{}", 200, None),
        (b'{"metadata": null, "messages": null}', 200, None),
    ],
    ids=["open", "array", "text", "bytes", "surrogate", "nan", "deep", "unknown", "long", "absent",
         "empty", "nulls"],
)  # fmt: skip
async def test_bodies(jp_fetch, body: bytes, status: int, code: str | None) -> None:
    reply = await jp_fetch("openai/v1/threads", method="POST", body=body, raise_error=False)
    assert reply.code == status
    if status != 200:
        error = json.loads(reply.body)["error"]
        assert (error["type"], error["code"]) == ("invalid_request_error", code)


async def test_a_crash_is_logged_with_its_number(
    jp_fetch, monkeypatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def crash(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(Threads, "page", crash)
    reply = await jp_fetch("openai/v1/threads", raise_error=False)
    number = reply.headers["x-request-id"]
    assert reply.code == 500
    assert number in json.loads(reply.body)["error"]["message"]
    assert "secret" not in reply.body.decode()
    [logged] = [text for r in caplog.records if f"{number} /" in (text := r.getMessage())]
    assert "in crash" in logged
    assert logged.endswith("ZeroDivisionError")
    assert "secret" not in logged.replace('ZeroDivisionError("secret")', "")  # the line of code


async def test_azure_words_its_errors_its_own_way(jp_fetch, bare) -> None:
    azure = {"api-version": "2024-05-01-preview"}
    reply = await jp_fetch("openai/xyz", params=azure, raise_error=False)
    assert (reply.code, json.loads(reply.body)) == (
        404,
        {"error": {"code": "404", "message": "Resource not found"}},
    )
    old = await jp_fetch("openai/threads", params={"api-version": "2023-05-15"}, raise_error=False)
    assert (old.code, json.loads(old.body)["error"]["code"]) == (404, "404")
    stranger = await bare("openai/threads?api-version=2024-05-01-preview")
    assert json.loads(stranger.body)["error"]["code"] == "401"
    missing = await jp_fetch("openai/threads/thread_x", params=azure, raise_error=False)
    assert json.loads(missing.body)["error"]["message"] == "No thread found with id 'thread_x'."
    echoed = await jp_fetch(
        "openai/threads", params=azure, headers={"x-ms-client-request-id": "guid-1"}
    )
    assert echoed.headers["x-ms-client-request-id"] == "guid-1"


async def test_models_may_have_slashes_in_their_names(jp_fetch, bare, server: ServerApp) -> None:
    key = {"Authorization": f"Bearer {server.identity_provider.token}"}
    assert (
        json.loads((await bare(f"{MODELS}/local%2Fdemo", headers=key)).body)["id"] == "local/demo"
    )
    missing = await jp_fetch(MODELS, "nothing", raise_error=False)
    assert (missing.code, json.loads(missing.body)["error"]["code"]) == (404, "model_not_found")


class NoHub(IdentityProvider):
    """An identity provider whose hub does not answer."""

    def get_user(self, handler: Any) -> None:
        raise HTTPError(502, "Failed to connect to Hub API")


class TestWhenTheHubIsDown:
    """Nobody can be told from a stranger."""

    @pytest.fixture
    def jp_server_config(self) -> dict[str, Any]:
        return {"ServerApp": {"identity_provider_class": NoHub}}

    async def test_that_is_no_fault_of_the_key(self, bare) -> None:
        for method, body in (("GET", None), ("POST", "{}")):
            reply = await bare("openai/v1/threads", method=method, body=body)
            assert (reply.code, json.loads(reply.body)["error"]) == (
                502,
                {
                    "message": "Failed to connect to Hub API",
                    "type": "server_error",
                    "param": None,
                    "code": None,
                },
            )


class TestWhereVersionsAreRequired:
    """As OpenAI and Azure have it."""

    @pytest.fixture
    def api(self) -> ApiSettings:
        return ApiSettings(strict=True)

    async def test_requests_must_name_one(self, jp_fetch) -> None:
        reply = await jp_fetch("openai/v1/threads", raise_error=False)
        assert (reply.code, json.loads(reply.body)["error"]["code"]) == (400, "invalid_beta")
        beta = {"OpenAI-Beta": "assistants=v2"}
        assert (await jp_fetch("openai/v1/threads", headers=beta)).code == 200
        assert (await jp_fetch("openai/v1/files")).code == 200
        bare = await jp_fetch("openai/threads", headers=beta, raise_error=False)
        assert (bare.code, json.loads(bare.body)["error"]["code"]) == (404, "404")
