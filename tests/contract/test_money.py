"""At a target that bills nothing is sent that could cost more than is allowed, and the first surprise ends the run."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import count

import pytest

from kling_mock.contract.agreement import Agreement, agreements
from kling_mock.contract.messages import Message, judged
from kling_mock.contract.purse import Purse, TooDear, at_risk
from kling_mock.contract.suite import CannotRun, Report, Settings, Suite
from kling_mock.contract.target import Http
from tests.contract.broken import Passed, billing

KNOWN = agreements()
DEFAULT = next(row for row in KNOWN.values() if row.provider.default)
CHEAP = {"model_name": "kling-v1", "image": "https://example.com/a.png", "prompt": "dusk"}


def environment(agreement: Agreement) -> dict[str, str]:
    """The default account's credentials, as a user's environment has them."""
    return {row.variable: row.default for row in agreement.provider.credentials.values()}


def suite(url: str, agreement: Agreement = DEFAULT, spend: str | None = None, *phases: str) -> Suite:
    """A suite for a target that bills."""
    settings = Settings(phases or Settings().phases, 2, Decimal(spend) if spend else None)
    return Suite(agreement, url, settings, environment(agreement))


@pytest.mark.parametrize("name", KNOWN)
def test_by_default_nothing_is_billed(name: str) -> None:
    """A whole run makes no task at any provider, and yet finds something out."""
    phases = ("examples", "rules", "lifecycle", "errors", "webhooks", *(["fuzz"] if KNOWN[name] is DEFAULT else []))
    with billing(KNOWN[name].provider) as target:
        run = suite(target.url, KNOWN[name], None, *phases)
        report = run.run(run.plan())
        assert list(target.mock.store.tasks()) == []
    assert (report.spent, report.failures, report.exit_code) == ([], [], 0)
    assert sum(row.left_out is None for row in report.outcomes) >= 5
    assert ("GET", "/_mock/health") in target.asked


def test_what_is_allowed_is_spent_and_no_more() -> None:
    """A task is followed to its end for two units; what would cost more is left out, and says so."""
    with billing(DEFAULT.provider) as target:
        run = suite(target.url, DEFAULT, "2", "examples", "rules", "lifecycle")
        report = run.run(run.plan())
        made = list(target.mock.store.tasks())
    assert sum(row.amount or 0 for row in report.spent) <= 2
    assert [row.task for row in report.spent] == [task.id for task in made]
    assert made
    held = [row.probe for row in report.outcomes if row.phase == "lifecycle" and row.left_out is None]
    assert any("usual course" in name for name in held)
    assert "could cost more than may be spent" in {row.left_out for row in report.outcomes}
    assert report.exit_code == 0


def test_the_first_surprise_ends_the_run() -> None:
    """A job that is taken in spite of a documented refusal is shown with its task, and nothing is sent after it."""

    def accepted(passed: Passed) -> Passed:
        if passed.method == "POST" and passed.status == 400:
            task = {"task_id": "777", "task_status": "submitted", "created_at": 1, "updated_at": 1, "task_info": {}}
            return passed._replace(
                status=200,
                body=json.dumps({"code": 0, "message": "SUCCEED", "request_id": "r", "data": task}).encode(),
            )
        return passed

    with billing(DEFAULT.provider, accepted) as target:
        run = suite(target.url, DEFAULT, "100", "rules")
        report = run.run(run.plan())
        posts = [path for method, path in target.asked if method == "POST"]
    assert report.exit_code == 3
    assert report.stopped is not None
    assert report.stopped.startswith("task 777 was made, which the documents refuse for ")
    assert {failure.check for failure in report.failures} == {"refused"}
    assert report.failures[-1].expected == "a refusal"
    assert report.spent[-1].task == "777"
    assert not report.spent[-1].wanted
    assert len(posts) == sum(len(row.exchanges) for row in report.outcomes)


def test_an_answer_that_does_not_come_may_have_cost_something() -> None:
    """A create whose connection breaks counts as spent: the target may have made the task."""
    with billing(DEFAULT.provider, lambda passed: None if passed.method == "POST" else passed) as target:
        run = suite(target.url, DEFAULT, "5", "lifecycle")
        report = run.run(probe for probe in run.plan() if probe.name == "createImageToVideo, usual course")
        assert len(list(target.mock.store.tasks())) == 1
    assert [failure.check for failure in report.failures] == ["answered"]
    (spent,) = report.spent
    assert (spent.task, spent.wanted) == (None, True)
    assert spent.amount is not None


@pytest.mark.parametrize(
    ("body", "price"),
    [
        (CHEAP, Decimal(1)),
        ({**CHEAP, "prompt": "x" * 2501}, Decimal(1)),
        ({**CHEAP, "duration": "7"}, None),
        ({**CHEAP, "image": "data:image/png;base64,AAAA"}, Decimal(0)),
    ],
    ids=["accepted", "refused, as documented", "no price is known", "refused, as observed"],
)
def test_what_a_request_puts_at_risk(body: dict[str, str], price: Decimal | None) -> None:
    """Only a refusal that somebody has seen is free; a documented one may be stale."""
    operation = DEFAULT.provider.operations["createImageToVideo"]
    assert at_risk(judged(DEFAULT.provider, Message(operation, body))) == price


def test_reading_is_free() -> None:
    """Queries and lists cost nothing, whatever they ask for."""
    for agreement in KNOWN.values():
        for operation in agreement.provider.operations.values():
            if operation.role != "create":
                assert at_risk(judged(agreement.provider, Message(operation))) == 0


def test_a_purse_covers_what_is_left() -> None:
    """What is too dear is refused; so is what has no price, whatever may be spent."""
    operation = DEFAULT.provider.operations["createImageToVideo"]
    unknown = judged(DEFAULT.provider, Message(operation, {**CHEAP, "duration": "7"}))
    cheap = judged(DEFAULT.provider, Message(operation, CHEAP))
    Purse(Decimal(1)).cover(cheap)
    with pytest.raises(TooDear, match="could cost more than may be spent"):
        Purse(Decimal("0.5")).cover(cheap)
    with pytest.raises(TooDear, match="at a price that nobody knows"):
        Purse(Decimal(10**6)).cover(unknown)
    Purse(None).cover(unknown)


def test_without_credentials_nothing_is_sent() -> None:
    """The variables are named, each way of its own."""
    with billing(DEFAULT.provider) as target:
        run = Suite(DEFAULT, target.url, environment={"KLING_ACCESS_KEY": "half of it"})
        with pytest.raises(CannotRun, match="set KLING_API_KEY, or KLING_ACCESS_KEY and KLING_SECRET_KEY"):
            run.run(run.plan())
        assert {path for _, path in target.asked} <= {"/", "/_mock/health"}


def test_nobody_answers() -> None:
    """An address without a server is told as such."""
    run = Suite(DEFAULT, "http://127.0.0.1:9", environment=environment(DEFAULT))
    with pytest.raises(CannotRun, match=r"nobody answers at http://127\.0\.0\.1:9"):
        run.run(run.plan())


def only(run: Suite, *names: str) -> Report:
    """The report of some probes of a suite."""
    return run.run(probe for probe in run.plan() if probe.name in names)


TOO_MANY = b'{"code": 1303, "message": "m", "request_id": "r"}'
USUAL = "createImageToVideo, usual course"


def test_a_fault_inside_may_have_cost_something() -> None:
    """A gateway's 502 after the task was made counts in full, and what is left covers nothing more."""

    def fault(passed: Passed) -> Passed:
        body = b'{"code": 5000, "message": "x"}'
        return passed._replace(status=500, body=body) if passed.method == "POST" else passed

    with billing(DEFAULT.provider, fault) as target:
        run = suite(target.url, DEFAULT, "3", "lifecycle")  # the third create costs more than is left
        report = run.run(run.plan())
        assert len(list(target.mock.store.tasks())) == len(report.spent) == 2
    assert sum(row.amount or 0 for row in report.spent) == 2
    assert all(row.task is None for row in report.spent)


