"""The firewall: no client reaches a real host, and each one hears which host it was."""

from __future__ import annotations

import asyncio
import socket
import ssl
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from socket import getaddrinfo as kept_from_before
from typing import Any

import aiohttp
import httpx
import pytest
import requests
import urllib3

from kling_mock.loading import load_providers
from kling_mock.server.mock import Mock
from kling_mock.server.serving import Running
from kling_mock.testing.firewall import Firewall, RealHostContacted
from kling_mock.testing.interception import intercept

HOSTS = sorted(host for provider in load_providers().values() for host in provider.hosts)
HOST = HOSTS[0]


@pytest.fixture
def firewall() -> Iterator[Firewall]:
    """All providers' hosts, forbidden."""
    with Firewall(HOSTS) as firewall:
        yield firewall


async def httpx_async(url: str) -> None:
    """httpx in a loop."""
    async with httpx.AsyncClient() as client:
        await client.get(url)


async def aiohttp_get(url: str) -> None:
    """aiohttp in a loop."""
    async with aiohttp.ClientSession() as session:
        await session.get(url)


async def streams(url: str) -> None:
    """asyncio's own connection."""
    await asyncio.open_connection(url.split("/")[2], 443)


WAYS: Mapping[str, Callable[[str], Any]] = {
    "requests": lambda url: requests.get(url, timeout=5),
    "httpx": lambda url: httpx.get(url, timeout=5),
    "httpx-async": lambda url: asyncio.run(httpx_async(url)),
    "aiohttp": lambda url: asyncio.run(aiohttp_get(url)),
    "urllib3": lambda url: urllib3.PoolManager().request("GET", url, timeout=5),
    "urllib": lambda url: urllib.request.urlopen(url, timeout=5),
    "asyncio": lambda url: asyncio.run(streams(url)),
    "create_connection": lambda url: socket.create_connection((url.split("/")[2], 443), timeout=5),
    "connect": lambda url: connect(url.split("/")[2]),
    "gethostbyname": lambda url: socket.gethostbyname_ex(url.split("/")[2]),
    "kept": lambda url: kept_from_before(url.split("/")[2], 443),
    "bytes": lambda url: socket.getaddrinfo(url.split("/")[2].encode(), 443),
    "capitals": lambda url: socket.getaddrinfo(url.split("/")[2].upper() + ".", 443),
}


def connect(host: str) -> None:
    """A socket that is given a name."""
    with socket.socket() as mine:
        mine.connect((host, 443))


@pytest.mark.parametrize("scheme", ["https", "http"])
@pytest.mark.parametrize("way", WAYS)
def test_no_client_reaches_a_real_host(firewall: Firewall, way: str, scheme: str) -> None:
    """The exception comes out of the library as it is and names the host and the remedy."""
    with pytest.raises(RealHostContacted, match=rf"{HOST} .*kling\.intercept\(\)") as caught:
        WAYS[way](f"{scheme}://{HOST}/")
    assert caught.value.host == HOST
    assert set(firewall.contacted) == {HOST}


@pytest.mark.parametrize("host", HOSTS)
def test_every_host_is_forbidden(firewall: Firewall, host: str) -> None:
    """Each server of each spec."""
    with pytest.raises(RealHostContacted, match=host):
        requests.get(f"https://{host}/", timeout=5)


def test_a_swallowed_exception_is_remembered(firewall: Firewall) -> None:
    """A client that catches everything is found out all the same."""
    with suppress(Exception):
        requests.get(f"https://{HOST}/", timeout=5)
    assert firewall.contacted == [HOST]


def test_tls_to_a_remembered_address_is_refused_by_name(firewall: Firewall) -> None:
    """Whoever has the address already, or a proxy's tunnel, has to ask for the host by TLS."""
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.socket() as plain:
        plain.settimeout(5)
        plain.connect(listener.getsockname())
        with pytest.raises(RealHostContacted, match=HOST):
            ssl.create_default_context().wrap_socket(plain, server_hostname=HOST)
        with pytest.raises(RealHostContacted, match=HOST):
            ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), False, HOST)
    assert firewall.contacted == [HOST, HOST]


@pytest.mark.parametrize("scheme", ["https", "http"])
def test_another_event_loop(firewall: Firewall, scheme: str) -> None:
    """uvloop looks names up by itself."""
    uvloop = pytest.importorskip("uvloop")
    firewall.stop()
    with Firewall([HOST]) as mine:
        for call in (httpx_async, aiohttp_get):
            with pytest.raises(RealHostContacted, match=HOST):
                uvloop.run(call(f"{scheme}://{HOST}/"))
    assert set(mine.contacted) == {HOST}


def test_an_intercepted_host_is_no_real_host(firewall: Firewall, mock: Mock) -> None:
    """Inside an interception the host is the mock's: nothing is refused nor remembered."""
    with Running(mock) as running, intercept(running):
        assert requests.get(f"https://{HOST}/nowhere", timeout=5).status_code == 404
        assert asyncio.run(asyncio.wait_for(status(f"https://{HOST}/nowhere"), 10)) == 404
    assert firewall.contacted == []


async def status(url: str) -> int:
    """The status that aiohttp gets."""
    async with aiohttp.ClientSession() as session, session.get(url) as reply:
        return reply.status


@pytest.mark.usefixtures("firewall")
def test_other_hosts_are_open() -> None:
    """Whoever is no provider is reached."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        socket.create_connection(("localhost", listener.getsockname()[1]), timeout=5).close()


def test_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `stop()` the name is looked up again; the resolver here is a stand-in, so that nobody is really asked."""
    firewall = Firewall([HOST])
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: "looked up")
    firewall.start()
    with pytest.raises(RealHostContacted):
        socket.getaddrinfo(HOST, 443)
    firewall.stop()
    assert socket.getaddrinfo(HOST, 443) == "looked up"
