"""The language models runs can use."""

from __future__ import annotations

from collections.abc import Sequence

from ..wire.model import Model, ModelList
from .collaborators import KnownServer, ModelCatalog


class ModelsService:
    """The list of models as the API has it."""

    def __init__(self, models: ModelCatalog) -> None:
        self._models = models

    async def list(self) -> ModelList:
        """All models that are known of."""
        known = await self._models.list()
        return ModelList(
            data=[Model(id=each.id, created=each.created, owned_by=each.owned_by) for each in known]
        )

    def local(self) -> Sequence[KnownServer]:
        """The model servers on this machine, as of the last `list`."""
        return self._models.local()

    async def get(self, id: str) -> Model:
        """The model; raises `NotFound` when it is sure that there is none."""
        for model in (await self.list()).data:
            if model.id == id:
                return model
        await self._models.check(id)
        return Model(id=id, created=0, owned_by="unknown")  # its server does not list its models
