"""The url table.

Paths of `API` are below ``{server}/openai/v1`` and, the same, below ``{server}/openai``; those of
`EXTENSION` below ``{server}/code-interpreter``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from jupyter_server.utils import url_path_join

from .assistants import (
    AssistantFileHandler,
    AssistantFilesHandler,
    AssistantHandler,
    AssistantsHandler,
)
from .base import BaseHandler, NotFoundHandler
from .containers import (
    ContainerFileContentHandler,
    ContainerFileHandler,
    ContainerFilesHandler,
    ContainerHandler,
    ContainersHandler,
    InterruptContainerHandler,
    RestartContainerHandler,
)
from .description import DescriptionHandler
from .extension import (
    ImportFileHandler,
    InterruptHandler,
    NotebookHandler,
    RestartHandler,
    SaveFileHandler,
    SessionHandler,
    SessionsHandler,
    StatusHandler,
    SummariesHandler,
)
from .files import (
    CancelUploadHandler,
    CompleteUploadHandler,
    FileContentHandler,
    FileHandler,
    FilesHandler,
    UploadPartsHandler,
    UploadsHandler,
)
from .models import ModelHandler, ModelsHandler
from .rooms import Rooms
from .routing import API_ROOT, EXTENSION_ROOT, address_pattern
from .runs import (
    CancelHandler,
    EventsHandler,
    RunHandler,
    RunsHandler,
    StepHandler,
    StepsHandler,
    SubmitToolOutputsHandler,
    ThreadAndRunHandler,
)
from .settings import ApiSettings
from .threads import (
    MessageFileHandler,
    MessageFilesHandler,
    MessageHandler,
    MessagesHandler,
    ThreadHandler,
    ThreadsHandler,
)


class Route(NamedTuple):
    """One address: a path with ``{names}``, and its handler.

    *beta*: OpenAI asks for its beta header there. *v1_only*: version 2 has no such address.
    """

    path: str
    handler: type[BaseHandler]
    beta: bool = False
    v1_only: bool = False


API: Final = (
    Route("/assistants", AssistantsHandler, True),
    Route("/assistants/{assistant_id}", AssistantHandler, True),
    Route("/assistants/{assistant_id}/files", AssistantFilesHandler, True, True),
    Route("/assistants/{assistant_id}/files/{file_id}", AssistantFileHandler, True, True),
    Route("/threads", ThreadsHandler, True),
    Route("/threads/runs", ThreadAndRunHandler, True),
    Route("/threads/{thread_id}", ThreadHandler, True),
    Route("/threads/{thread_id}/messages", MessagesHandler, True),
    Route("/threads/{thread_id}/messages/{message_id}", MessageHandler, True),
    Route("/threads/{thread_id}/messages/{message_id}/files", MessageFilesHandler, True, True),
    Route(
        "/threads/{thread_id}/messages/{message_id}/files/{file_id}", MessageFileHandler, True, True
    ),
    Route("/threads/{thread_id}/runs", RunsHandler, True),
    Route("/threads/{thread_id}/runs/{run_id}", RunHandler, True),
    Route("/threads/{thread_id}/runs/{run_id}/submit_tool_outputs", SubmitToolOutputsHandler, True),
    Route("/threads/{thread_id}/runs/{run_id}/cancel", CancelHandler, True),
    Route("/threads/{thread_id}/runs/{run_id}/events", EventsHandler, True),
    Route("/threads/{thread_id}/runs/{run_id}/steps", StepsHandler, True),
    Route("/threads/{thread_id}/runs/{run_id}/steps/{step_id}", StepHandler, True),
    Route("/files", FilesHandler),
    Route("/files/{file_id}", FileHandler),
    Route("/files/{file_id}/content", FileContentHandler),
    Route("/uploads", UploadsHandler),
    Route("/uploads/{upload_id}/parts", UploadPartsHandler),
    Route("/uploads/{upload_id}/complete", CompleteUploadHandler),
    Route("/uploads/{upload_id}/cancel", CancelUploadHandler),
    Route("/containers", ContainersHandler),
    Route("/containers/{container_id}", ContainerHandler),
    Route("/containers/{container_id}/restart", RestartContainerHandler),
    Route("/containers/{container_id}/interrupt", InterruptContainerHandler),
    Route("/containers/{container_id}/files", ContainerFilesHandler),
    Route("/containers/{container_id}/files/{file_id}", ContainerFileHandler),
    Route("/containers/{container_id}/files/{file_id}/content", ContainerFileContentHandler),
    Route("/models", ModelsHandler),
    Route("/models/{model}", ModelHandler),
    Route("/openapi.json", DescriptionHandler),
)


EXTENSION: Final = (
    Route("/status", StatusHandler),
    Route("/sessions", SessionsHandler),
    Route("/sessions/{thread_id}", SessionHandler),
    Route("/sessions/{thread_id}/restart", RestartHandler),
    Route("/sessions/{thread_id}/interrupt", InterruptHandler),
    Route("/threads", SummariesHandler),
    Route("/threads/{thread_id}/notebook", NotebookHandler),
    Route("/files/import", ImportFileHandler),
    Route("/files/{file_id}/save", SaveFileHandler),
)


def addresses() -> Iterator[tuple[str, type[BaseHandler]]]:
    """Every path below the server, as it is described, and its handler."""
    yield from ((f"/{API_ROOT}/v1{route.path}", route.handler) for route in API)
    yield from ((f"/{EXTENSION_ROOT}{route.path}", route.handler) for route in EXTENSION)


def rules(base_url: str, api: ApiSettings, rooms: Rooms) -> list[tuple[str, type, dict[str, Any]]]:
    """The table as tornado's rules; what it does not name is told so in the API's shape."""
    found: list[tuple[str, type, dict[str, Any]]] = []
    for root, version, table in ((API_ROOT, "(?:/v1)?", API), (EXTENSION_ROOT, "", EXTENSION)):
        for route in table:
            pattern = re.escape(url_path_join(base_url, root)) + version + _pattern(route.path)
            kwargs: dict[str, Any] = {
                "api": api,
                "rooms": rooms,
                "beta": route.beta,
                "v1_only": route.v1_only,
            }
            if route.handler is DescriptionHandler:
                kwargs["addresses"] = addresses
            found.append((pattern, route.handler, kwargs))
    found.append((address_pattern(base_url), NotFoundHandler, {"api": api}))
    return found


def _pattern(path: str) -> str:
    return re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(path)) + "/?"
