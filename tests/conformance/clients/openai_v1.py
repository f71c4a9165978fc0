"""openai-python 1.20, the last that speaks Assistants v1: what programs written for it do."""

from __future__ import annotations

import os

import openai
from openai import AssistantEventHandler
from serving import plain, refused, serve

server, token = os.environ["SERVER"], os.environ["TOKEN"]
CLIENTS = {
    "openai": openai.OpenAI(base_url=server + "/openai/v1", api_key=token, max_retries=0),
    "azure": openai.AzureOpenAI(
        azure_endpoint=server, api_key=token, api_version="2024-02-15-preview", max_retries=0
    ),
}


def version():
    return openai.__version__


def main_job(flavour, text, stream):
    """Assistant with a file, a message with another, run, steps, the files' own addresses."""
    client = CLIENTS[flavour]
    beta = client.beta
    uploads = [
        client.files.create(file=(name, name.encode()), purpose="assistants")
        for name in ("one.txt", "two.txt")
    ]
    made = beta.assistants.create(
        model="scripted",
        name="Old",
        tools=[{"type": "code_interpreter"}, {"type": "retrieval"}],
        file_ids=[uploads[0].id],
    )
    thread = beta.threads.create()
    where = {"thread_id": thread.id}
    message = beta.threads.messages.create(
        thread.id, role="user", content=text, file_ids=[uploads[1].id]
    )
    heard = []
    if stream:
        handler = AssistantEventHandler()
        handler.on_event = lambda event: heard.append(event.event)
        with beta.threads.runs.create_and_stream(
            assistant_id=made.id, event_handler=handler, **where
        ) as events:
            events.until_done()
        run = beta.threads.runs.retrieve(handler.current_run.id, **where)
    else:
        run = beta.threads.runs.create_and_poll(assistant_id=made.id, **where)
    messages = list(beta.threads.messages.list(order="asc", **where))
    saved = [id for m in messages if m.role == "assistant" for id in m.file_ids]
    return {
        "assistant": plain(made),
        "thread": plain(thread),
        "message": plain(message),
        "run": plain(run),
        "steps": plain(list(beta.threads.runs.steps.list(run.id, order="asc", **where))),
        "messages": plain(messages),
        "uploads": plain(uploads),
        "events": heard,
        "saved": [client.files.content(id).read().decode() for id in saved],
        "message_files": plain(list(beta.threads.messages.files.list(message.id, **where))),
        "message_file": plain(
            beta.threads.messages.files.retrieve(uploads[1].id, message_id=message.id, **where)
        ),
    }


def assistant_files(flavour):
    """Attach, list, look at and detach a file."""
    client = CLIENTS[flavour]
    files = client.beta.assistants.files
    upload = client.files.create(file=("x.txt", b"x"), purpose="assistants")
    made = client.beta.assistants.create(model="scripted", tools=[{"type": "code_interpreter"}])
    attached = files.create(made.id, file_id=upload.id)
    listed = [plain(each) for each in files.list(made.id)]
    seen = files.retrieve(upload.id, assistant_id=made.id)
    now = client.beta.assistants.retrieve(made.id)
    gone = files.delete(upload.id, assistant_id=made.id)
    return {
        "assistant": made.id,
        "file": upload.id,
        "attached": plain(attached),
        "listed": listed,
        "seen": plain(seen),
        "file_ids": now.file_ids,
        "gone": plain(gone),
        "after": client.beta.assistants.retrieve(made.id).file_ids,
        "survives": client.files.retrieve(upload.id).id,
        "refused": refused(files.retrieve, upload.id, assistant_id=made.id),
    }


def functions(flavour, text):
    """A function called by a v1 run."""
    client = CLIENTS[flavour]
    runs = client.beta.threads.runs
    made = client.beta.assistants.create(
        model="scripted",
        tools=[{"type": "function", "function": {"name": "weather", "parameters": {}}}],
    )
    thread = client.beta.threads.create(messages=[{"role": "user", "content": text}])
    waiting = runs.create_and_poll(thread_id=thread.id, assistant_id=made.id)
    calls = waiting.required_action.submit_tool_outputs.tool_calls
    outputs = [{"tool_call_id": call.id, "output": "sunny"} for call in calls]
    run = runs.submit_tool_outputs_and_poll(
        run_id=waiting.id, thread_id=thread.id, tool_outputs=outputs
    )
    newest = client.beta.threads.messages.list(thread.id).data[0]
    return {"waiting": plain(waiting), "run": plain(run), "answer": plain(newest)}


def limits(text):
    """A v1 run that runs out of tokens reads as completed."""
    beta = CLIENTS["openai"].beta
    made = beta.assistants.create(model="scripted")
    thread = beta.threads.create(messages=[{"role": "user", "content": text}])
    return plain(
        beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=made.id, max_completion_tokens=300
        )
    )


def paging(thread_id, run_id):
    beta = CLIENTS["openai"].beta
    steps = {"run_id": run_id, "thread_id": thread_id}
    return {
        "messages": [m.id for m in beta.threads.messages.list(thread_id, limit=10, order="asc")],
        "steps": [s.id for s in beta.threads.runs.steps.list(limit=10, order="asc", **steps)],
    }


def refusals(flavour):
    client = CLIENTS[flavour]
    wrong = {"api_key": "wrong-key-0123456789", "max_retries": 0}
    if flavour == "azure":
        other = openai.AzureOpenAI(azure_endpoint=server, api_version="2024-02-15-preview", **wrong)
    else:
        other = openai.OpenAI(base_url=server + "/openai/v1", **wrong)
    return {
        "key": refused(other.beta.assistants.list),
        "thread": refused(client.beta.threads.retrieve, "thread_" + "0" * 24),
        "v2_field": refused(
            client.beta.assistants.create, model="scripted", extra_body={"tool_resources": {}}
        ),
    }


serve(
    {
        name: value
        for name, value in list(globals().items())
        if callable(value) and getattr(value, "__module__", "") == "__main__"
    }
)
