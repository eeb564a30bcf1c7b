"""Coverage as it is told: in a terminal, as JSON, as JUnit XML, and as a page."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from kling_mock.contract.coverage.counting import Coverage, Tally
from kling_mock.contract.coverage.points import Point
from kling_mock.contract.coverage.reports import FORMATS, as_html, as_json, as_junit, overall, table
from kling_mock.core.provider import Provider
from tests.conftest import PROVIDERS

HOSTILE = '<script>alert("1")</script> & \x01'


@pytest.fixture
def tally() -> Tally:
    """Three points of two dimensions, one of them seen twice; names are as bad as they come."""
    hits = {Point("states", None, "ready"): 2, Point("states", None, HOSTILE): 0, Point("values", "order", "a=1"): 0}
    return Tally("toys", "Toys & Co", "1", "abc", hits)


def test_the_terminal_is_told_numbers_and_what_was_never_tested(tally: Tally) -> None:
    """One line for a dimension, and the names of its points below."""
    tally.hits[Point("states", None, HOSTILE)] = 1
    assert table([tally]).splitlines() == [
        "Toys & Co (toys): 66% covered, 2 of 3",
        "  values          0 of 1      0%  sent, in a request that was well-formed",
        "  states          2 of 2    100%  shown in an answer",
        "  never tested:",
        "    values: order a=1",
    ]


def test_what_was_tested_wholly_has_nothing_that_never_was(tally: Tally) -> None:
    """No empty list."""
    tally.hits.update(dict.fromkeys(tally.hits, 1))
    assert "never tested" not in table([tally])
    assert table([tally]).splitlines()[0] == "Toys & Co (toys): 100% covered, 3 of 3"


def test_the_terminal_names_a_few_points_of_each_dimension_and_counts_the_rest(toymaker: Provider) -> None:
    """As many as are asked for; no line is longer than a terminal."""
    told = table([Coverage(toymaker)], most=2)
    assert "    operations: listToys, orderToy, and 2 more\n" in told
    assert "    values: orderToy toy=bear, orderToy toy=train, and 4 more\n" in told
    assert max(map(len, table([Coverage(PROVIDERS["kling"])]).splitlines())) <= 100


def test_json_has_everything(tally: Tally) -> None:
    """The shape that the docstring promises; it can be read back."""
    document = json.loads(as_json([tally]))
    numbers = {"percent": 33, "covered": 1, "all": 3}
    provider = document["providers"][0]
    assert {name: document[name] for name in numbers} == numbers
    assert {name: provider[name] for name in numbers} == numbers
    assert provider["dimensions"] == [
        {"name": "values", "means": "sent, in a request that was well-formed", "percent": 0, "covered": 0, "all": 1},
        {"name": "states", "means": "shown in an answer", "percent": 50, "covered": 1, "all": 2},
    ]
    assert provider["points"][0] == {"dimension": "states", "operation": None, "name": "ready", "seen": 2}
    assert Tally.from_json(provider).hits == tally.hits


def test_junit_has_a_case_for_each_point_and_skips_what_was_never_tested(tally: Tally) -> None:
    """Counts agree with the cases, and a name that XML cannot hold is mended."""
    suites = ElementTree.fromstring(as_junit([tally]).split("\n", 1)[1]).findall("testsuite")
    told = {suite.get("name"): [case.get("name") for case in suite] for suite in suites}
    assert told == {
        "toys.values": ["order a=1"],
        "toys.states": ["ready", HOSTILE.replace("\x01", "\ufffd")],
    }
    assert [(suite.get("tests"), suite.get("skipped")) for suite in suites] == [("1", "1"), ("2", "1")]
    assert suites[1].findall("testcase")[1].find("skipped") is not None
    assert suites[1].findall("testcase")[0].find("skipped") is None


class Page(HTMLParser):
    """What a page is made of; each element must be closed where it should."""

    VOID = frozenset({"meta"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.texts: list[str] = []
        self.classes: dict[str, int] = {}
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, Any]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        for name in dict(attrs).get("class", "").split():
            self.classes[name] = self.classes.get(name, 0) + 1
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def test_the_page_needs_nothing_but_itself(tally: Tally) -> None:
    """No script, no address, nothing to load; a browser is told so too. It is light or dark."""
    text = as_html([tally, Coverage(PROVIDERS["kling"])])
    page = Page(text)
    assert not page.tags & {"script", "link", "img", "iframe", "object"}
    assert not page.attributes & {"src", "href", "style", "onclick"}
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|//|url\(|@import", text)
    assert "prefers-color-scheme: dark" in text


def test_the_page_escapes_what_the_documents_say(tally: Tally) -> None:
    """Names are texts, whatever is in them."""
    text = as_html([tally])
    assert HOSTILE in "".join(Page(text).texts)
    assert "<h2>Toys &amp; Co <span" in text


def test_the_page_names_every_point(toymaker: Provider) -> None:
    """The seen ones with how often, the others first and open, readable without a script."""
    seen = Coverage(toymaker)
    point = Point("states", None, "ready")
    seen.hits[point] = 3
    text = as_html([seen])
    page = Page(text)
    assert (page.classes["never"], page.classes["seen"]) == (len(seen.hits) - 1, 1)
    assert '<li class="seen">ready <span class="faint">3&times;</span></li>' in text
    assert text.count("<details open>") == len(seen.shares())
    assert text.index('<li class="never">carving') < text.index('<li class="seen">ready')


@pytest.mark.parametrize("name", FORMATS)
def test_every_report_can_be_of_nothing(name: str) -> None:
    """A run that used no provider has reports all the same."""
    assert FORMATS[name]([])
    assert overall([]).all == 0
