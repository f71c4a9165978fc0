"""What happens to runs and sessions, as values: whoever operates the server may hear of it.

No content is in them: no text, no code, no name of a file, nothing of a key. The rooms say them to
a `Tell` that they were given and that never raises; `jupyter_ci_ext.api.telemetry` is the one that
listens in a server. ``thread_id`` of a session is the id of the container where a client made one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

EndReason = Literal[
    "expired",  # it was idle for too long, or has lived as long as it may
    "closed",  # somebody asked for it
    "deleted",  # its thread or container was deleted
    "evicted",  # it gave way to another session
    "replaced",  # it was started anew with other settings
    "restarted",  # its variables were thrown away on request
    "timeout",  # its code did not obey an interrupt
    "exited",  # its code ended it
    "lost",  # its kernel died, or was killed for a limit
    "failed",  # it could not be brought up
    "shutdown",  # the server stops
]


@dataclass(frozen=True)
class RunCreated:
    """A run was stored and is about to be worked on."""

    run_id: str
    thread_id: str
    assistant_id: str
    model: str


@dataclass(frozen=True)
class RunFinished:
    """A run is over; ``status`` is its last, or "deleted" where its thread went with it."""

    run_id: str
    thread_id: str
    assistant_id: str
    model: str
    status: str
    duration_seconds: float
    """From its creation; whole seconds where a server had to be started again meanwhile."""
    steps: int
    code_calls: int
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True)
class SessionStarted:
    """A session has a kernel that answers."""

    session_id: str
    thread_id: str
    kernel_id: str
    isolation_level: int
    warm: bool
    """Whether the kernel had been started before anybody asked for it."""


@dataclass(frozen=True)
class SessionEnded:
    """The variables of a session are gone, whether or not another one follows."""

    session_id: str
    thread_id: str
    kernel_id: str
    isolation_level: int
    reason: EndReason
    duration_seconds: float


Happening = RunCreated | RunFinished | SessionStarted | SessionEnded

Tell = Callable[[Happening], None]


def unheard(_happening: Happening, /) -> None:
    """The `Tell` of those whom nobody listens to."""
