"""Users' servers behind a real Hub: who gets in, what passes the proxy, what a stop leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone
from typing import Any

import openai
import pytest
import requests

from tests.conformance.server import Api
from tests.fakes.answers import code, say, stall
from tests.fakes.upstream import ScriptedUpstream
from tests.hub.jupyterhub import KEY, PASSWORD, Hub, as_json, until

Server = Callable[..., Api]


def start_run(api: Api, question: str = "How much is 6 times 7?") -> dict[str, Any]:
    """A run on a new thread, without waiting for it."""
    assistant = api(
        "POST", "/assistants", {"model": "gpt-4o-mini", "tools": [{"type": "code_interpreter"}]}
    )
    run: dict[str, Any] = api(
        "POST",
        "/threads/runs",
        {
            "assistant_id": assistant["id"],
            "thread": {"messages": [{"role": "user", "content": question}]},
        },
    )
    return run


def wait_for_run(api: Api, run: dict[str, Any], *statuses: str) -> dict[str, Any]:
    """The run when its status is one of *statuses*."""
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"

    def look() -> dict[str, Any] | None:
        found: dict[str, Any] = api("GET", path)
        return found if found.get("status") in statuses else None

    found = until(look, f"a run that is {' or '.join(statuses)}", lambda: str(api("GET", path)))
    assert found is not None
    return found


def answer_of(api: Api, run: dict[str, Any]) -> str:
    """The text of the newest message."""
    rows = api("GET", f"/threads/{run['thread_id']}/messages")["data"]
    return str(rows[0]["content"][0]["text"]["value"])


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_the_official_client_works_with_a_token_for_that_server_alone(
    hub: Hub, model: ScriptedUpstream
) -> None:
    model.enqueue(code("print(6 * 7)"), say("It is **42**."))
    base_url = hub.start("alice") + "/openai/v1"
    with openai.OpenAI(base_url=base_url, api_key=hub.key("alice"), max_retries=0) as client:
        assistant = client.beta.assistants.create(
            model="gpt-4o-mini", tools=[{"type": "code_interpreter"}]
        )
        thread = client.beta.threads.create(messages=[{"role": "user", "content": "6 * 7?"}])
        with client.beta.threads.runs.stream(
            thread_id=thread.id, assistant_id=assistant.id
        ) as stream:
            stream.until_done()
            run = stream.get_final_run()
            [message] = stream.get_final_messages()
        steps = client.beta.threads.runs.steps.list(run.id, thread_id=thread.id).data
    assert run.status == "completed", run.last_error
    assert message.content[0].text.value == "It is **42**."  # type: ignore[union-attr]
    assert "42" in steps[-1].step_details.model_dump_json()
    # the model was asked by the service, with the site's key and nothing of the user's
    for request in model.chats:
        assert request.headers["authorization"] == f"Bearer {KEY}"
        assert hub.key("alice") not in str(request.headers)
        assert "cookie" not in request.headers
        assert request.body["model"] == "gpt-4o-mini"


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_the_azure_client_works_with_its_own_header(hub: Hub, model: ScriptedUpstream) -> None:
    model.enqueue(say("Good day."))
    with openai.AzureOpenAI(
        azure_endpoint=hub.start("alice"),
        api_key=hub.key("alice"),
        api_version="2024-05-01-preview",
        max_retries=0,
    ) as client:
        assistant = client.beta.assistants.create(model="gpt-4o-mini")
        thread = client.beta.threads.create(messages=[{"role": "user", "content": "Hello"}])
        run = client.beta.threads.runs.create_and_poll(
            thread_id=thread.id, assistant_id=assistant.id
        )
        assert run.status == "completed", run.last_error
        assert client.beta.threads.messages.list(thread.id).data


def test_nobody_reaches_what_is_another_users(
    hub: Hub, server: Server, model: ScriptedUpstream
) -> None:
    model.enqueue(code("open('mine.txt', 'w').write('private')"), say("Done."))
    alice, bob = server("alice"), server("bob")
    run = start_run(alice)
    wait_for_run(alice, run, "completed")
    [file] = alice("GET", "/files")["data"]
    thread = run["thread_id"]
    kernels = requests.get(
        f"{hub.url}/user/alice/api/kernels",
        headers={"Authorization": f"token {hub.key('alice')}"},
        timeout=60,
    ).json()
    assert kernels

    # bob's own server knows nothing of it
    paths = [f"/threads/{thread}", f"/threads/{thread}/messages", f"/files/{file['id']}"]
    paths += [f"/files/{file['id']}/content", f"/containers?name={thread}"]
    for path in paths[:-1]:
        assert bob.ask("GET", path)[0] == 404, path
    assert bob("GET", paths[-1])["data"] == []

    # and none of bob's tokens is good for alice's, whichever way it is sent
    for token in (hub.key("bob"), hub.token("bob")):
        for headers in (
            {"Authorization": f"Bearer {token}"},
            {"Authorization": f"token {token}"},
            {"api-key": token},
        ):
            for verb in ("GET", "DELETE"):
                for path in [*(f"openai/v1{p}" for p in paths), f"api/kernels/{kernels[0]['id']}"]:
                    url = f"{hub.url}/user/alice/{path}"
                    with requests.request(verb, url, headers=headers, timeout=60) as reply:
                        assert reply.status_code in (401, 403), (verb, path, reply.status_code)
                        assert "private" not in reply.text
    assert alice("GET", f"/threads/{thread}")["id"] == thread
    assert not requests.get(
        f"{hub.url}/user/bob/api/kernels/{kernels[0]['id']}",
        headers={"Authorization": f"token {hub.key('bob')}"},
        timeout=60,
    ).ok


def test_a_stream_passes_as_it_is_written(server: Server, model: ScriptedUpstream) -> None:
    """The model falls silent in the middle: whatever were held back would never come."""
    model.enqueue(stall(3, "One moment please", chunk=4))
    alice = server("alice")
    assistant = alice("POST", "/assistants", {"model": "gpt-4o-mini"})
    body = {
        "assistant_id": assistant["id"],
        "thread": {"messages": [{"role": "user", "content": "?"}]},
        "stream": True,
    }
    seen, run = "", {}
    with alice.open("POST", "/threads/runs", body) as stream:
        for line in stream:
            text = line.decode()
            if '"object":"thread.run"' in text.replace(" ", ""):
                run = json.loads(text.removeprefix("data:"))
            if '"thread.message.delta"' in text:
                seen += re.search(r'"value":\s*"([^"]*)"', text)[1]  # type: ignore[index]
            if seen == "One mome":
                break
    path = f"/threads/{run['thread_id']}/runs/{run['id']}"
    alice("POST", path + "/cancel", {})
    wait_for_run(alice, run, "cancelled")
    # and so does the end of it: the model server is let go
    assert model.wait_for(lambda m: m.left_early == 1, 60)


@pytest.mark.parametrize(
    ("key", "status", "code_"),
    [("no-token-of-this-hub", 401, "invalid_api_key"), (None, 413, None)],
    ids=["stranger", "too large"],
)
def test_a_refused_upload_is_told_through_the_proxy(
    hub: Hub, server: Server, key: str | None, status: int, code_: str | None
) -> None:
    server("alice")
    headers = {"Authorization": f"Bearer {key or hub.key('alice')}"}
    for _ in range(4):  # answered early, about half of such tries end as the proxy's own 503
        with requests.post(
            f"{hub.url}/user/alice/openai/v1/files",
            headers=headers,
            data={"purpose": "assistants"},
            files={"file": ("big.bin", bytes(12_000_000))},
            timeout=60,
        ) as reply:
            assert reply.status_code == status
            error = as_json(reply)["error"]
            assert (error["type"], error["code"]) == ("invalid_request_error", code_)


def test_a_browser_gets_in_by_cookie_and_needs_the_xsrf_token(hub: Hub, server: Server) -> None:
    server("alice")
    with requests.Session() as browser:
        url = f"{hub.url}/hub/login?next={hub.base}/user/alice/lab"
        page = browser.get(url, timeout=60)
        [form] = set(re.findall(r'name="_xsrf" value="([^"]+)"', page.text))
        reply = browser.post(
            url, data={"username": "alice", "password": PASSWORD, "_xsrf": form}, timeout=60
        )
        assert (reply.status_code, reply.url) == (200, f"{hub.url}/user/alice/lab")
        path = f"{hub.base}/user/alice/"
        [xsrf] = [c.value for c in browser.cookies if (c.name, c.path) == ("_xsrf", path)]
        api = f"{hub.url}/user/alice/openai/v1"
        script = {"Sec-Fetch-Mode": "cors", "Sec-Fetch-Site": "same-origin"}
        with_token = script | {"X-XSRFToken": str(xsrf)}

        assert browser.get(f"{api}/models", headers=script, timeout=60).status_code in (401, 403)
        assert browser.post(f"{api}/threads", json={}, headers=script, timeout=60).status_code in (
            401,
            403,
        )
        assert browser.get(f"{api}/models", headers=with_token, timeout=60).ok
        made = browser.post(f"{api}/threads", json={}, headers=with_token, timeout=60)
        assert made.ok, made.text
        settings = browser.get(
            f"{hub.url}/user/alice/code-interpreter/status", headers=with_token, timeout=60
        )
        assert settings.ok, settings.text


def test_a_run_keeps_its_server_busy_and_a_finished_one_does_not(
    hub: Hub, server: Server, model: ScriptedUpstream
) -> None:
    """As the Hub's culler sees it: by the last activity, of which servers tell the Hub."""

    def last() -> datetime:
        told = str(hub.state("bob")["last_activity"])
        return datetime.fromisoformat(told.replace("Z", "+00:00"))

    model.enqueue(stall())
    bob = server("bob")
    run = start_run(bob)
    assert model.wait_for(lambda m: len(m.chats) == 1, 60)
    # nobody asks bob's server anything from here on: what is new can only come from the run
    silent_since = datetime.now(timezone.utc)
    until(lambda: last() > silent_since + timedelta(seconds=3), "activity of a silent run")
    bob("POST", f"/threads/{run['thread_id']}/runs/{run['id']}/cancel", {})
    wait_for_run(bob, run, "cancelled")

    def settled() -> bool:
        before = last()
        time.sleep(4)  # longer than from one report to the next, and on to the Hub
        return last() == before

    until(settled, "the end of activity")


