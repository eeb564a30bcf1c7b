"""Before the first probe: a wrong credential and a wrong address are told as such, and not as rules that are broken."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result

from kling_mock.cli import main
from kling_mock.contract.agreement import agreements
from kling_mock.contract.suite import CannotRun, Suite
from kling_mock.server.mock import Mock, Options
from kling_mock.server.serving import Running
from tests.contract.breaking import agreed, referee, serving
from tests.contract.broken import Change, Passed, billing
from tests.contract.changes import refusing

KNOWN = agreements()
KLING = KNOWN["kling"]
GOOD = {row.variable: row.default for row in KLING.provider.credentials.values()}
NOBODY = dict.fromkeys(GOOD, "")
LIST = "/v1/videos/image2video?pageNum=1&pageSize=30"
STRANGER = {**NOBODY, "KLING_API_KEY": "wrongkey-of-nobody"}


def contract(url: str, env: dict[str, str], *options: str, name: str = "kling") -> Result:
    """Run the command at a target."""
    asked = ["contract", "--target", url, "--provider", name, *options]
    return CliRunner().invoke(main, asked, env=env, catch_exceptions=False)


def everything(status: int, body: bytes, content_type: str) -> Change:
    """A server that answers everything alike."""
    return lambda passed: passed._replace(status=status, body=body, content_type=content_type)


def vendor(code: int, message: str) -> bytes:
    """An error in the vendor's envelope."""
    return json.dumps({"code": code, "message": message, "request_id": "r"}).encode()


def told(done: Result) -> str:
    """What was said on standard error, after it is made sure that nothing was reported."""
    assert done.exit_code == 2, done.stdout
    assert " hold" not in done.stdout
    assert " fail" not in done.stdout
    return " ".join(done.stderr.split())


@pytest.mark.parametrize("phases", ["examples", "rules", "errors", "lifecycle,webhooks,fuzz"])
def test_a_wrong_key_is_told_as_such(phases: str) -> None:
    """With the variable that it stands in and the provider's own words; exit 2, and nothing but a list was asked."""
    with billing(KLING.provider) as target:
        said = told(contract(target.url, STRANGER, "--phases", phases))
        assert target.asked == [("GET", "/_mock/health"), ("GET", "/"), ("GET", LIST)]
    assert "the credentials in KLING_API_KEY are refused (401/1002: " in said
    assert "wrongkey" not in said


def test_so_is_a_wrong_pair_of_keys() -> None:
    """Both of its variables are named: a token is made of them."""
    pair = {**NOBODY, "KLING_ACCESS_KEY": "a-key-of-nobody", "KLING_SECRET_KEY": "x" * 32}
    with billing(KLING.provider) as target:
        said = told(contract(target.url, pair))
    assert "the credentials in KLING_ACCESS_KEY and KLING_SECRET_KEY are refused (401/1000: " in said


@pytest.mark.parametrize(
    ("status", "body", "content_type", "why"),
    [
        (401, b"<html>no</html>", "text/html; charset=utf-8", "401 text/html"),
        (403, b"{}", "application/json", "403 application/json"),
        (401, vendor(1002, "Auth failed"), "application/json", "401/1002: Auth failed"),
        (401, vendor(1004, "a new text"), "application/json", "401/1004: a new text"),
        (
            401,
            vendor(1002, "no such key: wrongkey-of-nobody"),
            "application/json",
            "401/1002: no such key: <credential>",
        ),
    ],
)
def test_whoever_refuses_everybody_refuses_the_credentials(
    status: int, body: bytes, content_type: str, why: str
) -> None:
    """By the provider's own table, or by the status where that does not know the body; no key is repeated."""
    with billing(KLING.provider, everything(status, body, content_type)) as target:
        said = told(contract(target.url, STRANGER))
    assert f"the credentials in KLING_API_KEY are refused ({why})" in said


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, vendor(1103, "no permission")), (500, b"<html>"), (429, b"{}")],
)
def test_any_other_refusal_is_left_to_the_probes(status: int, body: bytes) -> None:
    """What the table knows as something else than a credential, and what says nothing of one."""
    with billing(KLING.provider, everything(status, body, "application/json")) as target:
        run = Suite(KLING, target.url, environment=GOOD)
        run.begin()
        assert target.asked[-1] == ("GET", LIST)


