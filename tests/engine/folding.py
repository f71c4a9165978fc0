"""How the official client libraries add deltas up, and what they must arrive at.

The rules are those of openai-python's ``accumulate_delta``: strings are joined, numbers are added,
lists are merged by the ``index`` of their entries; ``index`` and ``type`` are taken as they are. An
entry whose index is not next is put where the list ends, as the library does, so wrong numbers show.
"""

from __future__ import annotations

from typing import Any

JSON = dict[str, Any]


def add_up(total: JSON, delta: JSON) -> JSON:
    """*total* with *delta* added."""
    for key, value in delta.items():
        if key not in total or total[key] is None or key in ("index", "type"):
            total[key] = value
        elif (isinstance(value, str) and isinstance(total[key], str)) or isinstance(
            value, (int, float)
        ):
            total[key] += value
        elif isinstance(value, dict):
            total[key] = add_up(total[key], value)
        elif isinstance(value, list):
            for entry in value:
                index = entry["index"]
                try:
                    total[key][index] = add_up(total[key][index], entry)
                except IndexError:
                    total[key].insert(index, entry)
    return total


def without_indexes(value: Any) -> Any:
    """The same without ``index`` keys, as completed objects have it."""
    if isinstance(value, dict):
        return {k: without_indexes(v) for k, v in value.items() if k != "index"}
    if isinstance(value, list):
        return [without_indexes(each) for each in value]
    return value


def check_stream(events: list[tuple[str, JSON]], *, resumed: bool = False) -> None:
    """Assert what every client relies on: the order of events, and that deltas add up.

    *resumed* is for streams of submitted outputs, which begin with the end of a step.
    """
    steps: dict[str, JSON] = {}
    messages: dict[str, JSON] = {}
    finished: set[str] = set()
    open_message = None
    if not resumed:
        assert [name for name, _ in events[:2]] == ["thread.run.created", "thread.run.queued"]
        assert events[0][1] == events[1][1]
    for name, data in events:
        if name == "thread.run.step.created":
            assert data["status"] == "in_progress"
            assert data["usage"] is None
            steps[data["id"]] = {"step_details": dict(data["step_details"])}
        elif name == "thread.run.step.in_progress":
            assert data["id"] in steps
        elif name == "thread.run.step.delta":
            assert data["id"] not in finished
            add_up(steps[data["id"]], data["delta"])
        elif name.startswith("thread.run.step."):
            assert name == f"thread.run.step.{data['status']}"
            assert data["usage"] is not None
            assert data["id"] not in finished
            finished.add(data["id"])
            if data["id"] in steps:
                details = without_indexes(steps[data["id"]]["step_details"])
                for call in data["step_details"].get("tool_calls", []):
                    if call["type"] == "function":  # outputs come without a delta
                        call["function"]["output"] = None
                assert details == data["step_details"], (details, data["step_details"])
        elif name == "thread.message.created":
            assert open_message is None, "one message at a time"
            open_message = data["id"]
            assert data["content"] == []
            assert data["attachments"] == []
            messages[data["id"]] = {"content": []}
        elif name == "thread.message.in_progress":
            assert data["id"] == open_message
        elif name == "thread.message.delta":
            assert data["id"] == open_message
            add_up(messages[data["id"]], data["delta"])
        elif name.startswith("thread.message."):
            assert data["id"] == open_message
            open_message = None
            assert without_indexes(messages[data["id"]]["content"]) == data["content"]
            for part in data["content"]:
                check_annotations(part)
        else:
            assert name == f"thread.run.{data['status']}" or name == "thread.run.created"
    last = events[-1][0]
    assert last.startswith("thread.run.")
    assert not last.startswith("thread.run.step.")
    if last != "thread.run.requires_action":
        assert set(steps) <= finished
        assert open_message is None
        usage = events[-1][1]["usage"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def check_annotations(part: JSON) -> None:
    """Assert that annotations say where they are."""
    if part["type"] == "text":
        for each in part["text"]["annotations"]:
            value = part["text"]["value"]
            assert value[each["start_index"] : each["end_index"]] == each["text"]
