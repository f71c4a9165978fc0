"""A Hub that only knows tokens, and the service in this process."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from jupyter_ci_ext.hub.config import HubModelService
from jupyter_ci_ext.hub.handlers import Site
from jupyter_ci_ext.hub.serving import application, site, stop
from tests.fakes.loopback import Handler, Loopback

SCOPE = "access:services!service=models"
KEY = "sk-the-key-of-the-site"


class TokenHub(Loopback):
    """Answers ``GET /hub/api/user`` for the tokens it was given; a context manager.

    ``asked`` counts its answers. While ``broken`` it answers 500 to everything.
    """

    def __init__(self) -> None:
        self.asked = 0
        self.broken = False
        super().__init__(_Handler)
        self._users: dict[str, dict[str, Any]] = {}

    @property
    def url(self) -> str:
        """The Hub's API."""
        return f"{self.root}/hub/api"

    def add(self, name: str, *scopes: str, groups: tuple[str, ...] = (), kind: str = "user") -> str:
        """Make *name* known, with these scopes or those that the service wants; the token."""
        token = f"token-of-{name}-{len(self._users)}"
        self._users[token] = {
            "kind": kind,
            "name": name,
            "groups": list(groups),
            "scopes": list(scopes or (SCOPE,)),
        }
        return token

    def answer(self, token: str) -> tuple[int, Any]:
        """Status and body for a token; called by the handler's threads."""
        self.asked += 1
        if self.broken:
            return 500, {"status": 500, "message": "broken"}
        found = self._users.get(token)
        return (200, found) if found else (403, {"status": 403, "message": "Forbidden"})


class _Handler(Handler):
    def do_GET(self) -> None:
        token = self.headers.get("Authorization", "").partition(" ")[2]
        status, body = self.server.owner.answer(token)
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)


class Service:
    """The running service, and a client for it."""

    def __init__(
        self, url: str, made: Site, client: aiohttp.ClientSession, server: HTTPServer
    ) -> None:
        self._server = server
        self.url = url
        self.site = made
        self.client = client

    def post(self, token: str | None, **body: Any) -> Any:
        """A chat completion; for ``async with``."""
        wanted = {"model": "scripted", "messages": [{"role": "user", "content": "Hello"}]} | body
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return self.client.post(f"{self.url}/v1/chat/completions", json=wanted, headers=headers)

    async def ask(self, token: str | None, **body: Any) -> tuple[int, Any]:
        """Status and JSON of a chat completion."""
        async with self.post(token, **body) as reply:
            return reply.status, await reply.json()

    async def get(self, path: str, token: str | None = None) -> tuple[int, Any]:
        """Status and JSON, or else text, of an address."""
        headers = {"Authorization": f"token {token}"} if token else {}
        async with self.client.get(self.url + path, headers=headers) as reply:
            if reply.content_type == "application/json":
                return reply.status, await reply.json()
            return reply.status, await reply.text()

    async def stream(self, token: str, **body: Any) -> str:
        """The whole of a streamed answer."""
        async with self.post(token, stream=True, **body) as reply:
            assert reply.status == 200, await reply.text()
            assert reply.content_type == "text/event-stream"
            return await reply.text()

    async def stop(self) -> None:
        """End it as its process does when the Hub asks for that."""
        await stop(self._server, self.site)

    async def used(self, name: str) -> tuple[int, int]:
        """Requests and tokens of a user, today."""
        day, _ = self.site.rules.day(datetime.now(timezone.utc))
        found = await self.site.ledger.used(day, f"user/{name}")
        return found.requests, found.tokens


@asynccontextmanager
async def serving(
    hub: TokenHub, upstream: str, directory: Path, monkeypatch: pytest.MonkeyPatch, **settings: Any
) -> AsyncIterator[Service]:
    """The service with *settings*, on a port of its own."""
    key = directory / "key"
    key.write_text(KEY + "\n")
    key.chmod(0o600)
    monkeypatch.setenv("JUPYTERHUB_API_URL", hub.url)
    monkeypatch.setenv("JUPYTERHUB_API_TOKEN", "token-of-the-service")
    monkeypatch.setenv("JUPYTERHUB_SERVICE_NAME", "models")
    config = HubModelService(
        upstream=upstream,
        api_key_file=str(key),
        database=str(directory / "usage.sqlite"),
        prefix="/services/models/",
        **settings,
    )
    async with site(config) as made:
        server = HTTPServer(application(made, config.prefix))
        [socket] = bind_sockets(0, "127.0.0.1")
        server.add_socket(socket)
        url = f"http://127.0.0.1:{socket.getsockname()[1]}"
        try:
            async with aiohttp.ClientSession() as client:
                yield Service(url, made, client, server)
        finally:
            await stop(server, made)
