"""Which form of the API a request speaks.

    path          api-version                    form
    /openai/v1    (ignored)                      OpenAI; ``OpenAI-Beta`` chooses v1 or v2
    /openai       (none)                         the same, unless versions are required
    /openai       2024-02-15 … before 2024-05-01 Azure, v1
    /openai       2024-05-01 and later, preview  Azure, v2
    /openai       v1, 2025-05-01, 2025-05-15…    Azure AI Foundry, v2

Azure's own clients send no ``OpenAI-Beta`` and OpenAI's Azure client sends it all the same; so where
there is an ``api-version`` it alone decides. A base URL that ends in ``/openai`` without a version
is what people write who forget the ``/v1``: it is served as OpenAI's, which harms nobody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from ..errors import InvalidRequest
from .errors import ErrorReply

Flavour = Literal["openai", "azure", "foundry"]

NO_BETA_HEADER = (
    "You must provide the 'OpenAI-Beta' header to access the Assistants API. "
    "Please try again by setting the header 'OpenAI-Beta: assistants=v2'."
)

_FIRST_AZURE = "2024-02-15"
_FIRST_AZURE_V2 = "2024-05-01"
_FOUNDRY = re.compile(r"v\d+|2025-05-01|2025-05-15-preview")
_DATED = re.compile(r"(\d{4}-\d{2}-\d{2})(-preview)?")

_AZURE_401 = (
    "Access denied due to invalid subscription key or wrong API endpoint. Make sure to provide a "
    "valid key for an active subscription and use a correct regional API endpoint for your resource."
)


class UnknownVersion(InvalidRequest):
    """An ``api-version`` that no form of the API answers to."""


@dataclass(frozen=True)
class Dialect:
    """The form of the API a request speaks, and is answered in."""

    flavour: Flavour = "openai"
    version: Literal["v1", "v2"] = "v2"

    def error_body(self, reply: ErrorReply, *, route: bool) -> dict[str, Any]:
        """The error in this dialect; *route* is true when the address itself was wrong."""
        if self.flavour == "azure" and reply.status == 401:
            return {"error": {"code": "401", "message": _AZURE_401}}
        if self.flavour == "azure" and route:
            return {"error": {"code": "404", "message": "Resource not found"}}
        return reply.body()


def choose(
    *, v1_path: bool, query: Mapping[str, str], headers: Mapping[str, str], strict: bool, beta: bool
) -> Dialect:
    """The dialect of a request to a path with or without ``/v1``.

    *beta* is true for resources that belong to the Assistants API proper; only there OpenAI asks
    for its beta header, and only when *strict* do we. Raises `UnknownVersion` and `InvalidRequest`.
    """
    api_version = query.get("api-version")
    if not v1_path and api_version is not None:
        return _by_api_version(api_version)
    if not v1_path and strict:
        raise UnknownVersion("Resource not found")
    asked = headers.get("OpenAI-Beta", "")
    if "assistants=v1" in asked and "assistants=v2" not in asked:
        return Dialect("openai", "v1")
    if strict and beta and "assistants=v2" not in asked:
        raise InvalidRequest(NO_BETA_HEADER, code="invalid_beta")
    return Dialect()


def _by_api_version(api_version: str) -> Dialect:
    if _FOUNDRY.fullmatch(api_version):
        return Dialect("foundry")
    if api_version in ("preview", "latest"):
        return Dialect("azure")
    dated = _DATED.fullmatch(api_version)
    if dated is None or dated[1] < _FIRST_AZURE:
        raise UnknownVersion("Resource not found")
    return Dialect("azure", "v1" if dated[1] < _FIRST_AZURE_V2 else "v2")
