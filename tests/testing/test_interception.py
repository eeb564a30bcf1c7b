"""What interception takes over, for whom, and that everything is afterwards as it was."""

from __future__ import annotations

import asyncio
import http.client
import os
import socket
import ssl
import sys
import threading
from asyncio import proactor_events, selector_events
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import replace
from typing import Any

import aiohttp
import certifi
import httpx
import pytest
import requests

from kling_mock.core.provider import Provider
from kling_mock.loading import load_providers
from kling_mock.server.mock import Mock
from kling_mock.server.serving import Running
from kling_mock.testing import network
from kling_mock.testing.certificates import contexts
from kling_mock.testing.firewall import Firewall, RealHostContacted
from kling_mock.testing.interception import intercept

PROVIDERS = load_providers()
HOST = min(host for provider in PROVIDERS.values() for host in provider.hosts)
URL = f"https://{HOST}/nowhere"
OTHER = "reseller.example"


@pytest.fixture
def running(mock: Mock) -> Iterator[Running]:
    """All the bundled providers, served."""
    with Running(mock) as server:
        yield server


@pytest.fixture
def firewall() -> Iterator[Firewall]:
    """No real host may be asked for, whether or not a test does as it should."""
    with Firewall([*(host for provider in PROVIDERS.values() for host in provider.hosts), OTHER]) as firewall:
        yield firewall


def everything() -> dict[str, Any]:
    """All that interception could have touched, as the objects themselves."""
    owners: list[Any] = [socket, socket.socket, ssl, ssl.SSLContext, ssl.SSLSocket, asyncio, asyncio.BaseEventLoop]
    owners += [selector_events.BaseSelectorEventLoop, proactor_events.BaseProactorEventLoop, http.client, certifi]
    owners += [sys.modules["uvloop"].Loop] if "uvloop" in sys.modules else []
    found = {f"{owner!r}.{name}": value for owner in owners for name, value in vars(owner).items()}
    return found | {f"environ {name}": value for name, value in os.environ.items()}


def same(before: dict[str, Any]) -> bool:
    """Whether all is as before, down to the identity of each object."""
    now = everything()
    return now.keys() == before.keys() and all(
        now[name] is value or (name.startswith("environ") and now[name] == value) for name, value in before.items()
    )


def test_everything_is_the_same_object_afterwards(running: Running) -> None:
    """What is taken over differs inside; afterwards nothing does."""
    before = everything()
    with intercept(running):
        assert not same(before)
        requests.get(URL, timeout=20)
    assert same(before)


def test_an_exception_inside_restores_everything(running: Running) -> None:
    """It comes out as it is."""
    before = everything()
    with pytest.raises(KeyError, match="mine"), intercept(running):
        raise KeyError("mine")
    assert same(before)


def test_interceptions_may_be_nested_and_left_in_any_order(running: Running) -> None:
    """The inner one leads where it says, the outer one holds until it ends itself; so does a firewall around them."""
    before = everything()
    first, second, wall = intercept(running), intercept(running, OTHER), Firewall([HOST])
    outer, inner = first.__enter__(), second.__enter__()
    wall.start()
    assert network.way_to(HOST) is inner
    first.__exit__(None, None, None)
    assert network.way_to(HOST) is inner is not outer
    assert requests.get(URL, timeout=20).status_code == 404
    second.__exit__(None, None, None)
    with pytest.raises(RealHostContacted):
        requests.get(URL, timeout=20)
    wall.stop()
    assert same(before)


def test_threads_intercept_at_once(running: Running) -> None:
    """Four threads enter and leave as they like, and each finds the mock meanwhile."""
    before = everything()
    together = threading.Barrier(4)

    def call(_: int) -> int:
        together.wait(20)
        with intercept(running):
            return requests.get(URL, timeout=20).status_code

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(call, range(4))) == [404] * 4
    assert same(before)


def test_who_leaves_first_cuts_off_nobody(running: Running) -> None:
    """A connection lives as long as anybody intercepts for the same mock: another thread's call may be on it."""
    with intercept(running), closing(http.client.HTTPSConnection(HOST, timeout=20)) as mine:
        for _ in range(2):
            mine.request("GET", "/nowhere")
            assert mine.getresponse().read()
            mine.auto_open = 0  # from here on a connection that was cut is an error
            with intercept(running):
                pass


def test_it_is_made_again_and_again(running: Running) -> None:
    """The mock has as many listeners after ten times as after one, and its own address answers always."""
    for _ in range(10):
        with intercept(running), requests.Session() as session:
            assert session.get(URL, timeout=20).status_code == 404
    assert len(running.server.servers) == 3, "its own address, and one door with and one without TLS"
    assert requests.get(running.url + "/nowhere", timeout=20).status_code == 404


def test_other_hosts_are_untouched(running: Running) -> None:
    """A server that has nothing to do with the mock is reached by name and by address; so is the mock itself."""
    with socket.create_server(("127.0.0.1", 0)) as other, intercept(running):
        other.settimeout(5)
        port = other.getsockname()[1]
        for place in ("127.0.0.1", "localhost"):
            with socket.create_connection((place, port), timeout=5) as mine:
                theirs, address = other.accept()
                theirs.close()
                assert address == mine.getsockname()
        assert socket.getaddrinfo("::1", 80)[0][4][0] == "::1", "an IPv6 literal is left alone"
        assert requests.get(running.url + "/nowhere", timeout=20).status_code == 404


