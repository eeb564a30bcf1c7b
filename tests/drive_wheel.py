"""Drives an installed `kling-mock` over HTTP as a user would: create, poll, download, fail, at the default provider.

Run with the command's path; needs nothing of the checkout, only `requests`. The README's transcripts drive the others.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests


@contextmanager
def served(command: str, *options: str) -> Iterator[str]:
    """A server on a free port; gives its URL and ends it in order."""
    process = subprocess.Popen([command, "serve", "--port", "0", *options], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        line = process.stdout.readline().strip()
        assert line.startswith("kling-mock ready on "), line
        yield line.rpartition(" ")[2]
    finally:
        process.terminate()
        assert process.wait(10) == 0, "the server did not end with 0 after SIGTERM"
        process.stdout.close()


def environment(command: str, url: str) -> dict[str, str]:
    """What `kling-mock env` prints for this server."""
    printed = subprocess.run(
        [command, "env", "--format", "json", "--url", url], check=True, capture_output=True, text=True
    )
    values: dict[str, str] = json.loads(printed.stdout)
    return values


def drive(command: str) -> None:
    """One job of the default provider from create to download, and one that fails."""
    with served(command, "--latency", "fast", "--speed", "20", "--quiet") as url:
        values = environment(command, url)
        assert values["KLING_BASE_URL"] == url
        token = subprocess.run([command, "token"], check=True, capture_output=True, text=True).stdout.strip()
        headers = {"Authorization": f"Bearer {token}"}
        seen = walk(url, headers, {"image": "https://example.com/a.png", "prompt": "a lighthouse"})
        assert seen[-1]["task_status"] == "succeed", seen
        video = requests.get(seen[-1]["task_result"]["videos"][0]["url"], timeout=10)
        assert video.status_code == 200
        assert video.headers["content-type"] == "video/mp4"
        assert b"ftyp" in video.content[:16]
        failed = walk(url, headers, {"image": "https://example.com/a.png", "prompt": "[mock:fail]"})
        assert failed[-1]["task_status"] == "failed"
        assert failed[-1]["task_status_msg"]
        print(f"created, polled and downloaded {len(video.content)} bytes; failed: {failed[-1]['task_status_msg']}")


def walk(url: str, headers: dict[str, str], body: dict[str, Any]) -> list[dict[str, Any]]:
    """Create a task and poll it to its end; gives every answer."""
    path = url + "/v1/videos/image2video"
    made = requests.post(path, json=body, headers=headers, timeout=10).json()
    seen = [made["data"]]
    for _ in range(200):
        if seen[-1]["task_status"] in ("succeed", "failed"):
            break
        time.sleep(0.05)
        seen.append(requests.get(f"{path}/{made['data']['task_id']}", headers=headers, timeout=10).json()["data"])
    return seen


if __name__ == "__main__":
    drive(sys.argv[1])
