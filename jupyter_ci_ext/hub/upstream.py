"""The model server, spoken to with the site's key; nothing of it but answers comes out here."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from .faults import NO_RETRY, BadRequest, NoSuchThing, Refused, UpstreamFailed, UpstreamSlow

_LIST_LIFE = 60.0
_LIST_SECONDS = 15.0
_ERROR_BYTES = 64 * 1024

# What of an answer's headers is for the caller; cookies and the site's own limits are not.
PASSED_ON = ("content-type", "x-request-id", "openai-processing-ms", "openai-version")

_SITE_REFUSED = (
    "The model server refused the key of this JupyterHub. Your own token is fine: please tell the "
    "administrators."
)


class Upstream:
    """An OpenAI-compatible server at *url* (…/v1). Times in seconds; 0: no limit."""

    def __init__(
        self,
        url: str,
        key: str,
        headers: Mapping[str, str],
        *,
        connect_seconds: float,
        silence_seconds: float,
    ) -> None:
        self._url = url.rstrip("/")
        self._key = key
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}
        self._headers |= headers
        self._timeout = aiohttp.ClientTimeout(
            total=None,
            sock_connect=connect_seconds or None,
            sock_read=silence_seconds or None,
        )
        self._session: aiohttp.ClientSession | None = None
        self._listed: tuple[float, list[dict[str, Any]]] | None = None
        self._listing = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections; closing twice is fine."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    @asynccontextmanager
    async def chat(self, body: bytes, accept: str) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer to a chat completion request, which has begun; leaving it early cuts it off.

        Raises `Refused` where the server does not answer with 200.
        """
        headers = {"Content-Type": "application/json", "Accept": accept or "*/*"}
        async with self._request("POST", "/chat/completions", data=body, headers=headers) as reply:
            if reply.status != 200:
                raise await self._refusal(reply)
            yield reply

    async def models(self) -> list[dict[str, Any]]:
        """What the server lists, up to a minute old; raises `Refused`."""
        async with self._listing:
            if self._listed is None or self._listed[0] < time.monotonic() - _LIST_LIFE:
                self._listed = time.monotonic(), await self._list()
            return self._listed[1]

    async def _list(self) -> list[dict[str, Any]]:
        try:
            async with self._request("GET", "/models") as reply:
                if reply.status != 200:
                    raise await self._refusal(reply)
                found = json.loads(await asyncio.wait_for(reply.read(), _LIST_SECONDS))
        except ValueError as error:
            raise UpstreamFailed("The model server lists no models.", headers=NO_RETRY) from error
        except asyncio.TimeoutError as error:
            raise UpstreamSlow("The model server did not list its models in time.") from error
        rows = found.get("data") if isinstance(found, dict) else None
        return [r for r in rows or () if isinstance(r, dict) and isinstance(r.get("id"), str)]

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, **kwargs: Any
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        headers = {**self._headers, **kwargs.pop("headers", {})}
        try:
            async with self._client().request(
                method, self._url + path, headers=headers, allow_redirects=False, **kwargs
            ) as reply:
                yield reply
        except (aiohttp.ServerTimeoutError, aiohttp.SocketTimeoutError) as error:
            raise UpstreamSlow("The model server did not answer in time.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamFailed(
                f"The model server of this JupyterHub cannot be reached ({type(error).__name__})."
            ) from error

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=self._timeout,
                connector=aiohttp.TCPConnector(limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                # an answer is passed on as it is, so it must not come compressed
                headers={"Accept-Encoding": "identity"},
                trust_env=True,
            )
        return self._session

    async def _refusal(self, reply: aiohttp.ClientResponse) -> Refused:
        """What to tell the caller of an answer that is none."""
        said = self._said(await reply.content.read(_ERROR_BYTES))
        status = reply.status
        if status in (401, 403):
            return UpstreamFailed(_SITE_REFUSED, headers=NO_RETRY)
        if status >= 500 or status < 400:
            error: Refused = UpstreamFailed(f"The model server failed (status {status}): {said[0]}")
        elif status == 404:
            error = NoSuchThing(said[0], code=said[1])
        else:
            error = BadRequest(said[0], code=said[1])
            error.status = status
        if "Retry-After" in reply.headers:
            error.headers["Retry-After"] = reply.headers["Retry-After"]
        return error

    def _said(self, body: bytes) -> tuple[str, str | None]:
        """Message and code of an error's body, without the key some servers repeat in it."""
        text = body.decode("utf-8", "replace")
        message, code = " ".join(text.split())[:500], None
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        inner = found.get("error", found) if isinstance(found, dict) else None
        if isinstance(inner, dict):
            message = str(inner.get("message") or message)
            code = inner["code"] if isinstance(inner.get("code"), str) else None
        elif isinstance(inner, str):
            message = inner
        if self._key:
            message = message.replace(self._key, "…")
        return message or "no reason given", code
