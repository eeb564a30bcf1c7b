"""Coverage of behaviour: which points there are, and which exchange covers which."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from kling_mock.contract.coverage.counting import DIMENSIONS, Coverage, Share, Tally
from kling_mock.contract.coverage.points import kind_of, listed
from kling_mock.core.compiling import compile_provider
from kling_mock.core.documents import Place
from kling_mock.core.model import Attempt, Exchange, Sight, Violation
from kling_mock.core.provider import Operation, Provider
from kling_mock.loading import bundled, read_documents
from kling_mock.report_examples import Examples
from kling_mock.server.mock import Mock, Options
from kling_mock.testing.witness import WatchedStore
from tests import exchanges
from tests.conftest import AT, PROVIDERS, SEED, TOYS, Client, Wall
from tests.exchanges import every_provider
from tests.test_capabilities import ask, rows

MEDIA = bundled("fixtures") / "media"
Watched = Callable[[str], tuple[Client, Coverage]]


@pytest.fixture
def watched() -> Watched:
    """A client of one provider in a mock of its own, and the coverage of what it does."""

    def make(name: str) -> tuple[Client, Coverage]:
        store, provider = WatchedStore(), PROVIDERS[name]
        coverage = Coverage(provider)
        store.listeners.append(coverage.add)
        mock = Mock([provider], Options(at=AT, seed=SEED), wall=Wall(), store=store)
        return Client(mock, provider), coverage

    return make


def labels(tally: Tally, dimension: str) -> list[str]:
    """The points of a dimension that were covered, in a few words."""
    return [point.label for point in tally.covered(dimension)]


def order(client: Client, **body: Any) -> dict[str, Any]:
    """Order a toy, and give the answer."""
    answer: dict[str, Any] = client.send("POST", "/workshop/orders", {"toy": "bear", **body}).json
    return answer


def film(client: Client, **body: Any) -> int:
    """Ask the vendor for a video from an image."""
    sent = {"image": "https://example.com/a.png", "prompt": "a lighthouse", **body}
    return client.send("POST", "/v1/videos/image2video", sent).status


def base64_of(file: str) -> str:
    """An image of the package as base64."""
    import base64

    return base64.b64encode((MEDIA / file).read_bytes()).decode()


# Which points there are


def test_the_points_of_the_toy_are_all_that_its_documents_bring_about(toymaker: Provider) -> None:
    """Each dimension by name: what is not in this table cannot be covered and so does not count."""
    every = Coverage(toymaker)
    assert {name: [point.label for point in every.missing(name)] for name in DIMENSIONS} == {
        "operations": ["listToys", "orderToy", "showToy", "cancelToy"],
        "values": [
            *(f"orderToy toy={toy}" for toy in ("bear", "train", "kite")),
            *(f"orderToy seconds={seconds}" for seconds in (2, 4, 8)),
        ],
        "features": [],
        "fired": ["a-kite-needs-wind", "a-photo-is-a-picture", "a-photo-is-better-large", "a-photo-fits-the-bench"],
        "held": ["a-kite-needs-wind", "a-photo-is-a-picture", "a-photo-is-better-large", "a-photo-fits-the-bench"],
        "states": ["waiting", "carving", "ready", "broken", "cancelled"],
        "transitions": [
            "create -> waiting",
            "waiting -> carving",
            "carving -> ready",
            "carving -> broken",
            "carving -> waiting",
            "waiting -> cancelled",
            "carving -> cancelled",
        ],
        "errors": [
            *("404 no-such-room", "405 no-such-gesture", "401 no-key", "401 bent-key", "403 wrong-key"),
            *("400 unreadable", "413 too-long", "415 wrong-paper", "422 bad-order", "422 no-such-toy", "409 no-wind"),
            *("404 no-such-ticket", "409 too-late", "429 workshop-busy"),
        ],
        "scenarios": ["fail", "backwards", "slow", "busy", "lost", "gateway"],
        "webhooks": [],
    }


def test_an_error_that_nothing_answers_with_is_no_point() -> None:
    """The vendor's 1203 is in its table, but no request and no scenario of ours brings it about."""
    named = [point.name for point in Coverage(PROVIDERS["kling"]).missing("errors")]
    assert "resource-unknown" in PROVIDERS["kling"].errors.catalogue
    assert "1203 resource-unknown" not in named
    assert "1303 too-many-tasks" in named


