"""Whatever is not understood in a spec is refused at load: which file, which pointer, which word was meant.

Each case breaks a copy of the toy's documents in one way.
"""

from __future__ import annotations

from typing import Any

import pytest

from kling_mock.core.compiling import compile_provider
from kling_mock.core.documents import tokens
from kling_mock.core.errors import STAGES
from kling_mock.core.examples import check_examples
from kling_mock.core.problems import Problem, SpecError, closest

Toys = dict[str, Any]
ORDERS, ORDER = "/paths/~1workshop~1orders", "/paths/~1workshop~1order"
TAKEN = f"{ORDERS}/post/responses/202/content/application~1json"


def put(documents: Toys, file: str, at: str, value: Any) -> None:
    """Put a value at a pointer of one of the toy's files; the last token may be new, "-" appends."""
    node = documents[f"toymaker/{file}.yaml"]
    *path, last = tokens(at)
    for token in path:
        node = node[int(token)] if isinstance(node, list) else node[token]
    if isinstance(node, list):
        node.append(value) if last == "-" else node.__setitem__(int(last), value)
    else:
        node[last] = value


def take(documents: Toys, file: str, at: str) -> None:
    """Take away what is at a pointer."""
    node = documents[f"toymaker/{file}.yaml"]
    *path, last = tokens(at)
    for token in path:
        node = node[token]
    del node[last]


def problems(documents: Toys) -> tuple[Problem, ...]:
    """What is wrong with the documents."""
    with pytest.raises(SpecError) as error:
        compile_provider(documents, "toymaker")
    return error.value.problems


def expect(documents: Toys, file: str, at: str, message: str) -> None:
    """The documents are refused for this reason, at this place."""
    found = problems(documents)
    places = [problem.message for problem in found if (problem.file, problem.pointer) == (f"toymaker/{file}.yaml", at)]
    assert any(message in text for text in places), "\n".join(map(str, found))


@pytest.mark.parametrize("at", ["/x-mock-defaultz", f"{ORDERS}/post/x-mock-rolez"])
def test_a_misspelt_word_is_told_once(toy_documents: Toys, at: str) -> None:
    """With the word that was meant, though it is neither known nor allowed where it stands."""
    put(toy_documents, "openapi", at, True)
    told = [problem.message for problem in problems(toy_documents) if problem.pointer == at]
    word = at.rpartition("/")[2]
    assert told == [f"unknown word {word!r}; did you mean {word.removesuffix('z')!r}?"]


def test_the_toy_is_right(toy_documents: Toys) -> None:
    """Unbroken, the documents compile and every rule's examples show it; each case below breaks something."""
    assert compile_provider(toy_documents, "toymaker").name == "toymaker"
    assert check_examples(toy_documents, "toymaker") == []


STATE = {"words": {"step": 9, "says": "Gone", "open": False}, "ends": "failure"}
ASSUMED = {"kind": "assumed"}


