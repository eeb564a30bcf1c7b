"""How a request path finds its template."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_mock.core.routes import Routes, overlap

ROUTES = Routes(
    (template, template)
    for template in [
        "/toys",
        "/toys/{id}",
        "/toys/new",
        "/toys/{id}/parts",
        "/{shop}/sale",
        "/toys/new/parts/{part}",
        "/{shop}/{id}/parts/{part}/screws",
    ]
)


@pytest.mark.parametrize(
    ("path", "template", "parameters"),
    [
        ("/toys", "/toys", {}),
        ("/toys/7", "/toys/{id}", {"id": "7"}),
        ("/toys/new", "/toys/new", {}),
        ("/toys/newer", "/toys/{id}", {"id": "newer"}),
        ("/toys/new/parts", "/toys/{id}/parts", {"id": "new"}),
        ("/toys/new/parts/3", "/toys/new/parts/{part}", {"part": "3"}),
        ("/toys/sale", "/toys/{id}", {"id": "sale"}),
        ("/shop/sale", "/{shop}/sale", {"shop": "shop"}),
        ("/toys/new/parts/3/screws", "/{shop}/{id}/parts/{part}/screws", {"shop": "toys", "id": "new", "part": "3"}),
    ],
)
def test_literal_segments_go_before_parameters(path: str, template: str, parameters: dict[str, str]) -> None:
    """A literal wins where it leads anywhere; else the parameter beside it is tried."""
    assert ROUTES.find(path) == (template, parameters)


@pytest.mark.parametrize(
    "path", ["", "/", "/toy", "/toys/", "/toys//parts", "/Toys", "/toys/7/", "/toys/7/parts/3", "/{shop}", "//"]
)
def test_other_paths_lead_nowhere(path: str) -> None:
    """Case, empty segments and a trailing slash matter; no parameter is empty."""
    assert ROUTES.find(path) is None


@pytest.mark.parametrize(
    ("path", "id_"),
    [
        ("/toys/a%20b", "a b"),
        ("/toys/a%2Fb", "a/b"),
        ("/toys/%2F", "/"),
        ("/toys/%7B%7D", "{}"),
        ("/toys/{}", "{}"),
        ("/toys/%C3%A9", "é"),
        ("/toys/%FF", "\ufffd"),
        ("/toys/%zz", "%zz"),
        ("/toys/..", ".."),
    ],
)
def test_a_parameter_is_decoded(path: str, id_: str) -> None:
    """Percent escapes are undone within a segment; hostile ones are values like others."""
    assert ROUTES.find(path) == ("/toys/{id}", {"id": id_})


def test_a_trailing_slash_counts_for_nothing_where_the_spec_says_so() -> None:
    """With `trailing_slash` one slash at the end is taken off; two are not."""
    routes = Routes([("/toys", "all"), ("/toys/{id}", "one")], trailing_slash=True)
    assert routes.find("/toys/") == ("all", {})
    assert routes.find("/toys/7/") == ("one", {"id": "7"})
    assert routes.find("/toys//") is None


@given(st.text())
def test_no_path_breaks_the_search(path: str) -> None:
    """Any text finds a template or nothing, and the parameters are those of the template."""
    found = ROUTES.find(path)
    assert found is None or all(f"{{{name}}}" in found[0] for name in found[1])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("/a/{x}", "/a/b", True),
        ("/{x}/b", "/a/{y}", True),
        ("/a/b", "/a/b", True),
        ("/a/{x}", "/b/{x}", False),
        ("/a/{x}", "/a/b/c", False),
        ("/a", "/a/", False),
    ],
)
def test_templates_overlap_when_one_path_fits_both(one: str, other: str, same: bool) -> None:
    """Two providers with overlapping templates cannot share a port."""
    assert overlap(one, other) is overlap(other, one) is same
