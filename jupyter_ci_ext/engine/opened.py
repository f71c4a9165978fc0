"""What is being written: an execution, calls of functions, or a message; pure.

Each holds a step (and message) that is in progress, takes in what comes, and says two things: the
delta that clients are sent for it, and the whole object as it is by now. So what the deltas add up to
is what is stored, by construction.
"""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_ci_ext.engine.values import CodeResult
from jupyter_ci_ext.wire.common import Gapped
from jupyter_ci_ext.wire.content import (
    Content,
    FilePath,
    FilePathAnnotation,
    ImageFile,
    ImageFileContent,
    RefusalContent,
    Text,
    TextContent,
)
from jupyter_ci_ext.wire.deltas import (
    CodeInterpreterDelta,
    CodeInterpreterPiece,
    DisplayDataDelta,
    FilePathDelta,
    FunctionDelta,
    FunctionPiece,
    ImageDelta,
    ImageFileDelta,
    LogsDelta,
    MessageDelta,
    OutputDelta,
    RefusalDelta,
    RunStepDelta,
    TextDelta,
    TextPiece,
    message_delta,
    step_delta,
)
from jupyter_ci_ext.wire.message import Attachment, AttachmentTool, Message
from jupyter_ci_ext.wire.run_step import (
    CodeInterpreterCall,
    CodeInterpreterOutput,
    CodeInterpreterToolCall,
    DisplayDataOutput,
    FunctionCall,
    FunctionToolCall,
    ImageOutput,
    LogsOutput,
    RunStep,
    ToolCall,
    ToolCallsDetails,
)


class OpenCode:
    """Code that is written, and then runs: a step with one call."""

    def __init__(self, step: RunStep, call_id: str) -> None:
        self.id = step.id
        self._step = step
        self._call_id = call_id
        self._source: list[str] = []
        self._outputs: list[LogsOutput | ImageOutput | DisplayDataOutput | list[str]] = []
        self._lines: dict[int | None, Gapped] = {}  # of more logs by output, None: of more code

    def begin(self) -> RunStepDelta:
        """The first delta, which alone carries the id."""
        piece = CodeInterpreterPiece(input="", outputs=[])
        call = CodeInterpreterDelta(index=0, id=self._call_id, code_interpreter=piece)
        return step_delta(self._step.id, call)

    def source(self, text: str) -> Gapped:
        """More code; what comes makes the delta of it, or of more that follows it at once."""
        self._source.append(text)
        if None not in self._lines:
            self._lines[None] = Gapped(self._source_delta)
        return self._lines[None]

    def _source_delta(self, text: str) -> RunStepDelta:
        call = CodeInterpreterDelta(index=0, code_interpreter=CodeInterpreterPiece(input=text))
        return step_delta(self._step.id, call)

    def logs(self, index: int, text: str) -> Gapped:
        """More text of output *index*; what comes makes the delta, as that of `source`."""
        if index == len(self._outputs):
            self._outputs.append([])
        logs = self._outputs[index]
        assert isinstance(logs, list)
        logs.append(text)
        if index not in self._lines:
            self._lines[index] = Gapped(
                lambda text: self._output(LogsDelta(index=index, logs=text))
            )
        return self._lines[index]

    def image(self, index: int, file_id: str) -> RunStepDelta:
        """A picture that was shown."""
        image = FilePath(file_id=file_id)
        self._add(index, ImageOutput(image=image))
        return self._output(ImageDelta(index=index, image=image))

    def rich(self, index: int, output: DisplayDataOutput) -> RunStepDelta:
        """A rich output."""
        self._add(index, output)
        return self._output(
            DisplayDataDelta(index=index, data=output.data, metadata=output.metadata)
        )

    @property
    def images(self) -> list[str]:
        """Ids of the pictures that were shown."""
        return [output.image.file_id for output in self._outputs if isinstance(output, ImageOutput)]

    def now(self, result: CodeResult | None = None) -> RunStep:
        """The step as it is by now; with *result* also how it went."""
        outputs: list[CodeInterpreterOutput] = [
            LogsOutput(logs="".join(output)) if isinstance(output, list) else output
            for output in self._outputs
        ]
        code = CodeInterpreterCall(input="".join(self._source), outputs=outputs)
        calls: list[ToolCall] = [CodeInterpreterToolCall(id=self._call_id, code_interpreter=code)]
        step = _with_calls(self._step, calls)
        if result is None:
            return step
        how = {
            "execution": result.status,
            "seconds": f"{result.seconds:.3f}",
            "kept": "true" if result.kept else "false",
        }
        if result.reason:
            how["reason"] = result.reason[:512]
        return step.model_copy(update={"metadata": how})

    def _add(self, index: int, output: ImageOutput | DisplayDataOutput) -> None:
        assert index == len(self._outputs)
        self._outputs.append(output)

    def _output(self, output: OutputDelta) -> RunStepDelta:
        piece = CodeInterpreterPiece(outputs=[output])
        return step_delta(self._step.id, CodeInterpreterDelta(index=0, code_interpreter=piece))


