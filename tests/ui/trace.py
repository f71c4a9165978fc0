"""What a page costs the browser's main thread, in processor time: other programs do not count."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.sync_api import Browser, Page

TASK = "ThreadControllerImpl::RunTask"


@dataclass
class Cost:
    """The tasks of the main thread, longest first, in milliseconds of its processor time."""

    tasks: list[float] = field(default_factory=list)

    @property
    def total(self) -> float:
        """The sum in seconds."""
        return sum(self.tasks) / 1000

    @property
    def longest(self) -> float:
        """Milliseconds of the longest task."""
        return max(self.tasks, default=0.0)

    def __str__(self) -> str:
        longest = ", ".join(f"{task:.0f}" for task in self.tasks[:5])
        return f"{self.total:.2f} s in {len(self.tasks)} tasks, longest {longest} ms"


@contextmanager
def main_thread(browser: Browser, page: Page) -> Iterator[Cost]:
    """Measure what happens meanwhile. Asking the page anything costs it, too: do not poll."""
    cost = Cost()
    browser.start_tracing(page=page, categories=["-*", "toplevel"])
    try:
        yield cost
    finally:
        trace = browser.stop_tracing()
    cost.tasks = _tasks(json.loads(trace)["traceEvents"])


def _tasks(events: list[dict[str, Any]]) -> list[float]:
    names = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in events
        if event["name"] == "thread_name"
    }
    threads: dict[tuple[int, int], list[float]] = defaultdict(list)
    for event in events:
        thread = (event["pid"], event["tid"])
        if event["name"] == TASK and names.get(thread) == "CrRendererMain":
            threads[thread].append(event.get("tdur", 0) / 1000)
    # Lab's renderer is the one that works; the browser keeps a spare.
    return sorted(max(threads.values(), key=sum, default=[]), reverse=True)
