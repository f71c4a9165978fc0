"""From the store's objects to what one client gets: its dialect, and only what it asked for."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

from pydantic import BaseModel

from ..events import Event
from ..wire import azure, v1
from ..wire.common import dump
from ..wire.include import EventFilter, may_be_left_out
from .dialect import Dialect

JSON = dict[str, Any]

OPENAI_V2: Final = Dialect()


def translate(data: JSON, dialect: Dialect) -> JSON:
    """A v2 object of OpenAI's in *dialect*."""
    if dialect.version == "v1":
        data = v1.outgoing(data)
    if dialect.flavour != "openai":
        data = azure.outgoing(data)
    if dialect.flavour == "foundry":
        data = azure.foundry(data)
    return data


class EventRenderer:
    """Makes the events of one run into those of one stream.

    Must be shown every event of the run in order, also those that are not sent, since rich outputs
    that are left out shift the numbers of those that stay.
    """

    def __init__(self, dialect: Dialect, include: Collection[str] = ()) -> None:
        self._dialect = dialect
        self._filter = EventFilter(include)

    def __call__(self, event: Event) -> tuple[str, str] | None:
        """Name and data of the event for this client; None when there is nothing for it."""
        if self._dialect == OPENAI_V2 and not _may_be_filtered(event):
            return event.name, event.data
        data = self._filter(json.loads(event.data))
        if data is None:
            return None
        name = event.name
        if self._dialect.version == "v1":
            name, data = v1.event(name, data)
        return name, json.dumps(translate(data, self._dialect), separators=(",", ":"))

    def object(self, name: str, value: BaseModel) -> tuple[str, str]:
        """Name and data of an event that is not of the run, such as ``thread.created``."""
        rendered = self(Event(0, name, dump(value)))
        assert rendered is not None
        return rendered


def _may_be_filtered(event: Event) -> bool:
    if event.name == "thread.run.step.delta":
        return '"outputs"' in event.data
    if event.name.startswith("thread.run.step."):
        return may_be_left_out(event.data)
    return False
