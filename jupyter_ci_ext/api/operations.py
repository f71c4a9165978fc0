"""What every verb takes and gives, as data; the API's description is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

from pydantic import BaseModel

from ..wire.assistant import Assistant
from ..wire.assistant_params import CreateAssistant, ModifyAssistant
from ..wire.common import Deleted, ListPage
from ..wire.container import Container, ContainerFile
from ..wire.container_params import ContainerListQuery, CreateContainer, CreateContainerFile
from ..wire.extension import (
    ImportFrom,
    PanelSession,
    PanelSessionList,
    Saved,
    SaveTo,
    SessionDeleted,
    Status,
    StatusQuery,
    SummaryQuery,
    ThreadSummary,
)
from ..wire.file import File, FileDeleted
from ..wire.file_params import CompleteUpload, CreateFile, CreateUpload, FileListQuery
from ..wire.message import Message
from ..wire.message_params import CreateMessage, MessageListQuery, ModifyMessage
from ..wire.model import Model, ModelList
from ..wire.params import ListQuery
from ..wire.run import Run
from ..wire.run_params import (
    CreateRun,
    CreateThreadAndRun,
    ModifyRun,
    RunQuery,
    StepListQuery,
    SubmitToolOutputsParams,
)
from ..wire.run_step import RunStep
from ..wire.thread import Thread
from ..wire.thread_params import CreateThread, ModifyThread
from ..wire.upload import Upload, UploadPart
from ..wire.v1 import AssistantFile, MessageFile
from ..wire.v1_params import CreateAssistantFile
from . import assistants, containers, extension, files, models, runs, threads
from .base import BaseHandler

# Made one by one: pydantic reads the lines on which it makes a class, and stumbles in a long table.
AssistantFilePage = ListPage[AssistantFile]
AssistantPage = ListPage[Assistant]
ContainerPage = ListPage[Container]
ContainerFilePage = ListPage[ContainerFile]
FilePage = ListPage[File]
MessageFilePage = ListPage[MessageFile]
MessagePage = ListPage[Message]
RunPage = ListPage[Run]
RunStepPage = ListPage[RunStep]
ThreadPage = ListPage[Thread]
ThreadSummaryPage = ListPage[ThreadSummary]

Answer = Literal["json", "events", "json or events", "bytes"]


class Operation(NamedTuple):
    """One verb: the object it answers with, its body and its query; None where there is none.

    *file* names the part of a form that is a file; then *body* has the form's other fields, and
    *instead* is what may be sent as JSON in place of the form. *v1*: version 2 has no such verb.
    """

    returns: type[BaseModel] | None
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    answer: Answer = "json"
    file: str | None = None
    instead: type[BaseModel] | None = None
    v1: bool = False


Verbs = Mapping[str, Operation]

OPERATIONS: Final[Mapping[type[BaseHandler], Verbs]] = {
    assistants.AssistantsHandler: {
        "get": Operation(AssistantPage, query=ListQuery),
        "post": Operation(Assistant, CreateAssistant),
    },
    assistants.AssistantHandler: {
        "get": Operation(Assistant),
        "post": Operation(Assistant, ModifyAssistant),
        "delete": Operation(Deleted),
    },
    assistants.AssistantFilesHandler: {
        "get": Operation(AssistantFilePage, query=ListQuery, v1=True),
        "post": Operation(AssistantFile, CreateAssistantFile, v1=True),
    },
    assistants.AssistantFileHandler: {
        "get": Operation(AssistantFile, v1=True),
        "delete": Operation(Deleted, v1=True),
    },
    threads.ThreadsHandler: {
        "get": Operation(ThreadPage, query=ListQuery),
        "post": Operation(Thread, CreateThread),
    },
    threads.ThreadHandler: {
        "get": Operation(Thread),
        "post": Operation(Thread, ModifyThread),
        "delete": Operation(Deleted),
    },
    threads.MessagesHandler: {
        "get": Operation(MessagePage, query=MessageListQuery),
        "post": Operation(Message, CreateMessage),
    },
    threads.MessageHandler: {
        "get": Operation(Message),
        "post": Operation(Message, ModifyMessage),
        "delete": Operation(Deleted),
    },
    threads.MessageFilesHandler: {"get": Operation(MessageFilePage, query=ListQuery, v1=True)},
    threads.MessageFileHandler: {"get": Operation(MessageFile, v1=True)},
    runs.RunsHandler: {
        "get": Operation(RunPage, query=ListQuery),
        "post": Operation(Run, CreateRun, RunQuery, "json or events"),
    },
    runs.ThreadAndRunHandler: {
        "post": Operation(Run, CreateThreadAndRun, RunQuery, "json or events"),
    },
    runs.RunHandler: {"get": Operation(Run), "post": Operation(Run, ModifyRun)},
    runs.SubmitToolOutputsHandler: {
        "post": Operation(Run, SubmitToolOutputsParams, RunQuery, "json or events"),
    },
    runs.CancelHandler: {"post": Operation(Run)},
    runs.EventsHandler: {"get": Operation(None, query=RunQuery, answer="events")},
    runs.StepsHandler: {"get": Operation(RunStepPage, query=StepListQuery)},
    runs.StepHandler: {"get": Operation(RunStep, query=RunQuery)},
    files.FilesHandler: {
        "get": Operation(FilePage, query=FileListQuery),
        "post": Operation(File, CreateFile, file="file"),
    },
    files.FileHandler: {"get": Operation(File), "delete": Operation(FileDeleted)},
    files.FileContentHandler: {"get": Operation(None, answer="bytes")},
    files.UploadsHandler: {"post": Operation(Upload, CreateUpload)},
    files.UploadPartsHandler: {"post": Operation(UploadPart, file="data")},
    files.CompleteUploadHandler: {"post": Operation(Upload, CompleteUpload)},
    files.CancelUploadHandler: {"post": Operation(Upload)},
    containers.ContainersHandler: {
        "get": Operation(ContainerPage, query=ContainerListQuery),
        "post": Operation(Container, CreateContainer),
    },
    containers.ContainerHandler: {"get": Operation(Container), "delete": Operation(Deleted)},
    containers.RestartContainerHandler: {"post": Operation(Container)},
    containers.InterruptContainerHandler: {"post": Operation(Container)},
    containers.ContainerFilesHandler: {
        "get": Operation(ContainerFilePage, query=ListQuery),
        "post": Operation(ContainerFile, file="file", instead=CreateContainerFile),
    },
    containers.ContainerFileHandler: {
        "get": Operation(ContainerFile),
        "delete": Operation(Deleted),
    },
    containers.ContainerFileContentHandler: {"get": Operation(None, answer="bytes")},
    models.ModelsHandler: {"get": Operation(ModelList)},
    models.ModelHandler: {"get": Operation(Model)},
    extension.StatusHandler: {"get": Operation(Status, query=StatusQuery)},
    extension.SessionsHandler: {"get": Operation(PanelSessionList)},
    extension.SessionHandler: {
        "get": Operation(PanelSession),
        "delete": Operation(SessionDeleted),
    },
    extension.RestartHandler: {"post": Operation(PanelSession)},
    extension.InterruptHandler: {"post": Operation(PanelSession)},
    extension.SummariesHandler: {"get": Operation(ThreadSummaryPage, query=SummaryQuery)},
    extension.SaveFileHandler: {"post": Operation(Saved, SaveTo)},
    extension.ImportFileHandler: {"post": Operation(File, ImportFrom)},
    extension.NotebookHandler: {"post": Operation(Saved, SaveTo)},
}
"""Objects and parameters are those of the API's second version; of the first there are those verbs
that the second has no more."""
