"""Where what is wrong stands in a file: pointers to lines and columns, and the formats that mark files with them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kling_mock.core.documents import pointer
from kling_mock.positions import Position, position
from tests.test_cli_judging import validate

TEXT = """{
  "toy": "bear",
  "é~/": [1, {"a": "}, ]"},
    [ ], "\\"b\\": {" , {}],
  "toy2":
    {"x": {"y": -1.5e3}, "z": null}
}
"""
PLACES = [
    ("", 1, 1),
    ("/toy", 2, 10),
    ("/é~0~1", 3, 10),
    ("/é~0~1/0", 3, 11),
    ("/é~0~1/1/a", 3, 20),
    ("/é~0~1/2", 4, 5),
    ("/é~0~1/3", 4, 10),
    ("/é~0~1/4", 4, 23),
    ("/toy2", 6, 5),
    ("/toy2/x/y", 6, 17),
    ("/toy2/z", 6, 31),
    ("/gone", 1, 1),  # what is not there is looked for where it should be
    ("/toy2/x/gone", 6, 11),
    ("/toy2/x/y/deeper", 6, 17),
    ("/é~0~1/2/0", 4, 5),
    ("/é~0~1/9", 3, 10),
    ("/é~0~1/name", 3, 10),
]


@pytest.mark.parametrize(("at", "line", "column"), PLACES)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_pointer_has_a_line_and_a_column(at: str, line: int, column: int, mark: bytes, end: str) -> None:
    """In characters from 1, whatever ends the lines, and without the mark that some editors begin a file with."""
    assert position(mark + TEXT.replace("\n", end).encode(), at) == Position(line, column)


@pytest.mark.parametrize(
    ("text", "at"), [("{}", "/a"), ("[]", "/0"), ("7", "/a"), (" {} ", "/a"), ('{"a":[]}', "/b/c")]
)
def test_what_is_empty_lacks_everything(text: str, at: str) -> None:
    """The place is where the empty value begins."""
    assert position(text.encode(), at) == Position(1, 1 + len(text) - len(text.lstrip()))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | st.text(max_size=4),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=3), below, max_size=3),
    max_leaves=9,
)


def pointers(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every pointer into a document, with the value there."""
    yield pointer(path), value
    rows = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, below in rows:
        yield from pointers(below, (*path, name))


@given(JSON, st.sampled_from([None, 0, 2]), st.booleans())
def test_at_each_pointer_its_value_stands(document: Any, indent: int | None, plain: bool) -> None:
    """What the standard library reads from there on is what it reads at the pointer."""
    text = json.dumps(document, indent=indent, ensure_ascii=plain)
    lines = text.split("\n")
    for at, value in pointers(document):
        line, column = position(text.encode(), at)
        found, _ = json.JSONDecoder().raw_decode("\n".join([lines[line - 1][column - 1 :], *lines[line:]]))
        assert found == value


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_github_and_sarif_mark_the_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: bytes) -> None:
    """Of a wrong value, of the object that lacks a key, and of what is no JSON."""
    monkeypatch.chdir(tmp_path)
    rows = [b"\xef\xbb\xbf{", b'  "toy":', b'    "beer",', b'  "hat": 1', b"}"]
    Path("wrong.json").write_bytes(end.join(rows))
    Path("kite.json").write_bytes(end.join([b"", b' {"toy": "kite"}']))
    Path("broken.json").write_bytes(end.join([b"{", b'  "toy": "bear",', b'  "seconds": 4 5', b"}"]))
    Path("bytes.json").write_bytes(end.join([b"{", b'  "toy": "\xff"}']))
    names = ("wrong.json", "kite.json", "broken.json", "bytes.json")
    said = validate(*names, "--format", "github").stdout.splitlines()
    assert [line.partition("::/")[0].partition("::is")[0] for line in said] == [
        "::error file=wrong.json,line=3,col=5,title=orderToy/toy/enum",
        "::warning file=wrong.json,line=4,col=10,title=orderToy/hat/unknown",
        "::error file=kite.json,line=2,col=2,title=a-kite-needs-wind",
        "::error file=broken.json,line=3,col=16,title=cannot be judged",
        "::error file=bytes.json,line=2,col=11,title=cannot be judged",
    ]
    assert "Expecting ',' delimiter at line 3 column 16" in said[3]
    [run] = json.loads(validate(*names, "--format", "sarif").stdout)["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    told = run["invocations"][0]["toolExecutionNotifications"]
    regions = [row["locations"][0]["physicalLocation"]["region"] for row in (*run["results"], *told)]
    places = [(3, 5), (4, 10), (2, 2), (3, 16), (2, 11)]
    assert regions == [{"startLine": line, "startColumn": column} for line, column in places]
