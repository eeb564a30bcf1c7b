"""Who calls: each way to be refused, in each provider's own words, and tokens against every setting of the clock."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import pytest

from kling_mock.core.provider import Provider, Scheme
from kling_mock.server.accounts import HINTS
from kling_mock.server.mock import Mock
from tests.conftest import AT, PROVIDERS, Answer, Client, Wall
from tests.exchanges import catalogued, every_provider, make, poll

MakeClient = Callable[..., Client]
MakeMock = Callable[..., Mock]
LIST = "/v1/videos/image2video"
WRONG_SECRET = "another secret that opens nothing, long enough"
NOW = AT // 1000

# What each provider answers to a missing, a malformed and an unknown credential: status and body, written down by hand.
MISSING_302 = {"err_code": -10001, "message": "Missing 302 Apikey"}
INVALID_302 = {"err_code": -10001, "message": "Invalid API Key"}
PIXAZO = {"error": "Invalid or missing authentication"}
RELAY = {"error": {"message": "apikey error", "type": "rix_api_error", "param": "", "code": ""}}
ANSWERS: dict[str, dict[str, tuple[int, dict[str, Any]]]] = {
    "kling": {
        "missing": (401, {"code": 1001, "message": "Authorization is empty"}),
        "malformed": (401, {"code": 1002, "message": "The token was expected to have 3 parts, but got 0"}),
        "unknown": (401, {"code": 1000, "message": "Authentication failed"}),
    },
    "302ai": {"missing": (401, MISSING_302), "malformed": (401, INVALID_302), "unknown": (401, INVALID_302)},
    "pixazo": {"missing": (401, PIXAZO), "malformed": (401, PIXAZO), "unknown": (401, PIXAZO)},
    "rixapi": {"missing": (400, RELAY), "malformed": (400, RELAY), "unknown": (400, RELAY)},
    "toymaker": {
        "missing": (401, {"kind": "no-key", "text": "Show your key"}),
        "malformed": (401, {"kind": "bent-key", "text": "That is no key"}),
        "unknown": (403, {"kind": "wrong-key", "text": "The key does not fit"}),
    },
}


def scheme(provider: Provider) -> Scheme:
    """The provider's security scheme."""
    return next(iter(provider.operations.values())).security[0][0]


def has_a_form(words: Scheme) -> bool:
    """Whether a credential can be malformed: an API key of any form in a header of its own cannot, only be missing."""
    return bool(words.prefix) or words.ways[0].pattern is not None


def of_nobody(provider: Provider, name: str = "nobody-has-this-key") -> str:
    """A well-formed static credential that no account has."""
    way = scheme(provider).ways[0]
    return f"{provider.credentials[way.credential].default}-{name}" if way.pattern else name


def wrong_credential(provider: Provider, reason: str) -> str | None:
    """A header value that is refused for this reason."""
    words = scheme(provider)
    if reason == "missing":
        return None
    if reason == "malformed":
        return "Basic bW9jazptb2Nr" if has_a_form(words) else ""
    nobody = jwt.encode({"iss": "nobody", "exp": NOW + 1800, "nbf": NOW - 5}, WRONG_SECRET, "HS256")
    key = nobody if any(way.jwt for way in words.ways) else of_nobody(provider)
    return f"{words.prefix} {key}".strip()


def assert_refused(answer: Answer, provider: Provider, reason: str) -> None:
    """The answer is the provider's own refusal, and the mock says which rule failed and what it would take."""
    header = scheme(provider).header
    assert (f"mock/token.{reason}", f"header/{header}") in answer.wrong
    assert answer.headers["x-mock-hint"].startswith(f"{HINTS.get(reason, '')}send ")
    assert answer.headers["content-type"] == "application/json"
    assert "x-mock-task" not in answer.headers


