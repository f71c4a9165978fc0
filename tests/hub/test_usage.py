"""Counting tokens of answers, whatever pieces they come in."""

from __future__ import annotations

import json

import pytest

from jupyter_ci_ext.hub.chat import ChatRequest
from jupyter_ci_ext.hub.faults import BadRequest
from jupyter_ci_ext.hub.usage import StreamMeter, Tokens, WholeMeter, characters, estimate
from tests.fakes.answers import payloads, say

BODY = {"stream": True, "stream_options": {"include_usage": True}}
EVENTS = [f"data: {text}\n\n" for text in payloads(say("Größe: 5 m²", usage=(21, 8)), BODY)]
STREAM = "".join(EVENTS).encode()
SHOWN = "".join(event for event in EVENTS if '"usage"' not in event).encode()


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
def test_a_stream_may_be_cut_anywhere(ending: bytes) -> None:
    stream, shown = (text.replace(b"\n", ending) for text in (STREAM, SHOWN))
    for at in range(len(stream)):
        meter = StreamMeter(3, hide_usage=True)
        out = meter.feed(stream[:at]) + meter.feed(stream[at:]) + meter.rest()
        assert out == shown
        assert meter.tokens == Tokens(21, 8, False)


def test_what_was_asked_for_is_not_taken_out() -> None:
    meter = StreamMeter(3, hide_usage=False)
    assert meter.feed(STREAM) + meter.rest() == STREAM
    assert meter.tokens == Tokens(21, 8, False)


def test_whole_events_are_not_held_back() -> None:
    meter = StreamMeter(3, hide_usage=True)
    for event in EVENTS:
        assert meter.feed(event.encode()) == (b"" if '"usage"' in event else event.encode())


@pytest.mark.parametrize(
    "stream",
    [
        b": a comment\n\n",
        b"data: {this is no json\n\n",
        b'data: {"choices": [], "prompt_filter_results": []}\n\n',
        b'data: {"choices": [], "usage": null}\n\n',
        b'data: {"choices": [{"delta": {}}], "usage": {"prompt_tokens": 1}}\n\n',
        b'data: ["a list"]\n\n',
        b'data: {"choices": 7}\n\n',
        b"event: error\ndata: {}\n\n",
        b"data: the end is missing",
        b"data: " + b"x" * (2 << 20) + b"\n\n",
    ],
)
def test_what_is_no_usage_passes_unchanged(stream: bytes) -> None:
    meter = StreamMeter(3, hide_usage=True)
    assert meter.feed(stream) + meter.rest() == stream
    assert meter.tokens.prompt == 3
    assert meter.tokens.estimated


def test_a_usage_at_the_very_end_is_taken_out_without_its_blank_line() -> None:
    meter = StreamMeter(3, hide_usage=True)
    last = b'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 6}}'
    assert meter.feed(last) + meter.rest() == b""
    assert meter.tokens == Tokens(5, 6, False)


@pytest.mark.parametrize("told", [{}, {"prompt_tokens": -5, "completion_tokens": 1}, "many", None])
def test_a_usage_that_makes_no_sense_is_estimated(told: object) -> None:
    meter = WholeMeter(3)
    meter.read(
        json.dumps({"choices": [{"message": {"content": "x" * 40}}], "usage": told}).encode()
    )
    assert meter.tokens == Tokens(3, 10, True)


def test_an_answer_that_is_no_json_counts_by_its_length() -> None:
    meter = WholeMeter(3)
    meter.read(b"x" * 40)
    assert meter.tokens == Tokens(3, 10, True)


def test_pictures_count_no_characters() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 9000}}
    assert characters([picture, {"type": "text", "text": "abc"}]) == len(
        "image_url" + "text" + "abc"
    )
    assert (estimate(0), estimate(1), estimate(9)) == (1, 1, 3)


def test_a_request_is_left_as_it_is_but_for_asking_for_the_usage() -> None:
    plain = b'{"model":"m",   "messages":[]}'
    assert ChatRequest.read(plain, ask_usage=True).body == plain
    stream = b'{"model":"m","messages":[],"stream":true,"stream_options":{"x":1}}'
    read = ChatRequest.read(stream, ask_usage=True)
    assert json.loads(read.body)["stream_options"] == {"x": 1, "include_usage": True}
    assert (read.stream, read.hide_usage) == (True, True)
    unasked = ChatRequest.read(stream, ask_usage=False)
    assert (unasked.body, unasked.hide_usage) == (stream, False)
    with pytest.raises(BadRequest, match="model"):
        ChatRequest.read(b"{}", ask_usage=True)
