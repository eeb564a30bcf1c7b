"""Runs the README's transcripts word for word against a served mock, and keeps its table of evidence true.

`python -m tests.readme` runs them (it needs the installed `kling-mock` and port 8787), `--write` renews the table.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from kling_mock.loading import load_providers

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"<!-- transcript: ([^>]*) -->\n```sh\n(.*?)```", re.S)
PROMISES = {
    "kling fails": ('"failed"', "risk control"),
    "show": ("connection reset, no answer", "2 tasks, 36.0 units spent", "200 video/mp4"),
    "paid twice": ('"duplicate_spend": [{', '"certain"'),
}
"""What a transcript has to show that does not end with a video."""
TABLE = re.compile(r"(<!-- evidence -->\n.*?\n.*?\n)(.*?)(<!-- /evidence -->)", re.S)


def rows() -> str:
    """The rows of the evidence table, from the compiled specs."""
    lines = []
    for provider in load_providers().values():
        paths = len({operation.path for operation in provider.operations.values()})
        surface = f"{provider.title}: {len(provider.operations)} operations on {paths} paths"
        counts = " | ".join(str(provider.evidence[kind]) for kind in ("documented", "observed", "assumed"))
        lines.append(f"| [{provider.name}](specs/{provider.name}/SOURCES.md) | {surface} | {counts} |\n")
    return "".join(lines)


def table() -> str:
    """The rows that the README has now."""
    match = TABLE.search(README.read_text(encoding="utf-8"))
    assert match, "the README has no table of evidence"
    return match[2]


def write() -> None:
    """Renew the README's table."""
    text = README.read_text(encoding="utf-8")
    README.write_text(TABLE.sub(lambda match: match[1] + rows() + match[3], text), encoding="utf-8")


def blocks() -> list[tuple[str, str]]:
    """The transcripts by name."""
    return BLOCK.findall(README.read_text(encoding="utf-8"))


def run(command: Path) -> None:
    """Serve with the given `kling-mock` and type every transcript into one shell in an empty directory."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / ".venv").symlink_to(command.parent.parent)
        server = subprocess.Popen([command, "serve", "--quiet"], stdout=subprocess.PIPE, text=True, cwd=folder)
        assert server.stdout is not None
        try:
            ready = server.stdout.readline()
            assert ready.startswith("kling-mock ready on"), f"the server did not start: {ready!r}"
            for output, (name, _) in zip(typed(folder), blocks(), strict=True):
                judge(name, output)
        finally:
            server.terminate()
            server.wait(10)
            server.stdout.close()


def typed(folder: str) -> list[str]:
    """What each transcript printed, and after it what became of its video."""
    look = 'echo; head -c 12 video.mp4 2>/dev/null | tail -c 8; rm -f video.mp4; echo "#end"\n'
    script = "set -eu\n" + "".join(f"{text}{look}" for _, text in blocks())
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, timeout=120)
    output = done.stdout.decode("utf-8", "replace")
    assert done.returncode == 0, f"{output}\n{done.stderr.decode()}"
    return output.split("#end\n")[:-1]


def judge(name: str, output: str) -> None:
    """A transcript ends with a video that is one, or shows what it promises."""
    for word in PROMISES.get(name, ("ftyp",)):
        assert word in output, f"{name}: no {word} in\n{output}"
    print(f"{name}: as the README says")


if __name__ == "__main__":
    if "--write" in sys.argv:
        write()
    else:
        run(Path(sys.executable).parent / "kling-mock")
