"""What Jupyter's own ``/metrics`` shows of this extension, for Prometheus.

Nothing is there before the API is first used. Counts begin at zero when the server starts; no label
comes from a user, so there are few of them. Gauges are asked when somebody looks: nothing polls.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

from prometheus_client import REGISTRY, Counter, Gauge, Histogram

Metric = TypeVar("Metric", Counter, Gauge, Histogram)

_WAITS: Final = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 60, 120, 300)


def _once(name: str, make: Callable[[str], Metric]) -> Metric:
    """The metric of this name; the one there is, where the module is imported a second time."""
    try:
        return make(f"code_interpreter_{name}")
    except ValueError:
        known: Metric = REGISTRY._names_to_collectors[f"code_interpreter_{name}"]  # type: ignore[assignment]
        return known


RUNS: Final = _once(
    "runs",
    lambda name: Counter(
        name, "Runs this server has brought to an end, by their status.", ["status"]
    ),
)

QUEUE: Final = _once(
    "run_queue_seconds",
    lambda name: Histogram(
        name,
        "How long runs were queued before work on them began, also after outputs were submitted.",
        buckets=_WAITS,
    ),
)

FIRST_TOKEN: Final = _once(
    "first_token_seconds",
    lambda name: Histogram(
        name,
        "How long model servers took from a request to the first piece of the answer.",
        buckets=_WAITS,
    ),
)

SESSION_WAIT: Final = _once(
    "session_wait_seconds",
    lambda name: Histogram(
        name,
        "How long code waited for its session: for its turn, and for a kernel to start.",
        buckets=_WAITS,
    ),
)

EXECUTIONS: Final = _once(
    "execution_seconds",
    lambda name: Histogram(
        name,
        "How long pieces of code ran, by how they ended: ok, error, interrupted, timeout or lost.",
        ["status"],
        buckets=(0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600),
    ),
)

STARTS: Final = _once(
    "session_starts",
    lambda name: Counter(
        name, "Sessions that began with a warm spare (hit) or without one (miss).", ["warm"]
    ),
)

SESSIONS: Final = _once(
    "sessions", lambda name: Gauge(name, "Sessions there are; spares do not count.")
)

SESSION_MEMORY: Final = _once(
    "session_memory_bytes",
    lambda name: Gauge(name, "Memory of all sessions' processes, as last measured."),
)

STORED: Final = _once(
    "stored_bytes",
    lambda name: Gauge(
        name,
        "Bytes on disk: of files' contents (blobs), and of the database with its journal.",
        ["kind"],
    ),
)

UPLOADS: Final = _once(
    "uploads", lambda name: Counter(name, "Files that clients have sent, whole or in parts.")
)

UPLOADED: Final = _once(
    "uploaded_bytes", lambda name: Counter(name, "Bytes of the files that clients have sent.")
)

MODEL_ERRORS: Final = _once(
    "model_errors",
    lambda name: Counter(
        name,
        "Requests to model servers that failed, also those made again, by the kind of error.",
        ["kind"],
    ),
)
