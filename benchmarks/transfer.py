"""500 MB up and down, against plain tornado that streams to disk; and the server's memory."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from .measure import Measure, Result, Target, at_least, interleaved
from .server import Client, jupyter

MB = 10**6
SIZE = 500 * MB
ROUNDS = 3
BOUNDARY = "----of-the-benchmarks"
HEAD = (
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nassistants\r\n'
    f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="big.bin"\r\n'
    "Content-Type: application/octet-stream\r\n\r\n"
).encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()
HEADERS = {
    "Content_Type": f"multipart/form-data; boundary={BOUNDARY}",
    "Content_Length": str(len(HEAD) + SIZE + len(TAIL)),
}


def measure() -> Iterator[Result]:
    """Throughput of each direction, then what it took of memory."""
    against = "plain tornado"
    with jupyter() as server, _plain() as (url, plain_process):
        ours, plain = server.client(), Client(url)
        ours("GET", "/files")  # brings our rooms up
        growth = {"ours": [0.0], "plain": [0.0]}
        up = interleaved(
            ROUNDS,
            _watched(server.process, growth["ours"], lambda: _upload(ours, "/files")),
            _watched(plain_process, growth["plain"], lambda: _upload(plain, "/")),
        )
        file = ours.open("POST", "/files", _body(), **HEADERS).read()
        path = f"/files/{_id(file)}/content"
        down = interleaved(
            ROUNDS,
            _watched(server.process, growth["ours"], lambda: _download(ours, path)),
            _watched(plain_process, growth["plain"], lambda: _download(plain, "/")),
        )
    note = "ours also parses the form, hashes, syncs to disk"
    yield Result("upload of 500 MB", "MB/s", up[0], up[1], against, at_least(0.7), note)
    yield Result("download of 500 MB", "MB/s", down[0], down[1], against, at_least(0.7))
    yield Result(
        "the server's memory at most above that before, all the while",
        "MB",
        [max(growth["ours"])],
        [max(growth["plain"])],
        against,
        Target("ours", 20),
    )


def _id(answer: bytes) -> str:
    return str(json.loads(answer)["id"])


def _body() -> Iterator[bytes]:
    # No two uploads of the same content: that would be stored once.
    block = time.time_ns().to_bytes(8, "big") * (MB // 8)
    yield HEAD
    for _ in range(SIZE // MB):
        yield block
    yield TAIL


def _upload(client: Client, path: str) -> float:
    if path == "/":
        client("DELETE", "/")  # as ours is below: freeing the space is nobody's upload
    began = time.perf_counter()
    answer = client.open("POST", path, _body(), **HEADERS).read()
    rate = SIZE / MB / (time.perf_counter() - began)
    if path != "/":
        client("DELETE", f"{path}/{_id(answer)}")
    return rate


def _download(client: Client, path: str) -> float:
    began = time.perf_counter()
    response = client.open("GET", path)
    buffer, size = bytearray(MB), 0
    while count := response.readinto(buffer):
        size += count
    if size < SIZE:
        raise RuntimeError(f"{size} bytes came")
    return SIZE / MB / (time.perf_counter() - began)


def _watched(process: psutil.Process, growth: list[float], work: Callable[[], float]) -> Measure:
    """*work*, while the resident memory of *process* is looked at."""

    def measure() -> float:
        before, done = process.memory_info().rss, threading.Event()

        def watch() -> None:
            while not done.wait(0.02):
                growth.append((process.memory_info().rss - before) / MB)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            return work()
        finally:
            done.set()
            watcher.join()

    return measure


@contextmanager
def _plain() -> Iterator[tuple[str, psutil.Process]]:
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        command = [sys.executable, "-m", "benchmarks.transfer", folder]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            yield process.stdout.readline().strip(), psutil.Process(process.pid)
            process.communicate(timeout=30)


def _serve(folder: Path) -> None:
    """The baseline: the body as it comes to a file, the file as it is back."""
    import asyncio
    import os

    from tornado.httpserver import HTTPServer
    from tornado.netutil import bind_sockets
    from tornado.web import Application, RequestHandler, stream_request_body

    place = folder / "body"

    @stream_request_body
    class Plain(RequestHandler):
        def prepare(self) -> None:
            if self.request.method == "POST":
                self.file = place.open("wb")

        def data_received(self, chunk: bytes) -> None:
            self.file.write(chunk)

        def post(self) -> None:
            self.file.flush()
            os.fsync(self.file.fileno())
            self.file.close()
            self.write({})

        def delete(self) -> None:
            place.unlink(missing_ok=True)
            self.write({})

        async def get(self) -> None:
            self.set_header("Content-Length", str(place.stat().st_size))
            with place.open("rb") as file:
                while chunk := file.read(1 << 20):
                    self.write(chunk)
                    await self.flush()

    async def main() -> None:
        sockets = bind_sockets(0, "127.0.0.1")
        server = HTTPServer(Application([("/", Plain)]), max_body_size=2 * SIZE)
        server.add_sockets(sockets)
        print(f"http://127.0.0.1:{sockets[0].getsockname()[1]}", flush=True)
        await asyncio.to_thread(sys.stdin.read)

    asyncio.run(main())


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