@pytest.mark.parametrize("name", KNOWN)
def test_a_target_of_every_provider_begins_with_what_only_reads(name: str) -> None:
    """No task is made or changed; the provider's own credentials are taken."""
    agreement = KNOWN[name]
    good = {row.variable: row.default for row in agreement.provider.credentials.values()}
    with billing(agreement.provider) as target:
        Suite(agreement, target.url, environment=good).begin()
        assert list(target.mock.store.tasks()) == []
        *_, (method, path) = target.asked
    found = agreement.provider.routes.find(path.partition("?")[0])
    assert found is not None
    assert found[0][method].role in ("list", "balance", "query")


@pytest.mark.parametrize("name", ["kling", "toymaker"])
def test_a_mock_that_refuses_everybody_is_told(name: str) -> None:
    """As a wrong credential, though its own control API made it."""
    with serving(name, refusing) as url:
        run = Suite(agreed()[name], url, environment={}, referee=referee(name))
        with pytest.raises(CannotRun, match="the credentials that the mock's control API made are refused \\(401"):
            run.run(run.plan())


def test_a_target_that_has_nothing_of_the_provider_is_told() -> None:
    """By the first path that it does not know, after all that only read were tried; nothing else is sent."""
    with billing(KLING.provider, everything(404, b"<html>no</html>", "text/html")) as target:
        said = told(contract(target.url, GOOD))
        asked = {path for method, path in target.asked}
    assert f"nothing of kling's is at {target.url}: GET /v1/videos/image2video answered 404 text/html" in said
    assert "is the address the one in place of the provider's own?" in said
    assert {LIST, "/v1/videos/text2video", "/v1/images/generations"} < asked


@pytest.mark.parametrize(("name", "twice"), [("kling", "/v1"), ("302ai", "/klingai"), ("rixapi", "/kling")])
@pytest.mark.parametrize("before", ["", "/proxy"])
def test_a_path_that_stands_twice_is_told(name: str, twice: str, before: str) -> None:
    """What the operations' paths begin with does not belong to the target's."""
    agreement = KNOWN[name]
    good = {row.variable: row.default for row in agreement.provider.credentials.values()}
    with billing(agreement.provider) as target:
        said = told(contract(f"{target.url}{before}{twice}/", good, name=name))
    assert f"nothing of {name}'s is at {target.url}{before}{twice}: " in said
    assert (
        f"the target's path {twice} stands in the operations' paths already; leave it out: {target.url}{before}" in said
    )


def test_one_list_that_is_missing_does_not_make_it_another_server() -> None:
    """A gateway need not have all operations: the next one that only reads tells."""

    def partly(passed: Passed) -> Passed:
        plain = passed._replace(status=404, body=b"<html>", content_type="text/html")
        return plain if passed.path == LIST else passed

    with billing(KLING.provider, partly) as target:
        Suite(KLING, target.url, environment=GOOD).begin()
        assert LIST in [path for _, path in target.asked[:-1]]
        assert target.asked[-1][1].startswith("/v1/videos/image2video/")


def test_an_unknown_task_is_not_an_unknown_path() -> None:
    """A provider may answer both alike: what could be its word for a task of nobody is taken for that."""
    pixazo = KNOWN["pixazo"]
    good = {row.variable: row.default for row in pixazo.provider.credentials.values()}
    body = b'{"error": "Endpoint not found"}'
    with billing(pixazo.provider, everything(404, body, "application/json")) as target:
        Suite(pixazo, target.url, environment=good).begin()
    with (
        billing(pixazo.provider, everything(404, b'{"error": "Page not found"}', "application/json")) as target,
        pytest.raises(CannotRun, match="nothing of pixazo's is at "),
    ):
        Suite(pixazo, target.url, environment=good).begin()


def test_a_mock_that_does_not_serve_the_provider_is_told() -> None:
    """Its control API makes no account of that provider's."""
    with Running(Mock([KLING.provider], Options())) as running:
        said = told(contract(running.url, {}, name="pixazo"))
    assert f"the mock at {running.url} made no account of pixazo's: " in said
    assert said.endswith("does it serve pixazo?")
