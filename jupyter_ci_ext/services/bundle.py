"""All services together, as app.py makes them and the verbs call them."""

from __future__ import annotations

from dataclasses import dataclass

from ..engine.limits import RunLimits
from ..store.database import Store
from .assistants import Assistants
from .collaborators import ModelCatalog, RunSupervisor
from .container_files import ContainerFiles
from .containers import ContainerPool, Containers
from .files import Files
from .messages import Messages
from .models import ModelsService
from .notebook import Notebooks
from .run_events import RunEvents
from .runs import Runs
from .sessions import SessionsService
from .steps import Steps
from .summaries import Summaries
from .threads import Threads
from .uploads import Uploads


@dataclass(frozen=True)
class Services:
    """The rules of every resource."""

    assistants: Assistants
    threads: Threads
    messages: Messages
    runs: Runs
    events: RunEvents
    steps: Steps
    files: Files
    uploads: Uploads
    models: ModelsService
    sessions: SessionsService
    containers: Containers
    container_files: ContainerFiles
    summaries: Summaries
    notebooks: Notebooks

    @classmethod
    def over(
        cls,
        store: Store,
        supervisor: RunSupervisor,
        models: ModelCatalog,
        sessions: ContainerPool,
        limits: RunLimits,
    ) -> Services:
        """The services over these collaborators."""
        containers = Containers(store, sessions)
        return cls(
            assistants=Assistants(store, models),
            threads=Threads(store, supervisor, sessions),
            messages=Messages(store, supervisor),
            runs=Runs(store, supervisor, models, limits),
            events=RunEvents(store, supervisor),
            steps=Steps(store),
            files=Files(store),
            uploads=Uploads(store),
            models=ModelsService(models),
            sessions=SessionsService(store, sessions),
            containers=containers,
            container_files=ContainerFiles(store, sessions, containers),
            summaries=Summaries(store, sessions),
            notebooks=Notebooks(store),
        )