@pytest.mark.parametrize(
    ("file", "at", "value", "where", "message"),
    [
        # words
        (
            "openapi",
            "/x-mock-lifecycel",
            {},
            "/x-mock-lifecycel",
            "unknown word 'x-mock-lifecycel'; did you mean 'x-mock-lifecycle'?",
        ),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-rols",
            1,
            f"{ORDERS}/post/x-mock-rols",
            "unknown word 'x-mock-rols'; did you mean 'x-mock-role'?",
        ),
        (
            "schemas",
            "/Order/properties/toy/x-mock-documentde",
            {},
            "/Order/properties/toy/x-mock-documentde",
            "did you mean 'x-mock-documented'?",
        ),
        (
            "rules",
            "/a-kite-needs-wind/eror",
            "no-wind",
            "/a-kite-needs-wind/eror",
            "unknown word 'eror' here; did you mean 'error'?",
        ),
        ("openapi", "/x-mock-role", "create", "/x-mock-role", "unknown word 'x-mock-role' here"),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-role",
            "creat",
            f"{ORDERS}/post/x-mock-role",
            "'creat' is not known; did you mean 'create'?",
        ),
        ("openapi", f"{ORDERS}/post/x-mock-task/knd", "x", f"{ORDERS}/post/x-mock-task/knd", "unknown word 'knd' here"),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-result/of",
            "song",
            f"{ORDERS}/post/x-mock-result/of",
            "'song' is not known",
        ),
        ("openapi", "/x-mock-environment", {}, "/x-mock-environment", "needs 'base_url'"),
        ("openapi", "/x-mock-variants", "one", "/x-mock-variants", "should not be of type string"),
        (
            "errors",
            "/catalogue/fire/evidence",
            {"kind": "rumoured"},
            "/catalogue/fire/evidence/kind",
            "'rumoured' is not known",
        ),
        ("errors", "/catalogue/fire/evidence", {"kind": "observed"}, "/catalogue/fire/evidence", "needs 'source'"),
        # lifecycle
        ("lifecycle", "/states/lost", STATE, "/states/lost", "the state 'lost' cannot be reached from 'waiting'"),
        (
            "lifecycle",
            "/states/waiting/then/-",
            "carvign",
            "/states/waiting/then/2",
            "unknown state 'carvign'; did you mean 'carving'?",
        ),
        (
            "lifecycle",
            "/states/ready/words",
            {"step": 2},
            "/states/ready",
            "the state 'ready' has no word for open, says",
        ),
        ("lifecycle", "/states/ready/then", ["waiting"], "/states/ready", ""),
        ("lifecycle", "/states/cancelled", {"words": STATE["words"], "then": []}, "/states/cancelled/then", ""),
        ("lifecycle", "/usual", ["waiting", "ready"], "/usual", "takes a step that no state's `then` allows"),
        ("lifecycle", "/usual/2", "redy", "/usual/2", "unknown state 'redy'; did you mean 'ready'?"),
        (
            "lifecycle",
            "/latency/brisk/carvng",
            "1s",
            "/latency/brisk/carvng",
            "unknown state 'carvng'; did you mean 'carving'?",
        ),
        # scenarios
        (
            "scenarios",
            "/fail/timeline",
            ["waiting", "broken"],
            "/fail",
            "order: the scenario breaks it and does not say so",
        ),
        (
            "scenarios",
            "/fail/timeline",
            ["waiting", "carving"],
            "/fail",
            "order: the scenario breaks it and does not say so",
        ),
        (
            "scenarios",
            "/fail/breaks",
            ["order"],
            "/fail",
            "order: the scenario says that it breaks it and does not",
        ),
        (
            "scenarios",
            "/slow/breaks",
            ["order"],
            "/slow",
            "order: the scenario says that it breaks it and does not",
        ),
        ("scenarios", "/fail/breaks", ["bones"], "/fail/breaks/0", "'bones' is not known"),
        ("scenarios", "/fail/timeline/2", "brokn", "/fail/timeline/2", "unknown state 'brokn'; did you mean 'broken'?"),
        (
            "scenarios",
            "/slow/latency",
            {"carved": "1s"},
            "/slow/latency/carved",
            "unknown state 'carved'; did you mean 'carving'?",
        ),
        ("scenarios", "/slow/latency", {"carving": "later"}, "/slow/latency/carving", ""),
        (
            "scenarios",
            "/Not Good",
            {"shows": "x", "evidence": ASSUMED},
            "/Not Good",
            "a scenario's name is lower case words with hyphens",
        ),
        (
            "scenarios",
            "/busy/answers/0/error",
            "workshop-bsy",
            "/busy/answers/0/error",
            "no error 'workshop-bsy' in the catalogue; did you mean 'workshop-busy'?",
        ),
        ("scenarios", "/busy/answers/0", {"call": "create"}, "/busy/answers/0", ""),
        ("scenarios", "/busy/answers/0/call", "creat", "/busy/answers/0/call", "did you mean 'create'?"),
        (
            "scenarios",
            "/busy/answers/0/call",
            "poll",
            "/busy/answers/0/call",
            "'poll' is not known; known are balance, cancel, create, download, list, query",
        ),
        ("scenarios", "/busy/answers/0/eror", "x", "/busy/answers/0/eror", "did you mean 'error'?"),
        (
            "scenarios",
            "/busy/enum",
            {"statsu": [500]},
            "/busy/enum/statsu",
            "there is no parameter 'statsu'",
        ),
        (
            "scenarios",
            "/gateway/enum",
            {"statsu": [500, 502]},
            "/gateway/enum/statsu",
            "there is no parameter 'statsu'; did you mean 'status'?",
        ),
        (
            "scenarios",
            "/gateway/parameters/status",
            503,
            "/gateway/enum/status",
            "lists 500 or 502, and not 503, which status is unless given",
        ),
        ("scenarios", "/gateway/enum/status", [], "/gateway/enum/status", "[] has less than 1 item"),
        (
            "scenarios",
            "/gateway/answers/0/reply/status",
            "6{status}",
            "/gateway/answers/0/reply/status",
            "should be a status from 200 to 599; 6502 is none",
        ),
        # errors
        (
            "errors",
            "/situations/task.unknown",
            "no-such-tickt",
            "/situations/task.unknown",
            "no error 'no-such-tickt' in the catalogue; did you mean 'no-such-ticket'?",
        ),
        (
            "errors",
            "/situations/task.unknwn",
            "fire",
            "/situations/task.unknwn",
            "unknown situation 'task.unknwn'; did you mean 'task.unknown'?",
        ),
        ("errors", "/situations/body.enumm", "fire", "/situations/body.enumm", "unknown situation 'body.enumm'"),
        (
            "errors",
            "/catalogue/fire/envelope",
            "slp",
            "/catalogue/fire/envelope",
            "unknown envelope 'slp'; did you mean 'slip'?",
        ),
        ("errors", "/order", list(STAGES[1:]), "/order", f"must name each stage once: {', '.join(STAGES)}"),
        ("errors", "/order/0", "body", "/order", ""),
        (
            "errors",
            "/envelopes/slip/trace",
            "{$requst.id}",
            "/envelopes/slip/trace",
            "'$requst.id' does not start with one of",
        ),
        ("errors", "/catalogue/fire/text", "{$now|isoo}", "/catalogue/fire/text", "unknown filter 'isoo'"),
        (
            "rules",
            "/a-kite-needs-wind/error",
            "no-wnd",
            "/a-kite-needs-wind/error",
            "no error 'no-wnd' in the catalogue; did you mean 'no-wind'?",
        ),
        # rules and schemas
        ("rules", "/a-kite-needs-wind/severity", "fatal", "/a-kite-needs-wind/severity", "'fatal' is not known"),
        ("rules", "/a-kite-needs-wind/fact", {"of": ["photo"], "schema": {}}, "/a-kite-needs-wind", ""),
        (
            "rules",
            "/a-photo-is-a-picture/fact/schema",
            {"type": "pixel"},
            "/a-photo-is-a-picture/fact/schema",
            "no JSON Schema 2020-12",
        ),
        (
            "rules",
            "/a-photo-is-a-picture/fact/of/0",
            "foto",
            "/a-photo-is-a-picture/fact/of/0",
            "did you mean 'photo'?",
        ),
        ("schemas", "/Order/properties/toy", {"$ref": "#/Toy"}, "/Order", "no JSON Schema 2020-12"),
        ("schemas", "/Order/properties/wish/maxLength", "long", "/Order", "no JSON Schema 2020-12"),
        # references
        (
            "openapi",
            "/x-mock-errors",
            {"$ref": "eror.yaml"},
            "/x-mock-errors",
            "$ref names 'toymaker/eror.yaml', which is not a document here",
        ),
        (
            "openapi",
            f"{TAKEN}/x-mock-body",
            {"$ref": "replies.yaml#/takn"},
            f"{TAKEN}/x-mock-body",
            "$ref 'replies.yaml#/takn' has no 'takn'; did you mean 'taken'?",
        ),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-result/price",
            {"$ref": "#/components/x-prices/flims"},
            f"{ORDERS}/post/x-mock-result/price",
            "has no 'flims'; did you mean 'films'?",
        ),
        ("replies", "/taken/order", {"$ref": "#/taken/order"}, "/taken/order", "$ref goes round in a circle"),
        # operations
        (
            "openapi",
            f"{ORDER}/get/operationId",
            "listToys",
            f"{ORDER}/get",
            "the operationId 'listToys' is there twice",
        ),
        (
            "openapi",
            f"{ORDER}/get/x-mock-task/find",
            "{$requets.query.ticket}",
            f"{ORDER}/get/x-mock-task/find",
            "'$requets.query.ticket' does not start with one of",
        ),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-parameters/prompt",
            ["{$request.body#/wish|upper}"],
            f"{ORDERS}/post/x-mock-parameters/prompt",
            "unknown filter 'upper'",
        ),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-parameters/images",
            {"photo": "{$request.body#/photo|text}"},
            f"{ORDERS}/post/x-mock-parameters/images/photo",
            "does not match",
        ),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-parameters/colour",
            "red",
            f"{ORDERS}/post/x-mock-parameters/colour",
            "unknown word 'colour' here",
        ),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-task/new",
            "{digit:9}",
            f"{ORDERS}/post/x-mock-task/new",
            "; did you mean 'digits'?",
        ),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-task/new",
            {"fancy": "x"},
            f"{ORDERS}/post/x-mock-task/new",
            "unknown variant 'fancy'; known are default",
        ),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-result/id",
            "{hx:6}",
            f"{ORDERS}/post/x-mock-result/id",
            "; did you mean 'hex'?",
        ),
        (
            "openapi",
            "/x-mock-request-id",
            "{hx:6}",
            "/x-mock-request-id",
            "; did you mean 'hex'?",
        ),
        (
            "openapi",
            "/x-mock-accounts/credentials/key/new",
            "{hx:6}",
            "/x-mock-accounts/credentials/key/new",
            "; did you mean 'hex'?",
        ),
        (
            "openapi",
            f"{ORDER}/delete/x-mock-task/to",
            "canceled",
            f"{ORDER}/delete",
            "unknown state 'canceled'; did you mean 'cancelled'?",
        ),
        (
            "openapi",
            f"{ORDER}/get/responses/202/x-mock-when/state/0",
            "wating",
            f"{ORDER}/get",
            "unknown state 'wating'; did you mean 'waiting'?",
        ),
        ("openapi", f"{ORDER}/get/responses", {"404": {}}, f"{ORDER}/get/responses", "has no 2xx response with a body"),
        (
            "openapi",
            "/components/x-prices/films/rows/0",
            ["1.5"],
            "/components/x-prices/films/rows/0",
            "a row needs a value for each of model and an amount",
        ),
        (
            "replies",
            "/taken/order/step",
            "{$stat.step}",
            "/taken/order/step",
            "'$stat.step' does not start with one of",
        ),
        ("replies", "/sheet/tickets/$ass", 1, "/sheet/tickets", "unknown template word '$ass'; did you mean '$as'?"),
        # security
        (
            "openapi",
            f"{ORDERS}/post/security",
            [{"kee": []}],
            f"{ORDERS}/post/security/0",
            "unknown security scheme 'kee'; did you mean 'key'?",
        ),
        (
            "openapi",
            "/components/securitySchemes/key/x-mock-token/0/static",
            "kee",
            "/components/securitySchemes/key/x-mock-token/0",
            "unknown credential 'kee'; did you mean 'key'?",
        ),
        (
            "openapi",
            "/components/securitySchemes/key/in",
            "query",
            "/components/securitySchemes/key",
            "only http bearer schemes and API keys in a header are understood",
        ),
        (
            "openapi",
            "/components/securitySchemes/key/x-mock-token/0",
            {"jwt": {"issuer": "key", "secret": "key", "algorithms": ["RS256"], "requires": []}},
            "/components/securitySchemes/key/x-mock-token/0",
            "only HMAC algorithms (HS256, HS384, HS512) are understood",
        ),
        ("openapi", "/openapi", "3.0.3", "", "is no OpenAPI 3.1 document"),
    ],
)
def test_what_is_not_understood_is_refused(
    toy_documents: Toys, file: str, at: str, value: Any, where: str, message: str
) -> None:
    """One wrong thing put into the documents is told with its file, its pointer and the closest word."""
    put(toy_documents, file, at, value)
    expect(toy_documents, file, where, message)


