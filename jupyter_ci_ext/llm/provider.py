"""The models this server offers: which there are, whether one exists, and who speaks for it."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import List, Literal, NamedTuple, cast  # noqa: UP035 (list is a method)
from urllib.parse import urlsplit

import anyio

from jupyter_ci_ext.errors import LLMError, NotFound
from jupyter_ci_ext.llm.base import LLM, Delta, Turn
from jupyter_ci_ext.llm.config import ModelProvider
from jupyter_ci_ext.llm.demo import DemoModel
from jupyter_ci_ext.llm.discovery import LocalServer, discover
from jupyter_ci_ext.llm.endpoint import Endpoint, Listed, Patience, Settings
from jupyter_ci_ext.llm.names import fits, match, name_of, named, size_of
from jupyter_ci_ext.llm.openai_chat import CodeProtocol, OpenAIChat

DEMO = "demo"
DEFAULT = "default"
LIST_LIFE = 60.0
"""Seconds a server's list of models is taken as true."""
SMALL = 4_000_000_000
"""Below so many parameters, function tools are not trusted."""


class ModelInfo(NamedTuple):
    """A model as the API lists it; ``created`` in Unix seconds, 0 where it is not known."""

    id: str
    created: int
    owned_by: str


class _Catalogue(NamedTuple):
    """What a server listed, and when (`time.monotonic`)."""

    at: float
    models: tuple[Listed, ...]


