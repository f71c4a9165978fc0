"""One object of every kind behind a server, some that are gone, and a look at all that is stored."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_ci_ext.api.operations import OPERATIONS, Operation
from jupyter_ci_ext.api.urls import API, EXTENSION
from jupyter_ci_ext.store.database import Store
from jupyter_ci_ext.wire.run import ACTIVE, Run
from jupyter_ci_ext.wire.run_step import MessageCreation, MessageCreationDetails, RunStep

FORM = "multipart/form-data; boundary=X"
V1 = {"OpenAI_Beta": "assistants=v1"}

Body = Mapping[str, Any] | list[Any] | str | int | bytes | None


@dataclass(frozen=True)
class Place:
    """One verb of one address; *path* is below the server and has ``{names}``."""

    verb: str
    path: str
    operation: Operation

    def __str__(self) -> str:
        return f"{self.verb.upper()} {self.path}"


def places() -> list[Place]:
    """Every verb of every address that is described."""
    found = []
    for root, table in (("openai/v1", API), ("code-interpreter", EXTENSION)):
        for route in table:
            described: Mapping[str, Operation] = OPERATIONS.get(route.handler, {})
            found += [Place(verb, root + route.path, each) for verb, each in described.items()]
    return found


@dataclass(frozen=True)
class Refusal:
    """What a request was answered with."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None


