"""The fake Kling: a spec-driven mock server and contract-test kit for Kling AI's video API and its gateways."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kling_mock.core.problems import Problem, SpecError
from kling_mock.core.provider import Provider
from kling_mock.core.verdicts import Finding, Verdict
from kling_mock.loading import load_providers
from kling_mock.payloads import CannotJudge, InvalidPayload, Judge, judge

if TYPE_CHECKING:
    from kling_mock.testing.handle import Kling

__version__ = "0.1.0"
__all__ = [
    "CannotJudge",
    "Finding",
    "InvalidPayload",
    "Judge",
    "Problem",
    "Provider",
    "SpecError",
    "Verdict",
    "__version__",
    "intercept",
    "judge",
    "load_providers",
    "running",
]


def running(
    provider: str | None = None, specs: Iterable[str | Path] = (), **options: Any
) -> AbstractContextManager[Kling]:
    """A running mock and the handle of a fresh account of it: `with kling_mock.running() as kling: kling.base_url`.

    `provider` is the default one unless given, `specs` are folders of more, `options` as of `kling-mock serve`.
    """
    # The server is much to import, and most who import the package want to judge payloads.
    from kling_mock.testing.session import running as run

    return run(provider, specs, **options)


def intercept(
    provider: str | None = None, specs: Iterable[str | Path] = (), hosts: Iterable[str] = (), **options: Any
) -> AbstractContextManager[Kling]:
    """A running mock to which the real hosts of every provider lead, and `hosts` too, until the block ends.

    Nothing of the client changes; only its credentials must be the handle's: `with kling_mock.intercept() as kling:`.
    Needs the extra `contract` (for the certificates).
    """
    from kling_mock.testing.session import intercepted

    return intercepted(provider, specs, hosts, **options)
