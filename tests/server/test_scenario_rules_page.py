"""docs/scenario-rules.md says what is true: each of its files is loaded, each of its calls made."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kling_mock.loading import load_providers
from kling_mock.server.mock import Mock, Options
from kling_mock.server.scenario_file import RULE, read_scenario_file
from tests.conftest import AT, Client

PAGE = (Path(__file__).parents[2] / "docs" / "scenario-rules.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"```yaml\n(.*?)```\n\n```text\n(.*?)```", PAGE, re.S)
CALL = re.compile(r"(create|query)((?: \S+=\S+)*)( as another)? {2,}(.*)")
VIDEOS = "/v1/videos/image2video"
BODY = {"image": "https://example.com/a.png", "prompt": "a lighthouse"}


class Caller:
    """Makes the calls of an example: `create key=value`, `query` (the last task), `as another` account."""

    def __init__(self, file: Path) -> None:
        found = read_scenario_file(file, load_providers())
        mock = Mock(found.providers.values(), Options(at=AT, seed="page"), wall=lambda: AT, rules=found.rules)
        self.default = Client(mock, mock.providers["kling"])
        self.other = self.default.other()
        self.task = ""

    def came(self, call: str, fields: str, another: bool) -> str:
        """What came of a call, as the page writes it."""
        who = self.other if another else self.default
        if call == "create":
            answer = who.send("POST", VIDEOS, BODY | dict(pair.split("=", 1) for pair in fields.split()))
            self.task = answer.headers.get("x-mock-task", self.task)
        else:
            answer = who.send("GET", f"{VIDEOS}/{self.task}")
        scenario = list(who.mock.exchanges())[-1]["scenario"]
        told = "no answer" if answer.delivery.lossy else str(answer.status)
        return f"{told} ({scenario})" if scenario else told


@pytest.mark.parametrize(("file", "calls"), EXAMPLES, ids=[str(number) for number in range(len(EXAMPLES))])
def test_an_example_does_what_the_page_says(file: str, calls: str, tmp_path: Path) -> None:
    """Line by line."""
    path = tmp_path / "mine.yaml"
    path.write_text(file, encoding="utf-8")
    caller = Caller(path)
    for line in calls.splitlines():
        match = CALL.fullmatch(line)
        assert match, line
        assert caller.came(match[1], match[2], bool(match[3])) == match[4], line


def test_every_word_of_a_rule_is_on_the_page() -> None:
    """And each example stands before the calls that show it."""
    assert len(EXAMPLES) == PAGE.count("```yaml") == PAGE.count("```text") >= 5
    for word in RULE["properties"]:
        assert re.search(rf"`{word}[`:]", PAGE), word
