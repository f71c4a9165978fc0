"""Whether the configured model servers answer, for whoever looks for what is wrong."""

from __future__ import annotations

from dataclasses import dataclass

import anyio

from ..errors import LLMErrorKind
from .config import ModelProvider
from .endpoint import Endpoint, Patience, Settings
from .names import name_of
from .openai_errors import translate

PATIENCE = Patience(connect=5.0, read=10.0, retries=0)


@dataclass
class ServerReport:
    """What a server said when it was asked for its models; ``problem`` is empty if it answered.

    One whose models are named in the settings is not *asked*.
    """

    name: str
    host: str
    models: tuple[str, ...] = ()
    kind: LLMErrorKind | None = None
    problem: str = ""
    asked: bool = True


async def examine(config: ModelProvider) -> list[ServerReport]:
    """Ask every configured server at the same time; raises ValueError for nonsense in settings."""
    endpoints = []
    for name, given in config.upstreams().items():
        settings = Settings.read(name, given)
        endpoints.append(Endpoint(name or name_of(settings, taken={}), settings, PATIENCE))
    reports = [ServerReport(endpoint.name, endpoint.settings.host) for endpoint in endpoints]
    async with anyio.create_task_group() as group:
        for endpoint, report in zip(endpoints, reports, strict=True):
            group.start_soon(_ask, endpoint, report)
    return reports


async def _ask(endpoint: Endpoint, report: ServerReport) -> None:
    settings = endpoint.settings
    report.asked = not (settings.models or settings.azure_endpoint)
    try:
        report.models = tuple(listed.id for listed in await endpoint.models())
    except Exception as error:
        told = translate(error, settings, "", began=False)
        report.kind, report.problem = told.kind, told.message
    finally:
        await endpoint.close()
