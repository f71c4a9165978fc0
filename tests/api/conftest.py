"""A Jupyter server in this process, with token and XSRF on, under a base URL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def jp_server_config(data_dir: Path) -> dict[str, Any]:
    return {
        "ServerApp": {"jpserver_extensions": {"jupyter_ci_ext": True}},
        "CodeInterpreterApp": {"data_dir": str(data_dir)},
    }
