"""The model service over HTTP: who may ask, what is passed on, what is counted, what goes wrong."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from jupyter_ci_ext.errors import LLMError
from jupyter_ci_ext.llm.config import ModelProvider
from jupyter_ci_ext.llm.provider import Models
from tests.fakes import upstream as upstream
from tests.fakes.answers import code, cut, error, say, stall
from tests.fakes.upstream import ScriptedUpstream
from tests.hub.fakes import KEY, Service, TokenHub, serving
from tests.llm.conftest import TURN

Serve = Callable[..., AbstractAsyncContextManager[Service]]


@pytest.fixture
def tokens() -> Iterator[TokenHub]:
    """The Hub."""
    with TokenHub() as hub:
        yield hub


@pytest.fixture
def serve(
    tokens: TokenHub,
    upstream: ScriptedUpstream,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Serve:
    """Starts the service before the scripted upstream; keywords are its settings."""
    return partial(serving, tokens, upstream.url, tmp_path, monkeypatch)


def data_of(text: str) -> list[Any]:
    """The JSON of a stream's events, ``[DONE]`` left out."""
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line.strip()]
    assert lines[-1] == "[DONE]"
    return [json.loads(line) for line in lines[:-1]]


# ---- who may ask ---------------------------------------------------------------------------


async def test_a_token_is_wanted_and_known(serve: Serve, tokens: TokenHub) -> None:
    async with serve() as service:
        status, body = await service.ask(None)
        assert (status, body["error"]["type"]) == (401, "invalid_request_error")
        status, body = await service.ask("sk-somebody-elses-key-of-openai")
        assert (status, body["error"]["code"]) == (401, "invalid_api_key")
        assert "somebody" not in body["error"]["message"]
        for path in ("/v1/models", "/v1/models/scripted", "/metrics"):
            assert (await service.get(path))[0] == 401


async def test_a_token_without_the_scope_is_refused(serve: Serve, tokens: TokenHub) -> None:
    token = tokens.add("alice", "access:servers!server=alice/")
    async with serve() as service:
        status, body = await service.ask(token)
        assert status == 403
        assert "access:services!service=models" in body["error"]["message"]
        assert (await service.get("/v1/models", token))[0] == 403


async def test_azures_header_is_taken_and_the_hub_asked_once(
    serve: Serve, tokens: TokenHub
) -> None:
    token = tokens.add("alice")
    async with serve() as service:
        for _ in range(3):
            async with service.client.get(
                f"{service.url}/services/models/v1/models", headers={"api-key": token}
            ) as reply:
                assert reply.status == 200
        assert tokens.asked == 1


async def test_a_hub_that_fails_is_no_refusal(serve: Serve, tokens: TokenHub) -> None:
    tokens.broken = True
    async with serve() as service, service.post("any") as reply:
        assert (reply.status, reply.headers["Retry-After"]) == (503, "5")
        assert (await reply.json())["error"]["type"] == "server_error"


async def test_addresses_that_are_not_there(serve: Serve, tokens: TokenHub) -> None:
    async with serve() as service:
        for path in ("/", "/v1/embeddings", "/services/models/v1/x", "/services/other/v1/models"):
            status, body = await service.get(path)
            assert (status, set(body["error"])) == (404, {"message", "type", "param", "code"})
        assert (await service.get("/v1/chat/completions"))[0] == 405
        assert await service.get("/services/models/health") == (200, {"status": "ok"})


# ---- which models --------------------------------------------------------------------------


