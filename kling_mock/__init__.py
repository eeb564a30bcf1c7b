"""The fake Kling: a spec-driven mock server and contract-test kit for Kling AI's video API and its gateways."""

from kling_mock.core.problems import Problem, SpecError
from kling_mock.core.provider import Provider
from kling_mock.core.verdicts import Finding, Verdict
from kling_mock.loading import load_providers
from kling_mock.payloads import CannotJudge, InvalidPayload, Judge, judge

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
    "judge",
    "load_providers",
]
