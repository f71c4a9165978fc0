"""One live server per gateway, with a scripted model, driven by the official client."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.conformance import environments
from tests.conformance.playbook import Playbook
from tests.conformance.server import LiveServer
from tests.fakes.upstream import ScriptedUpstream
from tests.gateway.cutter import Cutter
from tests.gateway.gateways import NAMES, OWN, TOKEN, running
from tests.gateway.talk import House

ALLOWED = {"python3": {"isolation": "a test machine", "env": {"KERNEL_USERNAME": "alice"}}}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the first use of a gateway the time its environment may take to be built."""
    for item in items:
        if "tests/gateway" in item.nodeid:
            item.add_marker(pytest.mark.timeout(environments.BUILD_SECONDS))
            item.add_marker(pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning"))


@pytest.fixture(scope="module")
def model() -> Iterator[ScriptedUpstream]:
    """The model server."""
    with ScriptedUpstream() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def playbook(model: ScriptedUpstream) -> Playbook:
    """What the model answers."""
    model.otherwise = book = Playbook(model)
    return book


@pytest.fixture(scope="module", params=NAMES)
def house(
    request: pytest.FixtureRequest,
    model: ScriptedUpstream,
    playbook: Playbook,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    """A server whose kernels are behind each of the gateways, in turn."""
    if request.param in OWN and sys.version_info >= (3, 13):
        pytest.skip("Enterprise Gateway 3.3 needs a pyzmq that Python 3.13 has no wheels for")
    folder = tmp_path_factory.mktemp(request.param)
    with built(request.param, folder, model, playbook) as house:
        yield house


@contextmanager
def built(
    name: str, folder: Path, model: ScriptedUpstream, playbook: Playbook, **settings: object
) -> Iterator[House]:
    """A server before the gateway *name*; *settings* are those of ``c.RemoteKernels``."""
    with ExitStack() as stack:
        (folder / "gateway").mkdir()
        gateway = stack.enter_context(running(name, folder / "gateway"))
        cutter = stack.enter_context(Cutter(gateway.port))
        chosen = {"allowed": ALLOWED, "probe_targets": [f"127.0.0.1:{gateway.port}"], **settings}
        config = folder / "server" / "config"
        config.mkdir(parents=True)
        (config / "jupyter_ci_ext_config.json").write_text(
            json.dumps(
                {
                    "RemoteKernels": chosen,
                    "Sandbox": {"execution_seconds": 10},
                    "SessionPool": {"warm_spares": int(name == "kernel"), "preload": ["json"]},
                    "ModelProvider": {"local_discovery": False},
                }
            )
        )
        with pytest.MonkeyPatch.context() as patch:
            # Variables that the gateway's client would pass on by their names.
            patch.setenv("KERNEL_OF_MINE_TOKEN", "secret-of-the-server")
            patch.setenv("KERNEL_OF_MINE", "not-a-secret")
            options = [f"--gateway-url=http://127.0.0.1:{cutter.port}"]
            options.append(f"--GatewayClient.auth_token={TOKEN}")
            server = stack.enter_context(LiveServer(folder / "server", model.url, *options))
        house = House(server, playbook, gateway, cutter)
        stack.callback(house.client.close)
        yield house
