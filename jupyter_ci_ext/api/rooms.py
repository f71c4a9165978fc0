"""What the verbs work with: the services, and the few other things app.py has constructed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..services.assistants import Assistants
    from ..services.files import Files
    from ..services.messages import Messages
    from ..services.models import Models
    from ..services.runs import Runs
    from ..services.steps import Steps
    from ..services.threads import Threads
    from ..services.uploads import Uploads
    from ..store.database import Store


@dataclass(frozen=True)
class Rooms:
    """Everything a handler may call."""

    store: Store
    assistants: Assistants
    threads: Threads
    messages: Messages
    runs: Runs
    steps: Steps
    files: Files
    uploads: Uploads
    models: Models
