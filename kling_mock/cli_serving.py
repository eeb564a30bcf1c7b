"""`kling-mock serve`: options to a mock, a socket to listen on, and what is said before the first request."""

from __future__ import annotations

import errno
import logging  # noqa: TID251 - a command line, not the core
import secrets  # noqa: TID251
import socket  # noqa: TID251
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path  # noqa: TID251
from typing import TYPE_CHECKING, Any

import click

from kling_mock.cli_options import (
    HOST,
    PORT,
    fail,
    known_providers,
    load,
    pairs,
    prefixes_of,
    scenarios_option,
    specs_option,
)
from kling_mock.cli_scenarios import with_scenarios
from kling_mock.cli_types import Address, Duration, Host, Instant, Size, number, url_of
from kling_mock.core.provider import Provider
from kling_mock.loading import collisions, replacements

if TYPE_CHECKING:
    from kling_mock.server.mock import Mock, Options
    from kling_mock.server.scenario_file import UserRule
    from kling_mock.server.store import Store

HOSTS_FAULT = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL)
"""What the system says where the host cannot be listened on, whatever the port."""


@click.command()
@click.option("--host", default=HOST, show_default=True, type=Host(), help="The address to listen on.")
@click.option("--port", default=PORT, show_default=True, type=click.IntRange(0, 65535), help="0 takes a free one.")
@click.option("--provider", "names", multiple=True, metavar="NAME", help="Serve only this provider. Repeatable.")
@click.option(
    "--speed",
    default=1.0,
    show_default=True,
    callback=number,
    type=click.FloatRange(0, 10_000),
    help="Virtual s per real s.",
)
@click.option(
    "--latency",
    metavar="PROFILE",
    help="How long tasks take: fast, instant, realistic. A provider without this profile keeps its own default and is "
    "named at the start.  [default: fast]",
)
@click.option(
    "--auth",
    default="registered",
    show_default=True,
    type=click.Choice(["registered", "any"]),
    help="Take registered credentials only, or every well-formed one.",
)
@click.option(
    "--at",
    type=Instant(),
    metavar="INSTANT",
    help="Start frozen at this instant (2026-03-01T12:00:00Z); a resume goes on at --speed.",
)
@click.option("--seed", help="Make ids and delays repeatable.")
@click.option(
    "--variant", "variants", multiple=True, metavar="PROVIDER=NAME", help="The shape of a provider's replies."
)
@click.option("--mount", "mounts", multiple=True, metavar="PROVIDER=/PREFIX", help="Serve a provider under a prefix.")
@click.option("--max-body", default="64MB", show_default=True, type=Size(), help="The longest body that is taken.")
@click.option(
    "--public-url",
    type=Address(),
    metavar="URL",
    help="The address in result URLs: http(s)://host[:port].  [default: the request's own Host]",
)
@click.option(
    "--allow-host",
    "allowed_hosts",
    multiple=True,
    type=Host(),
    metavar="HOST",
    help="Allow the control API under this host name, whatever the port. Repeatable.",
)
@click.option(
    "--store",
    "store_url",
    default="memory://",
    show_default=True,
    metavar="URL",
    help="Where tasks, accounts and money are kept: memory:// or sqlite:///FILE, which several servers may share.",
)
@click.option(
    "--keep-tasks",
    default=100_000,
    show_default=True,
    type=click.IntRange(1),
    metavar="N",
    help="How many tasks the store keeps. The oldest are forgotten first; their money stays in the ledger's sums.",
)
@click.option(
    "--keep-age",
    type=Duration(),
    metavar="DURATION",
    help="Forget tasks that are so much older (30d) than their account's newest one, by the account's clock.  "
    "[default: any age is kept]",
)
@click.option(
    "--callback-allow",
    "callback_hosts",
    multiple=True,
    type=Host(),
    metavar="HOST",
    help="Let webhooks go to this host too, and not to this machine only. Repeatable.",
)
@scenarios_option
@click.option(
    "--fetch-images",
    is_flag=True,
    help="Fetch image URLs from public addresses and judge the images. Never done by default.",
)
@click.option("--quiet", "-q", is_flag=True, help="Do not log requests on standard error.")
@specs_option
def serve(
    host: str,
    port: int,
    names: tuple[str, ...],
    allowed_hosts: tuple[str, ...],
    quiet: bool,
    folders: tuple[Path, ...],
    store_url: str,
    keep_tasks: int,
    keep_age: int | None,
    scenario_file: Path | None,
    **chosen: Any,
) -> None:
    """Serve the mock until Ctrl-C.

    Prints `kling-mock ready on URL` on standard output once it answers. Tasks take about 5 s; `[mock:fail]` in a prompt
    makes a task fail (`kling-mock scenarios` lists more).
    """
    providers, rules = with_scenarios(load(names, folders), scenario_file)
    mock = _mock(providers, _options(providers, **chosen), _store(store_url, keep_tasks, keep_age), rules)
    listener = _listener(host, port)
    for note in notes(providers, folders, mock.options.latency):
        click.echo(f"kling-mock: {note}", err=True)
    for doubt in doubts_of(mock, scenario_file):
        click.echo(f"kling-mock: {doubt}", err=True)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING if quiet else logging.INFO, format="%(message)s")
    _run(mock, listener, host, allowed_hosts)