def test_a_relay_without_aliases_cannot_refuse_one() -> None:
    """The same entry counts where a create takes the caller's own id, and not where none does."""
    assert "1201 external-id-taken" in [point.name for point in Coverage(PROVIDERS["kling"]).missing("errors")]
    assert "1201 external-id-taken" not in [point.name for point in Coverage(PROVIDERS["rixapi"]).missing("errors")]


def test_what_a_model_lacks_or_nothing_is_said_of_is_no_feature_of_it() -> None:
    """Only cells of the table with lengths count; `undocumented` is asked of nobody."""
    named = [point.name for point in Coverage(PROVIDERS["kling"]).missing("features")]
    assert "image_tail (start_end) on kling-v1-5" in named
    assert "image_tail (start_end) on kling-v2-master" not in named
    assert "dynamic_masks/static_mask on kling-v3" not in named
    assert "camera_control on kling-v1-5" in named


def test_a_rule_whose_valid_example_gives_none_of_its_fields_cannot_be_nearly_broken() -> None:
    """Whoever gives the old name breaks the rule; it can be fired and never held."""
    every = Coverage(PROVIDERS["kling"])
    assert "model-is-the-old-name" in [point.name for point in every.missing("fired")]
    assert "model-is-the-old-name" not in [point.name for point in every.missing("held")]


@every_provider
def test_no_webhooks_are_to_be_covered_where_nobody_is_called_back(provider: Provider) -> None:
    """Five points, or none."""
    calls = any(operation.callbacks for operation in provider.operations.values())
    assert len(Coverage(provider).missing("webhooks")) == (5 if calls else 0)


# Operations, values, features, rules


def test_an_operation_is_covered_by_success(watched: Watched) -> None:
    """A call that is refused does not cover it."""
    client, seen = watched("toymaker")
    client.send("GET", "/workshop/order", query={"ticket": "none"})
    assert labels(seen, "operations") == []
    ticket = order(client)["order"]["ticket"]
    client.send("GET", "/workshop/order", query={"ticket": ticket})
    assert labels(seen, "operations") == ["orderToy", "showToy"]


def test_a_gateways_page_and_a_refusal_with_200_are_no_success(toymaker: Provider) -> None:
    """What counts is that nothing was wrong, and that the answer says so."""
    wrong = Violation("orderToy/toy/enum", "/toy", "should be one of bear")
    for row in (exchange(toymaker, "create", reply={"status": 502}), exchange(toymaker, "create", violations=(wrong,))):
        assert labels(Coverage(toymaker).add(row), "operations") == []
    warned = replace(wrong, severity="warning")
    assert labels(Coverage(toymaker).add(exchange(toymaker, "create", violations=(warned,))), "operations") == [
        "orderToy"
    ]


def test_what_only_the_store_refuses_was_read_to_its_end(toymaker: Provider) -> None:
    """The pack is empty: the request was right, and its values were understood."""
    request = {"headers": {"Content-Type": "application/json"}, "body": {"toy": "train"}}
    empty = Violation("mock/balance.empty", "", "the pack holds less")
    row = exchange(toymaker, "create", request=request, violations=(empty,), reply={"status": 429})
    assert labels(Coverage(toymaker).add(row), "values") == ["orderToy toy=train"]


def test_a_value_is_covered_by_sending_it_as_text_or_number_and_not_by_its_default(watched: Watched) -> None:
    """`seconds` is 4 unless it is said."""
    client, seen = watched("toymaker")
    order(client)
    assert labels(seen, "values") == ["orderToy toy=bear"]
    order(client, seconds="8")
    order(client, seconds=2)
    assert labels(seen, "values") == ["orderToy toy=bear", "orderToy seconds=2", "orderToy seconds=8"]