@pytest.mark.parametrize(
    ("file", "at", "where", "message"),
    [
        (
            "errors",
            "/situations/token",
            "/situations",
            "nothing answers the situation 'token.encoding' (three parts, as a token has them",
        ),
        (
            "errors",
            "/situations/task.unknown",
            "/situations",
            "nothing answers the situation 'task.unknown' (no such task",
        ),
        ("openapi", "/x-mock-errors", "", "needs 'x-mock-errors'"),
        ("openapi", f"{ORDERS}/post/operationId", f"{ORDERS}/post", "an operation needs an operationId"),
        ("openapi", f"{ORDERS}/post/x-mock-role", f"{ORDERS}/post", "needs 'x-mock-role'"),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-task",
            f"{ORDERS}/post",
            "an operation of the role 'create' needs x-mock-task",
        ),
        (
            "openapi",
            f"{ORDERS}/post/x-mock-result",
            f"{ORDERS}/post",
            "an operation of the role 'create' needs x-mock-result",
        ),
        ("openapi", f"{ORDERS}/get/x-mock-page", f"{ORDERS}/get", "an operation of the role 'list' needs x-mock-page"),
        ("openapi", f"{ORDER}/get/x-mock-task/find", f"{ORDER}/get/x-mock-task", "'find'"),
        ("openapi", f"{ORDER}/delete/x-mock-task/to", f"{ORDER}/delete/x-mock-task", "'to'"),
        ("openapi", f"{ORDERS}/post/x-mock-task/new", f"{ORDERS}/post/x-mock-task", "'new'"),
        (
            "openapi",
            f"{TAKEN}/x-mock-body",
            TAKEN,
            "needs x-mock-body, or x-mock-bodies for each variant; missing default",
        ),
        (
            "openapi",
            "/components/securitySchemes/key/x-mock-token",
            "/components/securitySchemes/key",
            "needs 'x-mock-token'",
        ),
        ("scenarios", "/backwards/breaks", "/backwards", "order: the scenario breaks it and does not say so"),
        ("scenarios", "/fail/evidence", "/fail", "needs 'evidence'"),
        ("rules", "/a-kite-needs-wind/invalid", "/a-kite-needs-wind", "needs 'invalid'"),
    ],
)
def test_what_is_missing_is_refused(toy_documents: Toys, file: str, at: str, where: str, message: str) -> None:
    """One thing taken out of the documents is told where it should be."""
    take(toy_documents, file, at)
    expect(toy_documents, file, where, message)