def test_a_refusal_that_gets_no_answer_ends_the_run() -> None:
    """Nobody can tell what became of a job that nobody wanted: exit 3."""
    with billing(DEFAULT.provider, lambda passed: None if passed.method == "POST" else passed) as target:
        run = suite(target.url, DEFAULT, None, "rules")
        report = run.run(run.plan())
        posts = [path for method, path in target.asked if method == "POST"]
    assert len(posts) == 1
    assert report.exit_code == 3
    assert report.stopped is not None
    assert report.stopped.startswith("nobody told what became of a job that should be refused for ")


def test_a_refusal_under_a_status_of_success_costs_nothing() -> None:
    """It is told as what it is, a reply off its schema; no task was made, and the run goes on."""

    def polite(passed: Passed) -> Passed:
        return passed._replace(status=200) if passed.status == 400 else passed

    with billing(DEFAULT.provider, polite) as target:
        run = suite(target.url, DEFAULT, None, "rules")
        report = run.run(run.plan())
    assert (report.spent, report.stopped, report.exit_code) == ([], None, 1)
    assert {failure.check for failure in report.failures} >= {"schema", "refused"}


def test_a_busy_target_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Too many tasks at once is an answer that the documents know, and no breach: the request is sent again."""
    seen: list[str] = []
    waited: list[int] = []

    def full(passed: Passed) -> Passed:
        seen.append(passed.method)
        busy = passed.method == "POST" and seen.count("POST") <= 2
        return passed._replace(status=429, body=TOO_MANY) if busy else passed

    monkeypatch.setattr(Http, "wait", lambda self, ms: waited.append(ms))
    with billing(DEFAULT.provider, full) as target:
        report = only(suite(target.url, DEFAULT, "5", "rules"), "first-or-last-frame, just not")
    assert (report.failures, report.outcomes[0].left_out) == ([], None)
    assert waited[:2] == [1000, 2000]


def test_a_target_that_stays_busy_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """It neither holds nor fails."""
    monkeypatch.setattr(Http, "wait", lambda self, ms: None)
    body = b'{"code": 1302, "message": "m", "request_id": "r"}'
    with billing(DEFAULT.provider, lambda passed: passed._replace(status=429, body=body)) as target:
        report = only(suite(target.url, DEFAULT, "5", "lifecycle"), USUAL)
    assert (report.failures, report.outcomes[0].left_out) == ([], "the target was too busy (429)")


def test_a_target_that_answers_no_more_is_given_up() -> None:
    """After three probes without an answer the rest is left out, fuzzing too."""
    with billing(DEFAULT.provider, lambda passed: None if "v1" in passed.path else passed) as target:
        run = suite(target.url, DEFAULT, None, "errors", "fuzz")
        report = run.run(run.plan())
    assert {failure.check for failure in report.failures} == {"answered"}
    assert report.outcomes[-1].left_out == "the target does not answer any more"


def without_task_info(passed: Passed) -> Passed:
    """A reply without what no schema requires, and with an address that is signed anew each time."""
    try:
        document = json.loads(passed.body)
        rows = document["data"]
    except (ValueError, KeyError, TypeError):
        return passed
    for row in rows if isinstance(rows, list) else [rows]:
        for name in ("task_info", "watermark_info", "final_unit_deduction"):
            row.pop(name, None)
        for video in row.get("task_result", {}).get("videos", []):
            video["url"] += f"?signature={next(COUNT)}"
    return passed._replace(body=json.dumps(document).encode())


COUNT = count()


def test_what_no_document_promises_is_not_asked_for() -> None:
    """Optional keys may be missing, addresses signed anew, unknown paths answered by a gateway's page."""

    def lean(passed: Passed) -> Passed:
        return passed._replace(body=b"<html>no such page</html>") if passed.status == 404 else without_task_info(passed)

    with billing(DEFAULT.provider, lean) as target:
        run = suite(target.url, DEFAULT, "2", "errors", "lifecycle")
        report = run.run(run.plan())
    assert report.failures == []
    assert report.spent