def test_a_value_in_a_request_that_was_not_read_so_far_is_not_covered(watched: Watched) -> None:
    """Without a key, or beside a field of the wrong type, it was not looked at; a rule's refusal comes after it."""
    client, seen = watched("toymaker")
    client.send("POST", "/workshop/orders", {"toy": "train"}, headers={"x-toy-key": None})
    order(client, toy="train", wish=7)
    assert labels(seen, "values") == []
    order(client, toy="kite")
    assert labels(seen, "values") == ["orderToy toy=kite"]
    assert labels(seen, "fired") == ["a-kite-needs-wind"]


def test_values_in_paths_and_of_fields_in_objects_are_values_too(watched: Watched) -> None:
    """A relay's query route names the kind of task in its path."""
    client, seen = watched("rixapi")
    made = client.send("POST", "/kling/v1/videos/text2video", {"prompt": "a lighthouse"})
    client.send("GET", f"/kling/v1/videos/text2video/{made.headers['x-mock-task']}")
    assert labels(seen, "values") == ["getTask action=videos", "getTask action2=text2video"]
    camera = {"type": "simple", "config": {"zoom": 5}}
    body = {"image": "https://example.com/a.png", "model_name": "kling-v1-5", "mode": "pro", "camera_control": camera}
    client.send("POST", "/kling/v1/videos/image2video", body)
    assert "createImageToVideo camera_control/type=simple" in labels(seen, "values")


@every_provider
def test_every_value_that_counts_can_be_sent(provider: Provider, watched: Watched) -> None:
    """In the request of a fixture, one after the other: so far as there is one for the operation, none is missing."""
    client, seen = watched(provider.name)
    shown = list(exchanges.of_role(provider, "create"))
    for name in shown:
        for body in exchanges.operation_of(name).bodies.values():
            for path, value in listed(body.reader):
                for token in reversed(path[1:]):
                    value = [value] if token == "*" else {token: value}
                exchanges.send(client.other(), exchanges.written(name, {path[0]: value}))
    known = {exchanges.operation_of(name).id for name in shown}
    assert shown
    assert [point for point in seen.missing("values") if point.operation in known] == []


def test_every_feature_that_counts_can_be_had(watched: Watched) -> None:
    """Asked for with each model and mode of the vendor's map in some length; what it lacks covers the limit."""
    client, seen = watched("kling")
    for model, mode, cells in rows():
        for feature in cells:
            for seconds in (5, 10, 11):
                ask(client.other(), feature, model, mode, seconds)
    assert seen.missing("features") == []
    assert client.provider.capabilities is not None
    assert set(client.provider.capabilities.features) <= set(labels(seen, "fired"))


def test_a_path_may_stand_below_a_mount_point() -> None:
    """As `serve --mount` puts it there; the last segments are the operation's."""
    provider = PROVIDERS["rixapi"]
    row = exchange(provider, "query", request={"path": "/relay/here/kling/v1/videos/text2video/id-1"})
    assert labels(Coverage(provider).add(row), "values") == ["getTask action=videos", "getTask action2=text2video"]


def test_values_of_headers_do_not_count(toy_documents: dict[str, Any]) -> None:
    """The journal does not keep them all, so nobody could cover them."""
    parameters = [
        {"name": name, "in": where, "schema": {"enum": ["x"]}} for name, where in (("H", "header"), ("q", "query"))
    ]
    toy_documents["toymaker/openapi.yaml"]["paths"]["/workshop/orders"]["get"]["parameters"] += parameters
    named = [point.label for point in Coverage(compile_provider(toy_documents, "toymaker")).missing("values")]
    assert "listToys q=x" in named
    assert "listToys H=x" not in named