def break_bodies(documents: Toys, bodies: dict[str, Any]) -> None:
    """Two variants, and these bodies for the create's reply."""
    put(documents, "openapi", "/x-mock-variants", ["plain", "fancy"])
    take(documents, "openapi", f"{TAKEN}/x-mock-body")
    put(documents, "openapi", f"{TAKEN}/x-mock-bodies", bodies)


def test_a_variant_without_a_body_is_refused(toy_documents: Toys) -> None:
    """Each variant needs its body, by name."""
    break_bodies(toy_documents, {"plain": {}})
    expect(toy_documents, "openapi", TAKEN, "x-mock-bodies for each variant; missing fancy")


def test_a_body_of_no_variant_is_refused(toy_documents: Toys) -> None:
    """A body for a variant that is not there is a misspelling."""
    break_bodies(toy_documents, {"plain": {}, "fancy": {}, "fanzy": {}})
    where = f"{TAKEN}/x-mock-bodies/fanzy"
    expect(toy_documents, "openapi", where, "unknown variant 'fanzy'; did you mean 'fancy'?")


def test_a_state_without_a_reply_is_refused(toy_documents: Toys) -> None:
    """Where replies are by state, each state has one: nothing is answered in another state's words."""
    put(toy_documents, "openapi", f"{ORDER}/get/responses/200/x-mock-when", {"state": ["ready", "broken"]})
    expect(toy_documents, "openapi", f"{ORDER}/get/responses", "cancelled")


