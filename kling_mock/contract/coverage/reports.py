"""Coverage told: as a table for a terminal, as JSON, and as JUnit XML. The page is `coverage.page`'s."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from textwrap import wrap
from xml.etree import ElementTree

from kling_mock.contract.coverage.counting import Share, Tally

WIDTH = 100
MOST_NAMED = 12
"""Points that the terminal names of each dimension; files name them all."""


def overall(tallies: Iterable[Tally]) -> Share:
    """The share of all points of some providers."""
    shares = [tally.share() for tally in tallies]
    return Share(sum(share.covered for share in shares), sum(share.all for share in shares))


def table(tallies: Sequence[Tally], most: int = MOST_NAMED) -> str:
    """A table for each provider, and what was never tested: of each dimension `most` points by name."""
    return "\n".join(line for tally in tallies for line in _lines(tally, most))


def _lines(tally: Tally, most: int) -> Iterator[str]:
    whole = tally.share()
    yield f"{tally.title} ({tally.provider}): {_told(whole)}"
    shares = tally.shares()
    for row, share in shares.items():
        yield f"  {row.name:<12} {share.covered:>4} of {share.all:<4} {share.percent:>3}%  {row.means}"
    if whole.covered == whole.all:
        return
    yield "  never tested:"
    for row in shares:
        labels = [point.label for point in tally.missing(row.name)]
        if labels:
            more = [f"and {len(labels) - most} more"] if len(labels) > most else []
            yield from _wrapped(f"{row.name}:", [*labels[:most], *more])


def _wrapped(head: str, parts: Sequence[str]) -> list[str]:
    """Parts in lines as wide as a terminal; no line ends within one."""
    whole = ", ".join(part.replace(" ", "\0") for part in parts)
    lines = wrap(
        f"{head} {whole}",
        WIDTH,
        initial_indent="    ",
        subsequent_indent="      ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [line.replace("\0", " ") for line in lines]


def _told(share: Share) -> str:
    return f"{share.percent}% covered, {share.covered} of {share.all}"


def as_json(tallies: Sequence[Tally]) -> str:
    """Everything as one JSON document.

    `{percent, covered, all, providers: [{provider, title, version, digest, percent, covered, all, dimensions: [{name,
    means, percent, covered, all}], points: [{dimension, operation, name, seen}]}]}`; percents are whole, rounded down.
    """
    rows = [
        {
            **tally.to_json(),
            **_numbers(tally.share()),
            "dimensions": [
                {"name": row.name, "means": row.means, **_numbers(share)} for row, share in tally.shares().items()
            ],
        }
        for tally in tallies
    ]
    return json.dumps({**_numbers(overall(tallies)), "providers": rows}, ensure_ascii=False, indent=1) + "\n"


def _numbers(share: Share) -> dict[str, int]:
    return {"percent": share.percent, "covered": share.covered, "all": share.all}


def as_junit(tallies: Sequence[Tally]) -> str:
    """A suite for each provider and dimension, and a case for each point; one that was never tested is skipped.

    It is no failure: whether too little was covered says the exit status, by the threshold that was asked for.
    """
    root = ElementTree.Element("testsuites", name="coverage of behaviour")
    for tally in tallies:
        for row, share in tally.shares().items():
            left, name = str(share.all - share.covered), f"{tally.provider}.{row.name}"
            counts = {"tests": str(share.all), "skipped": left, "failures": "0", "errors": "0"}
            suite = ElementTree.SubElement(root, "testsuite", {"name": name, **counts})
            for point in (point for point in tally.hits if point.dimension == row.name):
                case = ElementTree.SubElement(suite, "testcase", classname=name, name=_xml(point.label))
                if not tally.hits[point]:
                    ElementTree.SubElement(case, "skipped", message="never tested")
    ElementTree.indent(root)
    return f"<?xml version='1.0' encoding='utf-8'?>\n{ElementTree.tostring(root, encoding='unicode')}\n"


def _xml(text: str) -> str:
    """A text without the characters that XML cannot hold, escaped or not."""
    return "".join(c if c in "\t\n\r" or (c >= " " and c not in "\ufffe\uffff") else "\ufffd" for c in text)


def as_html(tallies: Sequence[Tally]) -> str:
    """One page that needs nothing else."""
    from kling_mock.contract.coverage.page import page

    return page(tallies)


FORMATS: Mapping[str, Callable[[Sequence[Tally]], str]] = {"json": as_json, "junit": as_junit, "html": as_html}