class World:
    """Requests to a server, and what its store has.

    ``ids`` has the object of each name in a path. The thread ``{thread_id}`` has a run that is
    over, with a step; ``gone`` are ids of deleted objects, ``strange`` those of objects that are
    there but below another one.
    """

    def __init__(self, fetch: Callable[..., Awaitable[Any]], store: Store, data_dir: Path) -> None:
        self._fetch = fetch
        self._store = store
        self._data_dir = data_dir
        self.ids: dict[str, str] = {"model": "demo"}
        self.gone: dict[str, str] = {"model": "gone"}
        self.strange: dict[str, str] = {}

    # ---- requests ------------------------------------------------------------------------------

    async def send(
        self, verb: str, path: str, body: Body = None, query: str = "", **headers: str
    ) -> Any:
        """The reply, whatever it is; *path* may have ``{names}`` of `ids`."""
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        if isinstance(body, bytes):
            data: bytes | None = body
        elif body is None:
            data = b"" if verb in ("post", "put", "patch") else None
        else:
            data = json.dumps(body).encode()
        return await self._fetch(
            path.format(**self.ids),
            method=verb.upper(),
            body=data,
            headers=names,
            params=dict(pair.split("=", 1) for pair in query.split("&") if pair),
            raise_error=False,
        )

    async def make(self, path: str, body: Body = None, verb: str = "post", **headers: str) -> str:
        """The id of what a request made."""
        reply = await self.send(verb, path, body, **headers)
        assert reply.code == 200, (path, reply.body)
        return str(json.loads(reply.body).get("id"))

    async def refusal(
        self, verb: str, path: str, body: Body = None, query: str = "", **headers: str
    ) -> Refusal:
        """How a request was refused; 200 and no words if it was not."""
        reply = await self.send(verb, path, body, query, **headers)
        if reply.code == 200:
            return Refusal(200, "")
        error = json.loads(reply.body)["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        assert error["type"] == ("invalid_request_error" if reply.code < 500 else "server_error")
        return Refusal(reply.code, error["message"], error["code"], error["param"])

    async def stored(self) -> dict[str, Any]:
        """Every row of every table, and every file of the blob store."""
        tables = await self._store.fetch("SELECT name FROM sqlite_schema WHERE type = 'table'")
        found: dict[str, Any] = {
            str(name): await self._store.fetch(f"SELECT * FROM {name}") for (name,) in tables
        }
        blobs = (self._data_dir / "blobs").rglob("*")
        found["blobs"] = sorted(str(path) for path in blobs if path.is_file())
        return found

    # ---- objects -------------------------------------------------------------------------------

    async def begin(self) -> None:
        """Make the objects."""
        for found in (self.ids, self.strange, self.gone):
            found |= await self._family()
        await self._end(self.ids, "completed")
        await self._end(self.strange, "completed")
        for path in (
            "openai/v1/containers/{container_id}",
            "openai/v1/threads/{thread_id}",
            "openai/v1/assistants/{assistant_id}",
            "openai/v1/files/{file_id}",
        ):
            await self.make(path.format(**self.gone), verb="delete")

    async def _family(self) -> dict[str, str]:
        """One object of each kind, each below the one before."""
        v1 = "openai/v1"
        ids = {"file_id": await self.make(f"{v1}/files", form(b"abc"), Content_Type=FORM)}
        ids["assistant_id"] = await self.make(f"{v1}/assistants", {"model": "demo"})
        resources = {"code_interpreter": {"file_ids": [ids["file_id"]]}}
        await self.make(f"{v1}/assistants/{ids['assistant_id']}", {"tool_resources": resources})
        ids["thread_id"] = thread = await self.make(f"{v1}/threads")
        attached = [{"file_id": ids["file_id"], "tools": [{"type": "code_interpreter"}]}]
        message = {"role": "user", "content": "hi", "attachments": attached}
        ids["message_id"] = await self.make(f"{v1}/threads/{thread}/messages", message)
        run = {"assistant_id": ids["assistant_id"]}
        ids["run_id"] = await self.make(f"{v1}/threads/{thread}/runs", run)
        ids["step_id"] = f"step_{ids['run_id'][4:]}"
        async with self._store.transaction() as tx:
            await tx.steps.insert(_step(ids))
        upload = {"filename": "a", "purpose": "vision", "bytes": 3, "mime_type": "text/plain"}
        ids["upload_id"] = await self.make(f"{v1}/uploads", upload)
        part = form(b"abc", field="data")
        ids["part_id"] = await self.make(
            f"{v1}/uploads/{ids['upload_id']}/parts", part, Content_Type=FORM
        )
        ids["container_id"] = box = await self.make(f"{v1}/containers", {"name": "box"})
        ids["container_file_id"] = await self.make(
            f"{v1}/containers/{box}/files", {"file_id": ids["file_id"]}
        )
        return ids

    async def _end(self, ids: Mapping[str, str], status: str) -> None:
        async with self._store.transaction() as tx:
            run = await tx.runs.get(ids["run_id"])
            assert run is not None
            await tx.runs.update(_put(run, status))

    async def put_run(self, status: str, **changes: object) -> None:
        """Put the run of ``{thread_id}`` into this state, as the engine would."""
        async with self._store.transaction() as tx:
            run = await tx.runs.get(self.ids["run_id"])
            assert run is not None
            await tx.runs.update(_put(run, status, **changes))


def _put(run: Run, status: str, **changes: object) -> Run:
    over = {} if status in ACTIVE else {"expires_at": None, "required_action": None}
    return run.model_copy(update={"status": status, **over, **changes})


def _step(ids: Mapping[str, str]) -> RunStep:
    creation = MessageCreation(message_id=ids["message_id"])
    return RunStep(
        id=ids["step_id"],
        created_at=1,
        run_id=ids["run_id"],
        assistant_id=ids["assistant_id"],
        thread_id=ids["thread_id"],
        type="message_creation",
        step_details=MessageCreationDetails(message_creation=creation),
    )


def form(
    content: bytes | None = b"abc", field: str = "file", name: str = "a.csv", **fields: str
) -> bytes:
    """A multipart body of the boundary ``X``; without *content* there is no file in it."""
    fields = {"purpose": "assistants", **fields} if field == "file" else fields
    parts = [_part(f'name="{key}"', value.encode()) for key, value in fields.items()]
    if content is not None:
        parts.append(_part(f'name="{field}"; filename="{name}"', content))
    return b"".join(parts) + b"--X--\r\n"


def _part(disposition: str, content: bytes) -> bytes:
    return (
        f"--X\r\nContent-Disposition: form-data; {disposition}\r\n\r\n".encode() + content + b"\r\n"
    )