class Models:
    """The demo model, the configured servers' models, and those found on this machine.

    A name is looked up as: an alias; ``demo``; a listed model; ``provider/model``; the alias
    ``*``; and else it goes to the main server as it is. What cannot be told before the servers
    were asked for their lists is looked up again when the model is first used.
    """

    def __init__(self, config: ModelProvider) -> None:
        self._config = config
        self._log = config.log
        self._patience = Patience(
            config.connect_timeout, config.read_timeout, config.retries, config.max_retry_wait
        )
        self._endpoints = {
            name: Endpoint(name, Settings.read(name, given), self._patience)
            for name, given in config.upstreams().items()
        }
        if "" in self._endpoints:
            main = self._endpoints.pop("")
            main.name = name_of(main.settings, taken=self._endpoints)
            self._endpoints = {main.name: main, **self._endpoints}
        self._configured = list(self._endpoints)
        self._catalogues: dict[str, _Catalogue] = {}
        self._local_at = -LIST_LIFE
        self._demo = DemoModel(self.local_servers)
        self._llms: dict[tuple[str, str, bool], OpenAIChat] = {}
        self._refreshing = anyio.Lock()

    async def list(self) -> List[ModelInfo]:  # noqa: UP006
        """Every model a client may name, the default first; the demo model is always there."""
        await self._refresh()
        rows = {DEMO: ModelInfo(DEMO, 0, "jupyter-ci-ext")}
        for alias in self._config.model_aliases:
            if alias != "*":
                rows.setdefault(alias, ModelInfo(alias, 0, "alias"))
        for name, (endpoint, listed) in self._names().items():
            owner = listed.owned_by or endpoint.name
            rows.setdefault(name, ModelInfo(name, listed.created, owner))
        first = self.default_model
        return sorted(rows.values(), key=lambda row: row.id != first)

    async def check(self, model: str) -> None:
        """Raise `NotFound` when it is sure that there is no such model."""
        name = self._config.model_aliases.get(model, model)
        if name == DEMO or name != model:
            return
        await self._refresh()
        found = self._find(name)
        if found is None:
            raise _no_such(model)
        if isinstance(found, DemoModel):
            return
        endpoint, name = found
        known = self._catalogues[endpoint.name].models
        if not known or endpoint.settings.azure_endpoint:
            return
        if named(name, known) is None and not await self._serves(endpoint, name):
            raise _no_such(model)

    def resolve(self, model: str) -> tuple[LLM, str]:
        """Who speaks for *model*, and the name that server knows it by (for `Turn.model`)."""
        name = self._config.model_aliases.get(model, model)
        if name != DEMO and self._listed(name) is None and not self._settled(name):
            return _LateModel(self, name), name
        return self._speaker(name)

    async def late(self, model: str) -> tuple[LLM, str]:
        """`resolve` once every server was asked for its list; raises `LLMError`."""
        await self._refresh()
        return self._speaker(model)

    @property
    def default_model(self) -> str:
        """The model of those who do not choose one, by what is known now."""
        if self._config.default_model:
            return self._config.default_model
        return next(iter(self._names()), DEMO)

    async def local_servers(self) -> Sequence[LocalServer]:
        """Model servers that answer on this machine's loopback now."""
        return await discover() if self._config.local_discovery else []

    def local(self) -> Sequence[LocalServer]:
        """The servers on this machine that the last `list` found, with the names to ask for."""
        offered: dict[str, List[str]] = {}  # noqa: UP006
        for model, (endpoint, _) in self._names().items():
            if endpoint.name not in self._configured:
                offered.setdefault(endpoint.name, []).append(model)
        return [
            LocalServer(name, self._endpoints[name].settings.url, tuple(models))
            for name, models in offered.items()
        ]

    async def close(self) -> None:
        """Close all connections to model servers."""
        for endpoint in self._endpoints.values():
            await endpoint.close()

    # ---- names ----------------------------------------------------------------------------

    def _settled(self, name: str) -> bool:
        """Whether the lists that are still missing cannot change where *name* goes."""
        unlisted = [n for n in self._configured if n not in self._catalogues]
        if not self._configured:
            return bool(self._catalogues)
        by_list = len(self._configured) > 1 or name == DEFAULT or "*" in self._config.model_aliases
        return not (unlisted and by_list)

    def _speaker(self, name: str) -> tuple[LLM, str]:
        found = self._find(name)
        if found is None:
            raise LLMError(
                "not_found",
                f"There is no model '{name}': this server is connected to no language model. Set "
                "OPENAI_API_KEY, or OPENAI_BASE_URL, for the Jupyter server, or use the model "
                f"'{DEMO}', which needs neither.",
            )
        if isinstance(found, DemoModel):
            return found, DEMO
        endpoint, theirs = found
        return self._llm(endpoint, theirs), theirs

    def _find(self, name: str) -> tuple[Endpoint, str] | DemoModel | None:
        """Server and name there for *name*, by what is known now."""
        if name == DEFAULT:
            name = self._config.model_aliases.get(self.default_model, self.default_model)
        if name == DEMO:
            return self._demo
        found = self._listed(name)
        if found is None and "*" in self._config.model_aliases:
            name = self._config.model_aliases["*"]
            if name == DEMO:
                return self._demo
            found = self._listed(name)
        if found is None and self._configured:
            found = self._endpoints[self._configured[0]], name
        return found

    def _names(self) -> dict[str, tuple[Endpoint, Listed]]:
        """Every listed model by the name it is offered under."""
        found: dict[str, tuple[Endpoint, Listed]] = {}
        for endpoint in self._endpoints.values():
            is_local = endpoint.name not in self._configured
            known = self._catalogues.get(endpoint.name)
            for listed in known.models if known else ():
                qualified = f"{endpoint.name}/{listed.id}"
                plain = not is_local and listed.id not in found and listed.id != DEMO
                found[listed.id if plain else qualified] = (endpoint, listed)
        return found

    def _listed(self, model: str) -> tuple[Endpoint, str] | None:
        """The server and the model there that is offered as *model*, if any."""
        names = self._names()
        if model in names:
            endpoint, listed = names[model]
            return endpoint, listed.id
        provider, _, rest = model.partition("/")
        if rest and provider in self._endpoints:
            return self._endpoints[provider], rest
        return None

    # ---- servers --------------------------------------------------------------------------

    def _llm(self, endpoint: Endpoint, name: str) -> OpenAIChat:
        known = self._catalogues.get(endpoint.name)
        listed = named(name, known.models) if known else None
        key = (endpoint.name, name, listed is not None)
        if key not in self._llms:
            window = match(self._config.context_tokens, name)
            if window is None and listed is not None:
                window = listed.context_tokens
            self._llms[key] = OpenAIChat(
                endpoint,
                code_protocol=self._protocol(name, listed),
                vision=any(fits(name, p) for p in self._config.vision_models),
                context_tokens=window,
            )
        return self._llms[key]

    def _protocol(self, name: str, listed: Listed | None) -> CodeProtocol:
        wanted = match(self._config.code_protocol, name) or "auto"
        if wanted not in ("tools", "fence", "auto"):
            raise LLMError(
                "server",
                f'c.ModelProvider.code_protocol is {wanted!r} for {name}; it must be "tools", '
                '"fence" or "auto".',
            )
        size = listed.parameters if listed and listed.parameters else size_of(name)
        if wanted == "auto" and size is not None and size < SMALL:
            return "fence"
        return cast(Literal["tools", "fence", "auto"], wanted)

    async def _refresh(self) -> None:
        """Ask servers whose list is older than `LIST_LIFE`; one that fails keeps what is known."""
        async with self._refreshing:
            await self._refresh_local()
            stale = [
                e
                for e in self._endpoints.values()
                if (known := self._catalogues.get(e.name)) is None
                or time.monotonic() - known.at > LIST_LIFE
            ]
            async with anyio.create_task_group() as group:
                for endpoint in stale:
                    group.start_soon(self._ask, endpoint)

    async def _refresh_local(self) -> None:
        if time.monotonic() - self._local_at < LIST_LIFE:
            return
        self._local_at = time.monotonic()
        taken = {urlsplit(self._endpoints[n].settings.url).port for n in self._configured}
        for server in await self.local_servers():
            if urlsplit(server.base_url).port in taken or server.name in self._configured:
                continue
            if server.name not in self._endpoints:
                at = Settings(base_url=server.base_url)
                self._endpoints[server.name] = Endpoint(server.name, at, self._patience)

    async def _ask(self, endpoint: Endpoint) -> None:
        known = self._catalogues.get(endpoint.name)
        try:
            models = tuple(await endpoint.models())
        except Exception as error:  # whatever it is, other servers' models are still offered
            self._log.warning(
                "The model server %s does not list its models (%s)",
                endpoint.settings.host,
                type(error).__name__,
            )
            keep = known is not None and endpoint.name in self._configured
            models = known.models if known is not None and keep else ()
        self._catalogues[endpoint.name] = _Catalogue(time.monotonic(), models)

    async def _serves(self, endpoint: Endpoint, name: str) -> bool:
        """Whether the server knows a model it does not list; it is asked by name."""
        import openai

        try:
            client = await endpoint.client()
            await client.models.retrieve(name, timeout=5.0)
        except (openai.NotFoundError, ValueError):  # or no name that can be asked for: ".."
            return False
        except openai.OpenAIError:
            return True  # not sure: the run will tell
        return True


class _LateModel(LLM):
    """A model whose server is known only when all were asked for their lists."""

    def __init__(self, models: Models, model: str) -> None:
        self._models = models
        self._model = model

    async def stream(self, turn: Turn) -> AsyncGenerator[Delta, None]:
        """See `LLM.stream`."""
        llm, name = await self._models.late(self._model)
        deltas = cast(AsyncGenerator[Delta, None], llm.stream(replace(turn, model=name)))
        async with aclosing(deltas):
            async for delta in deltas:
                yield delta


def _no_such(model: str) -> NotFound:
    return NotFound(f"The model '{model}' does not exist", param="model", code="model_not_found")
