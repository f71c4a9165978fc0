"""What the API's description says in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

ABOUT: Final = """\
The OpenAI Assistants API on this Jupyter server, with a sandboxed code interpreter; below
`/code-interpreter` there is what only Jupyter users need.

**Clients.** `OpenAI(base_url="…/openai/v1", api_key=…)`; the key is a token of this Jupyter server,
or one made on JupyterHub's Token page. Everything below `/openai/v1` is, the same, below `/openai`,
where the query's `api-version` chooses the form of Azure or of Azure AI Foundry
(`AzureOpenAI(azure_endpoint=…)`).

**Versions.** Objects are those of `OpenAI-Beta: assistants=v2`, which may be left out. With
`OpenAI-Beta: assistants=v1` they are those of the first version: `file_ids` in place of
`tool_resources` and `attachments`, `retrieval` in place of `file_search`.

**Lists** are walked with `after` (the page's `last_id`) until `has_more` is false. An empty value
in a query counts as none.

**Errors** have one shape, `{"error": {"message", "type", "param", "code"}}`, which names the first
thing that is wrong: `code` is `missing_required_parameter`, `unknown_parameter`, `invalid_type`,
`invalid_value`, `string_above_max_length`, `integer_above_max_value` and the like, and `param` is
the path to it, such as `tools[0].function.name`. While a run holds its thread, messages and further
runs are refused with 400. 405 answers verbs that an address does not have.

**Streams.** `"stream": true` answers with server-sent events (`thread.run.created`,
`thread.message.delta`, … `done`). One that broke off goes on at
`/threads/{thread_id}/runs/{run_id}/events` with `Last-Event-ID`.
"""

EVENT: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "One of the server-sent events of a run; the last is `done`.",
    "required": ["event", "data"],
    "properties": {
        "event": {
            "type": "string",
            "description": "What happened, such as `thread.run.step.delta`.",
            "pattern": r"^(thread\.(created|run|message)[a-z_.]*|error|done)$",
        },
        "data": {
            "type": "string",
            "description": "One line of JSON, an object or a delta of one; of `done`: `[DONE]`.",
        },
        "id": {
            "type": "string",
            "description": "Its number, for `Last-Event-ID`; only where a stream is resumed.",
        },
    },
}

IN_PATH: Final[Mapping[str, str]] = {
    "assistant_id": "The assistant, `asst_…`.",
    "thread_id": "The thread, `thread_…`.",
    "message_id": "The message, `msg_…`.",
    "run_id": "The run, `run_…`.",
    "step_id": "The run step, `step_…`.",
    "file_id": "The file, `file-…`; in a container `cfile_…`.",
    "upload_id": "The upload, `upload_…`.",
    "container_id": "The container, `cntr_…`.",
    "model": "Name of the model; a `/` in it is written `%2F`.",
}
"""What the names in paths stand for."""

REFUSALS: Final[Mapping[int, tuple[str, str]]] = {
    400: (
        "BadRequest",
        "The request is not as described, or the object is not in a state for it; the message says "
        "which. Repeating it is of no use.",
    ),
    401: ("Unauthorized", "No key (`code` is null), or a wrong one (`invalid_api_key`)."),
    403: ("Forbidden", "The key is good, but the server's authorizer or XSRF check refuses."),
    404: (
        "NotFound",
        "There is no such object, or not below the one named before it, or no such model "
        "(`model_not_found`).",
    ),
    413: ("TooLarge", "The body or the file is over the server's limit."),
    500: ("Crash", "A fault of the server; the message has the id its log knows the request by."),
    503: (
        "Unavailable",
        "The database, the disk or the sandbox cannot serve the request at present; the message "
        "says what to do.",
    ),
}
"""Statuses of errors: a name, and when they are answered."""

HEADERS: Final[Mapping[str, Any]] = {
    "x-request-id": {
        "description": "Names the request in the server's log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^req_[0-9a-f]{32}$"},
    },
    "openai-processing-ms": {
        "description": "Milliseconds until the answer began.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    },
}
"""Headers of every answer."""

SCHEMES: Final[Mapping[str, Any]] = {
    "bearer": {
        "type": "http",
        "scheme": "bearer",
        "description": "A token of this server or of its hub. Basic authentication with an empty "
        "user and the token as password, and Jupyter's own `token …`, are taken, too.",
    },
    "api-key": {
        "type": "apiKey",
        "in": "header",
        "name": "api-key",
        "description": "The same token, as Azure's clients send it.",
    },
}
"""How to bring the key."""
