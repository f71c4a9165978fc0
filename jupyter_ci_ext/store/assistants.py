"""The table of assistants."""

from __future__ import annotations

from ..wire.assistant import Assistant
from ..wire.stored import StoredPage
from .paging import Order
from .table import Table


class Assistants(Table[Assistant]):
    """Assistants of this server."""

    name = "assistants"
    model = Assistant

    async def get(self, id: str) -> Assistant | None:
        """The assistant, or None."""
        return await self._get(id)

    async def insert(self, assistant: Assistant) -> None:
        """Store a new assistant."""
        await self._insert(assistant)

    async def page(
        self,
        limit: int = 20,
        order: Order = "desc",
        after: str | None = None,
        before: str | None = None,
    ) -> StoredPage[Assistant]:
        """One page of all assistants."""
        return await self._page([], [], limit, order, after, before)

    async def mentioning(self, file_id: str) -> list[Assistant]:
        """Assistants in whose tool resources, or elsewhere, the file's id occurs."""
        return await self._select([("instr(body, ?)", (file_id,))])
