"""The demo model: no network, no key, no AI; it writes real code by rules."""

from jupyter_ci_ext.llm.demo.model import DemoModel

__all__ = ["DemoModel"]