def test_a_feature_that_is_refused_or_warned_of_was_not_had(watched: Watched) -> None:
    """For whatever reason the request was refused; an undocumented combination passes with a warning."""
    client, seen = watched("kling")
    tail = {"image_tail": "https://example.com/b.png", "model_name": "kling-v1-5", "mode": "pro"}
    assert film(client, **tail, cfg_scale=7) == 400
    assert labels(seen, "features") == []
    request = {"headers": {}, "body": {"image": "https://example.com/a.png", **tail}}
    warned = Violation("start_end", "/image_tail", "is not documented", "warning")
    words = {"request": request, "operation": "createImageToVideo"}
    seen.add(exchange(client.provider, "create", **words, violations=(warned,)))
    assert labels(seen, "features") == []
    seen.add(exchange(client.provider, "create", **words))
    assert labels(seen, "features") == ["image_tail (start_end) on kling-v1-5"]


def test_a_feature_is_covered_by_a_model_that_has_it_and_its_limit_by_one_that_has_not(watched: Watched) -> None:
    """The issue's own example: image_tail on kling-v1-5."""
    client, seen = watched("kling")
    tail = {"image_tail": "https://example.com/b.png"}
    assert film(client, model_name="kling-v1-5", mode="std", **tail) == 400
    assert labels(seen, "features") == []
    assert labels(seen, "fired") == ["start_end"]
    assert film(client, model_name="kling-v1-5", mode="pro", **tail) == 200
    assert labels(seen, "features") == ["image_tail (start_end) on kling-v1-5"]


def rule_bodies() -> Iterator[tuple[str, str, Any, Any]]:
    """Provider and rule, with its two examples, for rules over the fields of a create's body."""
    for provider in PROVIDERS.values():
        folder = TOYS if (TOYS / provider.name).is_dir() else bundled("specs")
        documents = read_documents(folder)
        file = f"{provider.name}/openapi.yaml"
        root = Place(documents, file, "", documents[file])
        for name, rule in root.get("x-mock-rules").items():
            shown = [rule.node[which] for which in ("valid", "invalid")]
            if "compare" in rule.node:
                shown = [row.get("document") for row in shown]
            if (
                provider.rules[name].near.fields
                and not provider.rules[name].near.within
                and all(isinstance(row, dict) for row in shown)
            ):
                yield provider.name, name, *shown


def kinds(provider: Provider, rule: str, operation: Operation) -> frozenset[str]:
    """The kinds of task for which an operation's request is held against a rule."""
    if any(rule in body.rules for body in operation.bodies.values()):
        return frozenset({kind_of(operation)})
    return next((row.kinds for row in provider.judged if row.rule.id == rule), frozenset())


BODIES = list(rule_bodies())


@pytest.mark.parametrize(("name", "rule", "valid", "invalid"), BODIES, ids=[f"{n}-{r}" for n, r, *_ in BODIES])
def test_a_rules_own_examples_cover_it(name: str, rule: str, valid: Any, invalid: Any, watched: Watched) -> None:
    """The valid one shows that it held and does not fire it, the invalid one the other way round."""
    client, seen = watched(name)
    creates = [row for row in client.provider.operations.values() if row.role == "create"]
    for operation in creates:
        client.send(operation.method, operation.path, valid)
    assert rule in labels(seen, "held")
    assert rule not in labels(seen, "fired")
    client, seen = watched(name)
    for operation in creates:
        if kind_of(operation) in kinds(client.provider, rule, operation):
            client.send(operation.method, operation.path, invalid)
    assert rule in labels(seen, "fired")
    assert rule not in labels(seen, "held")


def test_a_rule_that_the_request_is_far_from_is_not_held(watched: Watched) -> None:
    """A toy that is no kite says nothing of the wind; nor does the kite without it, which is refused."""
    client, seen = watched("toymaker")
    order(client, wind=3)
    assert labels(seen, "held") == []
    order(client, toy="kite", wind=3)
    assert labels(seen, "held") == ["a-kite-needs-wind"]


