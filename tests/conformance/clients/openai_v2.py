"""openai-python of a version that speaks Assistants v2: what programs written for it do."""

from __future__ import annotations

import base64
import io
import os
import time

import openai
from openai import AssistantEventHandler
from serving import plain, refused, serve

client = openai.OpenAI(
    base_url=os.environ["SERVER"] + "/openai/v1", api_key=os.environ["TOKEN"], max_retries=0
)
threads, runs, messages = (
    client.beta.threads,
    client.beta.threads.runs,
    client.beta.threads.messages,
)
CODE = {"type": "code_interpreter"}


def function(name):
    properties = {"city": {"type": "string"}}
    parameters = {"type": "object", "properties": properties, "required": ["city"]}
    return {"type": "function", "function": {"name": name, "parameters": parameters}}


def assistant(tools=(CODE,), model="scripted", **fields):
    return client.beta.assistants.create(model=model, tools=list(tools), **fields)


def asked(text, **fields):
    return threads.create(messages=[{"role": "user", "content": text, **fields}])


def state(run):
    """Everything a finished or waiting run left."""
    run = runs.retrieve(run.id, thread_id=run.thread_id)
    where = {"thread_id": run.thread_id}
    return {
        "run": plain(run),
        "steps": plain(list(runs.steps.list(run.id, order="asc", **where))),
        "messages": plain(list(messages.list(order="asc", **where))),
    }


def run_to_end(text, tools=(CODE,), run=None, message=None, **fields):
    """One question, polled."""
    thread = asked(text, **(message or {}))
    made = assistant(tools, **fields)
    return state(runs.create_and_poll(thread_id=thread.id, assistant_id=made.id, **(run or {})))


def version():
    return openai.__version__


# ---- the main job ----------------------------------------------------------------------------


def main_job(text, csv, name, stream):
    """Assistant, upload, thread with attachment, run, steps, files."""
    upload = client.files.create(file=(name, csv.encode()), purpose="assistants")
    processed = client.files.wait_for_processing(upload.id, poll_interval=0.1)
    made = assistant(name="Analyst", instructions="Answer with files.", metadata={"team": "x"})
    thread = asked(text, attachments=[{"file_id": upload.id, "tools": [CODE]}])
    heard = {}
    if stream:
        handler = Recorder()
        with runs.stream(
            thread_id=thread.id, assistant_id=made.id, event_handler=handler
        ) as events:
            events.until_done()
        run = handler.get_final_run()
        heard = {
            "calls": handler.calls,
            "final_messages": plain(handler.get_final_messages()),
            "final_steps": plain(handler.get_final_run_steps()),
        }
    else:
        run = runs.create_and_poll(thread_id=thread.id, assistant_id=made.id)
    left = state(run)
    return {
        **left,
        **heard,
        "assistant": plain(made),
        "thread": plain(threads.retrieve(thread.id)),
        "upload": plain(processed),
        "files": {id: downloaded(id) for id in made_files(left)},
    }


def made_files(left):
    """Ids of the files that messages and steps show."""
    for message in left["messages"]:
        for part in message["content"]:
            if part["type"] == "image_file":
                yield part["image_file"]["file_id"]
            for annotation in part.get("text", {}).get("annotations", ()):
                yield annotation["file_path"]["file_id"]


def downloaded(id):
    content = client.files.content(id).read()
    return {**plain(client.files.retrieve(id)), "content": base64.b64encode(content).decode()}


