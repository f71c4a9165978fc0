"""What the extension's own config file says of the sandbox holds for every kernel of the server."""

from __future__ import annotations

import json
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from jupyter_ci_ext.sandbox.policy import MiB
from jupyter_ci_ext.sandbox.provisioner import SandboxProvisioner

from .conftest import ROOT, require

Fetch = Callable[..., Awaitable[Any]]


@pytest.fixture
def jp_server_config(jp_config_dir: Path, jp_data_dir: Path, tmp_path: Path) -> dict[str, Any]:
    (jp_config_dir / "jupyter_ci_ext_config.py").write_text(
        f"c.Sandbox.memory = {300 * MiB}\nc.Sandbox.environment = {{'FROM': 'the file'}}\n"
    )
    shutil.copytree(ROOT / "kernelspec", jp_data_dir / "kernels/code-interpreter")
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_ci_ext": True}},
        "CodeInterpreterApp": {"data_dir": str(tmp_path / "state")},
    }


async def test_a_kernel_of_the_launcher_has_its_limits(
    jp_fetch: Fetch, jp_serverapp: Any, tmp_path: Path
) -> None:
    require(2)
    body = json.dumps({"name": "code-interpreter"})
    made = json.loads((await jp_fetch("api", "kernels", method="POST", body=body)).body)
    provisioner = jp_serverapp.kernel_manager.get_kernel(made["id"]).provisioner
    assert isinstance(provisioner, SandboxProvisioner)
    assert provisioner.policy.memory == 300 * MiB
    assert provisioner.policy.environment == (("FROM", "the file"),)
    assert provisioner.usage().memory_limit_bytes == 300 * MiB
    assert not (tmp_path / "state").exists()  # nothing of the API had to come up for that
    await jp_fetch("api", "kernels", made["id"], method="DELETE")