def test_two_paths_that_are_one_are_refused(toy_documents: Toys) -> None:
    """Paths that differ in their parameters' names only would hide each other."""
    paths = toy_documents["toymaker/openapi.yaml"]["paths"]
    for name in "ab":
        operation = {**paths["/workshop/order"]["get"], "operationId": f"show{name}"}
        paths[f"/again/{{{name}}}"] = {"get": operation}
    expect(toy_documents, "openapi", "/paths/~1again~1{b}", "/again/{a}")


@pytest.mark.parametrize(
    ("file", "at", "value", "message"),
    [
        ("replies", "/order/step", "{$state.stpe}", "did you mean 'step'?"),
        ("replies", "/order/films/$when/state/0", "redy", "did you mean 'ready'?"),
        ("replies", "/order/films/$when", {"variant": ["fancy"]}, "unknown variant 'fancy'"),
        ("errors", "/envelopes/slip/$when", {"state": ["ready"]}, ""),
        ("lifecycle", "/latency/brisk/carving", ["5s", "2s"], ""),
        ("scenarios", "/slow/latency/carving", ["5s", "2s"], ""),
        ("openapi", "/components/x-prices/films/by/0", "modle", "did you mean 'model'?"),
        ("openapi", f"{ORDERS}/post/x-mock-result/pack", "video", "no pack 'video'"),
        ("openapi", "/x-mock-environment/kee", "TOYMAKER_KEE", "unknown credential 'kee'; did you mean 'key'?"),
        ("openapi", f"{ORDERS}/get/parameters/0/in", "cookie", "'cookie'"),
        ("openapi", "/components/securitySchemes/key/x-mock-token/0/pattern", "(", ""),
        ("openapi", f"{ORDERS}/post/responses/2XX", {"content": {"application/json": {"x-mock-body": 1}}}, ""),
    ],
)
def test_what_a_reply_would_show_too_late_is_refused(
    toy_documents: Toys, file: str, at: str, value: Any, message: str
) -> None:
    """What would otherwise drop a key, price nothing or fail a request later is refused at load as well."""
    put(toy_documents, file, at, value)
    found = [problem for problem in problems(toy_documents) if problem.file == f"toymaker/{file}.yaml"]
    near = [problem for problem in found if at in problem.pointer or at.startswith(problem.pointer)]
    assert any(message in problem.message for problem in near)


