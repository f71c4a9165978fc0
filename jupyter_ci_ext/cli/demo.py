"""``jupyter ci demo``: a table, a question, sandboxed code, an answer with files, in one command.

It starts a real server and talks to it as anybody's program would, with the official client.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from .server import OwnServer, ServerFailed

if TYPE_CHECKING:
    from openai import OpenAI
    from openai.types.beta.threads import Run

QUESTION = "Please analyse this table: clean it, tell me what is in it, and draw a telling chart."

_DATA_HINT = "The demo needs the packages of the extra: pip install 'jupyter-ci-ext[data]'"


class DemoFailed(Exception):
    """The demo cannot go on; the message says why and what to do."""


def main(arguments: list[str]) -> int:
    """Run the demo; 0 when chart and table are there, 1 when not, 2 for a wrong command line."""
    given = _parser().parse_args(arguments)
    try:
        with _terminated_politely(), tempfile.TemporaryDirectory() as folder:
            table = _checked(given.file) if given.file else _shipped_table(Path(folder))
            for path in _demonstrate(table, given.question, given.output):
                print(path)
    except (DemoFailed, ServerFailed) as failed:
        print(f"\njupyter ci demo: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\njupyter ci demo: interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="jupyter ci demo", description="Ask the demo model about a table, in the sandbox."
    )
    parser.add_argument(
        "file",
        nargs="?",
        type=Path,
        metavar="FILE",
        help="a table (CSV, TSV, XLSX, JSON, Parquet); default: the wines scikit-learn ships",
    )
    parser.add_argument("--question", default=QUESTION, help="what to ask about it")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("demo-output"),
        metavar="FOLDER",
        help="where to save the files the code made (default: demo-output)",
    )
    return parser


def _checked(path: Path) -> Path:
    if not path.is_file():
        raise DemoFailed(f"there is no file {path}")
    if path.stat().st_size == 0:
        raise DemoFailed(f"{path} is empty")
    return path


def _shipped_table(folder: Path) -> Path:
    """A real table that scikit-learn ships: chemical measures of 178 wines."""
    try:
        from sklearn.datasets import load_wine
    except ImportError as error:
        raise DemoFailed(f"{error}. {_DATA_HINT}") from error
    path = folder / "wine.csv"
    load_wine(as_frame=True).frame.to_csv(path, index=False)
    return path


@contextmanager
def _terminated_politely() -> Iterator[None]:
    """SIGTERM ends the demo as an interrupt does: what it started is stopped first."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _demonstrate(table: Path, question: str, output: Path) -> list[Path]:
    show = _Printer(sys.stdout)
    show.say(f"Starting a Jupyter server, for {table.name} …")
    with OwnServer() as server:
        show.say(f"It runs at {server.url}; the client is OpenAI's own.")
        with _client(server) as client, warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the client's, of this API
            saved = _talk(client, table, question, output, show)
    if not saved:
        raise DemoFailed("the answer links no files, so there is nothing to save")
    show.say(f"Saved in {output}:")
    return saved


def _client(server: OwnServer) -> OpenAI:
    import openai

    return openai.OpenAI(
        base_url=f"{server.url}openai/v1",
        api_key=server.token,
        timeout=600,
        http_client=openai.DefaultHttpxClient(trust_env=False),  # no proxy for this machine
    )


def _talk(client: OpenAI, table: Path, question: str, output: Path, show: _Printer) -> list[Path]:
    """Upload, ask, print what streams, save what the answer links."""
    import openai

    try:
        with table.open("rb") as content:
            file = client.files.create(file=(table.name, content), purpose="assistants")
        assistant = client.beta.assistants.create(
            model="demo", name="Demo", tools=[{"type": "code_interpreter"}]
        )
        attachment: Any = {"file_id": file.id, "tools": [{"type": "code_interpreter"}]}
        message: Any = {"role": "user", "content": question, "attachments": [attachment]}
        thread = client.beta.threads.create(messages=[message])
        show.question(question)
        run = _streamed(client, thread.id, assistant.id, show)
        if run.status != "completed":
            said = run.last_error.message if run.last_error else f"its status is {run.status}"
            raise DemoFailed(f"the run did not complete: {said}")
        return _save(client, run, output)
    except openai.OpenAIError as error:
        raise DemoFailed(f"{type(error).__name__}: {error}") from error


def _streamed(client: OpenAI, thread_id: str, assistant_id: str, show: _Printer) -> Run:
    from openai import AssistantEventHandler

    class Shown(AssistantEventHandler):
        """Prints what the stream brings, as it comes."""

        def on_run_step_created(self, run_step: Any) -> None:
            # not on_tool_call_created: it is not called for a second step with one call
            if run_step.type == "tool_calls":
                show.block("code")

        def on_tool_call_delta(self, delta: Any, _snapshot: Any) -> None:
            code = getattr(delta, "code_interpreter", None)
            if code is None:
                return
            if code.input:
                show.code(code.input)
            for output in code.outputs or ():
                show.block("output")
                if output.type == "logs":
                    show.output(output.logs or "")
                else:
                    show.output("[a picture]\n")

        def on_text_created(self, _text: Any) -> None:
            show.block("answer")

        def on_text_delta(self, delta: Any, _snapshot: Any) -> None:
            show.answer(delta.value or "")

    with client.beta.threads.runs.stream(
        thread_id=thread_id, assistant_id=assistant_id, event_handler=Shown()
    ) as stream:
        stream.until_done()
        run: Run = stream.get_final_run()
    show.end()
    return run


def _save(client: OpenAI, run: Run, output: Path) -> list[Path]:
    """Download the files the run's messages link; their paths."""
    saved: dict[Path, None] = {}
    for message in client.beta.threads.messages.list(run.thread_id, run_id=run.id, order="asc"):
        for part in message.content:
            for annotation in part.text.annotations if part.type == "text" else ():
                if annotation.type != "file_path":
                    continue
                output.mkdir(parents=True, exist_ok=True)
                path = output / Path(annotation.text.rsplit("/", 1)[-1]).name
                client.files.content(annotation.file_path.file_id).write_to_file(path)
                saved[path] = None
    return list(saved)


class _Printer:
    """Prints a run for people; in colours only on a terminal."""

    _COLOURS = {"code": "36", "output": "2", "answer": "0", "title": "1", "say": "2"}  # noqa: RUF012

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._colourful = stream.isatty() and not os.environ.get("NO_COLOR")
        self._block = ""
        self._at_line_start = True

    def say(self, text: str) -> None:
        """A line about the demo itself."""
        self._write(f"{text}\n", "say")

    def question(self, text: str) -> None:
        """What is asked."""
        self.block("question")
        self._write(f"{text}\n", "answer")

    def block(self, name: str) -> None:
        """A new part begins, with its name above it; an output that goes on is the same part."""
        if name == self._block == "output":
            return
        self.end()
        self._block = name
        self._write(f"\n{f'── {name} ':─<60}\n", "title")

    def code(self, text: str) -> None:
        """More source."""
        self._write(text, "code")

    def output(self, text: str) -> None:
        """More of what the code printed."""
        self._write(text, "output")

    def answer(self, text: str) -> None:
        """More of what the model says."""
        self._write(text, "answer")

    def end(self) -> None:
        """The part is over: its last line is ended."""
        self._block = ""
        if not self._at_line_start:
            self._write("\n", "answer")

    def _write(self, text: str, kind: str) -> None:
        if not text:
            return
        self._at_line_start = text.endswith("\n")
        if self._colourful:
            text = f"\x1b[{self._COLOURS[kind]}m{text}\x1b[0m"
        self._stream.write(text)
        self._stream.flush()
