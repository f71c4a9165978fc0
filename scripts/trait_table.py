"""Writes the tables of settings in docs/configuration.md from the traits themselves.

Run it after changing a trait: ``python scripts/trait_table.py``. A test fails when it was forgotten.
"""

from __future__ import annotations

from pathlib import Path

from traitlets.config import Configurable

from jupyter_ci_ext.app import CodeInterpreterApp
from jupyter_ci_ext.hub.config import HubModelService
from jupyter_ci_ext.kernels.config import SessionPool
from jupyter_ci_ext.kernels.remote.config import RemoteKernels
from jupyter_ci_ext.llm.config import ModelProvider
from jupyter_ci_ext.sandbox.config import Sandbox

PAGE = Path(__file__).parent.parent / "docs" / "configuration.md"
CLASSES: tuple[type[Configurable], ...] = (
    CodeInterpreterApp,
    Sandbox,
    SessionPool,
    RemoteKernels,
    ModelProvider,
    HubModelService,
)
BEGIN, END = "<!-- settings -->", "<!-- /settings -->"


def table(cls: type[Configurable]) -> str:
    """One markdown table: every trait of *cls* with its default and its help."""
    rows = [f"### `c.{cls.__name__}`", "", "| setting | default | meaning |", "|---|---|---|"]
    for name, trait in sorted(cls.class_own_traits(config=True).items()):
        default = trait.default_value_repr().replace("|", "\\|")
        meaning = " ".join(trait.help.split()).replace("|", "\\|").replace("<", "&lt;")
        rows.append(f"| `{name}` | `{default}` | {meaning} |")
    return "\n".join(rows)


def render(page: str) -> str:
    """*page* with the tables between its two markers made anew."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n" + "\n\n".join(map(table, CLASSES)) + f"\n\n{END}{tail}"


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
