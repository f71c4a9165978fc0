"""Code in kernels behind real gateways, through the whole API."""

from __future__ import annotations

import hashlib
import io
import os

import psutil
import pytest

from tests.conformance.server import TOKEN as SERVER_TOKEN
from tests.gateway.gateways import TOKEN as GATEWAY_TOKEN
from tests.gateway.talk import House

MIB = 1 << 20


def test_files_go_both_ways_whole(house: House) -> None:
    content = os.urandom(32 * MIB)
    file = house.client.files.create(file=("big.bin", io.BytesIO(content)), purpose="assistants")
    talk = house.thread()
    ran = talk.run(
        "import hashlib, os\n"
        "data = open('/mnt/data/big.bin', 'rb').read()\n"
        f"print(data == open('/mnt/data/{file.id}', 'rb').read())\n"
        "print(hashlib.sha256(data).hexdigest(), os.getcwd())\n"
        "os.makedirs('/mnt/data/inner')\n"
        "open('/mnt/data/inner/back.bin', 'wb').write(data[::-1])\n"
        "open('/mnt/data/empty.txt', 'w').close()",
        file.id,
    )
    assert ran.status == "completed"
    assert f"True\n{hashlib.sha256(content).hexdigest()} /mnt/data\n" in ran.logs
    back = house.client.files.content(ran.files["back.bin"]).read()
    assert hashlib.sha256(back).digest() == hashlib.sha256(content[::-1]).digest()
    assert house.client.files.content(ran.files["empty.txt"]).read() == b""
    # Nothing is collected twice, and what code deletes is gone.
    again = talk.run("import os; os.remove('/mnt/data/inner/back.bin'); print(os.listdir())")
    assert again.files == ran.files
    listed = house.client.containers.files.list(talk.session["container_id"])
    assert {each.path for each in listed} == {"/mnt/data/big.bin", "/mnt/data/empty.txt"}


def test_no_secret_reaches_the_kernel_and_its_isolation_is_told(house: House) -> None:
    talk = house.thread()
    ran = talk.run("import os; print(dict(os.environ))")
    assert "not-a-secret" in ran.logs  # so what is looked for here would be passed on
    for secret in ("sk-of-the-upstream", "secret-of-the-server", SERVER_TOKEN, GATEWAY_TOKEN):
        assert secret not in ran.logs
    isolation = talk.session["isolation"]
    assert isolation["layers"][0] == "declared: a test machine"
    assert "measured: clean environment" in isolation["layers"]
    assert any("the code can connect to 127.0.0.1:" in note for note in isolation["notes"])
    status = house.extra("GET", "/status?probe=true")["isolation"]
    assert (status["name"], status["sufficient"]) == ("remote", True)


def test_a_cancelled_run_stops_its_code_and_keeps_variables(house: House) -> None:
    talk = house.thread()
    stop = lambda run_id: house.client.beta.threads.runs.cancel(run_id, thread_id=talk.id)  # noqa: E731
    source = "import time\nkept = 41\nprint('begun', flush=True)\nwhile True: time.sleep(0.1)"
    ran = talk.run(source, when="begun", then=stop)
    assert ran.status == "cancelled"
    assert "longer than the limit" not in ran.logs
    assert "42" in talk.run("print(kept + 1)").logs


def test_a_kernel_that_dies_is_replaced_and_files_are_kept(house: House) -> None:
    talk = house.thread()
    talk.run("open('/mnt/data/kept.txt', 'w').write('still here'); x = 1")
    ran = talk.run("import os; open('/mnt/data/late.txt', 'w').write('x'); os._exit(3)")
    assert ran.status == "completed"
    assert "Variables and files that this code wrote are lost" in ran.logs
    after = talk.run("import os; print(open('/mnt/data/kept.txt').read(), 'x' in globals())")
    assert "still here False" in after.logs
    assert "late.txt" not in after.files


def test_a_socket_that_breaks_is_replaced_and_nothing_is_missed(house: House) -> None:
    talk = house.thread()
    source = (
        "import time\n"
        "print('begun', flush=True)\n"
        "for n in range(30):\n"
        "    print(f'<{n}>', flush=True)\n"
        "    time.sleep(0.1)\n"
        "open('/mnt/data/end.txt', 'w').write('done')"
    )
    broken: list[int] = []
    ran = talk.run(source, when="<3>", then=lambda _: broken.append(house.cutter.cut()))
    assert broken[0] > 0
    assert ran.status == "completed"
    assert [f"<{n}>" for n in range(30)] == [word for word in ran.logs.split() if word[0] == "<"]
    assert "end.txt" in ran.files
    assert talk.session["state"] == "idle"


# The other gateway drops most of it by itself.
@pytest.mark.parametrize("house", ["enterprise"], indirect=True)
def test_a_flood_is_stopped_and_costs_the_server_no_memory(house: House) -> None:
    server = psutil.Process(house.server.pid)
    talk = house.thread()
    talk.run("print('warm')")
    before = server.memory_info().rss
    ran = talk.run("import sys\nwhile True: sys.stdout.write('flood ' * 10_000)")
    assert ran.status == "completed"
    assert "longer than the limit of 10 seconds" in ran.logs
    assert len(ran.logs) < 2 * MIB
    assert server.memory_info().rss - before < 300 * MIB
    assert "fine" in talk.run("print('fine')").logs
