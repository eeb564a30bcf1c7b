"""The pytest plugin, by tests of a client that are run inside these."""

from __future__ import annotations

import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from plugin_user import PLUGIN, ROOT, runner

if TYPE_CHECKING:
    from plugin_user import Run

pytest_plugins = ["pytester"]
TOYS = Path(__file__).parent.parent / "providers"


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test module of a user's."""
    return runner(pytester, monkeypatch)


def test_a_client_that_polls_every_ten_seconds_walks_five_minutes_at_once(run: Run) -> None:
    """A job of five minutes, watched to its end, in a small part of that."""
    before = time.perf_counter()
    result = run("""
        def test_it(kling, client):
            kling.clock.follow_sleep()
            began = kling.clock.now
            assert client.wait(client.create(prompt="[mock:slow]"))["task_status"] == "succeed"
            assert (kling.clock.now - began).total_seconds() >= 290
            assert 15 < len(kling.requests()) < 40
            kling.assert_no_violations()
            kling.assert_no_duplicate_spend()
            kling.assert_spend(max_units=2)
            kling.assert_settled()
            kling.assert_polling(min_interval=1, stops=True)
            assert kling.requests("createImageToVideo")[0].json["prompt"] == "[mock:slow]"
    """)
    result.assert_outcomes(passed=1)
    assert time.perf_counter() - before < 150


def test_a_careful_client_survives_a_lost_answer(run: Run) -> None:
    """The whole of the README's example: it finds its task in the list, and every assertion holds."""
    run("""
        def test_my_job_survives_a_lost_answer(kling, client):
            kling.clock.follow_sleep()
            with kling.scenario("charged-no-answer"):
                job = client.careful("job-1", mode="pro")
            assert client.wait(job)["task_status"] == "succeed"
            assert [row.lost for row in kling.requests("createImageToVideo")] == [True]
            assert kling.requests("createImageToVideo")[0].json["mode"] == "pro"
            kling.assert_no_violations()
            kling.assert_no_duplicate_spend(possible=True)
            kling.assert_spend(max_units=3.5)
            kling.assert_settled()
            kling.assert_polling(min_interval=1, stops=True)
    """).assert_outcomes(passed=1)


def test_pytest_finds_the_plugin_by_itself() -> None:
    """Its entry point is in the project's metadata: a user imports nothing."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"kling_mock": PLUGIN}


# Strictness

WRONG = """
    import pytest, requests

    def test_careless(kling, client):
        with pytest.raises(requests.HTTPError):
            client.create(mode="fast")

    def test_careful(kling, client):
        client.create()
"""


def test_a_wrong_request_fails_the_test_that_sent_it(run: Run) -> None:
    """Although the client took the refusal well; the next test is not blamed."""
    result = run(WRONG)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ test_careless _*",
            "the mock saw 1 wrong request of this test",
            "  createImageToVideo: POST /v1/videos/image2video -> 400 (request 1 of kling-*)",
            "    /mode * [[]refused: createImageToVideo/mode/enum[]]",
            "      nearest valid: *mode*",
            'next: mend the request (*); if the test means it: kling.allow_violations("createImageToVideo/mode/enum")',
            "FAILED test_it.py::test_careless - *",
        ]
    )


def test_a_failure_shows_no_secret_of_an_address(run: Run) -> None:
    """Neither what was sent nor what a rule says of it, nor a row that an assertion prints."""
    result = run("""
        import pytest, requests

        HOOK = "http://me:" + "alpha" + "-pass@h/?sig=" + "bravo" + "-token"

        def test_told(kling, client):
            with pytest.raises(requests.HTTPError):
                client.create(mode=HOOK, callback_url=HOOK)

        def test_asserted(kling, client):
            client.create(callback_url=HOOK)
            assert kling.webhooks() == kling.tasks() == []
    """)
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*sent: http://<credential>@h/[?]sig=<credential>"])
    result.stdout.no_fnmatch_line("*alpha-pass*")
    result.stdout.no_fnmatch_line("*bravo-token*")


def test_strictness_can_be_switched_off(run: Run) -> None:
    """For a run, and again on by what comes later on the command line."""
    run(WRONG, "--no-kling-strict").assert_outcomes(passed=2)
    run(WRONG, "--no-kling-strict", "--kling-strict").assert_outcomes(passed=1, failed=1)


def test_a_test_may_mean_it(run: Run) -> None:
    """For a block, for a rule, or for the rest of the test."""
    result = run("""
        import requests

        def wrong(kling, **body):
            requests.post(kling.base_url + "/v1/videos/text2video", json=body, timeout=9,
                          headers={"Authorization": "Bearer " + kling.api_key})

        def test_block(kling):
            with kling.allow_violations():
                wrong(kling)

        def test_rule(kling):
            kling.allow_violations("*/mode/enum", "*/cfg_scale/maximum")
            wrong(kling, prompt="a", mode="fast", cfg_scale=7)

        def test_other_rule(kling):
            kling.allow_violations("*/mode/enum")
            wrong(kling, prompt="a", mode="fast", cfg_scale=7)

        def test_after_the_block(kling):
            with kling.allow_violations():
                pass
            wrong(kling, prompt="a", mode="fast")

        def test_after_another_test_allowed_it(kling):
            wrong(kling, prompt="a", mode="fast")
    """)
    result.assert_outcomes(passed=2, failed=3)
    result.stdout.fnmatch_lines(["*_ test_other_rule _*", "the mock saw *", "*", "    /cfg_scale * [[]refused: *"])
    result.stdout.no_fnmatch_line("*_ test_block _*")


def test_what_a_scenario_does_is_no_violation(run: Run) -> None:
    """Nor what the account has used up, nor a warning: only what the client did wrong fails."""
    run("""
        import pytest, requests

        def test_it(kling, client):
            for scenario in ("bad-gateway", "charged-no-answer", "too-fast", "fail"):
                with kling.scenario(scenario):
                    try:
                        client.create(prompt=scenario)
                    except requests.RequestException:
                        pass
            client.create(duration=5)
            narrow = kling.register(slots=0)
            client.key, client.secret = narrow.access_key, narrow.secret_key
            with pytest.raises(requests.HTTPError):
                client.create()
            assert len(kling.requests()) == 5
    """).assert_outcomes(passed=1)


def test_a_test_that_failed_is_told_why_the_server_refused(run: Run) -> None:
    """Most clients only say that it was a 400: a section of the report says the rest."""
    result = run("""
        def test_it(client):
            client.create(mode="fast")
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        ["E * 400 Client Error*", "*- Captured kling call -*", "the mock saw 1 wrong request of this test"]
    )


