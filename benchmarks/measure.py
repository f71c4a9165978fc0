"""Rounds, medians and what is said of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

Unit = Literal["ms", "s", "MB", "MB/s", "tokens/s", "requests/s", "% cpu"]
Measure = Callable[[], float]


@dataclass(frozen=True)
class Target:
    """What is claimed: *limit* of the ratio, or of the difference or of ours in the case's unit."""

    kind: Literal["ratio", "difference", "ours"]
    limit: float
    least: bool = False
    """Whether *limit* is the least that is right (throughput), not the most (time)."""

    def met(self, ours: float, baseline: float) -> bool:
        """Whether the figures are within it."""
        values = {"difference": ours - baseline, "ours": ours}
        value = ours / baseline if self.kind == "ratio" else values[self.kind]
        return value >= self.limit if self.least else value <= self.limit

    def text(self, unit: Unit) -> str:
        """In words of the table."""
        sign = "≥" if self.least else "≤"
        if self.kind == "ratio":
            return f"{sign} {self.limit:g} ×"
        if self.kind == "ours":
            return f"{sign} {self.limit:g} {unit}"
        return f"{sign} baseline + {self.limit:g} {unit}"


@dataclass(frozen=True)
class Result:
    """One row of the table; *ours* and *baseline* are the samples of all rounds."""

    case: str
    unit: Unit
    ours: Sequence[float]
    baseline: Sequence[float]
    against: str
    target: Target | None = None
    note: str = ""

    @property
    def medians(self) -> tuple[float, float]:
        """Ours and the baseline's."""
        return statistics.median(self.ours), statistics.median(self.baseline)

    @property
    def met(self) -> bool | None:
        """Whether the target is; None where there is none."""
        return None if self.target is None else self.target.met(*self.medians)


@dataclass(frozen=True)
class Table:
    """What a family says beside its rows; every row has as many cells as there are *columns*."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def at_most(limit: float) -> Target:
    """The ratio is at most *limit*."""
    return Target("ratio", limit)


def at_least(limit: float) -> Target:
    """The ratio is at least *limit*."""
    return Target("ratio", limit, least=True)


def adds_at_most(limit: float) -> Target:
    """Ours is at most *limit* above the baseline."""
    return Target("difference", limit)


def interleaved(rounds: int, *measures: Measure, warm_up: int = 1) -> list[list[float]]:
    """The samples of each of *measures*, taken in turn, the order reversed every other round.

    The first *warm_up* rounds are thrown away. What a busy machine does to one it does to all.
    """
    samples: list[list[float]] = [[] for _ in measures]
    for number in range(-warm_up, rounds):
        order = list(enumerate(measures))
        for index, measure in order if number % 2 else reversed(order):
            value = measure()
            if number >= 0:
                samples[index].append(value)
    return samples


def clocked(work: Callable[[], object], scale: float = 1000.0) -> Measure:
    """How long *work* takes, in milliseconds unless *scale* says otherwise."""

    def measure() -> float:
        started = time.perf_counter()
        work()
        return (time.perf_counter() - started) * scale

    return measure


def spread(samples: Sequence[float]) -> float | None:
    """The distance of the quartiles by the median; None of fewer than three samples."""
    middle = statistics.median(samples)
    if len(samples) < 3 or middle == 0:
        return None
    low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return abs((high - low) / middle)


def percentile(samples: Sequence[float], share: float) -> float:
    """The value that *share* (0 to 1) of the samples are not above."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
