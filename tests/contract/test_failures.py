"""Failures: a closed table of checks, and a line for the shell that repeats a request without showing a secret."""

from __future__ import annotations

import subprocess
from typing import get_args

import pytest

from kling_mock.contract.caller import Caller
from kling_mock.contract.commands import curl
from kling_mock.contract.failures import CHECKS, Breaks, Failure, brief
from kling_mock.contract.phases.strangers import addressed, harmless
from kling_mock.contract.probes import Probe
from kling_mock.contract.suite import Settings, Suite
from tests.conftest import PROVIDERS
from tests.contract.breaking import agreed, serving

SECRET = {"Authorization": "Bearer $KLING_API_KEY"}


def test_every_declared_breakage_is_found_by_some_check() -> None:
    """What a scenario may declare (`breaks`) is what failures name, no more and no less."""
    assert {check.breaks for check in CHECKS.values()} - {None} == set(get_args(Breaks))
    declared = {word for one in PROVIDERS.values() for row in one.scenarios.values() for word in row.breaks}
    assert declared == set(get_args(Breaks))


def test_a_line_for_the_shell_repeats_the_request() -> None:
    """A shell that runs it gives curl the request again: method, address, headers, body."""
    headers = {"content-type": "application/json", "prefer": "it's; rm -rf /", "host": "x", "content-length": "9"}
    line = curl("http://127.0.0.1:1/a?b=1&c=$(id)", "POST", headers, b'{"p": "it\'s $HOME `id`"}', {})
    read = subprocess.run(["sh", "-c", f'curl() {{ printf "%s\\n" "$@"; }}\n{line}'], capture_output=True, check=True)
    assert read.stdout.decode().splitlines() == [
        *("-i", "-X", "POST", "http://127.0.0.1:1/a?b=1&c=$(id)"),
        *("-H", "content-type: application/json", "-H", "prefer: it's; rm -rf /"),
        *("--data-raw", '{"p": "it\'s $HOME `id`"}'),
    ]


def test_a_line_for_the_shell_has_no_secret() -> None:
    """A header that proves who calls is a variable of the shell, which the shell may replace."""
    line = curl("http://x/", "GET", {"Authorization": "Bearer sk-1234"}, b"", SECRET)
    assert line == 'curl -i -X GET http://x/ -H "Authorization: Bearer $KLING_API_KEY"'


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", ""),
        (b"@/etc/passwd", "--data-raw @/etc/passwd"),
        (b"x" * 2000, "--data-raw " + "x" * 2000),
        (b"x" * 2001, "--data-binary @body.json  # 2001 bytes"),
        (b"\xff\xd8\xff", "--data-binary @body.bin  # 3 bytes"),
    ],
)
def test_a_body_stands_in_the_line_if_it_is_a_short_text(body: bytes, told: str) -> None:
    """A long one, and one that is no text, is a file that the reader has to write; a text is never a file's name."""
    assert curl("http://x/", "POST", {}, body, {}) == f"curl -i -X POST http://x/ {told}".strip()


@pytest.mark.parametrize("name", PROVIDERS)
def test_no_failure_shows_a_credential(name: str) -> None:
    """A call that failed comes with a line that repeats it: neither that nor the report holds what proves who calls."""
    shown: list[str] = []

    def run(caller: Caller) -> None:
        shown.extend(caller.credentials.values())
        caller.fail("found", "for the test", caller.call(addressed(harmless(caller.agreement))))

    with serving(name) as url:
        report = Suite(agreed()[name], url, Settings(), {}).run([Probe("errors", "one call", run)])
    (failure,) = (row for row in report.failures if row.message == "for the test")
    assert failure.curl is not None
    assert '"' in failure.curl
    assert "$" in failure.curl
    assert shown
    assert not [secret for secret in shown if secret in repr(report)]


def test_a_failure_says_where_it_was() -> None:
    """Its title names provider, phase and probe."""
    failure = Failure("found", "kling", "lifecycle", "createImage, usual course", "the task cannot be found")
    assert failure.title == "kling lifecycle: createImage, usual course"


def test_a_long_value_is_cut_and_says_how_long_it_was() -> None:
    """Text as it is, anything else as JSON."""
    assert brief("ab") == "ab"
    assert brief({"ä": 1}) == '{"ä": 1}'
    assert brief("x" * 300) == "x" * 200 + "... (300 characters)"
