"""Requests per second through the whole mock: one function call, and over HTTP with keep-alive connections.

The peer is the same Flask application under Werkzeug's server: what the mock would be without its lane.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.judging import VALID, rate
from kling_mock.core.model import Request
from kling_mock.loading import load_providers
from kling_mock.server.mock import Mock, Options

CONNECTIONS, SECONDS = 16, 2.0
PEER = (
    "import logging; logging.getLogger('werkzeug').setLevel(50)\n"
    "from kling_mock.server.app import create_app\n"
    "from werkzeug.serving import make_server, WSGIRequestHandler\n"
    "WSGIRequestHandler.protocol_version = 'HTTP/1.1'\n"
    "server = make_server('127.0.0.1', 0, create_app(), threaded=True)\n"
    "print('ready on http://127.0.0.1:%d' % server.port, flush=True)\n"
    "server.serve_forever()\n"
)


@contextmanager
def served(*command: str) -> Iterator[int]:
    """A server in a process of its own; gives its port."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline().rpartition(":")[2])
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def message(method: str, path: str, key: str, body: bytes) -> bytes:
    """One request as bytes."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {key}\r\n"
    return f"{head}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def hammer(port: int, data: bytes) -> float:
    """Requests per second over all connections."""
    done = 0
    end = time.perf_counter() + SECONDS

    async def client() -> None:
        nonlocal done
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while time.perf_counter() < end:
            writer.write(data)
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            await reader.readexactly(int(head.partition(b"content-length:")[2].split(b"\r\n")[0]))
            done += 1
        writer.close()

    await asyncio.gather(*(client() for _ in range(CONNECTIONS)))
    return done / SECONDS


def main() -> None:
    """Print both tables."""
    provider = next(p for p in load_providers().values() if p.default)
    create = next(o for o in provider.operations.values() if o.role == "create")
    key = list(provider.credentials.values())[-1].default
    body = json.dumps(VALID).encode()
    headers = {"host": "127.0.0.1", "authorization": f"Bearer {key}", "content-type": "application/json"}
    mock = Mock([provider], Options(seed="bench"))
    asked = Request("POST", create.path, "", headers, body)
    task = mock.answer(asked).headers["X-Mock-Task"]
    query = Request("GET", f"{create.path}/{task}", "", headers)
    creates, queries = rate(lambda: mock.answer(asked)), rate(lambda: mock.answer(query))
    print(f"in process: create {creates:8.0f}/s   query {queries:8.0f}/s")
    ours = (str(Path(sys.executable).parent / "kling-mock"), "serve", "--port", "0", "--quiet")
    for name, command in (("the lane", ours), ("Werkzeug", (sys.executable, "-c", PEER))):
        with served(*command) as port:
            created = asyncio.run(hammer(port, message("POST", create.path, key, body)))
            listed = asyncio.run(hammer(port, message("GET", f"{create.path}?pageSize=1", key, b"")))
        print(f"{name:10}: create {created:8.0f}/s   list  {listed:8.0f}/s")


if __name__ == "__main__":
    main()
