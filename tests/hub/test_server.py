"""What a user's server makes of its Hub: the model's address and key, and a database in use."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from jupyter_ci_ext.llm.config import ModelProvider
from jupyter_ci_ext.store import connection

HUB = "http://127.0.0.1:10101/v1"


@pytest.fixture(autouse=True)
def _of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_BASE_URL", "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("JUPYTER_CI_EXT_MODELS_URL", HUB)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "token-of-the-server")


def test_the_hubs_service_is_found_and_asked_with_the_servers_token() -> None:
    found = ModelProvider()
    assert (found.base_url, found.api_key) == (HUB, "token-of-the-server")
    assert not found.local_discovery


@pytest.mark.parametrize(
    "own",
    [
        {"base_url": "https://elsewhere.example/v1"},
        {"azure_endpoint": "https://elsewhere.example"},
    ],
)
def test_the_servers_token_goes_to_nobody_else(
    own: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "token-of-the-server" not in str(ModelProvider(**own).upstreams())
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    assert ModelProvider(**own).api_key == "sk-of-the-user"


def test_a_users_key_does_not_go_to_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    assert ModelProvider().api_key == "token-of-the-server"


def test_what_the_environment_names_counts_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://litellm/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-user")
    found = ModelProvider()
    assert (found.base_url, found.api_key) == ("http://litellm/v1", "sk-of-the-user")


class TestDatabaseInUse:
    """Two servers on one data directory, of which one has locked it."""

    @pytest.fixture
    def jp_server_config(self, tmp_path: Path) -> dict[str, Any]:
        return {
            "ServerApp": {"jpserver_extensions": {"jupyter_ci_ext": True}},
            "CodeInterpreterApp": {"data_dir": str(tmp_path / "state")},
        }

    async def test_it_is_told_as_the_api_tells_errors(
        self, jp_fetch: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(connection, "BUSY_SECONDS", 0.1)
        (tmp_path / "state").mkdir()
        other = sqlite3.connect(tmp_path / "state" / "state.db", isolation_level=None)
        try:
            other.execute("BEGIN EXCLUSIVE")
            reply = await jp_fetch("openai", "v1", "models", raise_error=False)
            error = json.loads(reply.body)["error"]
            assert (reply.code, error["type"]) == (503, "server_error")
            assert "in use by another process" in error["message"]
            other.execute("ROLLBACK")
            assert (await jp_fetch("openai", "v1", "models")).code == 200
        finally:
            other.close()
