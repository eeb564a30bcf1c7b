"""The order of a list is looked at for nothing, where the account has tasks already: also at a target that bills."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from msgspec.structs import replace

from kling_mock.contract.agreement import agreements
from kling_mock.contract.phases.jobs import Jobs
from kling_mock.contract.suite import Report, Suite
from kling_mock.contract.target import Http
from kling_mock.credentials import credential
from tests.contract.broken import Change, Passed, billing

KNOWN = agreements(["kling"])["kling"]
ROWS = KNOWN.provider.credentials.values()
READ = "listImageToVideo, read"


def read(change: Change, tasks: int = 3) -> tuple[Report, list[str]]:
    """What the suite says of a list of so many tasks, and their ids, oldest first; nothing is spent."""
    jobs = Jobs(KNOWN)
    job = jobs.of(KNOWN.provider.operations["createImageToVideo"])
    assert job is not None
    shown = credential({row.name: row.default for row in ROWS}, job.operation)
    request = job.request()
    with billing(KNOWN.provider, change) as target:
        for _ in range(tasks):
            Http(target.url).send(replace(request, headers={**request.headers, **shown}))
            time.sleep(0.01)
        run = Suite(KNOWN, target.url, environment={row.variable: row.default for row in ROWS})
        report = run.run(probe for probe in run.plan() if probe.name == READ)
        made = [task.id for task in target.mock.store.tasks()]
    assert report.spent == []
    assert len(made) == tasks
    return report, made


def rows(change: Any) -> Change:
    """A target that shows the rows of its lists otherwise."""

    def changed(passed: Passed) -> Passed:
        if passed.method != "GET" or "/image2video?" not in passed.path:
            return passed
        document = json.loads(passed.body)
        return passed._replace(body=json.dumps({**document, "data": change(document["data"])}).encode())

    return changed


def test_a_list_that_is_the_newest_first_holds() -> None:
    """As the mock has it."""
    report, _ = read(lambda passed: passed)
    assert report.failures == []
    (outcome,) = report.outcomes
    assert outcome.exchanges[0].reply["body"]["data"][2:]


@pytest.mark.parametrize("change", [lambda data: data[::-1], lambda data: [data[0], data[2], data[1]]])
def test_a_list_in_another_order_is_told(change: Any) -> None:
    """Once, by the first two tasks that stand the wrong way round."""
    report, made = read(rows(change))
    (failure,) = report.failures
    assert (failure.check, failure.operation) == ("found", "listImageToVideo")
    assert failure.message == "the list is not the newest first: a task comes after an older one"
    assert failure.got == made[:2]
    assert failure.expected == made[1::-1]
    assert report.exit_code == 1


def test_one_task_and_tasks_of_one_moment_have_no_order() -> None:
    """Nor have tasks that show no time."""

    def at_once(data: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [{**row, "created_at": data[0]["created_at"]} for row in data[::-1]]

    assert read(rows(at_once))[0].failures == []
    assert read(lambda passed: passed, tasks=1)[0].failures == []