async def test_models_are_those_of_the_caller(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    upstream.models = ["small", "large-1", "hidden", "with/slash"]
    alice, bob = tokens.add("alice"), tokens.add("bob", groups=("research",))
    async with serve(models=["small", "with/*"], group_models={"research": ["large-*"]}) as service:
        for token, names in (
            (alice, ["small", "with/slash"]),
            (bob, ["small", "large-1", "with/slash"]),
        ):
            _, body = await service.get("/v1/models", token)
            assert [row["id"] for row in body["data"]] == names
        assert (await service.get("/v1/models/with/slash", alice))[1]["id"] == "with/slash"
        assert (await service.get("/v1/models/large-1", alice))[0] == 403
        assert (await service.get("/v1/models/hidden", bob))[0] == 404
        upstream.enqueue(say("Yes."))
        assert (await service.ask(bob, model="large-1"))[0] == 200
        status, body = await service.ask(alice, model="large-1")
        assert (status, body["error"]["code"]) == (403, "model_not_allowed")
        status, body = await service.ask(bob, model="hidden")
        assert (status, body["error"]["code"]) == (404, "model_not_found")
    assert len(upstream.chats) == 1


async def test_models_named_in_full_are_listed_for_an_upstream_that_lists_none(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    upstream.models_error = error(404, "no list here")
    token = tokens.add("alice")
    async with serve(models=["small", "large-*"]) as service:
        _, body = await service.get("/v1/models", token)
        assert [row["id"] for row in body["data"]] == ["small"]


# ---- what is passed on ---------------------------------------------------------------------


async def test_only_the_sites_key_goes_out_and_only_the_answer_comes_back(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    token = tokens.add("alice")
    upstream.enqueue(say("Hello."), say("Hello."))
    async with (
        serve(upstream_headers={"X-Site": "ours"}) as service,
        service.client.post(
            f"{service.url}/v1/chat/completions",
            data=b'{"model": "scripted",  "messages": [], "temperature": 0.5}',
            headers={
                "Authorization": f"Bearer {token}",
                "api-key": token,
                "Cookie": "session=x",
                "X-Forwarded-For": "10.0.0.1",
            },
        ) as reply,
    ):
        assert reply.status == 200
        assert KEY not in str(reply.headers) + await reply.text()
    [sent] = upstream.chats
    assert sent.headers["authorization"] == f"Bearer {KEY}"
    assert sent.headers["x-site"] == "ours"
    assert token not in str(sent.headers)
    assert {"cookie", "api-key", "x-forwarded-for"}.isdisjoint(sent.headers)
    assert sent.body == {"model": "scripted", "messages": [], "temperature": 0.5}


async def test_a_stream_comes_piece_by_piece_and_ends_upstream_with_its_reader(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    upstream.enqueue(stall(3, "One moment please", chunk=4))
    token = tokens.add("alice")
    async with serve() as service:
        seen = ""
        async with service.post(token, stream=True) as reply:
            async for line in reply.content:  # what is held back would never come
                if line.strip():
                    delta = json.loads(line.removeprefix(b"data: "))["choices"][0]["delta"]
                    seen += delta.get("content") or ""
                if seen == "One mome":
                    break
            reply.close()
        left = await asyncio.to_thread(upstream.wait_for, lambda m: m.left_early == 1, 60)
        assert left
        # what had come is counted, by an estimate: 8 characters and those of the prompt
        requests, used = await _eventually(service, "alice", lambda n: n[1] > 3)
        assert requests == 1
        assert used < 20
        metrics = service.site.metrics.text().decode()
        assert 'code_interpreter_hub_requests_total{status="499"} 1.0' in metrics
        assert "code_interpreter_hub_under_way 0.0" in metrics


async def _eventually(
    service: Service, name: str, ready: Callable[[tuple[int, int]], bool]
) -> tuple[int, int]:
    for _ in range(3000):
        found = await service.used(name)
        if ready(found):
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(f"the counts stay at {found}")


async def test_usage_is_counted_and_shown_only_to_who_asked_for_it(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    token = tokens.add("alice")
    for _ in range(3):
        upstream.enqueue(code("print(1)", text="Look.", usage=(100, 11)))
    async with serve() as service:
        plain = data_of(await service.stream(token))
        assert [chunk for chunk in plain if chunk.get("usage")] == []
        assert await service.used("alice") == (1, 111)
        asked = data_of(await service.stream(token, stream_options={"include_usage": True}))
        assert asked[-1]["usage"]["total_tokens"] == 111
        assert plain == asked[:-1]
        status, whole = await service.ask(token)
        assert (status, whole["usage"]["total_tokens"]) == (200, 111)
        assert await service.used("alice") == (3, 333)
    assert upstream.chats[0].body["stream_options"] == {"include_usage": True}
    assert "stream_options" not in upstream.chats[2].body


async def test_usage_is_estimated_where_nobody_tells_it(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    token = tokens.add("alice")
    upstream.enqueue(say("x" * 400, usage=None), say("x" * 400))
    async with serve(ask_usage=False) as service:
        for number in (1, 2):
            await service.stream(token, messages=[{"role": "user", "content": "y" * 400}])
            requests, used = await service.used("alice")
            assert requests == number
            assert 200 * number <= used < 220 * number
    assert "stream_options" not in upstream.chats[0].body


# ---- quotas --------------------------------------------------------------------------------


async def test_requests_of_a_day_have_an_end(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    upstream.otherwise = say("Hello.")
    alice, bob = tokens.add("alice"), tokens.add("bob", groups=("staff",))
    settings = {"requests_per_day": 2, "group_quotas": {"staff": {"requests": 3}}}
    async with serve(**settings) as service:
        for left in (1, 0):
            async with service.post(alice) as reply:
                assert reply.status == 200
                assert reply.headers["x-ratelimit-limit-requests"] == "2"
                assert reply.headers["x-ratelimit-remaining-requests"] == str(left)
        async with service.post(alice) as reply:
            assert reply.status == 429
            assert 0 < int(reply.headers["Retry-After"]) <= 86400
            assert reply.headers["x-should-retry"] == "false"
            body = (await reply.json())["error"]
        assert (body["type"], body["code"]) == ("insufficient_quota", "insufficient_quota")
        assert "2 requests" in body["message"]
        assert body["resets_at"] % 86400 == 0
        assert await service.used("alice") == (2, 58)
        # another token is the same user; another user has a count of his own
        assert (await service.ask(tokens.add("alice")))[0] == 429
        assert [(await service.ask(bob))[0] for _ in range(4)] == [200, 200, 200, 429]


async def test_tokens_of_a_day_have_an_end_that_a_restart_does_not_move(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    upstream.otherwise = say("Hello.", usage=(90, 20))
    token = tokens.add("alice")
    async with serve(tokens_per_day=100) as service:
        assert (await service.ask(token))[0] == 200
        assert (await service.ask(token))[0] == 429
    async with serve(tokens_per_day=100) as service:
        status, body = await service.ask(token)
        assert (status, "100 tokens" in body["error"]["message"]) == (429, True)
    async with serve(tokens_per_day=111) as service:
        assert (await service.ask(token))[0] == 200


async def test_a_run_that_meets_the_quota_fails_with_its_words(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server extension points itself at the service, and takes the refusal for what it is."""
    upstream.otherwise = say("Hello.")
    async with serve(requests_per_day=1) as service:
        for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("JUPYTER_CI_EXT_MODELS_URL", service.url + "/v1")
        monkeypatch.setenv("JUPYTERHUB_API_TOKEN", tokens.add("alice"))
        models = Models(ModelProvider())
        try:
            assert "scripted" in [row.id for row in await models.list()]
            llm, _ = models.resolve("scripted")
            assert [delta async for delta in llm.stream(TURN)]  # type: ignore[attr-defined]
            with pytest.raises(LLMError, match="used up the 1 requests") as caught:
                [delta async for delta in llm.stream(TURN)]  # type: ignore[attr-defined]
        finally:
            await models.close()
    assert caught.value.kind == "quota"
    assert len(upstream.chats) == 1


async def test_so_many_at_once_and_no_more(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    upstream.enqueue(stall(1), stall(1), say("Hello."))
    alice, bob = tokens.add("alice"), tokens.add("bob")
    async with serve(requests_at_once=2) as service:
        async with service.post(alice, stream=True), service.post(alice, stream=True):
            async with service.post(alice) as reply:
                assert (reply.status, reply.headers["Retry-After"]) == (429, "2")
                assert (await reply.json())["error"]["code"] == "rate_limit_exceeded"
            assert (await service.ask(bob))[0] == 200
        assert (await service.used("alice"))[0] == 2


# ---- what goes wrong behind ----------------------------------------------------------------


async def test_a_refusal_of_the_sites_key_is_not_the_users_fault(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    upstream.enqueue(error(401, f"Incorrect API key provided: {KEY}", code="invalid_api_key"))
    token = tokens.add("alice")
    async with serve() as service:
        status, body = await service.ask(token)
        assert (status, body["error"]["type"]) == (502, "server_error")
        assert "administrators" in body["error"]["message"]
        assert KEY not in str(body)
        assert await service.used("alice") == (0, 0)


@pytest.mark.parametrize(
    ("refusal", "status", "code_"),
    [
        (error(400, f"bad {KEY}", code="context_length_exceeded"), 400, "context_length_exceeded"),
        (error(404, "no such model", code="model_not_found"), 404, "model_not_found"),
        (
            error(429, "slow down", code="rate_limit_exceeded", retry_after=7),
            429,
            "rate_limit_exceeded",
        ),
        (error(500, "oops"), 502, None),
    ],
    ids=["400", "404", "429", "500"],
)
async def test_other_refusals_are_passed_on_and_not_counted(
    serve: Serve,
    tokens: TokenHub,
    upstream: ScriptedUpstream,
    refusal: Any,
    status: int,
    code_: str | None,
) -> None:
    upstream.enqueue(refusal)
    token = tokens.add("alice")
    async with serve() as service:
        async with service.post(token, stream=True) as reply:
            body = (await reply.json())["error"]
            assert (reply.status, body["code"]) == (status, code_)
            assert reply.headers.get("Retry-After") == refusal.headers.get("Retry-After")
            assert KEY not in body["message"]
        assert await service.used("alice") == (0, 0)


async def test_a_model_server_that_is_not_there(
    tokens: TokenHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_port: int
) -> None:
    token = tokens.add("alice")
    url = f"http://127.0.0.1:{unused_port}/v1"
    async with serving(tokens, url, tmp_path, monkeypatch) as service:
        status, body = await service.ask(token)
        assert (status, body["error"]["type"]) == (502, "server_error")
        assert (await service.get("/v1/models", token))[0] == 502


@pytest.fixture
def unused_port() -> int:
    """A port nobody listens at."""
    from tests.hub.jupyterhub import free_ports

    return free_ports(1)[0]


async def test_a_model_server_that_takes_the_request_and_says_nothing(
    tokens: TokenHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.add("alice")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        async with serving(tokens, url, tmp_path, monkeypatch, silence_timeout=0.2) as service:
            status, body = await service.ask(token)
            assert (status, body["error"]["type"]) == (504, "server_error")


async def test_a_model_server_that_falls_silent_in_its_answer(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    upstream.enqueue(stall(1))
    token = tokens.add("alice")
    async with serve(silence_timeout=0.5) as service, service.post(token, stream=True) as reply:
        if reply.status == 200:  # on a busy machine its first word, too, may come too late
            with pytest.raises(aiohttp.ClientPayloadError):
                await reply.text()
        else:
            assert reply.status == 504
    assert await asyncio.to_thread(upstream.wait_for, lambda m: m.left_early == 1, 60)


async def test_an_answer_that_breaks_off_breaks_off_here(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    upstream.enqueue(cut(3))
    token = tokens.add("alice")
    async with serve() as service:
        with pytest.raises(aiohttp.ClientPayloadError):
            await service.stream(token)
        requests, used = await service.used("alice")
        assert (requests, used > 0) == (1, True)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'{"messages": []}',
        b'{"model": 3}',
        b'{"model": "scripted\\nas if it were another line of the log"}',
        # what a model server might take for another model
        b'{"model": "scripted", "model": "dear"}',
        b'{"model": "scripted", "Model": "dear"}',
        b'{"model": "scripted", "models": ["dear"]}',
        b'{"model": "scripted", "Fallbacks": ["dear"]}',
    ],
)
async def test_what_is_no_request_is_told(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream, body: bytes
) -> None:
    token = tokens.add("alice")
    async with (
        serve() as service,
        service.client.post(
            f"{service.url}/v1/chat/completions",
            data=body,
            headers={"Authorization": f"Bearer {token}"},
        ) as reply,
    ):
        assert reply.status == 400
        assert (await reply.json())["error"]["type"] == "invalid_request_error"
    assert upstream.chats == []


async def test_a_request_may_be_too_large(serve: Serve, tokens: TokenHub) -> None:
    token = tokens.add("alice")
    async with serve(max_body_bytes=1024) as service:
        messages = [{"role": "user", "content": "x" * 1500}]
        assert (await service.ask(token, messages=messages))[0] == 413


async def test_what_is_cut_off_by_the_services_end_is_counted(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    upstream.enqueue(stall(2, "x" * 40, chunk=40))
    token = tokens.add("alice")
    async with serve() as service, service.post(token, stream=True) as reply:
        async for line in reply.content:
            if b"xxxx" in line:
                break
        await service.stop()
        requests, used = await service.used("alice")
        assert requests == 1
        assert used > 10


# ---- metrics -------------------------------------------------------------------------------


async def test_metrics_are_for_who_may_read_them(
    serve: Serve, tokens: TokenHub, upstream: ScriptedUpstream
) -> None:
    upstream.enqueue(say("Hello.", usage=(30, 4)))
    alice = tokens.add("alice")
    prometheus = tokens.add("prometheus", "read:metrics", kind="service")
    async with serve() as service:
        assert (await service.ask(alice))[0] == 200
        assert (await service.get("/metrics", alice))[0] == 403
        status, text = await service.get("/metrics", prometheus)
        assert status == 200
        assert 'hub_tokens_total{kind="prompt",source="told"} 30.0' in text
        assert 'hub_requests_total{status="200"} 1.0' in text
        assert "alice" not in text
        assert (await service.ask(prometheus))[0] == 403
