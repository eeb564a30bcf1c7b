"""The page of scenarios, `docs/scenarios.md`: what a simple client meets at each provider, walked over real HTTP.

`python -m tests.scenarios --write` walks them all and writes the page; `tests/server/test_every_scenario.py` walks
them again and compares line by line, so a scenario that does something else shows in review.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kling_mock.core.provider import Provider
from kling_mock.loading import load_providers
from kling_mock.server.mock import Mock, Options
from kling_mock.server.serving import Running
from kling_mock.testing.walk import Walk, Walker
from tests.conftest import PROVIDERS
from tests.exchanges import folder_of

PAGE = Path(__file__).parent.parent / "docs" / "scenarios.md"
AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z
HEAD = """# Scenarios

Everything that goes wrong with paid asynchronous jobs, on command. Ask for one in any of four ways:

- `[mock:NAME]` or `[mock:NAME key=value]` in the prompt or in the caller's own id, so that any client can;
- the header `Prefer: scenario=NAME` (`Prefer: scenario="NAME key=value"`);
- an account's default: `POST /_mock/accounts {"provider": ..., "scenario": "NAME"}`, and for one that is there
  `PATCH /_mock/accounts/ID {"scenario": "NAME"}`, or null for none;
- a file of rules: `kling-mock serve --scenarios mine.yaml` ([scenario-rules.md](scenario-rules.md)).

`kling-mock show NAME [--provider P]` lets a simple client meet one, call by call. The right column is that client's
walk in one line: it tries a create three times, looks every two seconds of the account's clock, then less often, until
two answers show an end, once more a minute later, then lists and downloads. The numbers in brackets are when it looked.
What is counted (`times`) is counted per payload for a create and per task for everything else.

How often, or for how long: `[mock:server-error]` once, `[mock:server-error times=3]` three times,
`[mock:server-error lasts=30s]` each time until half a minute of the account's clock has passed since the first one,
`[mock:server-error times=any]` for ever. `call=query` (or `create`, `list`, `download`) says which calls, where a
scenario takes it; `kling-mock scenarios` lists what each takes. A list meets what the tasks on it were asked for: with
`[mock:server-error call=list]` in a prompt, the first list that shows this task. `lasts` counts for each task (or
payload) by itself; for a list without such a task, and for a balance, by account.
"""


def called(provider: Provider, name: str) -> str:
    """The reference that is walked: with its own parameters, but for waits that a reader of tests need not share."""
    if not name:
        return ""
    scenario = provider.scenarios[name]
    waits = scenario.answers and "seconds" in scenario.parameters
    return f"{name} seconds=1" if waits else name


@cache
def running() -> Running:
    """One server with every provider, frozen and seeded, until the process ends."""
    return Running(Mock(PROVIDERS.values(), Options(at=AT, seed="scenarios"))).__enter__()


def walked(provider: Provider, name: str) -> Walk:
    """A client's walk through a scenario."""
    return Walker(running(), provider, folder_of(provider.name), called(provider, name) or None).walk()


def line(provider: Provider, name: str) -> str:
    """A scenario's line of the page."""
    walk = walked(provider, name)
    told = walk.told().replace("|", "\\|")
    for id_ in sorted(walk.ids, key=len, reverse=True):
        told = told.replace(id_, "ID")
    spent = ", ".join(f"{amount} {unit}" for unit, amount in walk.spent.items())
    end = f"{walk.tasks} task{'s' * (walk.tasks != 1)}" + (f", {spent} spent" if spent else "")
    return f"| `{called(provider, name)}` | {provider.scenarios[name].shows} | {told}. {end} |"


def section(provider: Provider, lines: Iterator[str]) -> str:
    """A provider's table."""
    return "\n".join(
        [f"\n## {provider.name}\n", "| scenario | shows | what a client meets |", "|---|---|---|", *lines, ""]
    )


def page() -> str:
    """The whole page, of the bundled providers."""
    bundled = load_providers().values()
    return HEAD + "".join(section(row, (line(row, name) for name in row.scenarios)) for row in bundled)


def written(provider: Provider, name: str) -> str | None:
    """A scenario's line as the page has it."""
    found = re.search(rf"^## {re.escape(provider.name)}$(.*?)(?=^## |\Z)", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    rows = (found[1] if found else "").splitlines()
    return next((row for row in rows if row.startswith(f"| `{called(provider, name)}` |")), None)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page())
    else:
        print(page())
