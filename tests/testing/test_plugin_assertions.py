"""The assertions of the `kling` fixture: each holds for a good client, and says of a bad one what was wrong."""

from __future__ import annotations

from collections.abc import Callable
from textwrap import dedent, indent
from typing import TYPE_CHECKING

import pytest
from plugin_user import runner

if TYPE_CHECKING:
    from plugin_user import Run

pytest_plugins = ["pytester"]

Check = Callable[[str], pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test module of a user's."""
    return runner(pytester, monkeypatch)


@pytest.fixture
def holds(run: Run) -> Check:
    """Run the body of a test, which must pass."""

    def check(body: str) -> pytest.RunResult:
        result = run(written(body))
        result.assert_outcomes(passed=1)
        return result

    return check


@pytest.fixture
def fails(run: Run) -> Callable[..., None]:
    """Run the body of a test, which must fail with these lines, each after the one before."""

    def check(body: str, *lines: str) -> None:
        result = run(written(body), "--no-kling-strict")
        result.assert_outcomes(failed=1)
        result.stdout.fnmatch_lines([f"E * {line}" for line in lines])

    return check


def written(body: str) -> str:
    """A test of the user's."""
    return "import pytest, requests, time\n\n\ndef test_it(kling, client):\n" + indent(dedent(body), "    ")


FOLLOWED = "kling.clock.follow_sleep()\n"


def test_violations(holds: Check, fails: Callable[..., None]) -> None:
    """Of each wrong request: operation, answer, pointer, rule, what was sent, the repair."""
    holds('client.create(model_name="kling-v2-1")\nkling.assert_no_violations()')
    fails(
        """
        with pytest.raises(requests.HTTPError):
            client.create(mode="fast")
        client.create()
        kling.assert_no_violations()
        """,
        "AssertionError: 1 of 2 requests wrong; expected: all as documented",
        "createImageToVideo: POST /v1/videos/image2video -> 400 (request 1 of kling-*)",
        "/mode * [[]refused: createImageToVideo/mode/enum[]]",
        "sent: fast",
        "the provider would say: *",
        "nearest valid: *mode*",
        "next: mend the request (`kling-mock explain createImageToVideo/mode/enum` tells all that is known); *",
    )


def test_a_request_without_credentials_is_a_violation(fails: Callable[..., None]) -> None:
    """Nobody's request at this provider counts too: a client may forget to say who it is."""
    fails(
        """
        requests.get(kling.base_url + "/v1/videos/image2video/x", timeout=9)
        kling.assert_no_violations()
        """,
        "getImageToVideo: GET /v1/videos/image2video/x -> 401 (by no account)",
        "header/authorization  there is no credential in the authorization header  [[]refused: mock/token.missing[]]",
        "hint: send authorization: Bearer *",
    )


def test_warnings_are_violations_only_if_asked_for(holds: Check, fails: Callable[..., None]) -> None:
    """What the provider was seen to accept is a warning."""
    body = 'client.create(duration=5)\nassert kling.requests()[0].violations[0].severity == "warning"\n'
    holds(f"{body}kling.assert_no_violations()")
    fails(f"{body}kling.assert_no_violations(warnings=True)", "/duration * [[]warning: *")


def test_duplicate_spend(holds: Check, fails: Callable[..., None]) -> None:
    """A client that sends a create again after a lost answer is told of both requests, the gap and the money."""
    holds(f"{FOLLOWED}client.stubborn()\nkling.assert_no_duplicate_spend(possible=True)")
    fails(
        f"""
        {FOLLOWED}
        with kling.scenario("charged-no-answer"):
            client.stubborn()
        kling.assert_no_duplicate_spend()
        """,
        "AssertionError: 1 job paid for again; expected: each is created once",
        "createImageToVideo (certain, open)",
        "request 1 made *; its answer did not reach the client",
        "request 2, * s later, made *: 1 units more",
        "next: after a lost answer look whether the task is there *",
    )


def test_a_job_that_is_asked_for_twice_is_possible_duplicate_spend(holds: Check, fails: Callable[..., None]) -> None:
    """Both answers arrived: someone may want two of the same."""
    twice = "client.create()\nclient.create()\n"
    holds(f"{twice}kling.assert_no_duplicate_spend()")
    fails(f"{twice}kling.assert_no_duplicate_spend(possible=True)", "*(possible, open)", "*its answer arrived")


def test_spend(holds: Check, fails: Callable[..., None]) -> None:
    """Open tasks count, failed ones do not; each task is told with its price."""
    holds('client.create()\nkling.assert_spend(max_units=2)\nkling.assert_spend(2, unit="units")')
    holds('client.create(prompt="[mock:fail]")\nkling.clock.advance("1h")\nkling.assert_spend(0)')
    fails(
        'client.create()\nclient.create(duration="10")\nkling.assert_spend(max_units=2.5)',
        "AssertionError: 3 units spent; expected: at most 2.5",
        "createImageToVideo * (submitted): 1",
        "createImageToVideo * (submitted): 2",
        "next: `kling-mock price PAYLOAD` *",
    )
    fails("kling.assert_spend(1, unit='unit')", "ValueError: nothing is paid in 'unit' here; did you mean 'units'[?]")


def test_spend_where_no_price_is_known(fails: Callable[..., None]) -> None:
    """An unknown price is not nothing."""
    fails(
        """
        relay = kling.provider("rixapi")
        headers = {"Authorization": "Bearer " + relay.api_key}
        requests.post(relay.base_url + "/kling/v1/videos/text2video", json={"prompt": "a"}, headers=headers, timeout=9)
        relay.assert_spend(1000)
        """,
        "AssertionError: what was spent cannot be told: the price of 1 task is not known",
        "*: price unknown",
    )


def test_settled(holds: Check, fails: Callable[..., None]) -> None:
    """An open task, and one whose end was never shown, are named."""
    holds(f"{FOLLOWED}client.wait(client.create())\nkling.assert_settled()")
    fails(
        "kling.clock.freeze()\nclient.create()\nkling.assert_settled()",
        "AssertionError: 1 of 1 tasks not settled; expected: each ends, and its client is shown the end",
        "* is 'submitted' and changes in * s: its money is reserved",
        "next: poll until an answer tells of the end *",
    )
    fails(
        'client.look(client.create())\nkling.clock.advance("1h")\nkling.assert_settled()',
        "* ended in success, which no answer told (last seen as 'submitted'): 1 units, request 1",
    )
    fails(
        f"""
        {FOLLOWED}
        with kling.scenario("charged-no-answer"):
            client.wait(client.stubborn())
        kling.assert_settled()
        """,
        "* ended in success, which no answer told (never looked at; the answer to its create was lost): 1 units, *",
    )


def test_polling(holds: Check, fails: Callable[..., None]) -> None:
    """How often, until when: a client that hurries or cannot stop is told."""
    holds(f"{FOLLOWED}client.wait(client.create())\nkling.assert_polling(min_interval=10, patience='1m')")
    fails(
        f"{FOLLOWED}client.interval = 0.2\nclient.wait(client.create())\nkling.assert_polling(min_interval=1)",
        "AssertionError: 1 of 1 tasks not polled as expected",
        "* by getImageToVideo: * polls, 0.* s apart at least, * s mostly",
        "expected at least 1 s between polls, got 0.* s",
        "next: *",
    )
    fails(
        f"{FOLLOWED}task = client.create()\nclient.wait(task)\nclient.wait(task)\nkling.assert_polling()",
        "expected no poll after the answer that told of the end, got 1",
    )
    fails(
        "client.create()\nkling.assert_polling()", "AssertionError: no task was polled, so nothing can be said of how"
    )


def test_polling_that_has_not_stopped(holds: Check, fails: Callable[..., None]) -> None:
    """Without an end shown, only time can tell whether the client gave up."""
    looked = 'client.look(client.create(prompt="[mock:stuck]"))\n'
    fails(f"{looked}kling.assert_polling()", "expected polling to stop: no answer has told of the end, *")
    holds(f"{looked}kling.clock.advance('5m')\nkling.assert_polling()")


def test_a_task_that_never_ends(fails: Callable[..., None]) -> None:
    """No number of seconds stands for never."""
    fails(
        'client.create(prompt="[mock:stuck]")\nkling.clock.advance("2s")\nkling.assert_settled()',
        "* is 'processing' and never changes again: its money is reserved",
    )


def test_polling_habits(fails: Callable[..., None]) -> None:
    """Intervals that grow, and a deadline."""
    fails(
        f'{FOLLOWED}client.wait(client.create(prompt="[mock:slow]"))\nkling.assert_polling(None, True, True, "1m")',
        "expected intervals that grow, got steady or shorter ones",
        "expected no poll later than 60 s after the create, got one * s after",
    )


def test_retry_after(fails: Callable[..., None]) -> None:
    """Which request came too early, and by how much; a create is told although nothing was ever polled."""
    body = """
        with kling.scenario("too-fast call=create seconds=2"):
            with pytest.raises(requests.HTTPError):
                client.create()
            kling.clock.advance("{}")
            client.create()
        kling.assert_polling()
        """
    fails(
        body.format("1s"),
        "AssertionError: 1 of 1 tasks not polled as expected",
        "* by createImageToVideo: never polled",
        "expected Retry-After to be obeyed; request 1 was told to wait 2 s, request 2 came after 1* s",
    )
    fails(body.format("2s"), "AssertionError: no task was polled, so nothing can be said of how")


def test_an_account_that_saw_nothing_holds_nothing(fails: Callable[..., None]) -> None:
    """A client with other credentials must not make every assertion true."""
    fails(
        """
        client.key, client.secret = "mock-kling-access-key", "mock-kling-secret-key-that-opens-nothing"
        client.create()
        kling.assert_no_duplicate_spend()
        """,
        "AssertionError: the account kling-* saw no request, but kling-default did",
        "next: give the client this account's credentials (kling.env has them all)",
    )
