"""Each HTTP library, as its users write it, against the real hosts under interception: create, poll, download."""

from __future__ import annotations

import asyncio
import ipaddress
import re
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import aiohttp
import httpx
import pytest
import requests
import urllib3

from kling_mock.core.model import NOW
from kling_mock.loading import load_providers
from kling_mock.server.mock import Mock
from kling_mock.server.serving import Running
from kling_mock.testing.interception import intercept
from tests.conftest import Answer, Client
from tests.exchanges import EXCHANGES, creates, in_state, load, send, written

PROVIDERS = load_providers()
HOSTED = sorted(name for name, provider in PROVIDERS.items() if provider.hosts)
Got = tuple[int, Mapping[str, str], bytes]
Driver = Callable[[str, str, Mapping[str, str], bytes | None], Got]
beyond: list[str] = []
"""Where a packet would have gone that is not this machine."""


def loopback(address: Any) -> bool:
    """Whether an address is this machine's; a name is not, since a server would be asked for it."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address in ("", "localhost")


def heard(event: str, args: tuple[Any, ...]) -> None:
    """Note look-ups and connections that would leave this machine; an audit hook hears of all of them."""
    place = args[0] if event == "socket.getaddrinfo" else None
    if event in ("socket.connect", "socket.sendto") and isinstance(args[1], tuple):
        place = args[1][0]
    if place is not None and not loopback(place.decode() if isinstance(place, bytes) else place):
        beyond.append(f"{event} {place!r}")


sys.addaudithook(heard)


@pytest.fixture(autouse=True)
def _no_packet_leaves() -> Iterator[None]:
    """No test here sends anything beyond loopback, nor asks anybody for a name."""
    beyond.clear()
    yield
    assert beyond == []


@pytest.fixture
def running(mock: Mock) -> Iterator[Running]:
    """All the bundled providers, served."""
    with Running(mock) as server:
        yield server


def by_requests(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Got:
    """requests, with a session."""
    with requests.Session() as session:
        got = session.request(method, url, headers=headers, data=body, timeout=20)
        return got.status_code, got.headers, got.content


def by_httpx(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Got:
    """httpx."""
    with httpx.Client(timeout=20) as client:
        got = client.request(method, url, headers=headers, content=body)
        return got.status_code, got.headers, got.content


def by_httpx_async(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Got:
    """httpx, asynchronous."""

    async def call() -> Got:
        async with httpx.AsyncClient(timeout=20) as client:
            got = await client.request(method, url, headers=headers, content=body)
            return got.status_code, got.headers, got.content

    return asyncio.run(call())


async def aiohttp_call(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Got:
    """One call of aiohttp, in whatever loop runs."""
    async with aiohttp.ClientSession() as session, session.request(method, url, headers=headers, data=body) as got:
        return got.status, got.headers, await got.read()


def by_aiohttp(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Got:
    """aiohttp."""
    return asyncio.run(aiohttp_call(method, url, headers, body))


def by_urllib3(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Got:
    """urllib3, with a pool."""
    with urllib3.PoolManager(timeout=20) as pool:
        got = pool.request(method, url, headers=headers, body=body)
        return got.status, got.headers, got.data


def by_urllib(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> Got:
    """The standard library's own."""
    asked = urllib.request.Request(url, body, dict(headers), method=method)
    with urllib.request.urlopen(asked, timeout=20) as got:
        return got.status, got.headers, got.read()


DRIVERS: Mapping[str, Driver] = {
    "requests": by_requests,
    "httpx": by_httpx,
    "httpx-async": by_httpx_async,
    "aiohttp": by_aiohttp,
    "urllib3": by_urllib3,
    "urllib": by_urllib,
}


@dataclass
class Outside(Client):
    """A client that knows nothing of a mock: it calls its provider's real host with one of the libraries."""

    driver: Driver = by_requests
    origin: str = ""

    def send(
        self,
        method: str,
        path: str,
        json: Any = None,
        headers: Mapping[str, str | None] | None = None,
        query: Mapping[str, Any] | str = "",
        body: bytes | None = None,
    ) -> Answer:
        """Send one request, whose Host is the library's own."""
        asked = query if isinstance(query, str) else urlencode(query)
        given = {**(headers or {}), **self.credential(method, path)}
        sent = {name: value for name, value in given.items() if value and name not in ("host", "content-length")}
        url = f"{self.origin}{path}{'?' * bool(asked)}{asked}"
        status, got, content = self.driver(method, url, sent, body or None)
        return Answer(status, {name.lower(): value for name, value in got.items()}, content, NOW)