def test_a_rule_within_a_part_of_the_body_is_held_there(watched: Watched) -> None:
    """A relay's lip-sync has its words in an object of their own."""
    client, seen = watched("rixapi")
    body = {"input": {"task_id": "none", "video_id": "v", "mode": "text2video", "text": "good morning"}}
    client.send("POST", "/kling/v1/videos/lip-sync", body)
    assert labels(seen, "held") == ["spoken-text-is-given"]


def test_a_rule_over_one_field_is_held_by_a_value_that_it_takes(watched: Watched) -> None:
    """Its examples are values and no bodies; where the field is not said, its default is held against it."""
    client, seen = watched("rixapi")
    path, body = "/kling/v1/images/generations", {"prompt": "a lighthouse"}
    client.send("POST", path, {**body, "model_name": "kling-v99"})
    assert "image-model-is-served" not in labels(seen, "held")
    assert "image-model-is-served" in labels(seen, "fired")
    client.send("POST", path, {**body, "model_name": "kling-v2"})
    assert "image-model-is-served" in labels(seen, "held")


def test_rules_over_images_are_held_by_an_image_that_was_looked_at(watched: Watched) -> None:
    """An address is not fetched, so nothing is known of it; of an image with a fault only the fault."""
    client, seen = watched("kling")
    film(client)
    assert "image-is-at-least-300-px" not in labels(seen, "held")
    film(client, image=base64_of("just-too-small-300x299.png"))
    assert labels(seen, "fired") == ["image-is-at-least-300-px"]
    assert "image-is-jpg-or-png" not in labels(seen, "held")
    film(client, image=base64_of("square-300x300.png"))
    assert {"image-is-at-least-300-px", "image-is-jpg-or-png", "image-is-whole"} <= set(labels(seen, "held"))


def test_rules_that_compare_images_are_held_by_two_of_them(watched: Watched) -> None:
    """One mask cannot be of another size than the others."""
    client, seen = watched("kling")
    square = base64_of("square-300x300.png")
    film(client, image="https://example.com/a.png", static_mask=square, model_name="kling-v1")
    assert "masks-have-one-resolution" not in labels(seen, "held")
    assert "masks-have-the-images-ratio" not in labels(seen, "held")
    film(client, image=square, static_mask=square, model_name="kling-v1")
    assert "masks-have-the-images-ratio" in labels(seen, "held")


def test_a_feature_is_found_for_every_example_of_one(watched: Watched) -> None:
    """The payload that the documents have for a feature covers it with some model; the other one its limit."""
    documents = read_documents(bundled("specs"))
    client, seen = watched("kling")
    found = Examples(client.provider, Place(documents, "kling/openapi.yaml", "", documents["kling/openapi.yaml"]))
    assert client.provider.capabilities is not None
    names = [name for name in client.provider.capabilities.features if found.of_feature(name)]
    for name in names:
        example = found.of_feature(name)
        assert example is not None
        path = client.provider.operations[example.operation].path
        before = len(labels(seen, "features"))
        client.other().send("POST", path, example.valid)
        assert len(labels(seen, "features")) > before or name == "text", name
        client.other().send("POST", path, example.invalid)
        assert name in labels(seen, "fired")
    assert len(names) > 8


# States, transitions, scenarios


def test_states_and_transitions_are_those_that_answers_show(watched: Watched) -> None:
    """What is skipped between two polls was not shown, and a step over it is none."""
    client, seen = watched("toymaker")
    ticket = order(client)["order"]["ticket"]
    client.advance("10s")
    client.send("GET", "/workshop/order", query={"ticket": ticket})
    assert labels(seen, "states") == ["waiting", "ready"]
    assert labels(seen, "transitions") == ["create -> waiting"]
    ticket = order(client)["order"]["ticket"]
    for _ in range(3):
        client.advance("3s")
        client.send("GET", "/workshop/order", query={"ticket": ticket})
    assert labels(seen, "states") == ["waiting", "carving", "ready"]
    assert labels(seen, "transitions") == ["create -> waiting", "waiting -> carving", "carving -> ready"]


