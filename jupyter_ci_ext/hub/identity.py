"""Who is calling: a Hub token in, a caller out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jupyterhub.services.auth import HubAuth, check_scopes
from tornado.web import HTTPError

from .faults import HubSilent, NotAllowed, Unauthenticated

_NOBODY = (
    "You didn't provide an API key. The key is a token of this JupyterHub, sent as "
    "'Authorization: Bearer <token>'; the Hub's Token page makes one."
)
_STRANGER = (
    "Incorrect API key provided: {shown}. The key is a token of this JupyterHub; the Hub's Token page "
    "makes one."
)


@dataclass(frozen=True)
class Caller:
    """Whose token it is. ``key`` is what usage is counted under: ``user/alice``."""

    kind: str
    name: str
    groups: frozenset[str]
    scopes: frozenset[str]

    @property
    def key(self) -> str:
        """Unique among users and services."""
        return f"{self.kind}/{self.name}"


class Identities:
    """Asks the Hub, and remembers what it said for a while (`HubAuth.cache_max_age`)."""

    def __init__(self, hub: HubAuth) -> None:
        self._hub = hub

    async def caller(self, headers: Mapping[str, str]) -> Caller:
        """The caller, who may use this service; raises `Unauthenticated`, `NotAllowed`, `HubSilent`."""
        caller = await self._identify(headers)
        if not _held(self._hub.access_scopes, caller):
            wanted = " or ".join(sorted(self._hub.access_scopes))
            raise NotAllowed(
                f"This token of '{caller.name}' does not allow the use of the models of this "
                f"JupyterHub: it has none of the scopes {wanted}. If you may use them, a token "
                "with that scope, or one without restrictions, will do."
            )
        return caller

    async def holder(self, headers: Mapping[str, str], scope: str) -> Caller:
        """The caller, who holds *scope*, whatever else; raises like `caller`."""
        caller = await self._identify(headers)
        if not _held({scope}, caller):
            raise NotAllowed(f"This token of '{caller.name}' does not have the scope {scope}.")
        return caller

    async def _identify(self, headers: Mapping[str, str]) -> Caller:
        token = token_of(headers)
        if not token:
            raise Unauthenticated(_NOBODY)
        try:
            found = await self._hub.user_for_token(token, sync=False)
        except HTTPError as error:
            raise HubSilent from error
        if found is None:
            shown = f"{token[:4]}****{token[-4:]}" if len(token) > 12 else "****"
            raise Unauthenticated(_STRANGER.format(shown=shown), code="invalid_api_key")
        return _caller(found)


def token_of(headers: Mapping[str, str]) -> str:
    """The token a request carries, as OpenAI's, Azure's and Jupyter's clients send it; or empty."""
    scheme, _, value = headers.get("Authorization", "").strip().partition(" ")
    if scheme.lower() in ("bearer", "token"):
        return value.strip()
    return headers.get("api-key", "").strip()


def _caller(found: Mapping[str, Any]) -> Caller:
    return Caller(
        kind=str(found.get("kind", "user")),
        name=str(found["name"]),
        groups=frozenset(map(str, found.get("groups") or ())),
        scopes=frozenset(map(str, found.get("scopes") or ())),
    )


def _held(wanted: set[str], caller: Caller) -> bool:
    return bool(check_scopes(wanted, set(caller.scopes)))