def test_what_an_assertion_told_is_not_told_again(run: Run) -> None:
    """The assertion's own text is enough; a test that expects it to fail has said that it means it."""
    result = run("""
        import pytest, requests

        def test_told(kling):
            requests.get(kling.base_url + "/nowhere", timeout=9)
            kling.assert_no_violations()

        def test_meant(kling):
            requests.get(kling.base_url + "/nowhere", timeout=9)
            with pytest.raises(AssertionError):
                kling.assert_no_violations()
    """)
    result.assert_outcomes(failed=1, passed=1)
    result.stdout.no_fnmatch_line("the mock saw*")


def test_what_comes_while_fixtures_end_is_an_error_of_the_same_test(run: Run) -> None:
    """A client that tidies up wrongly does not blame the next test."""
    result = run("""
        import pytest, requests

        @pytest.fixture
        def untidy(kling):
            yield
            requests.get(kling.base_url + "/nowhere", timeout=9)

        def test_untidy(untidy):
            pass

        def test_next(kling):
            pass
    """)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*_ ERROR at teardown of test_untidy _*", "the mock saw 1 wrong request of this test"])


def test_a_thread_that_outlives_its_test_blames_no_other(run: Run) -> None:
    """Its requests come for an account whose test is over: a warning says so."""
    result = run(
        """
        import requests

        left = []

        def test_leaves_something_running(kling, client):
            left.append(client)

        def test_next(kling):
            requests.post(left[0].base + "/v1/videos/text2video", json={}, headers=left[0].headers(), timeout=9)
    """,
        apart=True,
    )
    result.assert_outcomes(passed=2, warnings=1)
    result.stdout.fnmatch_lines(["*LateRequest: a test is over and its client goes on: createTextToVideo: POST *"])


def test_a_failure_of_the_mock_itself_fails_the_test(run: Run) -> None:
    """With its traceback, and the word that the client is not to blame."""
    result = run("""
        import requests

        def test_it(kling, kling_server, monkeypatch):
            def broken(*_):
                raise RuntimeError("the bug")
            monkeypatch.setattr(kling_server.mock, "finish", broken)
            requests.get(kling.base_url + "/v1/videos/text2video", timeout=9)
    """)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["the mock itself failed, which is no fault of the client:", "RuntimeError: the bug"])


# Lifetimes


def test_each_test_has_its_own_account_on_one_server(run: Run) -> None:
    """What one test did, another does not see."""
    run("""
        seen = []

        def test_one(kling, client):
            client.create()
            assert len(kling.tasks()) == 1
            seen.append((kling.base_url, kling.account))

        def test_two(kling):
            assert (kling.tasks(), kling.requests()) == ([], [])
            seen.append((kling.base_url, kling.account))
            assert len({url for url, _ in seen}) == 1
            assert len({account for _, account in seen}) == 2
    """).assert_outcomes(passed=2)


