"""What a caller may have: which models, and how much of them per day. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from fnmatch import fnmatchcase
from zoneinfo import ZoneInfo

from .faults import NoSuchThing, NotAllowed
from .identity import Caller


@dataclass(frozen=True)
class Allowance:
    """Requests and tokens of one day; 0: no limit."""

    requests: int = 0
    tokens: int = 0


@dataclass(frozen=True)
class Rules:
    """The site's rules. Models are named by shell patterns; groups are the Hub's."""

    models: Sequence[str] = ("*",)
    group_models: Mapping[str, Sequence[str]] = field(default_factory=dict)
    allowance: Allowance = field(default_factory=Allowance)
    group_allowances: Mapping[str, Allowance] = field(default_factory=dict)
    zone: ZoneInfo = field(default_factory=lambda: ZoneInfo("UTC"))

    def allows(self, caller: Caller, model: str) -> bool:
        """Whether *caller* may use *model*."""
        return _fits(model, self._patterns(caller))

    def check(self, caller: Caller, model: str) -> None:
        """Raise `NotAllowed` for a model that is for others, `NoSuchThing` for one for nobody."""
        if self.allows(caller, model):
            return
        if any(_fits(model, patterns) for patterns in self.group_models.values()):
            raise NotAllowed(
                f"The model '{model}' is not open to you on this JupyterHub.",
                code="model_not_allowed",
                param="model",
            )
        raise NoSuchThing(
            f"The model '{model}' does not exist or you do not have access to it.",
            code="model_not_found",
            param="model",
        )

    def named(self, caller: Caller) -> list[str]:
        """The models of *caller* that are named in full, in order."""
        return [p for p in self._patterns(caller) if not set(p) & set("*?[")]

    def allowance_of(self, caller: Caller) -> Allowance:
        """What *caller* may use per day: of its groups' and the general allowance the largest."""
        own = [
            self.group_allowances[g] for g in sorted(caller.groups) if g in self.group_allowances
        ]
        everything = [self.allowance, *own]
        return Allowance(
            _largest(each.requests for each in everything),
            _largest(each.tokens for each in everything),
        )

    def day(self, now: datetime) -> tuple[str, datetime]:
        """The day that *now* (aware) counts for, as ``2026-11-21``, and when the next begins."""
        local = now.astimezone(self.zone)
        following = datetime.combine(local.date() + timedelta(days=1), time(), tzinfo=self.zone)
        return local.date().isoformat(), following

    def _patterns(self, caller: Caller) -> list[str]:
        own = [p for g in sorted(caller.groups) for p in self.group_models.get(g, ())]
        return [*self.models, *own]


def _fits(model: str, patterns: Iterable[str]) -> bool:
    return any(fnmatchcase(model, pattern) for pattern in patterns)


def _largest(limits: Iterable[int]) -> int:
    found = list(limits)
    return 0 if 0 in found else max(found)
