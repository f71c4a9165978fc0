from __future__ import annotations

import pytest
from tornado.web import HTTPError

from jupyter_ci_ext import errors
from jupyter_ci_ext.api.errors import InvalidURL, Unauthenticated, WrongMethod, error_reply


def walk(cls: type[errors.CodeInterpreterError]) -> set[type[errors.CodeInterpreterError]]:
    return {cls}.union(*(walk(each) for each in cls.__subclasses__()))


@pytest.mark.parametrize(
    ("error", "status", "kind"),
    [
        (errors.InvalidRequest("m", param="p", code="c"), 400, "invalid_request_error"),
        (errors.PayloadTooLarge("m", param="p", code="c"), 413, "invalid_request_error"),
        (errors.NotFound("m", param="p", code="c"), 404, "invalid_request_error"),
        (errors.StoreError("m"), 503, "server_error"),
        (errors.LLMError("connection", "m"), 502, "server_error"),
        (errors.SandboxUnavailable("m"), 503, "server_error"),
        (errors.SessionLost("m"), 400, "invalid_request_error"),
        (errors.CodeInterpreterError("m"), 500, "server_error"),
        (HTTPError(404, "m"), 404, "invalid_request_error"),
        (HTTPError(403, "%s", "m"), 403, "invalid_request_error"),
    ],
)
def test_every_error_has_its_status(error: Exception, status: int, kind: str) -> None:
    reply = error_reply(error, "req_1")
    assert (reply.status, reply.type, reply.message) == (status, kind, "m")
    assert (reply.param, reply.code) == (
        getattr(error, "param", None),
        getattr(error, "code", None),
    )


def test_a_percent_sign_in_a_message_does_no_harm() -> None:
    assert error_reply(HTTPError(400, "100 % wrong %s"), "req_1").message == "100 % wrong %s"


def test_http_errors_without_a_message_say_what_they_are() -> None:
    assert error_reply(HTTPError(404), "req_1").message == "Not Found"
    assert error_reply(HTTPError(418, reason="Teapot"), "req_1").message == "Teapot"


def test_what_repeating_does_not_cure_is_not_repeated() -> None:
    """The clients repeat 408, 409, 429 and 5xx, unless they are told not to."""
    for cls in walk(errors.CodeInterpreterError):
        error = cls.__new__(cls)
        error.message = "m"
        reply = error_reply(error, "req_1")
        assert reply.status not in (408, 409, 429)
        if reply.status >= 500 and not issubclass(cls, errors.StoreError):
            assert reply.headers["x-should-retry"] == "false"


def test_a_crash_tells_nothing_but_its_number() -> None:
    reply = error_reply(ZeroDivisionError("secret"), "req_7")
    assert (reply.status, reply.type, reply.code) == (500, "server_error", None)
    assert "req_7" in reply.message
    assert "secret" not in reply.message


def test_the_texts_clients_match_on() -> None:
    assert error_reply(InvalidURL("POST", "/v1/xyz"), "").message == "Invalid URL (POST /v1/xyz)"
    wrong = error_reply(WrongMethod("PUT", "/v1/files", ["GET", "POST"]), "")
    assert (wrong.status, wrong.code, wrong.headers["Allow"]) == (
        405,
        "method_not_supported",
        "GET, POST",
    )
    assert error_reply(Unauthenticated("m", "invalid_api_key"), "").code == "invalid_api_key"
