"""``python -m tests.sandbox.matrix``: the table of attempts on this host, by group, as Markdown."""

from __future__ import annotations

import os
from collections import defaultdict

from . import ordinary
from .cases import CASES
from .conftest import given_level, tried


def main() -> None:
    columns = [
        (who, level)
        for level in (3, 2)
        for who in ("root", "user")
        if given_level(level) >= level
        and (os.getuid() == 0 if who == "root" else not ordinary.environment().why_not)
    ]
    rows: dict[str, dict[tuple[str, int], list[bool]]] = defaultdict(lambda: defaultdict(list))
    failed = []
    for column in columns:
        found = tried(*column)
        for case in CASES:
            if case.id in found["results"]:
                happened, detail = found["results"][case.id]
                rows[case.group][column].append(happened == case.must_work)
                if happened != case.must_work:
                    failed.append(f"{column}: {case.id}: {detail}")
        rows["listeners and canaries untouched"][column].append(
            not found["hits"] + found["changed"]
        )
    print("| attempts | " + " | ".join(f"level {n}, {w}" for w, n in columns) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for group, results in rows.items():
        cells = (f"{sum(results[c])}/{len(results[c])}" for c in columns)
        print(f"| {group} | " + " | ".join(cells) + " |")
    print("\n".join(["", *failed]) if failed else "")


if __name__ == "__main__":
    try:
        main()
    finally:
        ordinary.forget()
