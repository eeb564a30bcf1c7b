"""pytest inside pytest: the plugin's user has a client, and tests of it.

An inner run in this process forgets the modules that it was the first to import, and whoever holds one of them holds
another than the next run's. So what a run may import is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import jwt
import pytest
import requests

from kling_mock.testing import firewall, interception, session, sleeping

IMPORTED = (jwt, requests, firewall, interception, session, sleeping)
ROOT = Path(__file__).parent.parent.parent
PLUGIN = "kling_mock.testing.plugin"

CLIENT = '''
import time

import jwt
import requests


class Client:
    """A client as people write them."""

    def __init__(self, kling, interval=10, patience=600, tries=3):
        self.base, self.key, self.secret = kling.base_url, kling.access_key, kling.secret_key
        self.interval, self.patience, self.tries = interval, patience, tries

    def headers(self):
        now = int(time.time())
        claims = {"iss": self.key, "exp": now + 1800, "nbf": now - 5}
        return {"Authorization": "Bearer " + jwt.encode(claims, self.secret, algorithm="HS256")}

    def create(self, **body):
        body = {"image": "https://example.com/a.png", "prompt": "a lighthouse", **body}
        reply = requests.post(self.base + "/v1/videos/image2video", json=body, headers=self.headers(), timeout=20)
        reply.raise_for_status()
        return reply.json()["data"]["task_id"]

    def stubborn(self, **body):
        """Send a create again when no answer comes."""
        for attempt in range(self.tries):
            try:
                return self.create(**body)
            except requests.ConnectionError:
                time.sleep(1)

    def careful(self, mine, **body):
        """Look into the list before a create is sent again."""
        try:
            return self.create(external_task_id=mine, **body)
        except requests.ConnectionError:
            url = self.base + "/v1/videos/image2video?pageNum=1&pageSize=30"
            rows = requests.get(url, headers=self.headers(), timeout=20).json()["data"]
            made = [row["task_id"] for row in rows if row["task_info"].get("external_task_id") == mine]
            return made[0] if made else self.create(external_task_id=mine, **body)

    def look(self, task):
        reply = requests.get(f"{self.base}/v1/videos/image2video/{task}", headers=self.headers(), timeout=20)
        reply.raise_for_status()
        return reply.json()["data"]

    def wait(self, task):
        deadline = time.monotonic() + self.patience
        while time.monotonic() < deadline:
            found = self.look(task)
            if found["task_status"] in ("succeed", "failed"):
                return found
            time.sleep(self.interval)
        raise TimeoutError(task)
'''

CONFTEST = """
import pytest
from client import Client


@pytest.fixture
def client(kling):
    return Client(kling)
"""

Run = Callable[..., pytest.RunResult]


def arguments() -> list[str]:
    """The plugin by name, unless it is installed: then pytest finds it by itself."""
    installed = {entry.value for entry in entry_points(group="pytest11")}
    return [] if PLUGIN in installed else ["-p", PLUGIN]


def runner(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a test module of a user's, with the client above beside it."""
    pytester.makepyfile(client=CLIENT)
    pytester.makeconftest(CONFTEST)
    pytester.syspathinsert()
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    # The outer run's worker must not be taken for the inner one's.
    for name in ("PYTEST_XDIST_WORKER", "PYTEST_XDIST_WORKER_COUNT", "PYTEST_ADDOPTS"):
        monkeypatch.delenv(name, raising=False)

    def run(source: str, *options: str, apart: bool = False) -> pytest.RunResult:
        pytester.makepyfile(test_it=source)
        chosen = [*arguments(), "-p", "no:cacheprovider", *options]
        return pytester.runpytest_subprocess(*chosen) if apart else pytester.runpytest_inprocess(*chosen)

    return run
