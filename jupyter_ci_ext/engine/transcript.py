"""From the messages and steps of a thread to the prompt; pure.

A thread is locked while a run is active, so the messages of one run stand together. Its steps tell
what happened between them: code and what it gave, functions and what the caller submitted. They are
put back in their places, so that the model remembers its own code also in the next run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from jupyter_ci_ext.engine.results import outputs_text
from jupyter_ci_ext.engine.text import shorten
from jupyter_ci_ext.llm.base import (
    AssistantMessage,
    CallResult,
    CodeCall,
    FileNote,
    FunctionCall,
    FunctionTool,
    ImagePart,
    PromptMessage,
    TextPart,
    Turn,
    UserMessage,
)
from jupyter_ci_ext.wire.message import Message
from jupyter_ci_ext.wire.run import Run
from jupyter_ci_ext.wire.run_step import (
    CodeInterpreterToolCall,
    FunctionToolCall,
    MessageCreationDetails,
    RunStep,
    ToolCallsDetails,
)
from jupyter_ci_ext.wire.tools import CodeInterpreterTool
from jupyter_ci_ext.wire.tools import FunctionTool as FunctionToolObject

NO_OUTPUT: Final = "(no output was submitted)"

Part = TextPart | ImagePart


@dataclass(frozen=True)
class Background:
    """What a prompt is made of, as it was read from the store.

    ``messages`` and ``runs`` are the newest ones, oldest first; ``steps`` are those of ``runs``.
    ``pictures`` holds the contents of pictures, by file id, of which there may be fewer than are
    mentioned. ``files`` are those of the user's files that code can read, under the names it finds
    them by.
    """

    messages: Sequence[Message] = ()
    runs: Sequence[Run] = ()
    steps: Mapping[str, Sequence[RunStep]] = field(default_factory=dict)
    pictures: Mapping[str, ImagePart] = field(default_factory=dict)
    files: Sequence[FileNote] = ()


def has_code_interpreter(run: Run) -> bool:
    """Whether the run's model may run code."""
    return any(isinstance(tool, CodeInterpreterTool) for tool in run.tools)


def first_turn(
    run: Run, background: Background, *, model: str, environment: str, told: int
) -> Turn:
    """The first request of *run*, or the first after submitted outputs.

    *environment* describes where code runs, empty where there is none. *told* is the most
    characters of an output of code that the model is told, as in `RunLimits`.
    """
    system = "\n\n".join(text for text in (run.instructions, environment) if text)
    effort = run.reasoning_effort
    return Turn(
        model=model,
        system=system,
        messages=tuple(_prompt(run, background, told)),
        code=has_code_interpreter(run),
        functions=_functions(run),
        tool_choice=_tool_choice(run),
        parallel_tool_calls=run.parallel_tool_calls,
        response_format=None if isinstance(run.response_format, str) else run.response_format,
        # 1 is what models take anyway, and some reasoning models refuse to be told.
        temperature=None if run.temperature == 1.0 else run.temperature,
        top_p=None if run.top_p == 1.0 else run.top_p,
        reasoning_effort=effort,
        max_tokens=run.max_completion_tokens,
        files=tuple(background.files) if has_code_interpreter(run) else (),
    )


def pictures_wanted(run: Run, background: Background) -> list[str]:
    """Ids of the files whose pictures belong into the prompt, the newest first."""
    wanted: list[str] = []
    for message in _latest(run, background.messages):
        wanted += [p.image_file.file_id for p in message.content if p.type == "image_file"]
    for steps in background.steps.values():
        for step in steps:
            for call in _code_calls(step):
                outputs = call.code_interpreter.outputs
                wanted += [o.image.file_id for o in outputs if o.type == "image"]
    return list(dict.fromkeys(reversed(wanted)))


def _prompt(run: Run, background: Background, told: int) -> list[PromptMessage]:
    writer = _Writer(background, told)
    messages = _latest(run, background.messages)
    texts = {message.id: message for message in messages}
    first = messages[0].created_at if messages else 0
    with_messages = {message.run_id for message in messages}
    silent = [
        each
        for each in background.runs
        if each.id not in with_messages and (each.id == run.id or each.created_at >= first)
    ]
    written: set[str] = set()
    asked = False  # whether a message waits for the run that answers it
    for message in messages:
        if message.run_id is None:
            # times are whole seconds: of one second, a run comes between its question and the next
            until = message.created_at + asked
            while silent and silent[0].id != run.id and silent[0].created_at < until:
                writer.steps(background.steps.get(silent.pop(0).id, ()), texts)
                until = message.created_at
            writer.message(message)
            asked = message.role == "user"
            continue
        asked = False
        if message.run_id not in background.steps:
            writer.message(message)
        elif message.run_id not in written:
            written.add(message.run_id)
            writer.steps(background.steps[message.run_id], texts)
    for each in silent:
        writer.steps(background.steps.get(each.id, ()), texts)
    return writer.prompt


