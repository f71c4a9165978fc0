"""What only Jupyter users meet, below ``code-interpreter/``: sessions, summaries, the workspace."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from .common import LastError, Metadata, WireObject
from .params import ListQuery, Params, TextParams, refuse
from .run import RunStatus


class PanelSession(WireObject):
    """A thread's session, or that it has none."""

    object: Literal["session"] = "session"
    """Always ``session``."""
    thread_id: str
    """The thread."""
    id: str | None = None
    """``cntr_…``, another one whenever variables are gone; null where there is none, like all that
    follows."""
    container_id: str | None = None
    """Its id among the containers, which stays the same."""
    kernel_id: str | None = None
    """The Jupyter kernel, to which a console can be attached."""
    state: str = "none"
    """``none``, ``starting``, ``idle``, ``busy`` or ``dead``."""
    created_at: int | None = None
    """Unix time in seconds."""
    last_active_at: int | None = None
    """When code last ran."""
    expires_at: int | None = None
    """When it is closed if nothing happens; null: never."""
    isolation: dict[str, Any] | None = None
    """Which layers keep it apart from the host."""
    usage: dict[str, Any] | None = None
    """Memory, processor, processes and disk in use, and their limits."""


class PanelSessionList(WireObject):
    """All live sessions."""

    object: Literal["list"] = "list"
    """Always ``list``."""
    data: list[PanelSession]
    """The sessions."""


class SessionDeleted(WireObject):
    """What closing a session answers."""

    object: Literal["session.deleted"] = "session.deleted"
    """Always ``session.deleted``."""
    thread_id: str
    """The thread."""
    deleted: bool
    """False when there was none."""


class RunSummary(WireObject):
    """The newest run of a thread."""

    id: str
    """``run_…``."""
    status: RunStatus
    """Where it stands."""
    created_at: int
    """Unix time in seconds."""
    last_error: LastError | None = None
    """Why it failed, if it did."""


class ThreadSummary(WireObject):
    """A thread as a list shows it."""

    id: str
    """``thread_…``."""
    object: Literal["thread.summary"] = "thread.summary"
    """Always ``thread.summary``."""
    created_at: int
    """Unix time in seconds."""
    updated_at: int
    """When it or its newest run began or ended, whichever is latest."""
    title: str
    """``metadata.title``, else how the first question begins, else empty."""
    metadata: Metadata = {}
    """The client's pairs."""
    run: RunSummary | None = None
    """Its newest run."""
    session: str = "none"
    """State of its session."""


class SummaryQuery(ListQuery):
    """``GET /code-interpreter/threads``."""

    query: Annotated[str, Field(max_length=1000)] = ""
    """Words to look for in titles and messages."""


def _writable(path: str) -> str:
    """No file system has longer names, and contents managers crash on them."""
    if any(len(part.encode("utf-8", "replace")) > 255 for part in path.split("/")):
        text = "Invalid '{}': a name in it is longer than 255 bytes."
        refuse(text.format, "invalid_value")
    return path


_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


class SaveTo(Params):
    """Where something is to be saved, as a path of Jupyter's contents manager."""

    path: Annotated[str, Field(max_length=4096, pattern=_PRINTABLE), AfterValidator(_writable)] = ""
    """A folder, or the name of the new file; empty: the root."""
    overwrite: bool = False
    """Whether a file of this name is replaced; if not, the new one gets a number."""


class ImportFrom(Params):
    """A file of Jupyter's contents manager."""

    path: Annotated[
        str, Field(min_length=1, max_length=4096, pattern=_PRINTABLE), AfterValidator(_writable)
    ]
    """Its path."""


class Saved(WireObject):
    """What was saved."""

    path: str
    """Its path in the contents manager."""
    name: str
    """The last part of it."""
    type: Literal["file", "notebook"]
    """What it is."""
    size: int
    """Its size in bytes."""


class StatusQuery(TextParams):
    """``GET /code-interpreter/status``."""

    probe: bool = False
    """Whether to find out what this host can enforce, if that is not known yet."""


class ModelStatus(WireObject):
    """The models there are."""

    default: str
    """The one to begin with."""
    data: list[dict[str, Any]]
    """All of them."""


class LocalModels(WireObject):
    """A model server that answers on this machine."""

    name: str
    """``ollama``, ``lmstudio`` or ``local``."""
    base_url: str
    """Where."""
    models: list[str]
    """The names of its models, as runs take them."""


class Limits(WireObject):
    """What runs, files and sessions may take; null where there is no limit."""

    upload_bytes: int | None
    """Largest file."""
    run_expiry_seconds: float | None
    """How long a run may take."""
    code_calls_per_run: int
    """Pieces of code one run executes."""
    memory_bytes: int | None
    """Memory of a session."""
    processes: int | None
    """Processes of a session."""
    execution_seconds: float | None
    """Time of one execution."""
    disk_bytes: int | None
    """What a session may write to ``/mnt/data``."""
    session_life_seconds: float | None
    """How long a session lives at most."""
    session_idle_seconds: float | None
    """How long a session may be idle."""


class Status(WireObject):
    """What is served here."""

    version: str
    """Of this package."""
    isolation: dict[str, Any] | None
    """What this host can enforce; null: not known yet."""
    models: ModelStatus
    """The models."""
    local_models: list[LocalModels]
    """Model servers that answer on this machine's loopback, where they are looked for."""
    limits: Limits
    """The limits."""
    sessions: int
    """How many are alive."""
