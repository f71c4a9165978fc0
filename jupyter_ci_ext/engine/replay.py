"""What the events of a run tell of a message or step that was being written; pure.

Half-written objects are stored from time to time, their pieces at once. Whoever followed the run when
its server died has seen all pieces, so the object is to have them all, too.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from jupyter_ci_ext.engine.opened import attached
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run_step import RunStep

JSON = dict[str, Any]
Half = TypeVar("Half", Message, RunStep)

_OPAQUE: Final = ("data", "metadata")
"""Keys whose values are not ours, and come whole."""


def caught_up(half: Half, events: Iterable[tuple[int, str, str]]) -> Half:
    """*half* with all its pieces; *events* are number, name and data of all events of its run."""
    whole: JSON | None = None
    for _, name, data in events:
        if name.endswith(".created") and half.id in data:
            made = json.loads(data)
            whole = made if made["id"] == half.id else whole
        elif name.endswith(".delta") and whole is not None and half.id in data:
            piece = json.loads(data)
            if piece["id"] == half.id:
                _add(whole, piece["delta"])
    if whole is None:
        return half
    written = {"content", "step_details"} & whole.keys()
    stored = half.model_dump(mode="json") | {key: whole[key] for key in written}
    now = type(half).model_validate(stored)
    if isinstance(now, Message):
        return now.model_copy(update={"attachments": attached(now.content)})
    return now


def _add(total: JSON, delta: Mapping[str, Any]) -> None:
    """Add a piece as client libraries do: texts are joined, entries of lists found by ``index``."""
    for key, value in delta.items():
        known = total.get(key)
        if key == "index":
            continue
        if isinstance(value, list):
            total[key] = entries = known or []
            for entry in value:
                if entry["index"] >= len(entries):
                    entries.append({})
                _add(entries[min(entry["index"], len(entries) - 1)], entry)
        elif isinstance(value, dict) and key not in _OPAQUE:
            total[key] = known or {}
            _add(total[key], value)
        elif isinstance(value, str) and isinstance(known, str) and key != "type":
            total[key] = known + value
        else:
            total[key] = value