class Recorder(AssistantEventHandler):
    """Writes down what it is called with, in order."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def on_event(self, event):
        self.calls.append(["event", event.event])

    def on_tool_call_created(self, tool_call):
        self.calls.append(["tool_call_created", tool_call.type])

    def on_tool_call_delta(self, delta, snapshot):
        if delta.type == "code_interpreter":
            self.calls.append(["input", delta.code_interpreter.input or ""])

    def on_tool_call_done(self, tool_call):
        self.calls.append(["tool_call_done", plain(tool_call)])

    def on_text_created(self, text):
        self.calls.append(["text_created", text.value])

    def on_text_delta(self, delta, snapshot):
        self.calls.append(["text", delta.value or ""])

    def on_text_done(self, text):
        self.calls.append(["text_done", text.value])

    def on_image_file_done(self, image_file):
        self.calls.append(["image", image_file.file_id])

    def on_message_done(self, message):
        self.calls.append(["message_done", message.id])

    def on_run_step_done(self, run_step):
        self.calls.append(["step_done", run_step.id])

    def on_exception(self, exception):
        self.calls.append(["exception", str(exception)])

    def on_end(self):
        self.calls.append(["end"])


# ---- functions -------------------------------------------------------------------------------


def functions(text, stream):
    """Two functions at once beside the code interpreter; outputs one too few, then all."""
    made = assistant([CODE, function("weather"), function("people")])
    thread = asked(text)
    where = {"thread_id": thread.id}
    if stream:
        with runs.stream(assistant_id=made.id, **where) as events:
            first = [event.event for event in events]
            run = events.current_run
    else:
        first, run = [], runs.create_and_poll(assistant_id=made.id, **where)
    wanted = run.required_action.submit_tool_outputs.tool_calls
    waiting = state(run)
    outputs = [{"tool_call_id": call.id, "output": f"{call.function.name}!"} for call in wanted]
    too_few = refused(runs.submit_tool_outputs, run.id, tool_outputs=outputs[:1], **where)
    locked = refused(messages.create, thread.id, role="user", content="And?")
    second = []
    if stream:
        with runs.submit_tool_outputs_stream(
            run_id=run.id, tool_outputs=outputs, **where
        ) as events:
            second = [event.event for event in events]
            events.get_final_run()
    else:
        runs.submit_tool_outputs_and_poll(run_id=run.id, tool_outputs=outputs, **where)
    twice = refused(runs.submit_tool_outputs, run.id, tool_outputs=outputs, **where)
    return {
        "waiting": waiting,
        "events": [first, second],
        "too_few": too_few,
        "locked": locked,
        "twice": twice,
        **state(run),
    }


# ---- the life of a run -----------------------------------------------------------------------


def cancelled(text, tools=(CODE,), when="in_progress", step=None):
    """Start a run, cancel it when it has status *when* and shows code step text *step*."""
    made, thread = assistant(tools), asked(text)
    where = {"thread_id": thread.id}
    run = runs.create(assistant_id=made.id, **where)
    until = time.monotonic() + 30
    while not reached(run, when, step):
        assert time.monotonic() < until, run.status
        time.sleep(0.05)
        run = runs.retrieve(run.id, **where)
    locks = [
        refused(messages.create, thread.id, role="user", content="More"),
        refused(runs.create, thread.id, assistant_id=made.id),
        refused(runs.update, run.id, metadata={"a": "b"}, **where),
    ]
    answer = runs.cancel(run.id, **where)
    began = time.monotonic()
    while runs.retrieve(run.id, **where).status == "cancelling":
        assert time.monotonic() - began < 30
        time.sleep(0.05)
    again = refused(runs.cancel, run.id, **where)
    return {
        "answer": plain(answer),
        "locks": locks,
        "again": again,
        "seconds": time.monotonic() - began,
        **state(run),
    }


def reached(run, when, step):
    if run.status != when or step is None:
        return run.status == when
    for each in runs.steps.list(run.id, thread_id=run.thread_id):
        for call in getattr(each.step_details, "tool_calls", ()):
            if any(step in getattr(o, "logs", "") for o in call.code_interpreter.outputs):
                return True
    return False


def next_run(thread_id, assistant_id, text):
    """Another question on a thread."""
    messages.create(thread_id, role="user", content=text)
    return state(runs.create_and_poll(thread_id=thread_id, assistant_id=assistant_id))


def run_stream_error(text):
    """What a stream does whose model breaks off."""
    made, thread = assistant(), asked(text)
    handler = Recorder()
    with runs.stream(thread_id=thread.id, assistant_id=made.id, event_handler=handler) as events:
        events.until_done()
    return {"calls": handler.calls, "final": plain(handler.get_final_run())}


# ---- files, lists, deletion ------------------------------------------------------------------


def chunked_upload(size, part):
    content = bytes(i % 251 for i in range(size))
    upload = client.uploads.upload_file_chunked(
        file=io.BytesIO(content).getvalue(),
        filename="chunked.bin",
        bytes=size,
        mime_type="application/octet-stream",
        purpose="user_data",
        part_size=part,
    )
    same = client.files.content(upload.file.id).read() == content
    return {"upload": plain(upload), "same": same}


def paging(thread_id, run_id):
    """Every page of a thread's messages and a run's steps, both ways, by automatic paging."""
    steps = {"run_id": run_id, "thread_id": thread_id}
    page = messages.list(thread_id, limit=10, order="asc")
    back = messages.list(thread_id, limit=5, order="asc", before=page.data[-1].id)
    return {
        "messages": [m.id for m in messages.list(thread_id, limit=10, order="asc")],
        "newest_first": [m.id for m in messages.list(thread_id, limit=7)],
        "steps": [s.id for s in runs.steps.list(limit=10, order="asc", **steps)],
        "first_page": [m.id for m in page.data],
        "before": [m.id for m in back.data],
        "of_run": [m.id for m in messages.list(thread_id, run_id=run_id, order="asc", limit=100)],
        "unknown": refused(messages.list, thread_id, after="msg_000000000000000000000000"),
    }


def deletion(text):
    """Delete everything a run left, and ask for it again."""
    upload = client.files.create(file=("a.txt", b"a"), purpose="assistants")
    made = assistant(tool_resources={"code_interpreter": {"file_ids": [upload.id]}})
    thread = asked(text)
    run = runs.create_and_poll(thread_id=thread.id, assistant_id=made.id)
    first = messages.list(thread.id, order="asc").data[0]
    answers = {
        "message": plain(messages.delete(first.id, thread_id=thread.id)),
        "messages_left": len(messages.list(thread.id).data),
        "file": plain(client.files.delete(upload.id)),
        "assistant_files": plain(client.beta.assistants.retrieve(made.id))["tool_resources"],
        "assistant": plain(client.beta.assistants.delete(made.id)),
        "run_still": runs.retrieve(run.id, thread_id=thread.id).assistant_id == made.id,
        "run_anew": refused(runs.create, thread.id, assistant_id=made.id),
        "thread": plain(threads.delete(thread.id)),
    }
    answers["gone"] = [
        refused(messages.retrieve, first.id, thread_id=thread.id),
        refused(client.files.retrieve, upload.id),
        refused(client.files.content, upload.id),
        refused(client.beta.assistants.retrieve, made.id),
        refused(threads.retrieve, thread.id),
        refused(runs.retrieve, run.id, thread_id=thread.id),
        refused(client.beta.assistants.delete, made.id),
    ]
    return answers | {"ids": [first.id, upload.id, made.id, thread.id, run.id]}


def bad_input():
    """Calls that must be refused, by name."""
    made, thread = assistant(), threads.create()
    other = openai.OpenAI(base_url=client.base_url, api_key="wrong-key-0123456789")
    return {
        "model": refused(assistant, model="no-such-model"),
        "key": refused(other.models.list),
        "invalid_id": refused(client.beta.assistants.retrieve, "invalid-assistant-id"),
        "assistant": refused(runs.create, thread.id, assistant_id="asst_" + "0" * 24),
        "prefix": refused(runs.create, thread.id, assistant_id="foo"),
        "no_message": refused(runs.create, thread.id, assistant_id=made.id),
        "purpose": refused(client.files.create, file=b"x", purpose="world_domination"),
        "name": refused(assistant, name="x" * 257),
        "metadata": refused(threads.create, metadata={str(n): "x" for n in range(17)}),
        "limit": refused(messages.list, thread.id, limit=101),
        "unknown": refused(threads.create, extra_body={"foo": 1}),
        "type": refused(threads.create, metadata={"modified": True}),
        "file": refused(client.files.retrieve, "file-nope"),
        "role": refused(messages.create, thread.id, role="system", content="x"),
        "step": refused(
            runs.steps.retrieve, "step_123", thread_id=thread.id, run_id="run_" + "0" * 24
        ),
    }


def picture_parts(text, png, url):
    """A message with a picture by its file and one by its address."""
    upload = client.files.create(file=("dot.png", base64.b64decode(png)), purpose="vision")
    content = [
        {"type": "text", "text": text},
        {"type": "image_file", "image_file": {"file_id": upload.id, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": url}},
    ]
    thread = threads.create(messages=[{"role": "user", "content": content}])
    run = runs.create_and_poll(thread_id=thread.id, assistant_id=assistant([]).id)
    return {**state(run), "file_id": upload.id}


def many_messages(count):
    """A thread with *count* messages, made one by one."""
    thread = threads.create()
    made = [messages.create(thread.id, role="user", content=f"No. {n}").id for n in range(count)]
    return {"thread_id": thread.id, "messages": made}


serve(
    {
        name: value
        for name, value in list(globals().items())
        if callable(value) and getattr(value, "__module__", "") == "__main__"
    }
)