def test_workers_run_in_parallel(run: Run) -> None:
    """Under pytest-xdist each worker has a server, and strictness blames the right test."""
    result = run(
        """
        import pytest, requests

        @pytest.mark.parametrize("number", range(6))
        def test_it(kling, client, number):
            kling.clock.follow_sleep()
            client.wait(client.create(**({"mode": "fast"} if number == 3 else {})))
            assert len(kling.tasks()) == 1
            kling.assert_settled()
        """,
        "-n",
        "2",
        apart=True,
    )
    result.assert_outcomes(passed=5, failed=1)
    result.stdout.fnmatch_lines(
        ["*_ test_it[[]3[]] _*", "*- Captured kling call -*", "the mock saw 1 wrong request of this test"]
    )


def test_everything_can_be_overridden(run: Run) -> None:
    """The options of the server, the specs, and whose account `kling` is."""
    run(f"""
        import pytest

        @pytest.fixture(scope="session")
        def kling_options():
            return {{"at": "2026-03-01T12:00:00Z", "latency": "realistic", "mounts": {{"toymaker": "/toys"}}}}

        @pytest.fixture(scope="session")
        def kling_specs():
            return [{str(TOYS)!r}]

        @pytest.fixture
        def kling_provider():
            return "toymaker"

        def test_it(kling):
            assert kling.base_url.endswith("/toys")
            assert kling.clock.now.isoformat() == "2026-03-01T12:00:00+00:00"
            assert kling.provider("kling").account.startswith("kling-")
    """).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("scope", "name", "value", "said"),
    [
        ("session", "kling_options", {"latncy": "fast"}, "a mock has no option 'latncy'; did you mean 'latency'?"),
        ("session", "kling_specs", ["/nowhere"], "/nowhere holds no provider"),
        ("function", "kling_provider", "klin", "there is no provider 'klin'; did you mean 'kling'?"),
    ],
)
def test_a_mistake_in_a_fixture_is_told_without_our_source(
    run: Run, scope: str, name: str, value: object, said: str
) -> None:
    """The fixture's name and what is wrong with it are all that there is."""
    result = run(f"""
        import pytest

        @pytest.fixture(scope={scope!r})
        def {name}():
            return {value!r}

        def test_it(kling):
            pass
    """)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"the fixture *{name}*: {said}*"])
    result.stdout.no_fnmatch_line("*kling_mock*.py*")
    result.stdout.no_fnmatch_line("*During handling*")


def test_nothing_runs_for_tests_that_do_not_ask(run: Run) -> None:
    """The server comes with the first fixture; modules of it are not even imported by the plugin."""
    result = run(
        """
        import sys

        def test_it():
            assert "uvicorn" not in sys.modules
        """,
        "-p",
        "no:schemathesis",
        "--noconftest",
        apart=True,
    )
    result.assert_outcomes(passed=1)


def test_sleeps_and_scenarios_end_with_their_test(run: Run) -> None:
    """The next test's time is its own."""
    run("""
        import time

        def test_one(kling):
            kling.clock.follow_sleep()
            kling.scenario("stuck")
            time.sleep(3600)

        def test_two(kling, client):
            before = time.perf_counter()
            time.sleep(0.01)
            assert time.perf_counter() - before >= 0.01
            client.create()
            kling.clock.advance("1m")
            assert kling.tasks()[0].ends == "success"
    """).assert_outcomes(passed=2)


# Interception and the firewall

REAL = "https://api-singapore.klingai.com/v1/videos/text2video"


def test_the_marker_sends_real_hosts_to_the_mock(run: Run) -> None:
    """For the marked test only; without the fixture too."""
    run(
        f"""
        import pytest, requests

        @pytest.mark.kling_intercept
        def test_it(kling):
            headers = {{"Authorization": "Bearer " + kling.api_key}}
            assert requests.post({REAL!r}, json={{"prompt": "a"}}, headers=headers, timeout=9).status_code == 200
            assert len(kling.requests("createTextToVideo")) == 1

        @pytest.mark.kling_intercept("relay.example")
        def test_without_the_fixture():
            assert requests.get("http://relay.example/_mock/health", timeout=9).status_code in (200, 403)
    """,
        "--strict-markers",
    ).assert_outcomes(passed=2)


def test_the_firewall_fails_a_test_by_the_name_of_the_host(run: Run) -> None:
    """Also if the client swallows the exception; what is intercepted may pass."""
    result = run(
        f"""
        import pytest, requests

        def test_real():
            try:
                requests.get({REAL!r}, timeout=9)
            except Exception:
                pass

        @pytest.mark.kling_intercept
        def test_intercepted(kling):
            headers = {{"Authorization": "Bearer " + kling.api_key}}
            assert requests.get({REAL!r}, headers=headers, timeout=9).status_code == 200
        """,
        "--kling-firewall",
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ test_real _*",
            "the test tried to reach api-singapore.klingai.com, where work costs money; *",
            "next: give the client kling.base_url, or send the hosts to the mock: kling.intercept()",
        ]
    )