def _options(
    providers: Mapping[str, Provider],
    seed: str | None,
    variants: tuple[str, ...],
    mounts: tuple[str, ...],
    callback_hosts: tuple[str, ...],
    **chosen: Any,
) -> Options:
    from kling_mock.server.mock import Options

    prefixes = prefixes_of(mounts, providers)
    if clashes := collisions(providers, prefixes):
        fail(f"two providers want the same path: {clashes[0]}; mount one of them: --mount NAME=/prefix")
    shapes = pairs(variants, "PROVIDER=NAME")
    known_providers(shapes, providers)
    return Options(
        seed=seed if seed is not None else secrets.token_hex(8),
        variants=shapes,
        mounts=prefixes,
        callback_allow=frozenset(callback_hosts),
        **chosen,
    )


def _store(url: str, tasks: int, age_ms: int | None) -> Store:
    from kling_mock.server.store import Retention, StoreError, open_store

    try:
        return open_store(url, Retention(tasks=tasks, age_ms=age_ms))
    except StoreError as error:
        fail(str(error))


def _mock(
    providers: Mapping[str, Provider], options: Options, store: Store | None = None, rules: Iterable[UserRule] = ()
) -> Mock:
    from kling_mock.server.mock import Mock
    from kling_mock.server.store import StoreError

    try:
        mock = Mock(providers.values(), options, store=store, rules=rules)
    except (ValueError, StoreError) as error:
        fail(str(error))
    if not mock.clocks.fresh and (options.at is not None or options.speed != 1.0):
        note = "the store has a clock already and goes on with it: --at and --speed change nothing"
        click.echo(f"kling-mock: {note}", err=True)
    return mock


def _listener(host: str, port: int) -> socket.socket:
    from kling_mock.server.serving import listen

    try:
        return listen(host, port)
    except OSError as error:
        fail(not_listening(host, port, error))


def not_listening(host: str, port: int, error: OSError) -> str:
    """Why a socket cannot be had, and what to change: the host or the port."""
    reason = error.strerror or str(error)
    if isinstance(error, socket.gaierror) or error.errno in HOSTS_FAULT:
        return (
            f"cannot listen on {host}: it is no address of this machine ({reason}); --host takes {HOST}, 0.0.0.0 "
            "(every network), or a name or address that this machine has"
        )
    return (
        f"cannot listen on {host}:{port}: {reason}; choose another with --port (0 takes a free one), and give "
        "`kling-mock env` the same --port"
    )


def notes(providers: Mapping[str, Provider], folders: tuple[Path, ...], latency: str | None) -> Iterator[str]:
    """What is not as one might think: providers that replace others, and those without the chosen latency."""
    for name, (folder, hidden) in replacements(folders).items():
        if name in providers:
            yield f"{name} is served from {folder}, which replaces {hidden}"
    for provider in providers.values():
        profiles = list(provider.lifecycle.latency)
        if latency and latency not in profiles:
            known = ", ".join(profiles)
            own = profiles[0]
            yield f"{provider.name} has no latency profile {latency!r} and keeps its default {own!r}; known are {known}"


def doubts_of(mock: Mock, scenario_file: Path | None) -> Iterator[str]:
    """What may be a slip in a user's file of rules."""
    if scenario_file is not None:
        from kling_mock.server.scenario_file import doubts

        found = doubts(mock.rules, mock.providers, mock.accounts.all())
        yield from (f"{scenario_file.name}#{doubt}" for doubt in found)


def _run(mock: Mock, listener: socket.socket, host: str, allowed_hosts: tuple[str, ...]) -> None:
    from kling_mock.server.serving import serve as run

    url = url_of(host, listener.getsockname()[1])

    def ready() -> None:
        for provider in mock.providers.values():
            known = " ".join(f"{row.variable}={row.default}" for row in provider.credentials.values())
            click.echo(f"{provider.name:8} {known}", err=True)
        click.echo(f"kling-mock ready on {url}")
        sys.stdout.flush()

    run(mock, listener, (host, *allowed_hosts), ready)
