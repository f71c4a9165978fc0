"""What the server's log says at DEBUG of a run: its ids, and not one word of anybody's."""

from __future__ import annotations

import ast
import json
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import jupyter_ci_ext
from jupyter_ci_ext.quiet import kind, trace
from tests.conformance.server import TOKEN, Api, LiveServer

PACKAGE = Path(jupyter_ci_ext.__file__).parent
SECRETS = {
    "question": "canaryquestion",
    "code": "canarycode",
    "error": "canaryerror",
    "file": "canaryfile",
    "content": "canarycontent",
    "made": "canarymade",
    "title": "canarytitle",
    "search": "canarysearch",
    "id": "canaryid",
    "key": "sk-of-the-upstream",
    "token": TOKEN,
}

CODE = f"""{SECRETS["question"]}
```python
canary = "{SECRETS["code"]}"
open("/mnt/data/{SECRETS["made"]}.txt", "w").write(canary)
raise KeyError("{SECRETS["error"]}")
```
"""


@pytest.mark.skipif(sys.platform != "linux", reason="code runs on Linux only")
def test_no_word_of_a_run_is_in_the_log(tmp_path: Path) -> None:
    nobody = "http://127.0.0.1:9/v1"
    options = ("--debug", "--SessionPool.warm_spares=0", "--SessionPool.preload=[]")
    with LiveServer(tmp_path, nobody, *options) as server:
        api = Api(server.openai)
        run = answered(api)
        refused(api, run)
        assert api("DELETE", f"/threads/{run['thread_id']}")["deleted"]
    log = server.log.read_text()
    assert "[D " in log  # it is at DEBUG, or this proves nothing
    assert f"Run {run['id']} of {run['thread_id']}: created" in log
    assert f"Run {run['id']} of {run['thread_id']}: completed after" in log
    assert f"of {run['thread_id']}: started, isolation level" in log
    assert "(deleted)" in log
    # Jupyter itself prints all settings at DEBUG, the token that it was started with among them
    lines = [line for line in log.splitlines() if "Config changed:" not in line]
    assert [line for line in lines if any(secret in line for secret in SECRETS.values())] == []


def answered(api: Api) -> dict[str, Any]:
    """A run over, whose code has failed and left a file; its question had one."""
    file = upload(api)
    tools = [{"type": "code_interpreter"}]
    assistant = api("POST", "/assistants", {"model": "demo", "tools": tools})
    attached = [{"file_id": file["id"], "tools": tools}]
    question = {"role": "user", "content": CODE, "attachments": attached}
    thread = {"messages": [question], "metadata": {"title": SECRETS["title"]}}
    run = api("POST", "/threads/runs", {"assistant_id": assistant["id"], "thread": thread})
    until = time.monotonic() + 90
    while run["status"] in ("queued", "in_progress"):
        assert time.monotonic() < until, run
        time.sleep(0.1)
        run = api("GET", f"/threads/{run['thread_id']}/runs/{run['id']}")
    assert run["status"] == "completed", run
    steps = json.dumps(api("GET", f"/threads/{run['thread_id']}/runs/{run['id']}/steps"))
    assert SECRETS["error"] in steps  # the code was run, and failed
    names = [each["filename"] for each in api("GET", "/files")["data"]]
    assert f"{SECRETS['made']}.txt" in names
    return dict(run)


def upload(api: Api) -> Any:
    form = (
        "--X\r\nContent-Disposition: form-data; name=purpose\r\n\r\nassistants\r\n"
        f'--X\r\nContent-Disposition: form-data; name="file"; filename="{SECRETS["file"]}.csv"'
        f"\r\n\r\na,b\n1,{SECRETS['content']}\n\r\n--X--\r\n"
    )
    with api.open("POST", "/files", raw=form, Content_Type="multipart/form-data; boundary=X") as r:
        return json.load(r)


def refused(api: Api, run: dict[str, Any]) -> None:
    """Requests that are refused with words of theirs in the answer, and one that searches."""
    thread = f"/threads/{run['thread_id']}"
    wrong = {"role": "user", "content": [{"type": SECRETS["content"]}]}
    assert api.ask("POST", f"{thread}/messages", wrong)[0] == 400
    body = {"assistant_id": SECRETS["id"]}
    status, answer = api.ask("POST", f"{thread}/runs", body)
    assert status in (400, 404)
    assert SECRETS["id"] in answer["error"]["message"]
    assert api.ask("POST", "/assistants", {"model": SECRETS["id"]})[0] in (400, 404, 200)
    assert api.ask("GET", f"/threads?search={SECRETS['search']}")[0] == 200
    stranger = Api(api.base, {"Authorization": f"Bearer {SECRETS['key']}"})
    assert stranger.ask("GET", "/models")[0] == 401


def test_errors_are_logged_without_their_words() -> None:
    """A traceback of ``exc_info`` ends with the words of the error; `quiet.trace` leaves them out."""
    wrong = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for path in PACKAGE.rglob("*.py")
        if "labextension" not in path.parts
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and _tells_all(node)
    ]
    # at start and stop, and of kernels that are nobody's yet: nothing of a user is there
    assert {place.partition(":")[0] for place in wrong} <= {"app.py", "kernels/spares.py"}


def _tells_all(call: ast.Call) -> bool:
    name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    told = any(keyword.arg == "exc_info" for keyword in call.keywords)
    return told or name in ("print_exc", "format_exc") or (name == "exception" and bool(call.args))


def test_a_trace_says_where_and_of_what_kind() -> None:
    try:
        try:
            raise KeyError("canary")
        except KeyError as error:
            raise FileNotFoundError(2, "No such file or directory", "canary") from error
    except FileNotFoundError as caught:
        text, what = trace(caught), kind(caught)
    assert what == "FileNotFoundError: No such file or directory"
    assert "test_a_trace_says_where" in text
    assert text.endswith("KeyError")
    assert 'canary")' not in text.splitlines()[-1]
