"""Limits that a site sets for everybody; a user's own settings can only be tighter.

They are read from every one of these that is there, and of several the tightest counts:

- ``/etc/jupyter/jupyter_ci_ext_limits.json``
- ``etc/jupyter/jupyter_ci_ext_limits.json`` of the server's Python environment
- the environment variable ``JUPYTER_CI_EXT_LIMITS``: the path of another such file, or limits

A file is one JSON object, ``{"Sandbox": {"memory": 1073741824, "minimum_level": 3}}``; the variable
may also hold pairs, ``[["Sandbox.memory", 1073741824]]``. What cannot be read, or names a setting
that no limit is known for, is an error: no code runs then, rather than without a limit.

This holds whatever a user writes into configuration files or on a command line as settings. It is no
wall: those files are Python, and run in the user's own server. What a user's processes may use all
together is for the spawner and its control groups to say.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from traitlets import TraitError
from traitlets.config import LoggingConfigurable

from .errors import CodeInterpreterError

LIMITABLE: Final = frozenset({"CodeInterpreterApp", "RemoteKernels", "Sandbox", "SessionPool"})
"""The classes that can be limited."""

VARIABLE: Final = "JUPYTER_CI_EXT_LIMITS"
FILE: Final = "jupyter_ci_ext_limits.json"
DIRECTORIES: Final = (Path("/etc/jupyter"), Path(sys.prefix) / "etc" / "jupyter")

T = TypeVar("T")
Tighten = Callable[[Any, Any], Any]
"""From what is set and the limit to what is in force."""


def at_most(value: float, limit: float) -> float:
    """The smaller; 0 is a number like any other."""
    return min(value, limit)


def bounded(value: float, limit: float) -> float:
    """The smaller, where 0 means that there is no bound."""
    return min(value or math.inf, limit) if limit else value


def at_least(value: float, limit: float) -> float:
    """The larger."""
    return max(value, limit)


def only_if(value: bool, limit: bool) -> bool:
    """True only where the site allows it."""
    return value and limit


def always_if(value: bool, limit: bool) -> bool:
    """True where the site wants it."""
    return value or limit


def exactly(_value: T, limit: T) -> T:
    """What the site says."""
    return limit


def within(value: list[str], limit: list[str]) -> list[str]:
    """Those of the paths that are, or are in, one that the site names."""
    allowed = [os.path.normpath(path) for path in limit]
    return [path for path in value if any(_is_in(path, folder) for folder in allowed)]


def _is_in(path: str, folder: str) -> bool:
    real = os.path.realpath(os.path.expanduser(path))
    root = os.path.realpath(folder)
    return real == root or real.startswith(root.rstrip("/") + "/")


class BadLimits(TraitError, CodeInterpreterError):
    """The site's limits cannot be read or make no sense; nothing is served without them."""


class Limited(LoggingConfigurable):
    """Mixin of configurables that a site may limit: their traits never exceed what it says.

    ``tightened`` of a class names the traits that can be limited, and how.
    """

    tightened: ClassVar[Mapping[str, Tighten]] = {}
    limited_at_once: ClassVar[bool] = True
    """Whether the limits hold from the start; else from `keep_to_limits` on."""

    _kept: Mapping[str, list[Any]]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if self.limited_at_once:
            self.keep_to_limits()

    def keep_to_limits(self) -> None:
        """From now on no trait exceeds the site's limits; raises `BadLimits`."""
        name = type(self).__name__
        kept: dict[str, list[Any]] = {}
        for limits in site_limits():
            for trait, limit in limits.get(name, {}).items():
                if trait not in self.tightened:
                    known = ", ".join(sorted(self.tightened))
                    raise BadLimits(
                        f"The site's limits name {name}.{trait}; it can only limit {known}."
                    )
                kept.setdefault(trait, []).append(self._checked(trait, limit))
        self._kept = kept
        for trait in kept:
            self._keep(trait)
        self.observe(lambda change: self._keep(change["name"]), names=list(kept))

    def _checked(self, trait: str, limit: Any) -> Any:
        """*limit*, which must be a value that the trait could have."""
        own = getattr(self, trait)
        try:
            setattr(self, trait, limit)
            return getattr(self, trait)
        except TraitError as error:
            raise BadLimits(
                f"The site's limit of {type(self).__name__}.{trait} cannot be used: {error}"
            ) from error
        finally:
            setattr(self, trait, own)

    def _keep(self, trait: str) -> None:
        value = held = getattr(self, trait)
        # the first place last: where there can be only one value, it is that one's
        for limit in reversed(self._kept[trait]):
            held = self.tightened[trait](held, limit)
        if held != value:
            self.log.info("%s.%s is limited by the site: %s", type(self).__name__, trait, held)
            setattr(self, trait, held)


def site_limits() -> list[dict[str, dict[str, Any]]]:
    """What each place that has limits says, by class and trait; raises `BadLimits`."""
    found = [_in_file(directory / FILE) for directory in DIRECTORIES]
    given = os.environ.get(VARIABLE, "").strip()
    if given.startswith(("{", "[")):
        found.append(_read(given, VARIABLE))
    elif given:
        path = Path(given)
        if not path.is_absolute() or not path.is_file():
            raise BadLimits(f"{VARIABLE} names no file: {given}")
        found.append(_in_file(path))
    return [limits for limits in found if limits]


def _in_file(path: Path) -> dict[str, dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise BadLimits(f"The site's limits in {path} cannot be read: {error}") from error
    return _read(text, str(path))


def _read(text: str, where: str) -> dict[str, dict[str, Any]]:
    """Limits as an object of objects, or as pairs of a dotted name and a value."""
    try:
        given = json.loads(text, parse_constant=_no_number)
        if isinstance(given, list):
            pairs, given = given, {}
            for name, value in pairs:
                owner, _, trait = name.partition(".")
                given.setdefault(owner, {})[trait] = value
        found = {owner: dict(own) for owner, own in given.items()}
    except (ValueError, TypeError, AttributeError) as error:
        raise BadLimits(f"The site's limits in {where} make no sense: {error}") from error
    if unknown := set(found) - LIMITABLE:
        raise BadLimits(
            f"The site's limits in {where} name {', '.join(sorted(unknown))}; there are "
            f"{', '.join(sorted(LIMITABLE))}."
        )
    return found


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no limit")