def test_an_answer_that_was_lost_showed_nothing(toymaker: Provider) -> None:
    """Neither a state nor the step into it."""
    row = exchange(toymaker, "create", saw=(Sight("t", "waiting", False),))
    lost, had = Coverage(toymaker).add(replace(row, lost=True)), Coverage(toymaker).add(row)
    assert (labels(lost, "states"), labels(lost, "transitions")) == ([], [])
    assert (labels(had, "states"), labels(had, "transitions")) == (["waiting"], ["create -> waiting"])


@every_provider
def test_every_state_and_transition_that_counts_can_be_come_to(provider: Provider, watched: Watched) -> None:
    """By each scenario's course, polled at each of its moments, and by cancelling where that is to be had."""
    client, seen = watched(provider.name)
    for prefer in (None, *(f"scenario={name}" for name, row in provider.scenarios.items() if row.timeline)):
        made = exchanges.make(client, prefer=prefer)
        task = exchanges.task_of(client, made)
        for before, after in zip(task.timeline, task.timeline[1:], strict=False):
            client.advance(f"{after.at - before.at}ms")
            exchanges.poll(client, task.id)
    for name in exchanges.of_role(provider, "cancel"):
        for steps in range(len(provider.lifecycle.usual) - 1):
            task = exchanges.task_of(client, exchanges.make(client))
            client.advance(f"{task.timeline[steps].at - task.created}ms")
            exchanges.poll(client, task.id)
            asked = exchanges.asking_for(client, exchanges.operation_of(name), exchanges.written(name), task.id)
            assert exchanges.send(client, asked).status < 300
    assert seen.missing("states") == []
    assert seen.missing("transitions") == []


def exchange(provider: Provider, role: str, **words: Any) -> Exchange:
    """An exchange of which nothing is known but what is said."""
    operation = next(row for row in provider.operations.values() if row.role == role)
    known = {"at": 0, "ordinal": 1, "account": None, "task": None, "request": {}, "reply": {"status": 200}}
    return Exchange(**{**known, "provider": provider.name, "operation": operation.id, "role": role, **words})


def test_a_scenario_is_covered_whatever_its_parameters(toymaker: Provider) -> None:
    """The name counts; one that the documents do not have (a user's own) is no point."""
    seen = Coverage(toymaker)
    seen.add(exchange(toymaker, "create", scenario="slow seconds=90"))
    seen.add(exchange(toymaker, "create", scenario="mine"))
    assert labels(seen, "scenarios") == ["slow"]


def test_another_providers_exchange_covers_nothing(toymaker: Provider) -> None:
    """Coverage is of one provider."""
    row = exchange(PROVIDERS["kling"], "create", scenario="slow")
    assert Coverage(toymaker).add(row).covered() == []


# Errors


def test_errors_are_covered_by_what_the_mock_answers(watched: Watched) -> None:
    """For a request that is wrong, for one whose account is at its limit, and by a scenario."""
    client, seen = watched("kling")
    film(client, mode="prox")
    client.send("GET", "/v1/videos/image2video/none")
    client.send("PATCH", "/v1/videos/image2video")
    client.send("POST", "/v1/videos/image2video", {"image": "a"}, headers={"authorization": None})
    client.send("POST", "/v1/videos/image2video", {"image": "https://e.com/a", "prompt": "[mock:overloaded]"})
    assert labels(seen, "errors") == [
        "1001 token-missing",
        "1201 value-invalid",
        "1201 task-unknown",
        "1202 method-invalid",
        "1303 too-many-tasks",
    ]


# Webhooks

SENT, REFUSED, SILENT = Attempt(0, 0, 200), Attempt(0, 0, 500), Attempt(0, 0, None, "timed out")


