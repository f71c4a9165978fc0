"""How often requests go to a connection's thread and back, which is what they cost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from jupyter_ci_ext.store.connection import Connection
from jupyter_ci_ext.store.statements import Statements
from jupyter_ci_ext.wire.message_params import CreateMessage, MessageListQuery, ModifyMessage
from jupyter_ci_ext.wire.params import ListQuery
from jupyter_ci_ext.wire.run_params import StepListQuery
from jupyter_ci_ext.wire.thread_params import CreateThread, ModifyThread
from jupyter_ci_ext.wire.validation import parse

from .house import House, in_house


@in_house
async def test_requests_make_one_trip(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    services, thread = house.services, await house.thread(*map(str, range(30)))
    run = await house.run(thread, await house.assistant())
    other = await house.thread("hi")
    hello: dict[str, Any] = {"role": "user", "content": "hi"}
    message = (await services.messages.list(thread.id, MessageListQuery())).data[5]
    requests: dict[str, Callable[[], Awaitable[object]]] = {
        "thread": lambda: services.threads.get(thread.id),
        "message": lambda: services.messages.get(thread.id, message.id),
        "messages": lambda: services.messages.list(thread.id, MessageListQuery(after=message.id)),
        "runs": lambda: services.runs.list(thread.id, ListQuery()),
        "steps": lambda: services.steps.list(thread.id, run.id, StepListQuery()),
        "threads": lambda: services.threads.list(ListQuery(before=thread.id)),
        "new message": lambda: services.messages.create(other.id, parse(CreateMessage, hello)),
        "new thread": lambda: services.threads.create(
            parse(CreateThread, {"messages": [hello] * 50})
        ),
        "other thread": lambda: services.threads.modify(
            thread.id, parse(ModifyThread, {"metadata": {"a": "b"}})
        ),
        "other message": lambda: services.messages.modify(
            thread.id, message.id, parse(ModifyMessage, {"metadata": {"a": "b"}})
        ),
    }
    trips = dict.fromkeys(requests, 0)
    asked: list[str] = []
    travel = Connection.run

    async def count(self: Connection, work: Callable[[Statements], Any]) -> Any:
        trips[asked[-1]] += 1
        return await travel(self, work)

    monkeypatch.setattr(Connection, "run", count)
    for name, ask in requests.items():
        asked.append(name)
        await ask()
    monkeypatch.undo()
    assert trips == dict.fromkeys(requests, 1)