@pytest.mark.parametrize("reason", ["missing", "malformed", "unknown"])
@every_provider
def test_a_credential_that_is_no_good(provider: Provider, reason: str, client: MakeClient) -> None:
    """Missing, malformed, unknown: the provider's own status and envelope, rule, pointer and hint; no task is made."""
    caller, words = client(provider), scheme(provider)
    answer = make(caller, **{words.header: wrong_credential(provider, reason)})
    expected = "missing" if reason == "malformed" and not has_a_form(words) else reason
    assert_refused(answer, provider, expected)
    status, body = ANSWERS[provider.name][expected]
    assert answer.status == status
    assert said(answer, body) == body
    assert not list(caller.mock.store.tasks())


def said(answer: Answer, body: dict[str, Any]) -> dict[str, Any]:
    """The values of these keys, in the answer or in an object inside it."""
    shown = answer.json
    inside = next((item for item in shown.values() if isinstance(item, dict) and item.keys() >= body.keys()), shown)
    return {key: inside.get(key) for key in body}


def written_path(client: Client) -> str:
    """The path of the provider's first operation that creates."""
    return next(row.path for row in client.provider.operations.values() if row.role == "create")


@pytest.mark.parametrize("reason", ["missing", "malformed", "unknown"])
@every_provider
def test_every_operation_asks_who_calls(provider: Provider, reason: str, client: MakeClient) -> None:
    """No operation forgets to ask, whatever its path and method; only what the documents leave open is open."""
    caller, words = client(provider), scheme(provider)
    for operation in provider.operations.values():
        path = operation.path.replace("{", "").replace("}", "")
        answer = caller.send(operation.method, path, None, {words.header: wrong_credential(provider, reason)})
        refused = [rule for rule, _ in answer.wrong if rule.startswith("mock/token.")]
        nothing_shown = reason == "missing" or (reason == "malformed" and not has_a_form(words))
        assert bool(refused) != (nothing_shown and () in operation.security), operation.id


@every_provider
def test_a_wrong_credential_and_a_wrong_body_are_both_told(provider: Provider, client: MakeClient) -> None:
    """The provider's order decides which of the two is answered; the other one is reported beside it."""
    caller = client(provider)
    answer = caller.send("POST", written_path(caller), body=b"{", headers={scheme(provider).header: None})
    token, body = sorted((rule.removeprefix("mock/") for rule, _ in answer.wrong), reverse=True)
    assert token == "token.missing"
    assert body in ("body.syntax", "body.media-type")
    order = provider.errors.order
    assert answer.status == catalogued(provider, token if order["token"] < order["body"] else body)


@every_provider
def test_the_key_of_another_provider_is_unknown(provider: Provider, client: MakeClient) -> None:
    """Accounts belong to one provider: no other's default key opens it."""
    caller, words = client(provider), scheme(provider)
    for other in PROVIDERS.values():
        if other.name != provider.name:
            key = caller.mock.accounts.defaults[other.name].credentials[scheme(other).ways[0].credential]
            answer = make(caller, **{words.header: f"{words.prefix} {key}".strip()})
            reason = answer.wrong[0][0].removeprefix("mock/token.")
            assert reason in ("unknown", "malformed")
            assert answer.status == ANSWERS[provider.name][reason][0]


@pytest.mark.parametrize("word", ["Bearer", "bearer", "BEARER"])
@every_provider
def test_the_schemes_name_has_no_case(provider: Provider, word: str, client: MakeClient) -> None:
    """HTTP says that the word before a credential may be in any case."""
    caller, words = client(provider), scheme(provider)
    prefix = word if words.prefix else ""
    assert make(caller, **{words.header: f"{prefix} {caller.token(words)}".strip()}).status < 300


# The JWT of the one provider that has them.


@pytest.fixture
def kling(client: MakeClient) -> Client:
    """A client that signs tokens."""
    return client("kling", way=1)


def show(client: Client, credential: str) -> Answer:
    """Ask for a list with this credential."""
    return client.send("GET", LIST, headers={"authorization": f"Bearer {credential}"})