def test_the_authority_is_trusted_for_no_other_host(running: Running) -> None:
    """The same listener by another name is refused, with the clients' own contexts and their own trust."""
    with intercept(running) as way, pytest.raises(requests.exceptions.SSLError, match="issuer"):
        requests.get(f"https://localhost:{way.secure[1]}/", timeout=20)


def test_a_clients_context_never_learns_of_the_authority(running: Running) -> None:
    """One that was made before serves inside, and trusts afterwards what it trusted before."""
    mine = ssl.create_default_context()
    before = mine.get_ca_certs()
    with intercept(running), httpx.Client(verify=mine, timeout=20) as client:
        assert client.get(URL).status_code == 404
    assert mine.get_ca_certs() == before


def test_a_foreign_server_cannot_stand_in_for_a_real_host(running: Running) -> None:
    """Who gets round the redirect, say by an address it remembers, fails at TLS: nothing but the mock is trusted."""
    stranger, _ = contexts(frozenset({OTHER}))
    with socket.create_server(("127.0.0.1", 0)) as listener, intercept(running):
        threading.Thread(target=shake_hands, args=(listener, stranger), daemon=True).start()
        with socket.create_connection(listener.getsockname(), timeout=5) as plain, pytest.raises(ssl.SSLError):
            ssl.create_default_context().wrap_socket(plain, server_hostname=HOST)


def shake_hands(listener: socket.socket, context: ssl.SSLContext) -> None:
    """Accept one TLS connection, which the client may break off."""
    plain, _ = listener.accept()
    with plain:
        try:
            context.wrap_socket(plain, server_side=True).close()
        except OSError:
            return


def test_a_session_from_before_works_inside_and_not_afterwards(running: Running, firewall: Firewall) -> None:
    """The connection that it keeps is cut at the end: the next request goes to the real host, here forbidden."""
    with requests.Session() as mine, httpx.Client(timeout=20) as theirs:
        for session in (mine, theirs):
            with intercept(running):
                assert [session.get(URL).status_code for _ in range(2)] == [404, 404]
            with pytest.raises(RealHostContacted, match=HOST):
                session.get(URL)
            with intercept(running):
                assert session.get(URL).status_code == 404
    assert set(firewall.contacted) == {HOST}


@pytest.mark.usefixtures("firewall")
def test_a_session_that_remembers_addresses_finds_the_next_interception(running: Running) -> None:
    """aiohttp keeps addresses for ten seconds: they lead to the mock or, between interceptions, nowhere."""

    async def calls() -> list[int]:
        got = []
        async with aiohttp.ClientSession() as session:
            for _ in range(2):
                with intercept(running):
                    async with session.get(URL) as reply:
                        got.append(reply.status)
                with pytest.raises(RealHostContacted):
                    await session.get(URL)
        return got

    assert asyncio.run(calls()) == [404, 404]


def test_names_in_other_spellings(running: Running) -> None:
    """In capitals, with the dot at the end, in bytes, by the old function, or straight at `connect`."""
    with intercept(running) as way:
        shown = {socket.getaddrinfo(name, 443)[0][4] for name in (HOST, HOST.upper(), HOST + ".", HOST.encode())}
        assert shown == {(socket.gethostbyname(HOST), 443)}
        with socket.socket() as plain:
            plain.connect((HOST, 80))
            assert plain.getpeername() == way.plain
        with socket.socket() as secure:
            assert secure.connect_ex((HOST.encode(), 443)) == 0
            assert secure.getpeername() == way.secure


def test_another_host_by_name(running: Running) -> None:
    """A host that no spec can name is intercepted when it is given, and routed by its path."""
    with intercept(running, OTHER):
        assert requests.get(f"https://{OTHER}/nowhere", timeout=20).status_code == 404


def test_a_mock_without_hosts_says_so(toymaker: Provider, make_mock: Callable[..., Mock]) -> None:
    """A provider that names no server has nothing to be intercepted; a given host will do."""
    with Running(make_mock(replace(toymaker, hosts=frozenset()))) as running:
        with pytest.raises(ValueError, match="name the hosts"), intercept(running):
            pass
        with intercept(running, OTHER):
            assert requests.get(f"https://{OTHER}/", timeout=20).status_code < 500


def test_without_trustme_the_reason_is_said(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra that brings it is named, and nothing stays taken over."""
    before = everything()
    monkeypatch.setitem(sys.modules, "trustme", None)
    with pytest.raises(RuntimeError, match=r"kling-mock\[contract\]"), intercept(running, "uncached.example"):
        pass
    assert same(before)


def test_a_server_that_ended_first_does_no_harm(mock: Mock) -> None:
    """Everything is given back even if the mock is gone when the interception ends."""
    before = everything()
    with ExitStack() as outer, Running(mock) as running:
        outer.enter_context(intercept(running))
        requests.get(URL, timeout=20)
    assert same(before)