def test_what_a_run_had_done_survives_its_server(
    hub: Hub, server: Server, model: ScriptedUpstream
) -> None:
    """Stopped by the Hub with a second's grace, or killed outright; named servers are apart."""
    model.otherwise = lambda request: (
        stall(1, "Now I think about it")
        if request.messages[-1]["role"] == "tool"
        else code("open('kept.txt', 'w').write('42')")
    )
    places = (("alice", "second"), ("bob", ""))
    with ThreadPoolExecutor() as pool:
        apis = list(pool.map(lambda place: server(*place), places))
        runs = list(pool.map(start_run, apis))
        assert model.wait_for(
            lambda m: sum(r.messages[-1]["role"] == "tool" for r in m.chats) >= 2, 120
        )
        killed = hub.pid("bob")
        os.kill(killed, signal.SIGKILL)
        hub.stop("alice", "second")
        until(lambda: not hub.state("bob"), "the Hub's notice of bob's end")
        apis = list(pool.map(lambda place: server(*place), places))
    for api, run in zip(apis, runs, strict=True):
        ended = api("GET", f"/threads/{run['thread_id']}/runs/{run['id']}")
        assert ended["status"] in ("failed", "expired"), ended
        assert ended["last_error"]["message"]
        [file] = api("GET", "/files")["data"]
        with api.open("GET", f"/files/{file['id']}/content") as content:
            assert content.read() == b"42"
    # the thread goes on
    model.otherwise = say("Still here.")
    api, run = apis[0], runs[0]
    again = api("POST", f"/threads/{run['thread_id']}/runs", {"assistant_id": run["assistant_id"]})
    wait_for_run(api, again, "completed")
    assert answer_of(api, again) == "Still here."
    data = hub.home("alice") / ".local/share/jupyter/code-interpreter"
    assert (data / "second/state.db").is_file()
    assert (data / "second").stat().st_mode & 0o777 == 0o700
    assert server("alice").ask("GET", f"/threads/{run['thread_id']}")[0] == 404