class OpenFunctions:
    """Calls of the caller's functions: all of one turn in one step."""

    def __init__(self, step: RunStep) -> None:
        self.id = step.id
        self._step = step
        self._calls: list[tuple[str, str, list[str]]] = []

    def begin(self, id: str, name: str) -> RunStepDelta:
        """The first delta of a call, which alone carries id and name."""
        piece = FunctionPiece(name=name, arguments="", output=None)
        self._calls.append((id, name, []))
        call = FunctionDelta(index=len(self._calls) - 1, id=id, function=piece)
        return step_delta(self._step.id, call)

    def arguments(self, index: int, text: str) -> None:
        """More arguments of call *index*."""
        self._calls[index][2].append(text)

    def arguments_delta(self, index: int, text: str) -> RunStepDelta:
        """The delta for more arguments of call *index*."""
        piece = FunctionPiece(arguments=text)
        return step_delta(self._step.id, FunctionDelta(index=index, function=piece))

    def now(self) -> RunStep:
        """The step as it is by now."""
        calls: list[ToolCall] = [
            FunctionToolCall(id=id, function=FunctionCall(name=name, arguments="".join(pieces)))
            for id, name, pieces in self._calls
        ]
        return _with_calls(self._step, calls)


class OpenMessage:
    """A message that is written, and the step that writes it.

    Pictures come first, then the text, then a refusal; offsets count code points.
    """

    def __init__(self, message: Message, pictures: Sequence[str]) -> None:
        self.id = message.id
        self._message = message
        self._pictures = list(pictures)
        self._text: list[str] = []
        self._length = 0
        self._annotations: list[FilePathAnnotation] = []
        self._refusal: list[str] = []
        self._line: Gapped | None = None  # of more text

    def begin(self) -> list[MessageDelta]:
        """A delta for each picture."""
        return [
            message_delta(
                self._message.id,
                ImageFileDelta(index=index, image_file=ImageFile(file_id=file_id)),
            )
            for index, file_id in enumerate(self._pictures)
        ]

    def text(self, text: str) -> Gapped:
        """More text; what comes makes the delta of it, or of more that follows it at once."""
        if not self._text:
            line = Gapped(lambda text: self._text_delta({"value": text, "annotations": []}))
        else:
            line = self._line or Gapped(lambda text: self._text_delta({"value": text}))
            self._line = line
        self._text.append(text)
        self._length += len(text)
        return line

    def link(self, text: str, file_id: str) -> MessageDelta:
        """More text that is a link to a file; says the delta for it."""
        annotation = FilePathAnnotation(
            text=text,
            start_index=self._length,
            end_index=self._length + len(text),
            file_path=FilePath(file_id=file_id),
        )
        fields = {name: getattr(annotation, name) for name in type(annotation).model_fields}
        delta = FilePathDelta(index=len(self._annotations), **fields)
        self._annotations.append(annotation)
        self._text.append(text)
        self._length += len(text)
        return self._text_delta({"value": text, "annotations": [delta]})

    def _text_delta(self, piece: dict[str, object]) -> MessageDelta:
        part = TextDelta(index=len(self._pictures), text=TextPiece.model_validate(piece))
        return message_delta(self._message.id, part)

    @property
    def refusing(self) -> bool:
        """Whether a refusal has begun; what comes then belongs to it."""
        return bool(self._refusal)

    def refusal(self, text: str) -> MessageDelta:
        """More of a refusal."""
        self._refusal.append(text)
        index = len(self._pictures) + bool(self._text)
        return message_delta(self._message.id, RefusalDelta(index=index, refusal=text))

    def now(self) -> Message:
        """The message as it is by now."""
        content: list[Content] = [
            ImageFileContent(image_file=ImageFile(file_id=file_id)) for file_id in self._pictures
        ]
        if self._text:
            text = Text(value="".join(self._text), annotations=list(self._annotations))
            content.append(TextContent(text=text))
        if self._refusal:
            content.append(RefusalContent(refusal="".join(self._refusal)))
        linked = dict.fromkeys(each.file_path.file_id for each in self._annotations)
        tools = [AttachmentTool(type="code_interpreter")]
        attachments = [Attachment(file_id=file_id, tools=tools) for file_id in linked]
        return self._message.model_copy(update={"content": content, "attachments": attachments})


def _with_calls(step: RunStep, calls: list[ToolCall]) -> RunStep:
    return step.model_copy(update={"step_details": ToolCallsDetails(tool_calls=calls)})
