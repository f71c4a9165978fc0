"""Language-model servers that answer on this machine's loopback."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

from tornado.httpclient import AsyncHTTPClient, HTTPClientError

#: Port and name of the servers people run: Ollama, LM Studio, llama.cpp (and others).
PORTS = {11434: "ollama", 1234: "lmstudio", 8080: "local"}

TIMEOUT = 0.5
"""Seconds a server on the same machine has to list its models."""


@dataclass(frozen=True)
class LocalServer:
    """A server that answered, and the models it listed."""

    name: str
    base_url: str
    models: tuple[str, ...]


async def discover(ports: dict[int, str] | None = None) -> list[LocalServer]:
    """The servers that list at least one model, in the order of *ports*."""
    wanted = PORTS if ports is None else ports
    found = await asyncio.gather(*(_look(port, name) for port, name in wanted.items()))
    return [server for server in found if server is not None]


async def _look(port: int, name: str) -> LocalServer | None:
    base_url = f"http://127.0.0.1:{port}/v1"
    try:
        response = await AsyncHTTPClient().fetch(
            f"{base_url}/models",
            connect_timeout=TIMEOUT,
            request_timeout=TIMEOUT,
            raise_error=False,
        )
        rows = json.loads(response.body).get("data") if response.code == 200 else None
    except (OSError, ValueError, AttributeError, TypeError, HTTPClientError):
        # nobody there, or somebody who is no model server, or does not answer in time
        return None
    if not isinstance(rows, list):
        return None
    names = tuple(
        row["id"] for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str)
    )
    return LocalServer(name, base_url, names) if names else None
