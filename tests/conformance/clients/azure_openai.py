"""``AzureOpenAI`` with an ``api-version`` of Assistants v2."""

from __future__ import annotations

import os
import urllib.error
import urllib.request

import openai
from serving import plain, refused, serve

server, token = os.environ["SERVER"], os.environ["TOKEN"]


def azure(api_version="2024-05-01-preview", api_key=token, **fields):
    return openai.AzureOpenAI(
        azure_endpoint=server, api_key=api_key, api_version=api_version, max_retries=0, **fields
    )


client = azure()
beta = client.beta


def main_job(text, stream):
    """Upload, assistant with the file, run, what the code saved."""
    upload = client.files.create(file=("in.txt", b"in"), purpose="assistants")
    made = beta.assistants.create(
        model="scripted",
        tools=[{"type": "code_interpreter"}],
        tool_resources={"code_interpreter": {"file_ids": [upload.id]}},
    )
    thread = beta.threads.create(messages=[{"role": "user", "content": text}])
    where = {"thread_id": thread.id}
    if stream:
        with beta.threads.runs.stream(assistant_id=made.id, **where) as events:
            run = events.get_final_run()
    else:
        run = beta.threads.runs.create_and_poll(assistant_id=made.id, **where)
    answer = beta.threads.messages.list(thread.id).data[0]
    annotation = answer.content[-1].text.annotations[0]
    picture = answer.content[0].image_file.file_id
    return {
        "upload": plain(upload),
        "assistant": plain(made),
        "run": plain(run),
        "steps": plain(list(beta.threads.runs.steps.list(run.id, order="asc", **where))),
        "answer": plain(answer),
        "saved": client.files.content(annotation.file_path.file_id).read().decode(),
        "picture": len(client.files.content(picture).read()),
        "listed": upload.id in [file.id for file in client.files.list(limit=100)],
        "deleted": plain(client.files.delete(upload.id)),
    }


def deployment(text):
    """A client bound to a deployment calls the same addresses."""
    bound = azure(azure_deployment="scripted")
    made = bound.beta.assistants.create(model="scripted")
    thread = bound.beta.threads.create(messages=[{"role": "user", "content": text}])
    run = bound.beta.threads.runs.create_and_poll(thread_id=thread.id, assistant_id=made.id)
    return run.status


def bearer():
    """A token in the place of an Entra token."""
    other = openai.AzureOpenAI(
        azure_endpoint=server,
        azure_ad_token_provider=lambda: token,
        api_version="2024-10-01-preview",
    )
    return other.beta.assistants.create(model="scripted").object


def refusals():
    return {
        "key": refused(azure(api_key="wrong-key-0123456789").beta.assistants.list),
        "version": refused(azure(api_version="2020-01-01").beta.assistants.list),
        "assistant": refused(beta.assistants.retrieve, "asst_" + "0" * 24),
        "v1_field": refused(beta.assistants.create, model="scripted", extra_body={"file_ids": []}),
        "route": route("/openai/nonsense?api-version=2024-05-01-preview"),
    }


def route(path):
    """Status and body of an address that is not there."""
    request = urllib.request.Request(server + path, headers={"api-key": token})
    try:
        urllib.request.urlopen(request, timeout=30)
    except urllib.error.HTTPError as error:
        return {"status": error.code, "body": error.read().decode()}
    raise AssertionError("the address is there")


def paging(thread_id, run_id):
    steps = {"run_id": run_id, "thread_id": thread_id}
    return {
        "messages": [m.id for m in beta.threads.messages.list(thread_id, limit=10, order="asc")],
        "steps": [s.id for s in beta.threads.runs.steps.list(limit=10, order="asc", **steps)],
    }


serve(
    {
        name: value
        for name, value in list(globals().items())
        if callable(value) and getattr(value, "__module__", "") == "__main__"
    }
)
