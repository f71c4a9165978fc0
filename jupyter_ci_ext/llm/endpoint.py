"""One language-model server: its address, its key, its client, and the models it lists."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from .. import to_thread
from ..collector import loading

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI_URL = "https://api.openai.com/v1"
LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Patience:
    """How long to wait for a server, and how often to ask again; seconds, 0: no limit."""

    connect: float = 10.0
    read: float = 0.0
    retries: int = 2
    max_retry_wait: float = 20.0


@dataclass(frozen=True)
class Settings:
    """Where a server is; the key is in no text this makes of itself."""

    base_url: str = ""
    api_key: str = field(default="", repr=False)
    azure_endpoint: str = ""
    azure_deployment: str = ""
    azure_api_version: str = "2024-10-21"
    models: tuple[str, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls, name: str, given: Mapping[str, Any]) -> Settings:
        """Settings from a trait's dict; raises ValueError that names what is wrong."""
        unknown = set(given) - set(cls.__dataclass_fields__)
        if unknown:
            known = ", ".join(cls.__dataclass_fields__)
            raise ValueError(
                f"c.ModelProvider.providers[{name!r}]: unknown {sorted(unknown)}; there are {known}"
            )
        return cls(**{**given, "models": tuple(given.get("models", ()))})

    @property
    def url(self) -> str:
        """The address requests go to."""
        return self.azure_endpoint or self.base_url or OPENAI_URL

    @property
    def host(self) -> str:
        """Host and port, as people are told."""
        return urlsplit(self.url).netloc or self.url

    @property
    def is_local(self) -> bool:
        """Whether the server is on this machine."""
        return urlsplit(self.url).hostname in LOOPBACK

    @property
    def is_openai(self) -> bool:
        """Whether it is OpenAI's own, or Azure's, which know the newest parameters."""
        host = urlsplit(self.url).hostname or ""
        return bool(self.azure_endpoint) or host == "api.openai.com"


@dataclass(frozen=True)
class Listed:
    """A model as its server lists it; sizes are None where the server does not say."""

    id: str
    created: int
    owned_by: str
    context_tokens: int | None = None
    parameters: int | None = None


class Endpoint:
    """A server and the one client for it, made at the first call."""

    def __init__(self, name: str, settings: Settings, patience: Patience) -> None:
        self.name = name
        self.settings = settings
        self.patience = patience
        self._client: AsyncOpenAI | None = None
        self._making = asyncio.Lock()

    async def client(self) -> AsyncOpenAI:
        """The client; importing its library takes a second, hence in a thread."""
        async with self._making:
            if self._client is None:
                self._client = await to_thread.run_sync(self._make)
            return self._client

    async def models(self) -> list[Listed]:
        """What the server lists; raises the client library's errors."""
        if self.settings.models or self.settings.azure_endpoint:
            names = self.settings.models or (self.settings.azure_deployment,)
            return [Listed(name, 0, self.name) for name in names if name]
        client = await self.client()
        page = await client.models.list(timeout=max(self.patience.connect, 5.0))
        return [_listed(row) for row in page.data or [] if isinstance(row.id, str)]

    async def close(self) -> None:
        """Close the client's connections; it is made anew when needed again."""
        async with self._making:
            client, self._client = self._client, None
        if client is not None:
            await client.close()

    def _make(self) -> AsyncOpenAI:
        with loading("openai"):
            import openai

        at = self.settings
        patience = self.patience
        limits = openai.Timeout(None, connect=patience.connect or None, read=patience.read or None)
        common: dict[str, Any] = {
            "api_key": at.api_key or "none",
            "max_retries": 0,  # repeated in openai_chat, where it is known what was answered
            "timeout": limits,
            "default_headers": dict(at.headers),
        }
        # aiohttp below it takes half the processor time that httpx alone takes to read a stream.
        # A proxy for the world is none for this machine.
        common["http_client"] = openai.DefaultAioHttpClient(
            trust_env=not at.is_local, timeout=limits
        )
        if at.azure_endpoint:
            return openai.AsyncAzureOpenAI(
                azure_endpoint=at.azure_endpoint,
                azure_deployment=at.azure_deployment or None,
                api_version=at.azure_api_version,
                **common,
            )
        return openai.AsyncOpenAI(base_url=at.url, **common)


def _listed(row: Any) -> Listed:
    """A row of GET /models, with the sizes some servers add to it."""
    extra: dict[str, Any] = {**(row.model_extra or {})}
    meta = extra.get("meta")
    if isinstance(meta, dict):  # llama.cpp
        extra.update(meta)
    window = next(
        (
            extra[key]
            for key in ("n_ctx", "max_model_len", "context_length", "context_window")
            if isinstance(extra.get(key), int) and extra[key] > 0
        ),
        None,
    )
    parameters = extra.get("n_params")
    return Listed(
        id=row.id,
        created=row.created if isinstance(row.created, int) else 0,
        owned_by=row.owned_by if isinstance(row.owned_by, str) else "",
        context_tokens=window,
        parameters=parameters if isinstance(parameters, int) else None,
    )
