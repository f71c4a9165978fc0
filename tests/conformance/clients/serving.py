"""The loop of a client process: one scenario per line of stdin, one JSON result per line."""

from __future__ import annotations

import json
import os
import sys
import traceback


def serve(scenarios):
    """Run what is asked for until stdin ends. Prints of libraries go to stderr."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = {"result": scenarios[asked["scenario"]](**asked["arguments"])}
        except Exception:
            answer = {"error": traceback.format_exc()}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def plain(value):
    """A client's object, or a page or list of them, as JSON values."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", exclude_unset=True, by_alias=True)
    if hasattr(value, "as_dict"):
        return value.as_dict()
    return value


def refused(call, *args, **kwargs):
    """What a call that must fail raised: class, HTTP status and the error's fields."""
    try:
        call(*args, **kwargs)
    except Exception as error:
        body = getattr(error, "body", None)
        fields = body if isinstance(body, dict) else {}
        return {
            "type": type(error).__name__,
            "status": getattr(error, "status_code", None),
            "message": fields.get("message", str(error)),
            "code": fields.get("code"),
            "param": fields.get("param"),
        }
    raise AssertionError("the call was not refused")