def test_everything_wrong_is_told_at_once(toy_documents: Toys) -> None:
    """Independent mistakes are collected: one load, one list."""
    put(toy_documents, "lifecycle", "/states/lost", STATE)
    put(toy_documents, "errors", "/situations/task.unknown", "nobody")
    put(toy_documents, "openapi", f"{ORDER}/get/x-mock-task/find", "{$requets.x}")
    put(toy_documents, "openapi", f"{ORDERS}/post/x-mock-task/new", "{digit:9}")
    assert {(problem.file, problem.pointer) for problem in problems(toy_documents)} == {
        ("toymaker/lifecycle.yaml", "/states/lost"),
        ("toymaker/errors.yaml", "/situations/task.unknown"),
        ("toymaker/openapi.yaml", f"{ORDER}/get/x-mock-task/find"),
        ("toymaker/openapi.yaml", f"{ORDERS}/post/x-mock-task/new"),
    }


def test_every_misspelt_word_is_told_at_once(toy_documents: Toys) -> None:
    """Words are all looked at before anything is compiled."""
    put(toy_documents, "openapi", "/x-mock-rulez", {})
    put(toy_documents, "schemas", "/Order/x-mock-documentet", {})
    found = {(problem.file, problem.pointer) for problem in problems(toy_documents)}
    assert {("toymaker/openapi.yaml", "/x-mock-rulez"), ("toymaker/schemas.yaml", "/Order/x-mock-documentet")} <= found


def test_an_error_says_where() -> None:
    """The text of a SpecError is a line per problem: file, pointer, message."""
    error = SpecError([Problem("a/b.yaml", "/c", "is wrong"), Problem("d.yaml", "", "too")])
    assert str(error) == "a/b.yaml#/c: is wrong\nd.yaml#: too"


def test_a_provider_without_documents_is_refused(toy_documents: Toys) -> None:
    """A folder without openapi.yaml is no provider."""
    with pytest.raises(SpecError) as error:
        compile_provider(toy_documents, "toymaster")
    assert error.value.problems == (Problem("toymaster/openapi.yaml", "", "there is no such document"),)


@pytest.mark.parametrize(
    ("word", "known", "tail"),
    [
        ("wihs", ["wish", "toy"], "; did you mean 'wish'?"),
        ("zzz", ["wish", "toy"], "; known are toy, wish"),
        ("zzz", [], ""),
    ],
)
def test_the_closest_word_is_offered(word: str, known: list[str], tail: str) -> None:
    """A near word is offered, else all of them, in order."""
    assert closest(word, known) == tail


@pytest.mark.parametrize(
    ("rule", "example", "value"),
    [
        ("a-kite-needs-wind", "valid", {"toy": "kite"}),
        ("a-kite-needs-wind", "invalid", {"toy": "bear"}),
        ("a-photo-is-a-picture", "invalid", {"decodes": True}),
    ],
)
def test_an_example_that_does_not_show_its_rule_is_told(
    toy_documents: Toys, rule: str, example: str, value: Any
) -> None:
    """A valid example that breaks the rule, or an invalid one that does not, is a mistake of the spec."""
    put(toy_documents, "rules", f"/{rule}/{example}", value)
    [problem] = check_examples(toy_documents, "toymaker")
    assert (problem.file, problem.pointer) == ("toymaker/rules.yaml", f"/{rule}/{example}")
    assert rule in problem.message
