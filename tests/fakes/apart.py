"""A model server in a process of its own, so that it takes nothing from the process that asks."""

from __future__ import annotations

import subprocess
import sys
from types import TracebackType
from typing import Any, TypeVar

A = TypeVar("A", bound="Apart")


class Apart:
    """Runs *module*, which prints its base URL and ends with its input.

    A context manager; ``url`` is the base URL that clients want (…/v1).
    """

    module: str
    url = ""

    def __enter__(self: A) -> A:
        self._process = subprocess.Popen(
            [sys.executable, "-m", self.module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().strip()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=30)

    @property
    def pid(self) -> int:
        """Of its process."""
        return self._process.pid


def words(message: dict[str, Any]) -> str:
    """The text of a message of a prompt, its parts joined as they are."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return "".join(part.get("text", "") for part in content)
