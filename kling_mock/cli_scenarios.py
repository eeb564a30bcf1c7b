"""`kling-mock scenarios` lists what can go wrong on command; `kling-mock show` lets a client meet one of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path  # noqa: TID251 - a command line, not the core

import click

from kling_mock.cli_options import fail, load, scenarios_option, specs_option
from kling_mock.core.provider import Provider
from kling_mock.core.scenarios import Scenario
from kling_mock.loading import bundled
from kling_mock.server.scenario_file import UserRule

AT = 1_767_225_600_000  # 2026-01-01T00:00:00Z


@click.command()
@click.option("--provider", "names", multiple=True, metavar="NAME", help="Only this provider's. Repeatable.")
@scenarios_option
@specs_option
def scenarios(names: tuple[str, ...], scenario_file: Path | None, folders: tuple[Path, ...]) -> None:
    """List the scenarios: what `[mock:NAME]` in a prompt or `Prefer: scenario=NAME` shows.

    Parameters are given beside the name: `[mock:slow seconds=90]`, or `Prefer: scenario="slow seconds=90"`. In brackets
    stand those that a scenario takes, with what they are unless given; `any` is without a limit.
    """
    providers, _ = with_scenarios(load(names, folders), scenario_file)
    width = max((len(name) for provider in providers.values() for name in provider.scenarios), default=0)
    for provider in providers.values():
        click.echo(provider.name)
        for scenario in provider.scenarios.values():
            click.echo(f"  {scenario.name:{width}}  {scenario.shows}{_taken(scenario)}")


def _taken(scenario: Scenario) -> str:
    """The parameters that it takes, with their defaults."""
    rows = " ".join(f"{name}={value}" for name, value in scenario.parameters.items())
    return f" ({rows})" if rows else ""


def with_scenarios(
    providers: Mapping[str, Provider], file: Path | None
) -> tuple[Mapping[str, Provider], tuple[UserRule, ...]]:
    """The providers with the scenarios of a user's file, and its rules."""
    if file is None:
        return providers, ()
    from kling_mock.core.problems import SpecError
    from kling_mock.server.scenario_file import read_scenario_file

    try:
        found = read_scenario_file(file, providers)
    except SpecError as error:
        rows = "\n".join(str(problem) for problem in error.problems)
        fail(f"{rows}\nnext: mend {file}; docs/scenario-rules.md of kling-mock shows how such a file is written")
    return found.providers, found.rules


@click.command()
@click.argument("scenario")
@click.option("--provider", "name", metavar="NAME", help="At this provider.  [default: the default one]")
@scenarios_option
@specs_option
def show(scenario: str, name: str | None, scenario_file: Path | None, folders: tuple[Path, ...]) -> None:
    """Let a simple client meet a scenario over real HTTP, and print what it meets.

    \b
    kling-mock show charged-no-answer
    kling-mock show "dropped call=download times=2"
    """
    providers, _ = with_scenarios(load((name,) if name else (), folders), scenario_file)
    provider = next((row for row in providers.values() if row.default), next(iter(providers.values())))
    try:
        told = provider.scenarios.find(scenario)
    except ValueError as error:
        fail(f"{provider.name}: {_elsewhere(scenario, provider, scenario_file, folders) or error}")
    click.echo(f"{provider.name}: {told.shows}")
    _show(provider, scenario, [folder / provider.name / "fixtures" for folder in reversed(folders)])


def _elsewhere(reference: str, provider: Provider, file: Path | None, folders: tuple[Path, ...]) -> str | None:
    """Which other providers have a scenario that this one has not, if any do."""
    name = reference.split(" ")[0]
    if name in provider.scenarios:
        return None
    providers, _ = with_scenarios(load((), folders), file)
    having = [other for other in providers if name in providers[other].scenarios]
    if not having:
        return None
    options = " or ".join(f"--provider {other}" for other in having)
    told = f"{' and '.join(having)} {'has' if len(having) == 1 else 'have'} it: {options}"
    return f"there is no scenario {name!r} here; {told}"


def _show(provider: Provider, scenario: str, places: list[Path]) -> None:
    from kling_mock.server.mock import Mock, Options
    from kling_mock.server.serving import Running
    from kling_mock.testing.walk import Walker

    fixtures = next((place for place in places if place.parent.is_dir()), bundled("fixtures") / provider.name)
    with Running(Mock([provider], Options(at=AT, seed="show"))) as running:
        try:
            walk = Walker(running, provider, fixtures, scenario).walk()
        except LookupError as error:
            fail(str(error))
    for step in walk.steps:
        click.echo(f"{step.at / 1000:10g} s  {step.role:9} {step.method:4} {step.path:58} {step.came}")
    spent = ", ".join(f"{amount} {unit}" for unit, amount in walk.spent.items()) or "nothing"
    click.echo(f"in the end: {walk.tasks} task{'s' * (walk.tasks != 1)}, {spent} spent")
