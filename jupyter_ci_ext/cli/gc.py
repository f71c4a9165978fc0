"""``jupyter ci gc``: delete what is older than the retention time, and what nothing refers to."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from pathlib import Path

from traitlets import Bool

from ..errors import CodeInterpreterError
from ..sandbox.policy import human_size
from .configured import Configured, run


class Collect(Configured):
    """Works beside a server on the same data, too."""

    name = "jupyter-ci-gc"
    description = (
        "Delete threads, containers and event logs that nobody has touched for "
        "c.CodeInterpreterApp.retention_days, with the files that only they made; uploads and files "
        "whose time is over; contents and workspaces that nothing refers to."
    )
    flags = {  # noqa: RUF012
        **Configured.flags,
        "dry-run": (
            {"Collect": {"dry_run": True}},
            "Say what would be deleted, and delete nothing.",
        ),
    }
    aliases = {  # noqa: RUF012
        "days": "CodeInterpreterApp.retention_days",
        "data-dir": "CodeInterpreterApp.data_dir",
    }
    dry_run = Bool(False, help="Say what would be deleted, and delete nothing.").tag(config=True)

    def start(self) -> None:
        """Do it and print what went; ``exit_code`` is 1 where it could not be done."""
        days, data_dir = self.server.retention_days, self.data_path
        if not (data_dir / "state.db").exists():
            print(f"There is nothing in {data_dir}.", file=sys.stderr)
            return
        try:
            found = asyncio.run(self._clear(data_dir, days))
        except CodeInterpreterError as error:
            print(f"jupyter ci gc: {error.message}", file=sys.stderr)
            self.exit_code = 1
            return
        if self.as_json:
            print(json.dumps({"dry_run": self.dry_run, "retention_days": days or None, **found}))
        else:
            print(_text(found, dry_run=self.dry_run, days=days))

    async def _clear(self, data_dir: Path, days: float | None) -> dict[str, int]:
        from ..kernels.leftovers import Workspaces
        from ..services.retention import Retention
        from ..store.database import Store

        store = await Store.open(data_dir, log=logging.getLogger(__name__))
        try:
            retention = Retention(store, Workspaces(data_dir / "workspaces"), days)
            found = await (retention.preview() if self.dry_run else retention.clear())
        finally:
            await store.close()
        return found.to_dict()


def _text(found: dict[str, int], *, dry_run: bool, days: float | None) -> str:
    words = ["threads", "containers", "files", "uploads", "event_logs", "workspaces"]
    counts = ", ".join(f"{found[word]} {word.replace('_', ' ')}" for word in words)
    kept = f"untouched for {days:g} days" if days else "all threads are kept: retention_days is 0"
    freed = human_size(found["bytes"])
    if dry_run:
        return f"Would delete {counts} ({kept}): {freed}, and what the database then gives back."
    return f"Deleted {counts} ({kept}): {freed} freed."


def main(arguments: list[str]) -> int:
    """Entry of ``jupyter ci gc``; the exit code."""
    return run(Collect, arguments)