def test_the_sites_key_is_nowhere_a_user_can_look(hub: Hub, server: Server) -> None:
    server("alice")
    environment = hub.variables(hub.pid("alice"))
    assert KEY not in str(environment)
    assert "OPENAI_API_KEY" not in environment
    assert KEY not in hub.log.read_text(errors="replace")
    kept = (path for path in hub.home("alice").rglob("*") if path.is_file())
    assert not [path for path in kept if KEY.encode() in path.read_bytes()]


def test_the_sites_limits_hold_for_every_server(hub: Hub, server: Server) -> None:
    server("bob")
    reply = requests.get(
        f"{hub.url}/user/bob/code-interpreter/status",
        headers={"Authorization": f"token {hub.key('bob')}"},
        timeout=60,
    )
    limits = as_json(reply)["limits"]
    wishes = (hub.home("bob") / ".jupyter/jupyter_ci_ext_config.py").read_text()
    assert "c.Sandbox.memory = 64 * 2**30" in wishes
    assert limits["memory_bytes"] == 2 * 2**30  # the site's
    assert limits["execution_seconds"] == 30  # the user's own, which is less


def ask(hub: Hub, token: str, **body: Any) -> requests.Response:
    """A chat completion of the service behind the proxy."""
    messages = [{"role": "user", "content": "Hello"}]
    return requests.post(
        f"{hub.service}/chat/completions",
        json={"model": "gpt-4o-mini", "messages": messages} | body,
        headers={"Authorization": f"Bearer {token}"},
        timeout=60,
    )


