"""What the verbs work with: the services, and the few other things app.py has constructed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..services.bundle import Services
    from ..store.database import Store
    from .status import StatusReport
    from .workspace import Workspace


@dataclass(frozen=True)
class Rooms:
    """Everything a handler may call."""

    services: Services
    store: Store
    workspace: Workspace
    status: StatusReport
