"""What is served here, as the panel and `jupyter ci doctor` show it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from .. import __version__
from ..services.bundle import Services
from ..wire.extension import Limits, LocalModels, ModelStatus, Status, StatusQuery

_NAMES = {3: "bubblewrap", 2: "landlock", 1: "limits only"}


class StatusReport:
    """Gathers the status; starts nothing but, where it is asked for, the probe of the host."""

    def __init__(
        self,
        services: Services,
        limits: Limits,
        probe: Callable[[], Awaitable[dict[str, Any]]],
    ) -> None:
        self._services = services
        self._limits = limits
        self._probe = probe
        self._isolation: dict[str, Any] | None = None

    async def report(self, query: StatusQuery) -> Status:
        """The status now."""
        sessions = self._services.sessions.list().data
        if query.probe and self._isolation is None:
            self._isolation = _flat(await self._probe())
        models = (await self._services.models.list()).data
        return Status(
            version=__version__,
            isolation=self._isolation,
            models=ModelStatus(
                default=models[0].id, data=[model.model_dump(mode="json") for model in models]
            ),
            local_models=[
                LocalModels(name=each.name, base_url=each.base_url, models=list(each.models))
                for each in self._services.models.local()
            ],
            limits=self._limits,
            sessions=len(sessions),
        )


def _flat(report: dict[str, Any]) -> dict[str, Any]:
    """What the host can do and what was measured inside, as one object."""
    measured = report.get("isolation") or {}
    return {
        "level": report["level"],
        "name": report.get("name") or _NAMES.get(report["level"], "none"),
        "minimum_level": report["minimum_level"],
        "sufficient": report["sufficient"],
        "layers": measured.get("layers", []),
        "memory_by": measured.get("memory_by"),
        "notes": measured.get("notes", []),
        "reasons": report["reasons"],
        "hints": report["hints"],
    }
