"""The table for people, and the same for programs."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from .measure import Result, Table, Unit, spread

RESULTS = Path(__file__).with_name("results.json")
VERSIONS = ("jupyter-ci-ext", "jupyter_server", "jupyter_client", "ipykernel", "tornado", "openai")
WARM_UP = (
    "Medians of rounds in which ours and the baseline take turns; at least one round of each is run "
    "before and thrown away. Spread: distance of the quartiles by the median, ours / baseline."
)


def machine() -> dict[str, Any]:
    """What the figures were taken on."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in VERSIONS},
        "load_at_start": round(os.getloadavg()[0], 2),
    }


def _cpu() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def table(
    results: Sequence[Result], on: dict[str, Any], seconds: float, tables: Sequence[Table] = ()
) -> str:
    """Everything as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in on["versions"].items())
    lines = [
        f"{on['cpu']}, {on['cores']} cores, {on['memory_gb']} GB; {on['system']}; "
        f"Python {on['python']}, {versions}. Load when it began: {on['load_at_start']}; "
        f"took {seconds:.0f} s.",
        "",
        WARM_UP,
        "",
        "| case | ours | baseline | ratio | spread | target | |",
        "|---|---:|---:|---:|---:|---:|---|",
    ]
    for result in results:
        ours, baseline = result.medians
        ratio = f"{ours / baseline:.2f} ×" if baseline else "–"
        spreads = " / ".join(_percent(spread(each)) for each in (result.ours, result.baseline))
        target = result.target.text(result.unit) if result.target else "–"
        verdict = {True: "met", False: "**missed**", None: ""}[result.met]
        note = f" ({result.note})" if result.note else ""
        lines.append(
            f"| {result.case}{note} | {figure(ours, result.unit)} "
            f"| {figure(baseline, result.unit)}, {result.against} "
            f"| {ratio} | {spreads} | {target} | {verdict} |"
        )
    for each in tables:
        lines += ["", f"{each.title}:", "", _row(each.columns), "|---" * len(each.columns) + "|"]
        lines += map(_row, each.rows)
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def save(
    results: Sequence[Result], on: dict[str, Any], seconds: float, tables: Sequence[Table] = ()
) -> None:
    """Write `RESULTS`, all samples included."""
    rows = []
    for result in results:
        ours, baseline = result.medians
        rows.append(
            {
                "case": result.case,
                "unit": result.unit,
                "ours": ours,
                "baseline": baseline,
                "against": result.against,
                "ratio": ours / baseline if baseline else None,
                "spread": {"ours": spread(result.ours), "baseline": spread(result.baseline)},
                "target": result.target.text(result.unit) if result.target else None,
                "met": result.met,
                "note": result.note,
                "samples": {"ours": list(result.ours), "baseline": list(result.baseline)},
            }
        )
    document = {
        "machine": on,
        "seconds": round(seconds),
        "method": WARM_UP,
        "results": rows,
        "tables": [dataclasses.asdict(each) for each in tables],
    }
    RESULTS.write_text(json.dumps(document, indent=1, ensure_ascii=False) + "\n", "utf-8")


def brief(result: Result) -> str:
    """One line while the benchmarks run."""
    ours, baseline = (figure(statistics.median(s), result.unit) for s in _both(result))
    return f"{result.case}: {ours}, {result.against} {baseline}"


def _both(result: Result) -> tuple[Sequence[float], Sequence[float]]:
    return result.ours, result.baseline


def figure(value: float, unit: Unit) -> str:
    """With three digits that say something."""
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2
    return f"{value:,.{digits}f} {unit}"


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value * 100:.0f} %"
