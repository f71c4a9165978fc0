"""What happens to runs and sessions, told to Jupyter's event log and, a line each, to its log.

The events are those of the schemas in ``jupyter_ci_ext/schemas``; whoever operates the server takes
them by a handler (``c.EventLogger.handlers``) or a listener. Neither they nor the lines have any
content: ids, counts, times and states only.
"""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final, Protocol

from ..lifecycle import Happening, RunCreated, RunFinished, SessionEnded, SessionStarted
from ..quiet import kind

SCHEMAS: Final = Path(__file__).parent.parent / "schemas"

RUN: Final = "https://schema.jupyter.org/jupyter_ci_ext/run/v1"
SESSION: Final = "https://schema.jupyter.org/jupyter_ci_ext/session/v1"

# Schema, action, and the line for people.
_KINDS: Final[dict[type[Happening], tuple[str, str, str]]] = {
    RunCreated: (RUN, "created", "Run %(run_id)s of %(thread_id)s: created"),
    RunFinished: (
        RUN,
        "finished",
        "Run %(run_id)s of %(thread_id)s: %(status)s after %(duration_seconds).1f s, "
        "%(code_calls)d pieces of code",
    ),
    SessionStarted: (
        SESSION,
        "started",
        "Session %(session_id)s of %(thread_id)s: started, isolation level %(isolation_level)d",
    ),
    SessionEnded: (
        SESSION,
        "ended",
        "Session %(session_id)s of %(thread_id)s: ended after %(duration_seconds).1f s (%(reason)s)",
    ),
}


class EventLogger(Protocol):
    """What is used of `jupyter_events.EventLogger`."""

    def register_event_schema(self, schema: Any, /) -> None: ...
    def emit(self, *, schema_id: str, data: dict[str, Any]) -> object: ...


class Telemetry:
    """A `jupyter_ci_ext.lifecycle.Tell`; never raises, so that no run fails because of it."""

    def __init__(self, events: EventLogger | None, log: logging.Logger) -> None:
        self._events = events
        self._log = log

    def register(self) -> None:
        """Make the schemas known, once per server."""
        if self._events is None:
            return
        for path in sorted(SCHEMAS.glob("*.yaml")):
            try:
                self._events.register_event_schema(path)
            except Exception as error:
                self._log.warning("The events of %s will not be told: %s", path.stem, kind(error))

    def __call__(self, happening: Happening, /) -> None:
        schema, action, line = _KINDS[type(happening)]
        data = asdict(happening)
        self._log.info(line, data)
        if self._events is None:
            return
        try:
            self._events.emit(schema_id=schema, data={"action": action, **data})
        except Exception as error:
            self._log.warning("An event was not told: %s", kind(error))
