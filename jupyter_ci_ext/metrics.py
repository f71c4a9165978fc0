"""What Jupyter's own ``/metrics`` shows of this extension, for Prometheus.

Nothing is there before the API is first used. Counts begin at zero when the server starts; no label
comes from a user, so there are few of them.
"""

from __future__ import annotations

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

RUNS: Final = Counter(
    "code_interpreter_runs", "Runs this server has brought to an end, by their status.", ["status"]
)

EXECUTIONS: Final = Histogram(
    "code_interpreter_execution_seconds",
    "How long pieces of code ran, by how they ended: ok, error, interrupted, timeout or lost.",
    ["status"],
    buckets=(0.1, 0.3, 1, 3, 10, 30, 60, 120, 300, 600),
)

SESSIONS: Final = Gauge("code_interpreter_sessions", "Sessions there are; spares do not count.")

MODEL_ERRORS: Final = Counter(
    "code_interpreter_model_errors",
    "Requests to model servers that failed, also those that were made again, by the kind of error.",
    ["kind"],
)
