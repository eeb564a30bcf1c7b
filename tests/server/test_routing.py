"""Which provider a request reaches: by Host, by a mount, by its path, else in somebody's 404."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from kling_mock.core.model import Request
from kling_mock.loading import collisions
from kling_mock.server.mock import Mock
from tests.conftest import PROVIDERS, Client
from tests.exchanges import make

MakeClient = Callable[..., Client]
MakeMock = Callable[..., Mock]
VIDEOS = "/v1/videos/image2video"
HOSTS = [(host, provider.name) for provider in PROVIDERS.values() for host in sorted(provider.hosts)]


def test_a_host_is_one_providers() -> None:
    """Whose document names none has none, and no host is two providers'."""
    assert PROVIDERS.keys() - {name for _, name in HOSTS} == {"rixapi"}
    assert len({host for host, _ in HOSTS}) == len(HOSTS)


@pytest.mark.parametrize(("host", "name"), HOSTS)
@pytest.mark.parametrize("form", ["{}", "{}:443", "{}:8787"])
def test_a_host_decides(host: str, name: str, form: str, client: MakeClient) -> None:
    """A request to a provider's host is that provider's, with or without a port, in any case of letters."""
    for written in (form.format(host), form.format(host.upper())):
        for path in (VIDEOS, "/kling/v1/videos/image2video", "/nothing", "/"):
            routed = client(name).mock.router.find(Request("GET", path, headers={"host": written}))
            assert routed.provider.name == name


def test_another_providers_path_at_a_host_is_unknown(client: MakeClient) -> None:
    """At the gateway's host the vendor's path is the gateway's 404, in its envelope."""
    answer = client("302ai").send("GET", VIDEOS, headers={"host": "api.302.ai"})
    assert (answer.status, answer.json["error"]["err_code"]) == (404, -10009)
    assert answer.wrong == [("mock/route.path", "")]


@pytest.mark.parametrize("host", ["127.0.0.1:8787", "localhost", "[::1]:8787", "", ":", "[", "[::1", "api.302.ai.evil"])
def test_any_other_host_leaves_it_to_the_path(host: str, client: MakeClient) -> None:
    """Unknown and broken hosts decide nothing."""
    for provider in PROVIDERS.values():
        for row in provider.operations.values():
            routed = client(provider).mock.router.find(Request(row.method, row.path, headers={"host": host}))
            assert routed.operation is not None
            assert (routed.provider.name, routed.operation.id) == (provider.name, row.id)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/", "kling"),
        ("/nothing/at/all", "kling"),
        ("/v1/videos/nothing", "kling"),
        ("/v1/videos/image2video/a/b", "kling"),
        ("/account", "kling"),
        ("/klingai", "302ai"),
        ("/klingai/m2v_21_img2video_4k", "302ai"),
        ("/klingai/v1/videos/text2video", "302ai"),
        ("/kling/v1/videos", "rixapi"),
        ("/kling/v1/videos/image2video/a/b", "rixapi"),
        ("/kling-ai-video/v1/getTextToVideoTask", "pixazo"),
        ("/v2/requests/status", "pixazo"),
        ("/workshop/cellar", "toymaker"),
    ],
)
def test_an_unknown_path_is_the_likely_providers_404(path: str, name: str, client: MakeClient) -> None:
    """Who shares the longest beginning of the path answers, in its own words; where nobody does, the default one."""
    answer = client(name).send("GET", path, headers={"host": "localhost"})
    assert answer.status == 404
    assert answer.wrong == [("mock/route.path", "")]
    expected = {
        "kling": {"timestamp": "2026-01-01T00:00:00.000+00:00", "status": 404, "error": "Not Found", "path": path},
        "pixazo": {"error": "Endpoint not found"},
    }
    if name == "toymaker":
        assert (answer.json["door"], answer.json["asked"]) == ("closed", f"GET {path}")
    elif name in expected:
        assert answer.json == expected[name]
    elif name == "302ai":
        assert answer.json["error"]["err_code"] == -10009
    else:
        assert answer.json["error"]["message"] == f"Invalid URL (GET {path})"


@pytest.mark.parametrize("path", [VIDEOS, "/v1/videos/text2video", "/v1/images/generations", f"{VIDEOS}/x"])
def test_a_trailing_slash_is_taken_where_the_vendor_takes_it(path: str, client: MakeClient) -> None:
    """The vendor's own example posts to a path with a slash at its end; one is taken, two are not."""
    kling = client("kling")
    plain, slashed = (kling.send("GET", path + end) for end in ("", "/"))
    assert (plain.status, plain.wrong) == (slashed.status, slashed.wrong)
    assert kling.send("GET", path + "//").wrong == [("mock/route.path", "")]


@pytest.mark.parametrize("name", [name for name, provider in PROVIDERS.items() if not provider.default])
def test_a_trailing_slash_is_unknown_elsewhere(name: str, client: MakeClient) -> None:
    """The others' documents say nothing of it."""
    path = next(row.path for row in PROVIDERS[name].operations.values() if row.role == "create")
    assert client(name).send("POST", path + "/", {}).wrong == [("mock/route.path", "")]


