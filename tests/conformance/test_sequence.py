"""The checker of streams finds what is wrong with a stream: a sound one, spoiled in many ways."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.conformance.playbook import Playbook
from tests.conformance.sequence import Event, check, parse
from tests.conformance.server import Api
from tests.fakes.answers import code, say

Spoil = Callable[[list[Event]], object]


@pytest.fixture(scope="module")
def sound(api: Api, playbook: Playbook) -> list[Event]:
    """The events of a run with code and an answer with a link."""
    phrase = playbook.teach(
        "To be spoiled",
        code("print(open('/mnt/data/a.txt', 'w').write('a'))"),
        say("See [a](sandbox:/mnt/data/a.txt)."),
    )
    tools = [{"type": "code_interpreter"}]
    made = api("POST", "/assistants", {"model": "scripted", "tools": tools})
    thread = {"messages": [{"role": "user", "content": phrase}]}
    body = {"assistant_id": made["id"], "stream": True, "thread": thread}
    text = api.stream("POST", "/threads/runs", body)
    check(text, "thread")
    return parse(text)


def _written(events: list[Event]) -> str:
    return "".join(
        f"event: {e.name}\ndata: {e.data if isinstance(e.data, str) else json.dumps(e.data)}\n\n"
        for e in events
    )


def _all(events: list[Event], name: str) -> list[int]:
    return [place for place, event in enumerate(events) if event.name == name]


def _lose_a_piece(events: list[Event]) -> None:
    del events[_all(events, "thread.message.delta")[1]]


def _swap_pieces(events: list[Event]) -> None:
    one, other = _all(events, "thread.message.delta")[:2]
    events[one], events[other] = events[other], events[one]


def _repeat_an_id(events: list[Event]) -> None:
    one, other = _all(events, "thread.run.step.delta")[:2]
    first = events[one].data["delta"]["step_details"]["tool_calls"][0]
    events[other].data["delta"]["step_details"]["tool_calls"][0]["id"] = first["id"]


def _lose_an_index(events: list[Event]) -> None:
    del events[_all(events, "thread.message.delta")[0]].data["delta"]["content"][0]["index"]


def _lose_a_key(events: list[Event]) -> None:
    del events[_all(events, "thread.run.completed")[0]].data["tool_choice"]


def _reorder_keys(events: list[Event]) -> None:
    data = events[_all(events, "thread.message.completed")[0]].data
    data["id"] = data.pop("id")


def _move_an_annotation(events: list[Event]) -> None:
    for event in events:
        if event.name in ("thread.message.delta", "thread.message.completed"):
            content = event.data.get("content") or event.data["delta"]["content"]
            for note in content[0]["text"].get("annotations", ()):
                note["start_index"] += 1


def _keep_usage_back(events: list[Event]) -> None:
    events[_all(events, "thread.run.completed")[0]].data["usage"] = None


SPOILS: list[Spoil] = [
    _lose_a_piece,
    _swap_pieces,
    _repeat_an_id,
    _lose_an_index,
    _lose_a_key,
    _reorder_keys,
    _move_an_annotation,
    _keep_usage_back,
    lambda events: events.pop(),
    lambda events: events.pop(0),
    lambda events: events.pop(-2),
    lambda events: events.pop(_all(events, "thread.run.step.created")[0]),
    lambda events: events.pop(_all(events, "thread.run.step.completed")[-1]),
    lambda events: events.pop(_all(events, "thread.message.completed")[0]),
    lambda events: events.append(events[-1]),
    lambda events: events.insert(-1, events[-2]),
]


@pytest.mark.parametrize("spoil", SPOILS)
def test_a_spoiled_stream_is_found_out(sound: list[Event], spoil: Spoil) -> None:
    events = parse(_written(sound))
    check(_written(events), "thread")
    spoil(events)
    with pytest.raises(AssertionError):
        check(_written(events), "thread")


def test_comments_and_carriage_returns_are_refused(sound: list[Event]) -> None:
    text = _written(sound)
    for spoiled in (text.replace("\n", "\r\n"), f": ping\n\n{text}", text.removesuffix("\n")):
        with pytest.raises(AssertionError):
            check(spoiled, "thread")
