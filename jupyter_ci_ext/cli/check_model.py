"""Checks of the language models: are the servers there, do they take the key, what do they have."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from ..llm.config import ModelProvider
from ..llm.discovery import LocalServer, discover
from ..llm.examine import ServerReport, examine
from .findings import Finding, State

_SHOWN = 8

CONNECT = (
    "set OPENAI_BASE_URL (and OPENAI_API_KEY, if it wants one) for the Jupyter server, or "
    "c.ModelProvider.base_url, to any server that speaks OpenAI's chat completions"
)

_FIXES = {
    "authentication": "set the key that this server takes: OPENAI_API_KEY, or c.ModelProvider.api_key",
    "connection": "start that server, or correct its address (c.ModelProvider.base_url)",
    "timeout": "see whether that server is overloaded, or correct its address",
    "not_found": "correct the address; most end in /v1 (c.ModelProvider.base_url)",
}


def check_model(config: ModelProvider) -> list[Finding]:
    """Ask the configured servers, and those on loopback; takes up to some seconds."""
    try:
        reports = asyncio.run(examine(config))
    except ValueError as error:
        return [Finding("model", "problem", str(error), "correct c.ModelProvider.providers")]
    local = asyncio.run(discover()) if config.local_discovery else []
    return list(_findings(reports, local))


def _findings(reports: Sequence[ServerReport], local: Sequence[LocalServer]) -> Iterator[Finding]:
    for report in reports:
        if report.problem:
            fix = _FIXES.get(report.kind or "", "see what that server's own log says")
            yield Finding("model", "problem", f"{report.host}: {report.problem}", fix)
        elif report.models:
            how = "lists" if report.asked else "was not asked; the settings name"
            state: State = "ok" if report.asked else "note"
            yield Finding("model", state, f"{report.host} {how} {_names(report.models)}")
        else:
            text = f"{report.host} answers, but lists no models"
            yield Finding("model", "note", text, "name them in c.ModelProvider.models")
    for server in local:
        yield Finding("model", "ok", f"found at {server.base_url}: {_names(server.models)}")
    if not reports and not local:
        text = "only the demo model, which is no AI: no model server is configured"
        yield Finding("model", "note", text, CONNECT)


def _names(models: Sequence[str]) -> str:
    shown = ", ".join(models[:_SHOWN])
    more = f" and {len(models) - _SHOWN} more" if len(models) > _SHOWN else ""
    return f"{len(models)} model{'s' if len(models) > 1 else ''}: {shown}{more}"
