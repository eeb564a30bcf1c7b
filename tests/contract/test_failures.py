"""Failures: a closed table of checks, and a line for the shell that repeats a request without showing a secret."""

from __future__ import annotations

import json
import subprocess
from typing import get_args

import pytest

from kling_mock.contract.caller import Caller
from kling_mock.contract.commands import curl
from kling_mock.contract.failures import CHECKS, Breaks, Failure, brief
from kling_mock.contract.phases.strangers import addressed, credentials, harmless
from kling_mock.contract.probes import Probe
from kling_mock.contract.reports import as_json, junit, lines
from kling_mock.contract.suite import Settings, Suite
from tests.conftest import PROVIDERS
from tests.contract.breaking import agreed, planned, says, serving
from tests.contract.changes import instead, welcoming

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


@pytest.mark.parametrize(
    ("situation", "told"),
    [
        ("token.missing", None),
        ("token.malformed", "-H 'authorization: Bearer nobody'"),
        ("token.unknown", '-H "authorization: Bearer $A_CREDENTIAL_OF_NOBODY"'),
        ("token.signature", '-H "authorization: Bearer $A_TOKEN_WITH_A_WRONG_SIGNATURE"'),
        ("token.expired", '-H "authorization: Bearer $AN_EXPIRED_TOKEN"'),
        ("token.not-yet-valid", '-H "authorization: Bearer $A_TOKEN_THAT_IS_NOT_YET_VALID"'),
    ],
)
def test_a_line_for_the_shell_says_which_credential_was_shown(situation: str, told: str | None) -> None:
    """A probe shows a wrong one: its line must not be repeated with the good one, which is served."""
    probes = [probe for probe in credentials(agreed()["kling"]) if probe.name == situation]
    with serving("kling", welcoming(situation)) as url:
        report = Suite(agreed()["kling"], url, Settings(), {}).run(probes)
    (failure,) = report.failures
    assert (failure.check, failure.message) == ("credential", f"it was served ({situation})")
    assert failure.curl is not None
    assert failure.curl.count("authorization") == (told is not None)
    assert told is None or told in failure.curl
    assert "eyJ" not in failure.curl


@pytest.mark.parametrize(
    ("situation", "message", "told"),
    [
        ("token.missing", "no credential is asked for", None),
        ("token.malformed", "a credential of nobody is taken", "-H 'authorization: Bearer nobody'"),
    ],
)
def test_so_does_the_line_of_a_request_that_was_made_up(situation: str, message: str, told: str | None) -> None:
    """schemathesis writes the line, with the good credential of the call before."""
    probes = [probe for probe in planned("kling", ("fuzz",)) if probe.name == "listImageToVideo"]
    with serving("kling", welcoming(situation)) as url:
        report = Suite(agreed()["kling"], url, Settings(), {}).run(probes)
    (failure,) = (row for row in report.failures if row.message == message)
    assert failure.curl is not None
    assert failure.curl.lower().count("authorization") == (told is not None)
    assert told is None or told in failure.curl
    assert "/v1/videos/image2video" in failure.curl


def test_no_failure_shows_the_secret_of_an_address() -> None:
    """Of the target, of what it answered, or of what was asked: reports lie about in pipelines."""
    signed, secrets = "https://me:alpha-pass@h.example/a?job=42&Signature=bravo-token", ("alpha-pass", "bravo-token")

    def run(caller: Caller) -> None:
        seen = caller.call(addressed(harmless(caller.agreement)))
        caller.fail("found", f"not {signed}", seen, expected=[signed], got={"url": signed})
        caller.fail("found", f"not {signed}", command=f"curl {signed}")

    with serving("pixazo") as url:
        target = url.replace("://", "://me:alpha-pass@")
        report = Suite(agreed()["pixazo"], target, Settings(), {}).run([Probe("errors", "one call", run)])
    one, other = (row for row in report.failures if row.message.startswith("not "))
    shown = "https://<credential>@h.example/a?job=42&Signature=<credential>"
    assert (one.message, one.expected, one.got) == (f"not {shown}", [shown], {"url": shown})
    assert (other.curl, "://<credential>@127.0.0.1:" in str(one.curl)) == (f"curl {shown}", True)
    written = [json.dumps(as_json(report)), junit([report]), *lines(report, lambda text, color: text)]
    assert report.url.startswith("http://<credential>@127.0.0.1:")
    assert [secret for secret in secrets if secret in "".join(written)] == []


@pytest.mark.parametrize(("probe", "message"), [("route", "it was not refused as"), ("rule", "it was refused for ano")])
def test_a_refusal_is_shown_with_its_status(probe: str, message: str) -> None:
    """What came is the status and the body, in every form of a report."""
    document = {"code": 1103, "message": "no permission", "request_id": "r"}

    def run(caller: Caller) -> None:
        message = addressed(harmless(caller.agreement))
        if probe == "rule":
            caller.refused(caller.call(message), caller.reason("task.unknown"))
        else:
            caller.told(caller.plain(message.request()), "reason", caller.reason("route.path"))

    refusing = instead(lambda wire: says(wire, document, 403), "list")
    with serving("kling", refusing) as url:
        report = Suite(agreed()["kling"], url, Settings(), {}).run([Probe("errors", "one call", run)])
    (failure,) = (row for row in report.failures if row.message.startswith(message))
    status = 403 if probe == "rule" else 401
    assert failure.got[0] == status
    assert f"  got       [{status}, " in "\n".join(lines(report, lambda text, color: text))


def test_a_failure_says_where_it_was() -> None:
    """Its title names provider, phase and probe."""
    failure = Failure("found", "kling", "lifecycle", "createImage, usual course", "the task cannot be found")
    assert failure.title == "kling lifecycle: createImage, usual course"


def test_a_long_value_is_cut_and_says_how_long_it_was() -> None:
    """Text as it is, anything else as JSON."""
    assert brief("ab") == "ab"
    assert brief({"ä": 1}) == '{"ä": 1}'
    assert brief("x" * 300) == "x" * 200 + "... (300 characters)"