def _latest(run: Run, messages: Sequence[Message]) -> Sequence[Message]:
    """The messages the truncation strategy leaves; what the run itself wrote stays in any case."""
    most = run.truncation_strategy.last_messages
    if run.truncation_strategy.type != "last_messages" or most is None:
        return messages
    before = [message for message in messages if message.run_id != run.id]
    kept = {message.id for message in before[-most:]}
    return [message for message in messages if message.run_id == run.id or message.id in kept]


class _Writer:
    """Writes a prompt; what the model said and then called is one message of it."""

    def __init__(self, background: Background, told: int) -> None:
        self.prompt: list[PromptMessage] = []
        self._pictures = background.pictures
        self._files = {file.id: file for file in background.files}
        self._told = told

    def message(self, message: Message) -> None:
        if message.role == "user":
            parts = [part for part in map(self._part, message.content) if part is not None]
            attached = self._attachments(message)
            if attached:
                parts.append(TextPart(attached))
            if parts:
                self.prompt.append(UserMessage(tuple(_joined(parts))))
            return
        texts = [part.text.value for part in message.content if part.type == "text"]
        texts += [part.refusal for part in message.content if part.type == "refusal"]
        text = "\n".join(texts)
        if text:
            self.prompt.append(AssistantMessage(text))

    def steps(self, steps: Sequence[RunStep], messages: Mapping[str, Message]) -> None:
        for step in steps:
            details = step.step_details
            if isinstance(details, MessageCreationDetails):
                message = messages.get(details.message_creation.message_id)
                if message is not None:
                    self.message(message)
            else:
                self._calls(step, details)

    def _calls(self, step: RunStep, details: ToolCallsDetails) -> None:
        calls: list[CodeCall | FunctionCall] = []
        results: list[CallResult] = []
        for call in details.tool_calls:
            if isinstance(call, CodeInterpreterToolCall):
                code = call.code_interpreter
                if step.status == "failed" and not code.outputs:
                    continue  # it was cut off before it ran
                shown = [o.image.file_id for o in code.outputs if o.type == "image"]
                images = [self._pictures[id] for id in shown if id in self._pictures]
                text = outputs_text(code.outputs)
                reason = step.metadata.get("reason")
                if reason and f"[{reason}]" not in text:
                    text = f"{text}\n{reason}" if text else reason
                calls.append(CodeCall(call.id, code.input))
                results.append(CallResult(call.id, shorten(text, self._told), tuple(images)))
            elif isinstance(call, FunctionToolCall):
                function = call.function
                calls.append(FunctionCall(call.id, function.name, function.arguments))
                output = NO_OUTPUT if function.output is None else function.output
                results.append(CallResult(call.id, output))
        if not calls:
            return
        last = self.prompt[-1] if self.prompt else None
        said = ""
        if isinstance(last, AssistantMessage) and not last.calls:
            said = last.text
            self.prompt.pop()
        self.prompt.append(AssistantMessage(said, tuple(calls)))
        self.prompt.extend(results)

    def _part(self, part: object) -> Part | None:
        kind = getattr(part, "type", None)
        if kind == "text":
            return TextPart(part.text.value)  # type: ignore[attr-defined]
        if kind == "image_url":
            image = part.image_url  # type: ignore[attr-defined]
            return ImagePart(url=image.url, detail=image.detail)
        if kind == "image_file":
            image = part.image_file  # type: ignore[attr-defined]
            picture = self._pictures.get(image.file_id)
            if picture is None:
                return TextPart(f"[picture {image.file_id}, which you cannot see]")
            detail: Literal["auto", "low", "high"] = image.detail or "auto"
            return ImagePart(data=picture.data, mime=picture.mime, detail=detail)
        return None

    def _attachments(self, message: Message) -> str:
        lines: list[str] = []
        for attachment in message.attachments:
            file = self._files.get(attachment.file_id)
            if file is not None and attachment.tools:
                lines.append(f"/mnt/data/{file.name}")
        unique = list(dict.fromkeys(lines))
        return f"[Attached: {', '.join(unique)}]" if unique else ""


def _joined(parts: Sequence[Part]) -> list[Part]:
    """Neighbouring texts as one."""
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        if isinstance(part, TextPart) and isinstance(last, TextPart):
            joined[-1] = TextPart(f"{last.text}\n\n{part.text}")
        else:
            joined.append(part)
    return joined


def _code_calls(step: RunStep) -> list[CodeInterpreterToolCall]:
    details = step.step_details
    if not isinstance(details, ToolCallsDetails):
        return []
    return [call for call in details.tool_calls if isinstance(call, CodeInterpreterToolCall)]


def _functions(run: Run) -> tuple[FunctionTool, ...]:
    definitions = [tool.function for tool in run.tools if isinstance(tool, FunctionToolObject)]
    return tuple(FunctionTool(d.name, d.description, d.parameters, d.strict) for d in definitions)


def _tool_choice(
    run: Run,
) -> Literal["auto", "none", "required", "code"] | tuple[Literal["function"], str]:
    choice = run.tool_choice
    if isinstance(choice, str):
        return choice
    if choice.get("type") == "code_interpreter":
        return "code"
    function = choice.get("function")
    if choice.get("type") == "function" and isinstance(function, dict):
        return ("function", str(function.get("name")))
    return "auto"