def sign(client: Client, header: Mapping[str, Any] | None = None, secret: str | None = None, **claims: Any) -> str:
    """A token written by hand, so that nothing of it is a library's choice; a claim that is ... is left out."""
    own = (client.account or client.mock.accounts.defaults["kling"]).credentials
    now = client.mock.clocks.wall() // 1000
    stated = {"iss": own["access_key"], "exp": now + 1800, "nbf": now - 5} | claims
    parts = [{"alg": "HS256", "typ": "JWT"} if header is None else header]
    parts += [{name: value for name, value in stated.items() if value is not ...}]
    text = ".".join(packed(json.dumps(part).encode()) for part in parts)
    made = {"HS512": hashlib.sha512, "HS384": hashlib.sha384}.get(str(parts[0].get("alg")), hashlib.sha256)
    return f"{text}.{packed(hmac.new((secret or own['secret_key']).encode(), text.encode(), made).digest())}"


def packed(content: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def assert_told(answer: Answer, reason: str, code: int, message: str) -> None:
    """The vendor's 401 with this code and text, for this reason."""
    assert (answer.status, answer.json["code"], answer.json["message"]) == (401, code, message)
    assert answer.json.keys() == {"code", "message", "request_id"}
    assert answer.wrong == [(f"mock/token.{reason}", "header/authorization")]
    assert answer.headers["x-mock-hint"].startswith(f"{HINTS.get(reason, '')}send ")


@pytest.mark.parametrize(
    ("words", "reason", "code", "message"),
    [
        ({"secret": WRONG_SECRET}, "signature", 1002, "Authorization is invalid"),
        ({"header": {"alg": "HS512", "typ": "JWT"}}, "algorithm", 1002, "Authorization is invalid"),
        ({"header": {"alg": "HS384", "typ": "JWT"}}, "algorithm", 1002, "Authorization is invalid"),
        ({"header": {"alg": "RS256", "typ": "JWT"}}, "algorithm", 1002, "Authorization is invalid"),
        ({"header": {"alg": "hs256"}}, "algorithm", 1002, "Authorization is invalid"),
        ({"header": {"alg": "none"}}, "algorithm", 1002, "Authorization is invalid"),
        ({"header": {"alg": ["HS256"]}}, "algorithm", 1002, "Authorization is invalid"),
        ({"header": {}}, "algorithm", 1002, "Authorization is invalid"),
        ({"iss": ...}, "claims", 1002, "Authorization is invalid"),
        ({"iss": 7}, "claims", 1002, "Authorization is invalid"),
        ({"exp": ...}, "claims", 1002, "Authorization is invalid"),
        ({"exp": str(NOW + 1800)}, "claims", 1002, "Authorization is invalid"),
        ({"exp": True}, "claims", 1002, "Authorization is invalid"),
        ({"exp": float("nan")}, "claims", 1002, "Authorization is invalid"),
        ({"exp": float("inf")}, "claims", 1002, "Authorization is invalid"),
        ({"exp": 10**40}, "claims", 1002, "Authorization is invalid"),
        ({"nbf": "soon"}, "claims", 1002, "Authorization is invalid"),
        ({"nbf": None}, "claims", 1002, "Authorization is invalid"),
        ({"iat": {}}, "claims", 1002, "Authorization is invalid"),
        ({"iss": "nobody"}, "unknown", 1000, "Authentication failed"),
        ({"iss": ""}, "unknown", 1000, "Authentication failed"),
        ({"iss": "mock-kling-api-key-that-opens-nothing"}, "unknown", 1000, "Authentication failed"),
        ({"nbf": NOW + 60}, "not-yet-valid", 1003, "The token is not valid yet"),
        ({"nbf": NOW + 60, "exp": NOW + 1}, "not-yet-valid", 1003, "The token is not valid yet"),
        ({"exp": NOW - 1, "nbf": NOW - 1800}, "expired", 1004, "The token has expired"),
        ({"exp": NOW, "nbf": ...}, "expired", 1004, "The token has expired"),
        ({"exp": NOW - 1, "nbf": ..., "iat": NOW - 1800}, "expired", 1004, "The token has expired"),
        ({"exp": -1, "nbf": -1800}, "expired", 1004, "The token has expired"),
    ],
)
def test_a_token_that_is_no_good(kling: Client, words: dict[str, Any], reason: str, code: int, message: str) -> None:
    """Each way in which a token can be wrong has the vendor's code and its own hint."""
    assert_told(show(kling, sign(kling, **words)), reason, code, message)


def test_an_unsigned_token_is_refused(kling: Client) -> None:
    """`alg: none` with an empty signature, as attackers send it."""
    signed = sign(kling, header={"alg": "none", "typ": "JWT"})
    unsigned = signed.rpartition(".")[0] + "."
    assert_told(show(kling, unsigned), "algorithm", 1002, "Authorization is invalid")


def test_an_altered_claim_breaks_the_signature(kling: Client) -> None:
    """A token that was good is no longer good once its claims are changed, even after the good one was seen."""
    good = sign(kling)
    assert show(kling, good).status == 200
    header, _, signature = good.split(".")
    claims = packed(json.dumps({"iss": "mock-kling-access-key", "exp": NOW + 9999}).encode())
    assert_told(show(kling, f"{header}.{claims}.{signature}"), "signature", 1002, "Authorization is invalid")


@pytest.mark.parametrize(
    ("credential", "parts"),
    [
        ("no-dots-at-all", 0),
        ("one.dot", 2),
        ("a.b.c.d", 4),
        ("...", 4),
        ("x" * 10_000, 0),
        ("[mock:fail]", 0),
        ("null", 0),
    ],
)
def test_a_credential_that_is_no_token(kling: Client, credential: str, parts: int) -> None:
    """The observed text counts the parts."""
    told = f"The token was expected to have 3 parts, but got {parts}"
    assert_told(show(kling, credential), "malformed", 1002, told)


@pytest.mark.parametrize("credential", ["a.b.c", "é.é.é", "eyJ.eyJ.x", ".."])
def test_three_parts_that_hold_no_token(kling: Client, credential: str) -> None:
    """Nobody is told that three parts were expected and three came."""
    assert_told(show(kling, credential), "encoding", 1002, "Authorization is invalid")


@pytest.mark.parametrize(
    "header", ["Bearer", "Bearer ", "Basic bW9jazptb2Nr", "mock-kling-api-key-that-opens-nothing", "Token abc", "\x00"]
)
def test_a_header_that_is_no_bearer_header(kling: Client, header: str) -> None:
    """A header without the word Bearer and a credential after it is malformed."""
    answer = kling.send("GET", LIST, headers={"authorization": header})
    assert_told(answer, "malformed", 1002, "The token was expected to have 3 parts, but got 0")


@pytest.mark.parametrize("header", [None, "", "   "])
def test_an_empty_header_is_a_missing_one(kling: Client, header: str | None) -> None:
    """1001 is for a header that is empty or not there."""
    answer = kling.send("GET", LIST, headers={"authorization": header})
    assert_told(answer, "missing", 1001, "Authorization is empty")


@pytest.mark.parametrize(
    "words",
    [
        {"header": {"alg": "HS256"}},
        {"header": {"alg": "HS256", "typ": "at+jwt", "kid": "1"}},
        {"jti": "1", "aud": "kling", "sub": 7, "scope": ["a", {"b": None}]},
        {"iat": NOW},
        {"iat": NOW, "nbf": ...},
        {"nbf": ...},
        {"exp": NOW + 1800.5, "nbf": NOW - 5.25},
        {"exp": NOW + 86400 * 365},
        {"nbf": NOW},
        {"exp": NOW + 1},
    ],
)
def test_a_token_that_is_good(kling: Client, words: dict[str, Any]) -> None:
    """`typ` is not mandatory, further claims and fractions are allowed, nbf may be missing, no lifetime is too long."""
    assert show(kling, sign(kling, **words)).status == 200


def test_the_static_key_needs_no_token(kling: Client) -> None:
    """The API key itself is taken as the Bearer's value, and is not echoed anywhere."""
    key = kling.mock.accounts.defaults["kling"].credentials["api_key"]
    answer = show(kling, key)
    assert answer.status == 200
    assert key not in str(answer.headers) + answer.body.decode()


@pytest.mark.parametrize("name", ["access_key", "secret_key"])
def test_a_half_of_the_pair_is_no_credential(kling: Client, name: str) -> None:
    """Neither the access key nor the secret key is taken by itself."""
    answer = show(kling, kling.mock.accounts.defaults["kling"].credentials[name])
    assert_told(answer, "malformed", 1002, "The token was expected to have 3 parts, but got 0")


# Tokens and time.


@pytest.mark.parametrize("claims", [{}, {"iat": NOW + 3}, {"nbf": ...}], ids=["nbf", "iat", "neither"])
@pytest.mark.parametrize("options", [{}, {"at": None}, {"at": None, "speed": 1000.0}, {"at": None, "speed": 0.001}])
@pytest.mark.parametrize("change", ["none", "advance", "freeze", "speed", "base"])
def test_a_fresh_token_is_never_refused(
    options: dict[str, Any], claims: dict[str, Any], change: str, wall: Wall, make_mock: MakeMock
) -> None:
    """Frozen, fast, slow or advanced: what was signed just now is taken, also a part of a second after the change."""
    mock = make_mock(PROVIDERS["kling"], **options)
    kling = Client(mock, PROVIDERS["kling"], way=1)
    wall.forward("3200ms")
    account = mock.accounts.defaults["kling"].id
    changes: dict[str, Callable[[], None]] = {
        "none": lambda: None,
        "advance": lambda: kling.advance("31m"),
        "freeze": lambda: mock.clocks.change(account, lambda line, source: line.run(source, 0)),
        "speed": lambda: mock.clocks.change(account, lambda line, source: line.run(source, 1000)),
        "base": lambda: mock.clocks.change(None, lambda line, source: line.advance(source, 31 * 60_000)),
    }
    changes[change]()
    wall.forward("300ms")
    answer = show(kling, sign(kling, **claims))
    assert answer.status == 200, answer.json


@pytest.mark.parametrize("seen", ["before", "after"])
@pytest.mark.parametrize("options", [{}, {"at": None}, {"at": None, "speed": 1000.0}], ids=["at", "real", "fast"])
@pytest.mark.parametrize("whose", ["account", "base"])
@pytest.mark.parametrize("claims", [{}, {"iat": NOW + 3}], ids=["nbf", "iat"])
def test_advancing_expires_a_token_signed_before(
    options: dict[str, Any], seen: str, whose: str, claims: dict[str, Any], wall: Wall, make_mock: MakeMock
) -> None:
    """`advance 31m` outlives a token of 30 minutes, also one that is first seen afterwards; 29m does not."""
    mock = make_mock(PROVIDERS["kling"], **options)
    kling = Client(mock, PROVIDERS["kling"], way=1)
    account = mock.accounts.defaults["kling"].id if whose == "account" else None
    wall.forward("3s")
    token = sign(kling, **claims)
    wall.forward("1s")
    if seen == "before":
        assert show(kling, token).status == 200
    wall.forward("10ms")
    mock.clocks.change(account, lambda line, source: line.advance(source, 25 * 60_000))
    wall.forward("10ms")
    assert show(kling, token).status == 200
    mock.clocks.change(account, lambda line, source: line.advance(source, 6 * 60_000))
    wall.forward("10ms")
    assert_told(show(kling, token), "expired", 1004, "The token has expired")
    assert show(kling, sign(kling)).status == 200, "signed after it"


def test_a_token_grows_old_by_itself(wall: Wall, make_mock: MakeMock) -> None:
    """In real time a token lasts as long as its exp says."""
    kling = Client(make_mock(PROVIDERS["kling"], at=None), PROVIDERS["kling"], way=1)
    token = sign(kling)
    wall.forward("1799s")
    assert show(kling, token).status == 200
    wall.forward("1s")
    assert_told(show(kling, token), "expired", 1004, "The token has expired")


@pytest.mark.parametrize("claims", [{}, {"iat": NOW}, {"nbf": NOW}], ids=["nbf", "iat", "nbf that is now"])
def test_a_token_signed_anew_within_the_second_of_an_advance_is_fresh(
    claims: dict[str, int], wall: Wall, make_mock: MakeMock
) -> None:
    """Its bytes are those of the one before the jump; it is taken, and stays good for its whole time from there on."""
    kling = Client(make_mock(PROVIDERS["kling"], at=None), PROVIDERS["kling"], way=1)
    token = sign(kling, **claims)
    wall.forward("100ms")
    assert show(kling, token).status == 200
    wall.forward("300ms")
    kling.advance("31m")
    wall.forward("400ms")
    assert sign(kling, **claims) == token
    assert show(kling, token).status == 200, "signed anew within the same second"
    wall.forward("29m")
    assert show(kling, token).status == 200, "it was taken for a new one"
    wall.forward("1m")
    assert_told(show(kling, token), "expired", 1004, "The token has expired")


def test_a_token_with_an_id_of_its_own_is_the_same_token_when_shown_again(kling: Client) -> None:
    """The same bytes within one second are no token signed anew: it grows old with each jump."""
    token = sign(kling, jti="1")
    assert show(kling, token).status == 200
    kling.advance("29m")
    assert show(kling, token).status == 200
    kling.advance("2m")
    assert_told(show(kling, token), "expired", 1004, "The token has expired")


def test_a_token_shown_before_an_advance_has_expired_in_the_next_second(kling: Client, wall: Wall) -> None:
    """What is not shown again within its second is the old token and no other."""
    token = sign(kling)
    assert show(kling, token).status == 200
    kling.advance("31m")
    wall.forward("1s")
    assert_told(show(kling, token), "expired", 1004, "The token has expired")


def test_another_accounts_advance_expires_nothing_here(kling: Client) -> None:
    """Time travel is an account's own."""
    token = sign(kling)
    kling.other().advance("31m")
    kling.mock.clocks.wall()
    assert show(kling, token).status == 200


# Anybody.


@every_provider
def test_any_takes_every_well_formed_credential(provider: Provider, make_mock: MakeMock) -> None:
    """Under --auth any a key of nobody opens an account of its own, with the provider's packs."""
    caller, words = Client(make_mock(provider, auth="any"), provider), scheme(provider)
    for key in ("whoever-calls", "whoever.calls", "who.ever.calls", "another"):
        jwt_could_be_meant = any(way.jwt for way in words.ways) and key.count(".")
        if not jwt_could_be_meant:
            answer = make(caller, **{words.header: f"{words.prefix} {of_nobody(provider, key)}".strip()})
            assert answer.status < 300, (key, answer.json)
    owners = {task.account for task in caller.mock.store.tasks()}
    assert len(owners) == len(list(caller.mock.store.tasks()))


def test_any_takes_tokens_of_anybody_but_not_stale_ones(make_mock: MakeMock) -> None:
    """Issuer and secret do not matter then; algorithm, claims and times still do."""
    kling = Client(make_mock(PROVIDERS["kling"], auth="any"), PROVIDERS["kling"], way=1)
    assert show(kling, sign(kling, iss="nobody", secret=WRONG_SECRET)).status == 200
    assert show(kling, sign(kling, secret=WRONG_SECRET)).status == 200
    stale = sign(kling, iss="nobody", exp=NOW - 1, nbf=NOW - 1800)
    assert_told(show(kling, stale), "expired", 1004, "The token has expired")
    none = sign(kling, header={"alg": "none"}, iss="nobody")
    assert_told(show(kling, none), "algorithm", 1002, "Authorization is invalid")
    assert_told(show(kling, sign(kling, iss=...)), "claims", 1002, "Authorization is invalid")
    answer = kling.send("GET", LIST, headers={"authorization": None})
    assert_told(answer, "missing", 1001, "Authorization is empty")


def test_any_keeps_callers_apart(make_mock: MakeMock) -> None:
    """Two keys are two accounts, one key is always the same."""
    mock = make_mock(PROVIDERS["kling"], auth="any")
    kling = Client(mock, PROVIDERS["kling"])
    made = make(kling, authorization="Bearer one").headers["x-mock-task"]
    assert poll(kling, made, authorization="Bearer one").status == 200
    assert poll(kling, made, authorization="Bearer two").wrong == [("mock/task.unknown", "")]


def test_the_default_is_registered_only(client: MakeClient) -> None:
    """Without --auth any nobody new is let in and no account is made for them."""
    kling = client("kling")
    before = [account.id for account in kling.mock.accounts.all()]
    assert show(kling, "whoever").status == 401
    assert [account.id for account in kling.mock.accounts.all()] == before


@every_provider
def test_where_nobody_need_say_who_they_are(provider: Provider, client: MakeClient) -> None:
    """An operation that the documents leave open works without a key, and a wrong key is refused all the same."""
    caller, words = client(provider), scheme(provider)
    open_ = [row for row in provider.operations.values() if () in row.security]
    assert [row.id for row in open_] == (["getImageToVideoStatus"] if provider.name == "pixazo" else [])
    for operation in open_:
        id_ = make(caller).headers["x-mock-task"]
        shown = caller.send(operation.method, operation.path, {"task_id": id_}, {words.header: None})
        assert shown.status == 200
        assert shown.json == poll(caller, id_).json
        wrong = caller.send(operation.method, operation.path, {"task_id": id_}, {words.header: "wrong"})
        assert_refused(wrong, provider, "unknown")
        assert (wrong.status, wrong.json) == ANSWERS[provider.name]["unknown"]


def test_an_anonymous_query_sees_the_tasks_own_time(client: MakeClient) -> None:
    """A task runs by its account's clock, so it has ended for whoever looks at it."""
    caller = client("pixazo").other()
    id_ = make(caller).headers["x-mock-task"]
    caller.advance("10s")
    named = poll(caller, id_)
    anonymous = poll(caller, id_, **{scheme(caller.provider).header: None})
    assert named.json["data"]["task_status"] == "succeed"
    assert anonymous.json == named.json


# What is written down of it.


@pytest.mark.parametrize("words", [{"secret": WRONG_SECRET}, {"exp": NOW - 1}], ids=["signature", "expired"])
def test_the_claimed_account_is_in_the_journal(client: MakeClient, words: dict[str, Any]) -> None:
    """A refused exchange is attributed to the account that its token names, with its claims and without the token."""
    kling = client("kling", way=1).other()
    token = sign(kling, **words)
    assert show(kling, token).status == 401
    row = list(kling.mock.exchanges())[-1]
    assert kling.account is not None
    assert row["account"] == kling.account.id
    assert row["request"]["token"]["iss"] == kling.account.credentials["access_key"]
    assert token not in json.dumps(row)
    assert "authorization" not in row["request"]["headers"]


@every_provider
def test_a_caller_that_nobody_knows_is_nobody_in_the_journal(provider: Provider, client: MakeClient) -> None:
    """Without a claim the exchange belongs to no account, and the wrong key is not written down."""
    caller, words = client(provider), scheme(provider)
    sent = wrong_credential(provider, "unknown")
    caller.send("POST", written_path(caller), {}, {words.header: sent})
    row = list(caller.mock.exchanges())[-1]
    assert (row["provider"], row["account"]) == (provider.name, None)
    assert (sent or "").removeprefix("Bearer ") not in json.dumps(row)


def test_hostile_claims_do_not_break_the_journal(kling: Client) -> None:
    """Whatever claims a stranger's token has, the journal can be read, and as JSON."""
    deep: Any = "end"
    for _ in range(480):
        deep = [deep]
    for extra in (deep, float("nan"), "\ud800", {"a" * 5000: 1}):
        show(kling, sign(kling, iss="nobody", extra=extra))
    rows = list(kling.mock.exchanges())
    assert len(rows) == 4
    assert json.dumps(rows, allow_nan=False).encode()
    assert "\\ud800" not in json.dumps(rows)