def test_paths_have_cases(client: MakeClient) -> None:
    """A path in other letters is another path."""
    assert client("kling").send("GET", VIDEOS.upper()).wrong == [("mock/route.path", "")]


# Mounts.


def test_a_mounted_provider_is_reached_under_its_prefix_only(make_mock: MakeMock) -> None:
    """The prefix is cut off before the path is looked up; without it the path is unknown."""
    mock = make_mock(*PROVIDERS.values(), mounts={"302ai": "/gateway"})
    gateway = Client(mock, PROVIDERS["302ai"])
    path = next(row.path for row in gateway.provider.operations.values() if row.role == "create")
    body, key = {"input_image": "https://e.test/a.png"}, gateway.credential("POST", path)
    assert gateway.send("POST", "/gateway" + path, body, key).status == 200
    assert gateway.send("POST", path, body, key).status == 404
    assert gateway.send("POST", "/gatewayx" + path, body, key).status == 404
    for end in ("", "/", "/nothing"):
        answer = gateway.send("GET", "/gateway" + end, headers=key)
        assert (answer.status, answer.json["error"]["err_code"]) == (404, -10009)
    assert make(Client(mock, PROVIDERS["kling"])).status == 200


def test_a_reply_speaks_of_the_mount(make_mock: MakeMock) -> None:
    """Addresses that a reply holds lead back through the prefix; results lie at the server's own path."""
    pixazo = Client(make_mock(PROVIDERS["pixazo"], mounts={"pixazo": "/p"}), PROVIDERS["pixazo"])
    path = "/kling-ai-video/v1/getImageToVideoTask"
    headers = {**pixazo.credential("POST", path), "prefer": "variant=current", "host": "mock.test"}
    made = pixazo.send("POST", "/p" + path, {"image": "https://e.test/a.png"}, headers).json
    assert made["polling_url"] == f"http://mock.test/p/v2/requests/status/{made['request_id']}"
    pixazo.advance("10s")
    done = pixazo.send("GET", made["polling_url"].removeprefix("http://mock.test"), headers=headers).json
    assert done["status"] == "COMPLETED"
    assert done["output"]["media_url"][0].startswith("http://mock.test/_mock/media/pixazo/")


def test_a_host_goes_before_a_mount(make_mock: MakeMock) -> None:
    """At its own host a mounted provider is reached without the prefix."""
    mock = make_mock(*PROVIDERS.values(), mounts={"302ai": "/gateway"})
    routed = mock.router.find(Request("GET", "/klingai/task/1/fetch", headers={"host": "api.302.ai"}))
    assert routed.provider.name == "302ai"
    assert routed.operation is not None
    assert routed.mount == ""


def test_everyone_mounted_leaves_the_rest_to_the_default(make_mock: MakeMock) -> None:
    """A path under no prefix still has somebody's 404."""
    mock = make_mock(*PROVIDERS.values(), mounts={name: f"/{name}" for name in PROVIDERS})
    answer = Client(mock, PROVIDERS["kling"]).send("GET", VIDEOS)
    assert (answer.status, answer.json["error"]) == (404, "Not Found")


def test_a_mount_of_nobody_is_refused_at_the_start(make_mock: MakeMock) -> None:
    """A misspelt name is an error with the closest match."""
    with pytest.raises(ValueError, match="there is no provider '302a' here; did you mean '302ai'"):
        make_mock(*PROVIDERS.values(), mounts={"302a": "/x"})


# Collisions.


def test_the_providers_do_not_collide() -> None:
    """All of them fit on one port, and the toy too."""
    assert collisions(PROVIDERS, {}) == []


def test_the_same_paths_twice_collide_unless_mounted() -> None:
    """Two providers that one request could mean are named with both paths; a prefix keeps them apart."""
    kling = PROVIDERS["kling"]
    both = {"kling": kling, "twin": dataclasses.replace(kling, name="twin")}
    found = collisions(both, {})
    assert f"kling {VIDEOS} and twin {VIDEOS}" in found
    assert len(found) == len(kling.paths()), "a path and itself; an id never fits a fixed word of the same length"
    assert collisions(both, {"twin": "/twin"}) == []
    assert f"kling /a{VIDEOS} and twin /a{VIDEOS}" in collisions(both, {"kling": "/a", "twin": "/a"})


def test_a_parameter_collides_with_a_word() -> None:
    """Overlap counts parameters: /kling/v1/{action}/{action2}/{task_id} means whatever is mounted below /kling."""
    both = {name: PROVIDERS[name] for name in ("rixapi", "kling")}
    found = collisions(both, {"kling": "/kling"})
    assert "rixapi /kling/v1/{action}/{action2}/{task_id} and kling /kling/v1/videos/image2video/{id}" in found
    assert "kling at /kling and rixapi /kling/v1/{action}/{action2}/{task_id}" in found, "the mount hides it"
    assert not [row for row in found if "/account/costs" in row]
