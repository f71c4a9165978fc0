"""One live server, one scripted model and one process per client for all tests of this folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.conformance import environments
from tests.conformance.playbook import Playbook
from tests.conformance.process import Client
from tests.conformance.server import TOKEN, Api, LiveServer
from tests.fakes.upstream import ScriptedUpstream

NEWEST = "openai3"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first use of a client the time its environment may take to be built."""
    for item in items:
        if "conformance" in item.nodeid:
            item.add_marker(pytest.mark.timeout(environments.BUILD_SECONDS))


@pytest.fixture(scope="session")
def model() -> Iterator[ScriptedUpstream]:
    """The model server; it also has a model that the assistants of these tests name."""
    with ScriptedUpstream(models=("scripted", "other/scripted")) as upstream:
        yield upstream


@pytest.fixture(scope="session")
def playbook(model: ScriptedUpstream) -> Playbook:
    """What the model answers."""
    model.otherwise = book = Playbook(model)
    return book


@pytest.fixture(scope="session")
def server(
    model: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """The server all clients talk to."""
    options = (
        "--ModelProvider.vision_models=scripted*",
        "--ModelProvider.local_discovery=False",
        "--SessionPool.preload=[]",  # spares are used up quickly here
    )
    with LiveServer(tmp_path_factory.mktemp("live"), model.url, *options) as live:
        yield live


@pytest.fixture(scope="session")
def api(server: LiveServer) -> Api:
    """The same server without a client."""
    return Api(server.openai, {"OpenAI-Beta": "assistants=v2"})


@pytest.fixture(scope="session")
def clients(server: LiveServer) -> Iterator[Callable[[str, str], Client]]:
    """Clients by environment and script, each started once."""
    started: dict[tuple[str, str], Client] = {}
    env = {"SERVER": server.url, "TOKEN": TOKEN, "PYTHONWARNINGS": "ignore"}
    with ExitStack() as stack:

        def client(environment: str, script: str) -> Client:
            key = (environment, script)
            if key not in started:
                started[key] = _client(environment, script, env)
                stack.callback(started[key].close)
            return started[key]

        yield client


def _client(environment: str, script: str, env: dict[str, str]) -> Client:
    if environment == "node":
        reason = environments.why_no_node()
        if reason:
            pytest.skip(reason)
        return Client(["node"], script, env | {"CLIENT_HOME": str(environments.node())})
    return Client([environments.python(environment)], script, env)


@pytest.fixture(params=["openai2", NEWEST])
def openai(request: pytest.FixtureRequest, clients: Callable[[str, str], Client]) -> Client:
    """openai-python of either major version that speaks version 2."""
    return clients(request.param, "openai_v2.py")


@pytest.fixture
def newest(clients: Callable[[str, str], Client]) -> Client:
    """The newest openai-python."""
    return clients(NEWEST, "openai_v2.py")


@pytest.fixture
def old(clients: Callable[[str, str], Client]) -> Client:
    """openai-python 1.20, which speaks version 1."""
    return clients("openai1", "openai_v1.py")


@pytest.fixture
def azure(clients: Callable[[str, str], Client]) -> Client:
    """``AzureOpenAI`` of the newest openai-python."""
    return clients(NEWEST, "azure_openai.py")


@pytest.fixture
def foundry(clients: Callable[[str, str], Client]) -> Client:
    """azure-ai-agents."""
    return clients(NEWEST, "foundry.py")


@pytest.fixture
def langchain(clients: Callable[[str, str], Client]) -> Client:
    """LangChain's ``OpenAIAssistantRunnable``."""
    return clients("openai2", "langchain_assistant.py")


@pytest.fixture
def node(clients: Callable[[str, str], Client]) -> Client:
    """npm's ``openai``; skipped where there is no Node."""
    return clients("node", "openai_node.mjs")