def test_the_service_takes_tokens_of_users_who_may_use_it(
    hub: Hub, model: ScriptedUpstream
) -> None:
    for user in ("dave", "bob"):
        hub.api("POST", f"/users/{user}", ok=False)
    assert ask(hub, "nobody's").status_code == 401
    assert ask(hub, hub.token("dave", "read:users:name!user")).status_code == 403
    assert ask(hub, hub.token("dave")).ok
    scope = "access:services!service=code-interpreter-models"
    assert ask(hub, hub.token("dave", scope)).ok
    # the models of a group are for its members
    assert ask(hub, hub.token("dave"), model="o3-mini").status_code == 403
    assert ask(hub, hub.token("bob"), model="o3-mini").ok
    assert ask(hub, hub.token("bob"), model="hidden-model").status_code == 404


def test_a_used_up_quota_is_told_with_the_time_to_wait(hub: Hub, model: ScriptedUpstream) -> None:
    hub.api("POST", "/users/carol", ok=False)
    model.enqueue(say("Long.", usage=(600_000, 1)))
    assert ask(hub, hub.token("carol")).ok
    refused = ask(hub, hub.token("carol"))
    assert refused.status_code == 429
    assert int(refused.headers["Retry-After"]) > 0
    assert "500000 tokens" in as_json(refused)["error"]["message"]
    assert len(model.chats) == 1


def test_the_services_counts_are_for_those_who_may_read_metrics(hub: Hub) -> None:
    url = f"{hub.service.removesuffix('/v1')}/metrics"
    hub.api("POST", "/users/dave", ok=False)
    for token, status in ((hub.token("dave"), 403), (hub.admin, 200)):
        reply = requests.get(url, headers={"Authorization": f"token {token}"}, timeout=60)
        assert reply.status_code == status
        assert ("code_interpreter_hub_requests_total" in reply.text) == (status == 200)
    assert requests.get(url, timeout=60).status_code == 401