def outside(running: Running, name: str, driver: Driver, scheme: str = "https") -> Outside:
    """A client of a provider's first host."""
    provider = running.mock.providers[name]
    return Outside(running.mock, provider, driver=driver, origin=f"{scheme}://{min(provider.hosts)}")


def query_of(client: Client) -> str:
    """A fixture that asks for one task of the provider."""
    mine = (name for name in EXCHANGES if name.startswith(client.provider.name + "/"))
    return next(name for name in mine if client.provider.operations[load(name)["operation"]].role == "query")


def walk(client: Outside) -> tuple[Answer, list[Got]]:
    """Create, poll and download; the last poll and the files."""
    polled = in_state(client, query_of(client), "succeed")
    addresses = re.findall(rf'"({re.escape(client.origin)}/_mock/media/[^"]*)"', polled.body.decode())
    return polled, [client.driver("GET", address, {}, None) for address in addresses]


@pytest.mark.parametrize("library", DRIVERS)
@pytest.mark.parametrize("name", HOSTED)
def test_a_library_creates_polls_and_downloads_at_the_real_host(running: Running, name: str, library: str) -> None:
    """The job is the mock's, and its results are under the host that the client called, by https."""
    with intercept(running):
        polled, files = walk(outside(running, name, DRIVERS[library]))
    assert polled.status == 200
    assert polled.violations == []
    assert files, "the poll shows a result under the host that was called"
    assert all(status == 200 and content for status, _, content in files)


@pytest.mark.parametrize("library", DRIVERS)
def test_a_library_without_tls(running: Running, library: str) -> None:
    """Who writes http:// gets the mock by http, and results by http."""
    with intercept(running):
        polled, files = walk(outside(running, HOSTED[0], DRIVERS[library], "http"))
    assert polled.status == 200
    assert [status for status, _, _ in files] == [200] * len(files) != []


@pytest.mark.parametrize("host", sorted(host for name in HOSTED for host in PROVIDERS[name].hosts))
def test_every_host_of_every_provider_is_intercepted(running: Running, host: str) -> None:
    """Each server of each spec leads to its own provider."""
    provider = next(provider for provider in PROVIDERS.values() if host in provider.hosts)
    client = Outside(running.mock, provider, origin=f"https://{host}")
    with intercept(running):
        made = send(client, written(next(creates(client))))
    assert made.status == 200
    assert running.mock.store.task(provider.name, made.headers["x-mock-task"])


@pytest.mark.parametrize("library", ["aiohttp", "httpx"])
def test_another_event_loop(running: Running, library: str) -> None:
    """uvloop resolves and connects by itself, and is taken over too."""
    uvloop = pytest.importorskip("uvloop")

    async def call(url: str) -> int:
        if library == "aiohttp":
            return (await aiohttp_call("GET", url, {}, None))[0]
        async with httpx.AsyncClient() as client:
            return (await client.get(url)).status_code

    provider = PROVIDERS[HOSTED[0]]
    with intercept(running):
        assert uvloop.run(call(f"https://{min(provider.hosts)}/nowhere")) == 404
        assert uvloop.run(call(f"http://{min(provider.hosts)}/nowhere")) == 404


def test_asyncios_own_streams(running: Running) -> None:
    """Clients that open the connection themselves."""
    host = min(PROVIDERS[HOSTED[0]].hosts)

    async def call() -> bytes:
        reader, writer = await asyncio.open_connection(host, 443, ssl=True)
        writer.write(f"GET /nowhere HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        line = await reader.readline()
        writer.transport.abort()
        return line

    with intercept(running):
        assert b" 404 " in asyncio.run(call())


def test_a_proxy_in_the_environment_is_not_asked(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens at the proxy: whoever asked it would fail."""
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for driver in (by_requests, by_httpx, by_urllib):
        with intercept(running):
            polled, files = walk(outside(running, HOSTED[0], driver))
        assert polled.status == 200
        assert [status for status, _, _ in files] == [200] * len(files) != []
