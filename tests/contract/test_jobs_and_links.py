"""Jobs: a message for every create that is accepted; links: the calls that lead from its reply to its task."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kling_mock.contract.messages import judged
from kling_mock.contract.phases.jobs import Jobs
from kling_mock.contract.phases.links import Nowhere, links, strange_links, value_of
from kling_mock.contract.target import Answer
from kling_mock.core.expressions import ABSENT
from tests.conftest import PROVIDERS
from tests.contract.breaking import agreed

CREATES = [(name, row.id) for name, one in PROVIDERS.items() for row in one.operations.values() if row.role == "create"]


@pytest.mark.parametrize(("name", "operation"), CREATES)
def test_there_is_a_job_for_every_create(name: str, operation: str) -> None:
    """The documents accept it, and it is always the same one."""
    agreement = agreed()[name]
    jobs = Jobs(agreement)
    job = jobs.of(agreement.provider.operations[operation])
    assert job is not None
    assert job.operation.id == operation
    assert not judged(agreement.provider, job).refused
    assert jobs.of(job.operation) is job
    assert Jobs(agreement).of(job.operation) == job


def test_a_job_is_the_cheapest_that_is_known() -> None:
    """Of the examples that are accepted the one with the lowest price is taken: what it costs may be real money."""
    agreement = agreed()["kling"]
    job = Jobs(agreement).of(agreement.provider.operations["createImageToVideo"])
    assert job is not None
    quote = judged(agreement.provider, job).quote
    assert quote is not None
    assert (str(quote.amount), quote.unit) == ("1", "units")


def test_a_job_can_be_given_an_alias_and_a_parent() -> None:
    """Both are put where the documents have them; the job itself stays as it is."""
    jobs = Jobs(agreed()["kling"])
    job = jobs.of(jobs.provider.operations["createImageToVideo"])
    assert job is not None
    named = jobs.named(job, "mine")
    assert named is not None
    assert named.document == {**job.document, "external_task_id": "mine"}
    assert "external_task_id" not in job.document
    upon = Jobs(agreed()["rixapi"])
    lip = upon.of(upon.provider.operations["createLipSync"])
    assert lip is not None
    assert upon.upon(lip, "42").document["input"]["task_id"] == "42"
    assert upon.named(lip, "mine") is None


def test_a_job_without_a_place_for_a_parent_stays_as_it_is() -> None:
    """What builds upon nothing is not changed."""
    jobs = Jobs(agreed()["kling"])
    job = jobs.of(jobs.provider.operations["createImageToVideo"])
    assert job is not None
    assert jobs.upon(job, "42") is job


def answer(document: Any, status: int = 200) -> Answer:
    """A reply with this body."""
    return Answer(status, {"content-type": "application/json"}, json.dumps(document).encode())


def test_a_link_leads_to_the_task_by_path_query_or_body() -> None:
    """Where the id goes is said by the operation's parameters, or by the link's own request body."""
    found = [
        (message.request().method, message.request().path, message.request().query, message.document)
        for name, operation, told in (
            ("kling", "createImageToVideo", answer({"data": {"task_id": "4/2"}})),
            ("toymaker", "orderToy", answer({"order": {"ticket": "toy 7"}}, 202)),
            ("pixazo", "createImageToVideo", answer({"request_id": "r1"})),
        )
        for message in links(agreed()[name], agreed()[name].provider.operations[operation], told)
    ]
    assert found == [
        ("GET", "/v1/videos/image2video/4%2F2", "", ABSENT),
        ("GET", "/workshop/order", "ticket=toy+7", ABSENT),
        ("POST", "/kling-ai-polling/v1/getImageToVideoStatus", "", {"task_id": "r1"}),
        ("GET", "/v2/requests/status/r1", "", ABSENT),
    ]


def test_a_link_of_another_variant_leads_nowhere() -> None:
    """A gateway that answers in two shapes links by each; only those that name something are followed."""
    agreement = agreed()["302ai"]
    operation = agreement.provider.operations["m2v21ImageToVideo"]
    one = list(links(agreement, operation, answer({"data": {"task": {"id": "kling_1"}}})))
    other = list(links(agreement, operation, answer({"data": {"task_id": "kling_2"}})))
    assert [row.path for row in (*one, *other)] == [{"id": "kling_1"}, {"id": "kling_2"}]
    assert list(links(agreement, operation, answer({"data": {}}))) == []
    assert list(links(agreement, operation, answer({"data": {"task_id": "kling_2"}}, 404))) == []


def test_links_can_be_made_for_a_task_of_nobody() -> None:
    """Every link gets the same id, wherever the reply would have had one."""
    agreement = agreed()["pixazo"]
    found = list(strange_links(agreement, agreement.provider.operations["createImageToVideo"], "nobody"))
    assert [row.document if row.document is not ABSENT else row.path for row in found] == [
        {"task_id": "nobody"},
        {"id": "nobody"},
    ]


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("$response.body#/data/0/id", "a"),
        ("$response.body#/data/0", {"id": "a"}),
        ("$response.body#/a~1b", 1),
        ("plain", "plain"),
        (7, 7),
        ({"id": "$response.body#/data/0/id", "kind": "video"}, {"id": "a", "kind": "video"}),
    ],
)
def test_an_expression_of_a_link_is_replaced_by_what_it_names(written: Any, value: Any) -> None:
    """Also inside of an object; what is no expression stays."""
    assert value_of(written, {"data": [{"id": "a"}], "a/b": 1}) == value


@pytest.mark.parametrize("written", ["$response.body#/none", "$response.body#/data/1", "$response.body#/data/x"])
def test_an_expression_that_names_nothing_is_told(written: str) -> None:
    """A member or a row that is not there."""
    with pytest.raises(Nowhere):
        value_of(written, {"data": [{"id": "a"}]})
