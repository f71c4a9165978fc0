from __future__ import annotations

from collections.abc import Mapping

import pytest

from jupyter_ci_ext.api.dialect import Dialect, UnknownVersion, choose
from jupyter_ci_ext.api.errors import ErrorReply
from jupyter_ci_ext.errors import InvalidRequest

V1, V2 = {"OpenAI-Beta": "assistants=v1"}, {"OpenAI-Beta": "assistants=v2"}


def chosen(
    *,
    v1_path: bool = True,
    version: str | None = None,
    headers: Mapping[str, str] = {},
    strict: bool = False,
    beta: bool = True,
) -> Dialect:
    query = {} if version is None else {"api-version": version}
    return choose(v1_path=v1_path, query=query, headers=headers, strict=strict, beta=beta)


def test_openai_chooses_by_its_header() -> None:
    assert chosen(headers=V2) == Dialect("openai", "v2")
    assert chosen(headers=V1) == Dialect("openai", "v1")
    assert chosen() == Dialect("openai", "v2")
    assert chosen(headers={"OpenAI-Beta": "x=y, assistants=v1"}) == Dialect("openai", "v1")
    assert chosen(headers=V1, v1_path=False) == Dialect("openai", "v1")


def test_where_a_version_is_required_the_header_must_be_there() -> None:
    with pytest.raises(InvalidRequest) as caught:
        chosen(strict=True)
    assert caught.value.code == "invalid_beta"
    assert chosen(strict=True, headers=V2) == Dialect("openai", "v2")
    assert chosen(strict=True, headers=V1) == Dialect("openai", "v1")
    assert chosen(strict=True, beta=False) == Dialect("openai", "v2")


@pytest.mark.parametrize(
    ("version", "dialect"),
    [
        ("2024-02-15-preview", Dialect("azure", "v1")),
        ("2024-04-01-preview", Dialect("azure", "v1")),
        ("2024-05-01-preview", Dialect("azure", "v2")),
        ("2024-08-01-preview", Dialect("azure", "v2")),
        ("2025-04-01-preview", Dialect("azure", "v2")),
        ("2024-10-21", Dialect("azure", "v2")),
        ("preview", Dialect("azure", "v2")),
        ("v1", Dialect("foundry", "v2")),
        ("2025-05-01", Dialect("foundry", "v2")),
        ("2025-05-15-preview", Dialect("foundry", "v2")),
    ],
)
def test_azure_chooses_by_api_version_alone(version: str, dialect: Dialect) -> None:
    for headers in ({}, V1, V2):
        assert chosen(v1_path=False, version=version, headers=headers) == dialect


def test_below_v1_the_api_version_says_nothing() -> None:
    assert chosen(version="preview", headers=V1) == Dialect("openai", "v1")


@pytest.mark.parametrize(
    "version", ["", "2023-05-15", "2024-02-14-preview", "latestest", "x" * 999]
)
def test_unknown_versions_are_refused(version: str) -> None:
    with pytest.raises(UnknownVersion):
        chosen(v1_path=False, version=version)


def test_azure_asks_for_a_version_where_versions_are_required() -> None:
    with pytest.raises(UnknownVersion):
        chosen(v1_path=False, strict=True, headers=V2)
    assert chosen(v1_path=False) == Dialect("openai", "v2")


def test_azure_words_wrong_keys_and_addresses_its_own_way() -> None:
    azure, openai = Dialect("azure"), Dialect()
    refused, missing = ErrorReply(401, "no"), ErrorReply(404, "No thread found with id 'x'.")
    assert azure.error_body(refused, route=False)["error"]["code"] == "401"
    assert openai.error_body(refused, route=False)["error"]["message"] == "no"
    assert azure.error_body(missing, route=True) == {
        "error": {"code": "404", "message": "Resource not found"}
    }
    assert azure.error_body(missing, route=False) == openai.error_body(missing, route=False)
