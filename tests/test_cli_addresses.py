"""Addresses on the command line: which are taken, and what is said of one that cannot be meant."""

from __future__ import annotations

import errno
import json
import socket

import click
import pytest
import requests

from kling_mock.cli_serving import not_listening
from kling_mock.cli_types import Host, bare, wrong_address
from tests.test_cli import assert_one_line, invoke, refused_to_serve, run, served

EXPECTED = "expected is http(s)://host[:port] such as http://127.0.0.1:8787"


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://mock.test", "http://mock.test"),
        ("https://mock.test:8443/", "https://mock.test:8443"),
        ("HTTP://Mock.Test", "HTTP://Mock.Test"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://kling_mock:65535", "http://kling_mock:65535"),
        ("http://[::1]:8787", "http://[::1]:8787"),
        ("http://10.0.0.1/", "http://10.0.0.1"),
    ],
)
def test_an_address_is_taken(url: str, base: str) -> None:
    """Names, IPv4 and IPv6 addresses, with or without a port; the slash at the end is dropped."""
    values = json.loads(invoke("env", "--format", "json", "--url", url).stdout)
    assert values["KLING_BASE_URL"] == base


WRONG = [
    ("http://h/x/", f"goes on with '/x/'; {EXPECTED}; --mount PROVIDER=/PREFIX puts a provider under a path"),
    ("http://h//", f"goes on with '//'; {EXPECTED}"),
    ("http://h?x=1", f"goes on with '?x=1'; {EXPECTED}"),
    ("http://h/#top", f"goes on with '/#top'; {EXPECTED}"),
    ("http://me:secret@h", f"names a user; {EXPECTED}; credentials come from `kling-mock env`"),
    ("mock.test:8787", f"does not begin with http:// or https://; {EXPECTED}"),
    ("127.0.0.1", f"does not begin with http:// or https://; {EXPECTED}"),
    ("ftp://h", f"does not begin with http:// or https://; {EXPECTED}"),
    ("", f"does not begin with http:// or https://; {EXPECTED}"),
    ("http://", f"has no host name or IP address (IPv6 in brackets) after http://; {EXPECTED}"),
    ("http://:80", f"has no host name or IP address (IPv6 in brackets) after http://; {EXPECTED}"),
    ("http://::1:80", f"has no host name or IP address (IPv6 in brackets) after http://; {EXPECTED}"),
    ("http://[127.0.0.1]", f"has no host name or IP address (IPv6 in brackets) after http://; {EXPECTED}"),
    ("http://a b", f"has no host name or IP address (IPv6 in brackets) after http://; {EXPECTED}"),
    ("http://h:0", "has the port '0', expected is a number from 1 to 65535, or no colon"),
    ("http://h:65536", "has the port '65536', expected is a number from 1 to 65535, or no colon"),
    ("http://h:", "has the port '', expected is a number from 1 to 65535, or no colon"),
    ("http://h:80a", "has the port '80a', expected is a number from 1 to 65535, or no colon"),
    ("http://h:\u0668\u0660", "expected is a number from 1 to 65535, or no colon"),
    ("http://h\n", "has no host name or IP address"),
    ("http://h/$(touch x)'\"; echo y", "goes on with "),
]


@pytest.mark.parametrize(("url", "why"), WRONG)
def test_an_address_that_cannot_be_meant_says_why(url: str, why: str) -> None:
    """What was got, what is wrong with it, what is expected and, where there is one, the next step."""
    assert (wrong_address(url) or "").startswith(why) or why in (wrong_address(url) or "")


@pytest.mark.parametrize("url", ["http://h/x/", "http://me@h", "h:1"])
def test_a_wrong_address_is_a_usage_error(url: str) -> None:
    """`env --url` and `serve --public-url` refuse the same texts in the same words, with exit code 2."""
    for done, option in ((run("env", "--url", url), "--url"), (refused_to_serve("--public-url", url), "--public-url")):
        assert (done.returncode, done.stdout) == (2, "")
        assert f"Invalid value for '{option}': {url!r} {wrong_address(url)}" in done.stderr


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("mock.test", "mock.test"),
        ("mock.test.", "mock.test."),
        ("kling_mock", "kling_mock"),
        ("10.0.0.1", "10.0.0.1"),
        ("::1", "::1"),
        ("[::1]", "::1"),
        ("mock.test:80", None),
        ("http://mock.test", None),
        ("10.0.0.1.5", None),
        ("[10.0.0.1]", None),
        ("a..b", None),
        ("-a", None),
        ("a" * 64, None),
        (".".join(["a" * 60] * 5), None),
        ("m\u00f6ck.test", None),
        ("*", None),
        ("", None),
    ],
)
def test_a_bare_host(text: str, host: str | None) -> None:
    """A name or an IP address and nothing around it."""
    assert bare(text) == host


