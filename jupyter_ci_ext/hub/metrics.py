"""What the service's ``/metrics`` shows, for Prometheus. No label names a user."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from .usage import Tokens


class Metrics:
    """Counts of one service, from zero when it starts."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "code_interpreter_hub_requests",
            "Chat completions asked for, by the status of the answer; 499: the client went away.",
            ["status"],
            registry=self._registry,
        )
        self._tokens = Counter(
            "code_interpreter_hub_tokens",
            "Tokens of prompts and completions; source: told by the model server, or estimated.",
            ["kind", "source"],
            registry=self._registry,
        )
        self.under_way = Gauge(
            "code_interpreter_hub_under_way",
            "Chat completions that are being answered.",
            registry=self._registry,
        )
        self.first_byte = Histogram(
            "code_interpreter_hub_first_byte_seconds",
            "Time until the model server began to answer.",
            buckets=(0.1, 0.3, 1, 3, 10, 30, 60, 120, 300),
            registry=self._registry,
        )

    def count(self, tokens: Tokens) -> None:
        """Add the tokens of a request that is over."""
        source = "estimated" if tokens.estimated else "told"
        self._tokens.labels("prompt", source).inc(tokens.prompt)
        self._tokens.labels("completion", source).inc(tokens.completion)

    def text(self) -> bytes:
        """All counts as Prometheus reads them."""
        return generate_latest(self._registry)
