"""Which models there are, and who speaks for them."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
from dataclasses import replace

import pytest
from traitlets.config import Config

from jupyter_ci_ext.errors import LLMError, NotFound
from jupyter_ci_ext.llm import discovery
from jupyter_ci_ext.llm.base import TextPart, UserMessage
from jupyter_ci_ext.llm.config import ModelProvider
from jupyter_ci_ext.llm.demo import DemoModel
from jupyter_ci_ext.llm.endpoint import Settings
from jupyter_ci_ext.llm.openai_chat import OpenAIChat
from jupyter_ci_ext.llm.provider import ModelInfo, Models
from tests.fakes.answers import error, say
from tests.fakes.upstream import ScriptedUpstream
from tests.llm.conftest import TURN


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)


def models(**traits) -> Models:
    return Models(ModelProvider(**{"local_discovery": False, **traits}))


async def names(of: Models) -> list[str]:
    return [row.id for row in await of.list()]


async def said(of: Models, model: str) -> str:
    llm, name = of.resolve(model)
    turn = replace(TURN, model=name, messages=(UserMessage((TextPart("Tell me a joke"),)),))
    return "".join([getattr(d, "text", "") async for d in llm.stream(turn)])


async def test_alone_there_is_the_demo_model_and_no_other():
    alone = models()
    assert await alone.list() == [ModelInfo("demo", 0, "jupyter-ci-ext")]
    assert alone.default_model == "demo"
    llm, name = alone.resolve("demo")
    assert (type(llm), name) == (DemoModel, "demo")
    await alone.check("demo")
    await alone.check("default")
    with pytest.raises(NotFound, match="The model 'gpt-4o' does not exist") as caught:
        await alone.check("gpt-4o")
    assert (caught.value.param, caught.value.code) == ("model", "model_not_found")
    with pytest.raises(LLMError, match="OPENAI_API_KEY") as refused:
        await said(alone, "gpt-4o")
    assert refused.value.kind == "not_found"


async def test_the_environment_of_the_server_names_the_upstream(upstream, monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", upstream.url)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-from-environment")
    upstream.enqueue(say("hello"))
    there = models()
    assert await names(there) == ["scripted", "demo"]
    assert await said(there, "scripted") == "hello"
    assert upstream.chats[0].headers["authorization"] == "Bearer sk-from-environment"
    await there.close()


async def test_aliases_and_the_default(upstream):
    upstream.models = ["small", "big"]
    upstream.enqueue(say("1"), say("2"), say("3"))
    there = models(
        base_url=upstream.url,
        default_model="big",
        model_aliases={"gpt-4o": "big", "mock": "demo", "*": "small"},
    )
    assert await names(there) == ["big", "demo", "gpt-4o", "mock", "small"]
    for model in ("gpt-4o", "default", "anything"):
        await there.check(model)
        await said(there, model)
    assert [r.body["model"] for r in upstream.chats] == ["big", "big", "small"]
    assert isinstance(there.resolve("mock")[0], DemoModel)
    await there.close()


async def test_a_model_that_is_not_listed_is_asked_for_before_it_is_refused(upstream):
    there = models(base_url=upstream.url)
    with pytest.raises(NotFound):
        await there.check("nonsense")
    assert [r.path for r in upstream.requests] == ["/v1/models", "/v1/models/nonsense"]
    with pytest.raises(NotFound):
        await there.check("..")  # is no path to ask for
    upstream.models.append("new")
    await there.check("new")
    await there.close()


async def test_spellings_servers_take_for_the_same(upstream):
    upstream.models = ["llama3:latest", "models/gemini-pro"]
    there = models(base_url=upstream.url)
    await there.check("llama3")
    await there.check("gemini-pro")
    assert len(upstream.requests) == 1
    await there.close()


async def test_a_server_that_lists_nothing_may_have_any_model(upstream):
    upstream.models_error = error(404, "no such route")
    there = models(base_url=upstream.url)
    assert await names(there) == ["demo"]
    await there.check("whatever")
    await there.close()


async def test_a_list_is_kept_and_outlives_its_server(upstream):
    there = models(base_url=upstream.url)
    assert await names(there) == ["scripted", "demo"]
    assert await names(there) == ["scripted", "demo"]
    assert len(upstream.requests) == 1
    there._catalogues = {
        name: known._replace(at=known.at - 3600) for name, known in there._catalogues.items()
    }
    upstream.models_error = error(500, "down")
    assert await names(there) == ["scripted", "demo"]
    assert len(upstream.requests) == 2
    await there.close()


async def test_several_servers_and_names_that_clash(upstream):
    with ScriptedUpstream(models=["scripted", "other/model"]) as second:
        there = models(base_url=upstream.url, providers={"second": {"base_url": second.url}})
        second.enqueue(say("second"), say("second again"))
        upstream.enqueue(say("first"))
        # not even the lists are known yet: looked up when the model is used
        assert await said(there, "other/model") == "second"
        assert await names(there) == ["scripted", "demo", "second/scripted", "other/model"]
        assert await said(there, "second/scripted") == "second again"
        assert await said(there, "scripted") == "first"
        assert [r.body["model"] for r in second.chats] == ["other/model", "scripted"]
        await there.close()


async def test_one_server_down_does_not_hide_the_others(upstream, caplog):
    there = models(
        base_url="http://127.0.0.1:9/v1",
        api_key="sk-secret",
        providers={"up": {"base_url": upstream.url, "models": ["declared"]}},
    )
    assert await names(there) == ["declared", "demo"]
    assert "sk-secret" not in caplog.text
    assert "127.0.0.1:9" in caplog.text
    await there.close()


@pytest.mark.parametrize(
    ("model", "row", "traits", "protocol"),
    [
        ("qwen2.5-coder-1.5b-instruct", {}, {}, "fence"),
        ("smollm2:135m", {}, {}, "fence"),
        ("llama-3.1-70b", {}, {}, "tools"),
        ("gpt-4o", {}, {}, "tools"),
        ("mixtral-8x7b", {}, {}, "tools"),
        ("model.gguf", {"meta": {"n_params": 1_500_000_000}}, {}, "fence"),
        ("gpt-4o", {}, {"code_protocol": {"gpt-*": "fence", "*": "tools"}}, "fence"),
        ("tiny-1b", {}, {"code_protocol": {"*": "tools"}}, "tools"),
    ],
)
async def test_how_a_model_is_asked_for_code(upstream, model, row, traits, protocol):
    upstream.models = [{"id": model, **row}]
    there = models(base_url=upstream.url, **traits)
    await there.list()
    llm, _ = there.resolve(model)
    assert isinstance(llm, OpenAIChat)
    assert llm.code_protocol == protocol
    await there.close()


async def test_sight_and_window(upstream):
    upstream.models = [
        {"id": "gpt-4o-mini", "max_model_len": 8192},
        {"id": "plain", "meta": {"n_ctx": 4096}},
        "told",
    ]
    there = models(base_url=upstream.url, context_tokens={"to*": 1000})
    await there.list()
    known = {n: there.resolve(n)[0] for n in ("gpt-4o-mini", "plain", "told")}
    assert {n: llm.context_tokens for n, llm in known.items()} == {
        "gpt-4o-mini": 8192,
        "plain": 4096,
        "told": 1000,
    }
    assert {n: llm.vision for n, llm in known.items()} == {
        "gpt-4o-mini": True,
        "plain": False,
        "told": False,
    }
    assert there.resolve("plain")[0] is known["plain"]
    await there.close()


async def test_servers_on_this_machine_are_found(upstream, monkeypatch):
    monkeypatch.setattr(discovery, "PORTS", {upstream.port: "ollama", 9: "nobody"})
    there = models(local_discovery=True)
    upstream.enqueue(say("from next door"))
    assert await names(there) == ["ollama/scripted", "demo"]
    (local,) = there.local()
    assert (local.name, local.models) == ("ollama", ("ollama/scripted",))
    assert local.base_url.rstrip("/") == upstream.url
    assert await said(there, "ollama/scripted") == "from next door"
    about = await said(there, "demo")
    assert f"http://127.0.0.1:{upstream.port}/v1" in about
    assert "ollama/scripted" in about
    await there.close()


async def test_what_answers_there_but_is_no_model_server(upstream, monkeypatch):
    monkeypatch.setattr(discovery, "PORTS", {upstream.port: "local"})
    upstream.models_error = error(200, "hello")
    assert await discovery.discover() == []
    upstream.models = []
    upstream.models_error = None
    assert await discovery.discover() == []


async def test_what_listens_there_and_never_answers(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as mute:
        monkeypatch.setattr(discovery, "PORTS", {mute.getsockname()[1]: "local"})
        assert await names(models(local_discovery=True)) == ["demo"]


async def test_what_hangs_up_there_without_an_answer(monkeypatch):
    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as rude:
        port = rude.sockets[0].getsockname()[1]
        monkeypatch.setattr(discovery, "PORTS", {port: "local"})
        assert await names(models(local_discovery=True)) == ["demo"]


async def test_azure_lists_its_deployment():
    there = models(
        azure_endpoint="https://x.openai.azure.com", azure_deployment="mine", api_key="k"
    )
    assert await names(there) == ["mine", "demo"]
    await there.check("gpt-4o")  # deployments are not listed: not sure
    await there.close()


def test_a_wrong_provider_is_named():
    with pytest.raises(ValueError, match=r"providers\['x'\]: unknown \['url'\]"):
        models(providers={"x": {"url": "http://y"}})


async def test_a_wrong_protocol_is_named(upstream):
    there = models(base_url=upstream.url, code_protocol={"*": "magic"})
    with pytest.raises(LLMError, match="must be"):
        await said(there, "scripted")
    await there.close()


def test_traits_come_from_a_config_file():
    config = Config()
    config.ModelProvider.base_url = "http://localhost:1/v1"
    config.ModelProvider.retries = 5
    there = Models(ModelProvider(config=config, local_discovery=False))
    endpoint = there._endpoints["main"]
    assert endpoint.settings.url == "http://localhost:1/v1"
    assert endpoint.patience.retries == 5


def test_keys_are_in_no_text():
    settings = Settings(api_key="sk-secret", headers={"X-Key": "sk-other"})
    assert "sk-" not in repr(settings)


def test_nothing_heavy_is_imported_before_it_is_needed():
    program = (
        "import sys; from jupyter_ci_ext.llm.config import ModelProvider;"
        "from jupyter_ci_ext.llm.provider import Models; m = Models(ModelProvider());"
        "m.resolve('demo'); m.resolve('gpt-4o');"
        "print([n for n in ('openai', 'pydantic', 'httpx', 'httpx2') if n in sys.modules])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert ran.stdout.strip() == "[]"
