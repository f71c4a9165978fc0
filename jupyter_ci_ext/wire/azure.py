"""What differs for clients of Azure: file ids, and a few things of Foundry; pure, on parsed JSON.

A file is ``file-X`` in the store and for clients of OpenAI, ``assistant-X`` for those of Azure; the
tail is the same, so either name can be given back wherever the other was seen.
"""

from __future__ import annotations

from typing import Any, Final, cast

JSON = dict[str, Any]

FOUNDRY_RUN_SECONDS: Final = 1800
"""How long after its creation a run of Foundry expires, in seconds."""

AZURE_FILE: Final = "assistant-"
"""How ids of files begin for Azure's clients."""

_OURS = "file-"

_FILE_OBJECTS = frozenset(
    {"file", "assistant.file", "assistant.file.deleted", "thread.message.file"}
)
_OPAQUE = frozenset({"metadata", "parameters", "schema"})  # the client's own, never looked into
_ID_KEYS = frozenset({"file_id", "file_ids", "first_id", "last_id", "after", "before"})


def file_id_out(id: str) -> str:
    """A file's id as Azure's clients know it."""
    return AZURE_FILE + id[len(_OURS) :] if id.startswith(_OURS) else id


def file_id_in(id: str) -> str:
    """A file's id as the store knows it, from either name."""
    return _OURS + id[len(AZURE_FILE) :] if id.startswith(AZURE_FILE) else id


def outgoing(data: JSON) -> JSON:
    """The object, list or delta with file ids as Azure's clients know them."""
    return cast(JSON, _renamed(data, _OURS, AZURE_FILE))


def incoming(data: object) -> object:
    """A body or query with file ids as the store knows them, and without empty data sources.

    Foundry's clients name ``data_sources`` beside ``file_ids`` even when they have none.
    """
    return _renamed(data, AZURE_FILE, _OURS)


def foundry(data: JSON) -> JSON:
    """The object without what Foundry does not have."""
    if data.get("object") == "list":
        return {**data, "data": [foundry(item) for item in data["data"]]}
    new = {key: value for key, value in data.items() if key != "reasoning_effort"}
    if isinstance(usage := new.get("usage"), dict):
        new["usage"] = {k: v for k, v in usage.items() if k != "completion_tokens_details"}
    return new


def _renamed(value: Any, old: str, new: str) -> Any:
    if isinstance(value, list):
        return [_renamed(item, old, new) for item in value]
    if not isinstance(value, dict):
        return value
    is_file = value.get("object") in _FILE_OBJECTS
    found: JSON = {}
    for key, item in value.items():
        if key in _ID_KEYS or (key == "id" and is_file):
            found[key] = _swap(item, old, new)
        elif key == "data_sources" and not item:
            continue
        else:
            found[key] = item if key in _OPAQUE else _renamed(item, old, new)
    return found


def _swap(value: Any, old: str, new: str) -> Any:
    if isinstance(value, list):
        return [_swap(item, old, new) for item in value]
    if isinstance(value, str) and value.startswith(old):
        return new + value[len(old) :]
    return value