@pytest.mark.parametrize(
    ("got", "meant"),
    [
        ("mock.test:8787", "; did you mean 'mock.test'?"),
        ("http://mock.test", "; did you mean 'mock.test'?"),
        ("https://mock.test:1/x", "; did you mean 'mock.test'?"),
        ("mock.test/", "; did you mean 'mock.test'?"),
        ("[::1]:80", "; did you mean '::1'?"),
        ("*", ""),
        ("", ""),
    ],
)
def test_a_host_with_more_around_it_says_which_was_meant(got: str, meant: str) -> None:
    """What was got, what is expected, and the host in it: the control API would never hear of the other text."""
    expected = "is no host name or IP address such as mock.test, without scheme, port and path"
    with pytest.raises(click.BadParameter) as caught:
        Host().convert(got, None, None)
    assert caught.value.message == f"{got!r} {expected}{meant}"


@pytest.mark.parametrize(("command", "option"), [("serve", "--allow-host"), ("serve", "--host"), ("env", "--host")])
def test_a_wrong_host_is_a_usage_error(command: str, option: str) -> None:
    """Exit 2, before anything is served."""
    wrong = [option, "http://mock.test"]
    done = refused_to_serve(*wrong) if command == "serve" else run(command, *wrong)
    assert (done.returncode, done.stdout) == (2, "")
    assert f"Invalid value for '{option}': 'http://mock.test' is no host name" in done.stderr


def test_an_allowed_host_is_heard() -> None:
    """The control API answers under the name that --allow-host gives, whatever the port, and under no other."""
    with served("--allow-host", "mock.test") as (_, url):
        got = {
            host: requests.get(f"{url}/_mock/health", headers={"Host": host}, timeout=5).status_code
            for host in ("mock.test", "mock.test:99", "other.test")
        }
    assert got == {"mock.test": 200, "mock.test:99": 200, "other.test": 403}


def test_the_environment_of_an_ipv6_server() -> None:
    """A literal IPv6 address stands in brackets in the base URLs."""
    values = json.loads(invoke("env", "--format", "json", "--host", "::1", "--port", "9").stdout)
    assert values["KLING_BASE_URL"] == "http://[::1]:9"


# Listening


def test_a_taken_port_is_one_clear_line() -> None:
    """Exit 1, the address, the reason, and both commands that the other port must be given to."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run("serve", "--port", port)
    assert_one_line(done, f"cannot listen on 127.0.0.1:{port}: Address already in use", "choose another with --port")
    assert "give `kling-mock env` the same --port" in done.stderr


@pytest.mark.parametrize("host", ["nonsense.invalid", "192.0.2.1"])
def test_a_host_that_is_not_ours_is_one_clear_line(host: str) -> None:
    """A name nobody knows and another machine's address: the host is told, and no other port is offered."""
    done = run("serve", "--port", "0", "--host", host)
    assert_one_line(done, f"cannot listen on {host}: it is no address of this machine (", "--host takes 127.0.0.1")
    assert "--port" not in done.stderr


@pytest.mark.parametrize("number", [errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL])
def test_what_the_system_says_of_a_host(number: int) -> None:
    """A machine without IPv6 and a link-local address without its network are faults of the host too."""
    said = not_listening("fe80::1", 8787, OSError(number, "the system's reason"))
    assert said.startswith("cannot listen on fe80::1: it is no address of this machine (the system's reason)")
    assert "--port" not in said


def test_what_the_system_says_of_a_port() -> None:
    """A port that needs more rights is the port's fault."""
    said = not_listening("127.0.0.1", 80, PermissionError(errno.EACCES, "Permission denied"))
    assert said.startswith("cannot listen on 127.0.0.1:80: Permission denied; choose another with --port")
