"""One Hub with its proxy, the service and a scripted model for all tests that want a real one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.conformance import environments
from tests.conformance.server import Api
from tests.fakes.answers import say
from tests.fakes.upstream import ScriptedUpstream
from tests.hub.jupyterhub import Hub, why_not

MODELS = ("gpt-4o-mini", "o3-mini", "hidden-model")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first test the time that npm may take."""
    for item in items:
        if "tests/hub/" in item.nodeid:
            item.add_marker(pytest.mark.timeout(environments.BUILD_SECONDS))


@pytest.fixture(scope="package")
def model() -> Iterator[ScriptedUpstream]:
    """The model server behind the service."""
    with ScriptedUpstream(models=MODELS) as upstream:
        yield upstream


@pytest.fixture(scope="package")
def hub(model: ScriptedUpstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """The Hub of the page, running."""
    reason = why_not()
    if reason:
        pytest.skip(reason)
    with Hub(tmp_path_factory.mktemp("hub"), model.url) as running:
        with ThreadPoolExecutor() as pool:  # nearly every test wants one of them
            list(pool.map(running.start, ("alice", "bob")))
        yield running


@pytest.fixture(autouse=True)
def _fresh_model(request: pytest.FixtureRequest) -> None:
    """No answer of one test is left for the next."""
    if "model" in request.fixturenames:
        upstream = request.getfixturevalue("model")
        upstream.forget()
        upstream.otherwise = say("Nobody asked for this.")


@pytest.fixture
def server(hub: Hub) -> Callable[..., Api]:
    """The API of a user's server, which is started; the key is good for that server alone."""

    def api(user: str, name: str = "", **headers: Any) -> Api:
        url = hub.start(user, name)
        key = hub.key(user, name)
        given = {"Authorization": f"Bearer {key}", "OpenAI-Beta": "assistants=v2"}
        return Api(f"{url}/openai/v1", given | headers)

    return api
