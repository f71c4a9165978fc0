"""Any model behind an OpenAI-compatible server, or Azure OpenAI: streaming chat completions."""

from __future__ import annotations

import json
import random
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import anyio

from jupyter_ci_ext.errors import LLMError
from jupyter_ci_ext.llm.base import LLM, Delta, Turn
from jupyter_ci_ext.llm.endpoint import Endpoint
from jupyter_ci_ext.llm.openai_prompt import Wording, refused_parameter, request
from jupyter_ci_ext.llm.sse import DataReader
from jupyter_ci_ext.metrics import MODEL_ERRORS

if TYPE_CHECKING:
    from openai import AsyncStream

CodeProtocol = Literal["tools", "fence", "auto"]

FIRST_BACKOFF = 0.5
"""Seconds before the first repetition where the server does not say; doubled each time."""

_DRAIN_SECONDS = 1.0
"""How long the end of a connection's answer is waited for behind the end of its stream."""


class OpenAIChat(LLM):
    """One model of one server.

    What the server refuses (a parameter, pictures, tools) is left out and asked again without; it
    is remembered, so the next turn does not try it again. So is the window's size, once a refusal
    told it.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        code_protocol: CodeProtocol = "auto",
        vision: bool = False,
        context_tokens: int | None = None,
    ) -> None:
        self.vision = vision
        self.context_tokens = context_tokens
        self._endpoint = endpoint
        self._may_fence = code_protocol != "tools"
        self._wording = Wording(
            fenced=code_protocol == "fence",
            vision=vision,
            newest=endpoint.settings.is_openai,
        )

    @property
    def code_protocol(self) -> Literal["tools", "fence"]:
        """How the model is asked for code now."""
        return "fence" if self._wording.fenced else "tools"

    async def stream(self, turn: Turn) -> AsyncGenerator[Delta, None]:
        """See `LLM.stream`."""
        failures = 0
        while True:
            began = False
            try:
                async with aclosing(self._ask(turn)) as deltas:
                    async for delta in deltas:
                        began = True
                        yield delta
                return
            except LLMError as error:
                wait = self._wait_before_retry(error, failures)
                if began or wait is None:
                    raise
                failures += 1
            await anyio.sleep(wait)

    async def _ask(self, turn: Turn) -> AsyncGenerator[Delta, None]:
        """One request, its errors translated."""
        from jupyter_ci_ext.llm.chunks import ChunkReader, merged
        from jupyter_ci_ext.llm.openai_errors import translate, window_of

        stream: AsyncStream[object] | None = None
        reader: ChunkReader | None = None
        try:
            stream, wording = await self._open(turn)
            reader = ChunkReader(turn, fenced=wording.fenced)
            async with aclosing(_chunks(stream)) as reads:
                async for chunks, failure in reads:
                    for delta in merged([delta for each in chunks for delta in reader.feed(each)]):
                        yield delta
                    if failure is not None:
                        raise failure
                    if reader.over:
                        break
        except LLMError as error:
            MODEL_ERRORS.labels(error.kind).inc()
            raise
        except Exception as error:  # translated, or unknown to the client library itself
            if reader is None or not reader.finished:  # else only the usage is missing
                self.context_tokens = window_of(error) or self.context_tokens
                began = reader is not None
                failure = translate(error, self._endpoint.settings, turn.model, began=began)
                MODEL_ERRORS.labels(failure.kind).inc()
                raise failure from error
        finally:
            if stream is not None:
                await _hang_up(stream)
        for delta in reader.close():
            yield delta

    async def _open(self, turn: Turn) -> tuple[AsyncStream[object], Wording]:
        """The opened stream, after leaving out what the server refuses."""
        import openai

        from jupyter_ci_ext.llm.openai_errors import is_too_long, said

        client = await self._endpoint.client()
        while True:
            wording = self._wording
            sent = request(turn, wording)
            try:
                # `chat.completions.create`, but for the chunks, which are read here: to have the
                # library's objects made of them takes longer than all else done to a token.
                stream = await client.post(
                    "/chat/completions",
                    body=sent,
                    cast_to=object,
                    stream=True,
                    stream_cls=openai.AsyncStream[object],
                )
                return stream, wording
            except openai.APIStatusError as error:
                status = error.status_code
                if status not in (400, 404, 422, 500, 501) or is_too_long(error):
                    raise
                words = f"{said(error)} {error.code or ''}"
                dropped = refused_parameter(words, error.param, sent, status)
                if dropped is None or not self._drop(dropped):
                    raise

    def _drop(self, parameter: str) -> bool:
        """Do without *parameter* from now on; False when that was so already, or cannot be."""
        wording = self._wording
        if parameter == "tools" and self._may_fence:
            self._wording = replace(wording, fenced=True)
            return not wording.fenced
        if parameter in ("tools", "model", "messages", "stream"):
            return False
        if not wording.takes(parameter):
            return False
        self._wording = replace(wording, refused=wording.refused | {parameter})
        return True

    def _wait_before_retry(self, error: LLMError, failures: int) -> float | None:
        """Seconds to wait before asking again; None: do not."""
        from jupyter_ci_ext.llm.openai_errors import is_retryable

        patience = self._endpoint.patience
        if failures >= patience.retries or not is_retryable(error):
            return None
        if error.retry_after is not None:
            return error.retry_after if error.retry_after <= patience.max_retry_wait else None
        backoff = FIRST_BACKOFF * 2.0**failures
        return min(backoff * random.uniform(0.8, 1.2), patience.max_retry_wait)  # noqa: S311


async def _chunks(
    stream: AsyncStream[object],
) -> AsyncGenerator[tuple[list[Any], Exception | None], None]:
    """The chunks that come together, as their JSON is, and what is wrong with the one behind them."""
    data = DataReader()
    async with aclosing(stream.response.aiter_bytes()) as pieces:
        async for piece in pieces:
            chunks, failure, ended = _parsed(data.feed(piece), stream)
            yield chunks, failure
            if ended:
                # The connection can be used again if nothing more comes, which is usually so.
                with anyio.move_on_after(_DRAIN_SECONDS):
                    async for _ in pieces:
                        pass
                return
    chunks, failure, _ = _parsed(data.close(), stream)
    yield chunks, failure


def _parsed(
    events: Iterable[bytes], stream: AsyncStream[object]
) -> tuple[list[Any], Exception | None, bool]:
    """The chunks of *events* up to the first that is none, what is wrong with it, and whether it is the end."""
    import openai

    chunks: list[Any] = []
    for event in events:
        if event.startswith(b"[DONE]"):
            return chunks, None, True
        try:
            chunk = json.loads(event)
        except ValueError as failure:
            return chunks, failure, True
        error = chunk.get("error") if isinstance(chunk, dict) else None
        if error:
            words = error.get("message") if isinstance(error, dict) else None
            text = words if isinstance(words, str) and words else "An error occurred in the stream."
            return chunks, openai.APIError(text, stream.response.request, body=error), True
        chunks.append(chunk)
    return chunks, None, False


async def _hang_up(stream: AsyncStream[object]) -> None:
    """Close the connection, also while being cancelled."""
    with anyio.move_on_after(1, shield=True), suppress(Exception):
        await stream.close()
