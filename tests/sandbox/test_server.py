"""Through Jupyter Server's own kernel manager, as the launcher and ``POST /api/kernels`` do."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.asynchronous.client import AsyncKernelClient

from jupyter_ci_ext.sandbox.provisioner import SandboxProvisioner

from .conftest import ROOT, require

Fetch = Callable[..., Awaitable[Any]]


@pytest.fixture
def jp_server_config() -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_ci_ext": False}},
        "AsyncMappingKernelManager": {"default_kernel_name": "code-interpreter"},
    }


@pytest.fixture(autouse=True)
def kernelspec(jp_data_dir: Path) -> None:
    """The test kit shows the server nothing of what is installed."""
    folder = jp_data_dir / "kernels/code-interpreter"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "kernelspec/kernel.json", folder)


async def test_the_list_of_kernels_can_be_had_at_any_moment_of_a_start(
    jp_fetch: Fetch, jp_serverapp: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jupyter lists a kernel before it notes its last activity, and could not tell that."""
    kernels, listed = jp_serverapp.kernel_manager, []
    add = kernels._add_kernel_when_ready

    async def asked_just_then(*started: Any) -> None:
        await add(*started)
        listed.extend(kernels.list_kernels())

    monkeypatch.setattr(kernels, "_add_kernel_when_ready", asked_just_then)
    body = json.dumps({"name": "code-interpreter"})
    made = json.loads((await jp_fetch("api", "kernels", method="POST", body=body)).body)
    assert [each["id"] for each in listed] == [made["id"]]
    await jp_fetch("api", "kernels", made["id"], method="DELETE")


async def test_a_kernel_of_the_launcher_is_sandboxed(jp_fetch: Fetch, jp_serverapp: Any) -> None:
    require(3)
    made = await jp_fetch(
        "api", "kernels", method="POST", body=json.dumps({"name": "code-interpreter"})
    )
    model = json.loads(made.body)
    kernels = jp_serverapp.kernel_manager
    manager = kernels.get_kernel(model["id"])
    assert isinstance(manager.provisioner, SandboxProvisioner)
    assert manager.provisioner.isolation is not None
    assert manager.provisioner.isolation.level == 3

    # another client, by the connection file, as `jupyter console --existing` does it
    client = AsyncKernelClient(connection_file=manager.connection_file)
    client.load_connection_file()
    client.start_channels()
    try:
        await client.wait_for_ready(timeout=30)
        seen: list[str] = []
        await client.execute_interactive(
            "import os; print(os.getcwd())",
            timeout=20,
            output_hook=lambda m: seen.append(m["content"].get("text", "")),
        )
        assert "".join(seen) == "/mnt/data\n"

        # the last page is closed: nothing is kept for the next one
        kernels.start_buffering(model["id"], "page", {"iopub": manager.connect_iopub()})
        client.execute("for i in range(50): print('x' * 10_000, flush=True)")
        await asyncio.sleep(0.5)
        assert model["id"] not in kernels._kernel_buffers

        client.execute("import time; time.sleep(60)")
        await asyncio.sleep(0.5)
        answer = await jp_fetch("api", "kernels", model["id"], "interrupt", method="POST", body="")
        assert answer.code == 204
        await jp_fetch("api", "kernels", model["id"], "restart", method="POST", body="")
        await client.wait_for_ready(timeout=30)
    finally:
        client.stop_channels()
    await jp_fetch("api", "kernels", model["id"], method="DELETE")
    assert not Path(manager.ip).parent.exists()


async def test_where_no_code_may_run_the_server_says_so(
    jp_fetch: Fetch, jp_serverapp: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    require(2)
    from traitlets.config import Config

    sandbox = {"minimum_level": 3, "bubblewrap": str(tmp_path / "none")}
    jp_serverapp.kernel_manager.update_config(Config({"Sandbox": sandbox}))
    with pytest.raises(Exception, match="500"):
        await jp_fetch(
            "api", "kernels", method="POST", body=json.dumps({"name": "code-interpreter"})
        )
    assert "isolation level 3 is required and this host gives level 2" in caplog.text
    assert jp_serverapp.kernel_manager.list_kernel_ids() == []


async def test_a_kernel_can_be_listed_from_its_first_moment_on(jp_serverapp: Any) -> None:
    kernels = jp_serverapp.kernel_manager
    listed: list[str] = []

    class Asking(dict[str, Any]):
        """Somebody asks for the kernels in the very moment in which there is another one."""

        def __setitem__(self, key: str, value: Any) -> None:
            super().__setitem__(key, value)
            listed.extend(model["id"] for model in kernels.list_kernels())

    kernels._kernels = Asking()
    kernel_id = await kernels.start_kernel(kernel_name="code-interpreter")
    assert listed == [kernel_id]
    await kernels.shutdown_kernel(kernel_id, now=True)