@pytest.mark.parametrize(
    ("attempts", "covered"),
    [
        ([], []),
        ([SENT], ["delivered"]),
        ([SILENT], ["failed"]),
        ([REFUSED, SENT], ["delivered", "failed", "retried"]),
        ([SENT, SENT], ["delivered", "replayed"]),
        ([SENT, REFUSED], ["delivered", "failed", "given up", "replayed"]),
    ],
)
def test_what_becomes_of_a_webhook(attempts: list[Attempt], covered: list[str]) -> None:
    """Delivered, failed, tried again by itself, and sent anew although it was over."""
    seen = Coverage(PROVIDERS["kling"]).add_attempts(attempts)
    assert labels(seen, "webhooks") == covered


def test_a_webhook_is_given_up_after_the_last_step_of_the_ladder() -> None:
    """As many attempts as the documents say and one more; what comes after that is a replay."""
    provider = PROVIDERS["kling"]
    steps = max(len(row.retries) for operation in provider.operations.values() for row in operation.callbacks)
    seen = Coverage(provider).add_attempts([REFUSED] * steps)
    assert labels(seen, "webhooks") == ["failed", "retried"]
    seen = Coverage(provider).add_attempts([REFUSED] * (steps + 1))
    assert labels(seen, "webhooks") == ["failed", "retried", "given up"]
    seen = Coverage(provider).add_attempts([REFUSED] * (steps + 1) + [SENT])
    assert labels(seen, "webhooks") == ["delivered", "failed", "retried", "given up", "replayed"]


# Adding up


def test_what_was_seen_in_two_places_adds_up(toymaker: Provider) -> None:
    """By way of JSON, as between processes."""
    one, other = Coverage(toymaker), Coverage(toymaker)
    one.add(exchange(toymaker, "create", scenario="slow"))
    other.add(exchange(toymaker, "create", scenario="slow"))
    other.add(exchange(toymaker, "create", scenario="fail"))
    one.merge(Tally.from_json(json.loads(json.dumps(other.to_json()))))
    assert labels(one, "scenarios") == ["fail", "slow"]
    assert {point.name: count for point, count in one.hits.items() if point.dimension == "scenarios" and count} == {
        "fail": 1,
        "slow": 2,
    }


def test_other_documents_cannot_be_added(toymaker: Provider) -> None:
    """Neither another provider's nor those of another version."""
    seen = Coverage(toymaker)
    with pytest.raises(ValueError, match="the documents are not the same"):
        seen.merge(Coverage(PROVIDERS["kling"]))
    with pytest.raises(ValueError, match="the documents are not the same"):
        seen.merge(Tally("toymaker", "Toymaker", "7", "another digest", {}))


def test_some_dimensions_can_be_counted_alone(toymaker: Provider) -> None:
    """The others are in no sum; one that there is not is refused with the nearest."""
    only = Coverage(toymaker).only(["states", "scenarios"])
    assert only.share() == Share(0, 11)
    assert [row.name for row in only.shares()] == ["states", "scenarios"]
    with pytest.raises(ValueError, match="no dimension 'state'; did you mean 'states'"):
        Coverage(toymaker).only(["state"])


@pytest.mark.parametrize(("covered", "percent", "reaches"), [(799, 79, False), (800, 80, True), (999, 99, True)])
def test_percents_are_never_rounded_up(covered: int, percent: int, reaches: bool) -> None:
    """79.9 is less than 80, and 99.9 is not everything."""
    share = Share(covered, 1000)
    assert (share.percent, share.reaches(80)) == (percent, reaches)
    assert not share.reaches(100)
    assert Share(799, 1000).reaches(79.9)


def test_every_dimension_says_what_counts() -> None:
    """The names are those of the points, and no meaning is empty."""
    every: Mapping[str, Coverage] = {name: Coverage(provider) for name, provider in PROVIDERS.items()}
    assert {point.dimension for coverage in every.values() for point in coverage.hits} == set(DIMENSIONS)
    assert all(row.means for row in DIMENSIONS.values())
