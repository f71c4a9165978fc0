"""``python -m benchmarks [family …]``: all families, or those that are named."""

from __future__ import annotations

import argparse
import importlib
import sys
import time

from .measure import Result, Table
from .report import RESULTS, brief, machine, save, table

FAMILIES = (
    "cell",
    "first",
    "compute",
    "stream",
    "rest",
    "transfer",
    "collect",
    "gateway",
    "footprint",
    "template",
    "peers",
)


def main() -> None:
    """Measure, print the table, keep the figures."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("families", nargs="*", choices=[[], *FAMILIES], metavar="family")
    chosen = parser.parse_args().families or FAMILIES
    started, on = time.monotonic(), machine()
    results: list[Result] = []
    tables: list[Table] = []
    for name in chosen:
        began = time.monotonic()
        for found in importlib.import_module(f"benchmarks.{name}").measure():
            if isinstance(found, Table):
                tables.append(found)
                continue
            results.append(found)
            print(f"  {brief(found)}", file=sys.stderr, flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    took = time.monotonic() - started
    save(results, on, took, tables)
    print(table(results, on, took, tables))
    print(f"\nAll samples: {RESULTS}")


if __name__ == "__main__":
    main()
