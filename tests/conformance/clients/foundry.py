"""azure-ai-agents against a server on plain http, as programs for Azure AI Foundry use it."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from azure.ai.agents import AgentsClient
from azure.ai.agents.models import (
    AgentEventHandler,
    CodeInterpreterTool,
    FilePurpose,
    FunctionTool,
    MessageAttachment,
    ToolSet,
)
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import HttpResponseError
from azure.core.pipeline.policies import AzureKeyCredentialPolicy
from serving import plain, serve


class NoCredential:
    """Stands where a credential is demanded; the policy below is what signs."""

    def get_token(self, *scopes, **kwargs):
        raise AssertionError("not asked for")


def connected(key):
    # azure-core sends bearer tokens over https only; a key it sends over http, too.
    policy = AzureKeyCredentialPolicy(AzureKeyCredential(key), "Authorization", prefix="Bearer")
    return AgentsClient(
        endpoint=os.environ["SERVER"] + "/openai",
        credential=NoCredential(),
        authentication_policy=policy,
        retry_total=0,
    )


client = connected(os.environ["TOKEN"])


def uploaded(name, content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, name)
        path.write_text(content)
        return client.files.upload_and_poll(
            file_path=str(path), purpose=FilePurpose.AGENTS, polling_interval=0.1
        )


def asked(text, tools=None, attachments=None):
    agent = client.create_agent(
        model="scripted", name="Agent", instructions="Help.", **(tools or {})
    )
    thread = client.threads.create()
    client.messages.create(
        thread_id=thread.id, role="user", content=text, attachments=attachments or []
    )
    return agent, thread


def code_job(text):
    """Code that saves and draws; its files are saved to disk."""
    file = uploaded("input.txt", "21")
    tool = CodeInterpreterTool()
    agent, thread = asked(
        text,
        {"tools": tool.definitions},
        [MessageAttachment(file_id=file.id, tools=tool.definitions)],
    )
    run = client.runs.create_and_process(
        thread_id=thread.id, agent_id=agent.id, polling_interval=0.2
    )
    newest = next(iter(client.messages.list(thread_id=thread.id)))
    with tempfile.TemporaryDirectory() as folder:
        note = newest.file_path_annotations[0]
        client.files.save(file_id=note.file_path.file_id, file_name="saved.txt", target_dir=folder)
        saved = Path(folder, "saved.txt").read_text()
        picture = newest.image_contents[0].image_file.file_id
        client.files.save(file_id=picture, file_name="p.png", target_dir=folder)
        head = Path(folder, "p.png").read_bytes()[:4].hex()
    return {
        "file": plain(file),
        "agent": plain(agent),
        "run": plain(run),
        "steps": plain(list(client.run_steps.list(thread_id=thread.id, run_id=run.id))),
        "text": newest.text_messages[0].text.value,
        "saved": saved,
        "picture": head,
    }


def weather(city: str) -> str:
    """Tells the weather.

    :param city: Which city.
    :return: The weather there.
    """
    return f"sunny in {city}"


def auto_functions(text, stream):
    """Functions the client calls by itself."""
    tools = ToolSet()
    tools.add(FunctionTool({weather}))
    client.enable_auto_function_calls(tools)
    agent, thread = asked(text, {"toolset": tools})
    where = {"thread_id": thread.id, "agent_id": agent.id}
    handler = Recorder()
    if stream:
        with client.runs.stream(event_handler=handler, **where) as events:
            events.until_done()
    else:
        client.runs.create_and_process(polling_interval=0.2, **where)
    [run] = list(client.runs.list(thread_id=thread.id))
    return {
        "run": plain(run),
        "calls": handler.calls,
        "answer": client.messages.get_last_message_text_by_role(
            thread_id=thread.id, role="assistant"
        ).text.value,
    }


class Recorder(AgentEventHandler):
    """Writes down what it is called with."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def on_message_delta(self, delta):
        self.calls.append(["delta", delta.text])

    def on_thread_message(self, message):
        self.calls.append(["message", str(message.status.value)])

    def on_thread_run(self, run):
        self.calls.append(["run", str(run.status.value)])

    def on_run_step(self, step):
        self.calls.append(["step", str(step.status.value), step.agent_id])

    def on_run_step_delta(self, delta):
        self.calls.append(["step_delta"])

    def on_error(self, data):
        self.calls.append(["error", data])

    def on_done(self):
        self.calls.append(["done"])

    def on_unhandled_event(self, event_type, event_data):
        self.calls.append(["unhandled", event_type])


def streamed(text):
    """A stream with a handler, from an agent that runs code."""
    agent, thread = asked(text, {"tools": CodeInterpreterTool().definitions})
    handler = Recorder()
    with client.runs.stream(
        thread_id=thread.id, agent_id=agent.id, event_handler=handler
    ) as events:
        events.until_done()
    return {"calls": handler.calls, "agent": agent.id}


def lists(count):
    """Every object there is, by this client's paging, which asks until a page is empty."""
    made = [client.threads.create(metadata={"n": str(n)}).id for n in range(count)]
    listed = [thread.id for thread in client.threads.list(limit=2)]
    client.threads.delete(made[0])
    return {
        "made": made,
        "listed": [id for id in listed if id in made],
        "after": [t.id for t in client.threads.list(limit=5) if t.id in made],
        "agents": len(list(client.list_agents(limit=3))),
    }


def paging(thread_id, run_id):
    where = {"thread_id": thread_id, "order": "asc", "limit": 10}
    return {
        "messages": [m.id for m in client.messages.list(**where)],
        "steps": [s.id for s in client.run_steps.list(run_id=run_id, **where)],
    }


def deletion(text):
    agent, thread = asked(text)
    client.delete_agent(agent.id)
    client.threads.delete(thread.id)
    return {
        "agent": failed(client.get_agent, agent.id),
        "thread": failed(client.threads.get, thread.id),
        "key": failed(connected("wrong-key-0123456789").get_agent, agent.id),
        "ids": [agent.id, thread.id],
    }


def failed(call, *args):
    try:
        call(*args)
    except HttpResponseError as error:
        return {"type": type(error).__name__, "status": error.status_code, "message": str(error)}
    raise AssertionError("the call was not refused")


serve(
    {
        name: value
        for name, value in list(globals().items())
        if callable(value) and getattr(value, "__module__", "") == "__main__"
    }
)
