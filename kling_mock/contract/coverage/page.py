"""Coverage as one HTML page: no script, nothing loaded from anywhere, light or dark as its reader has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from kling_mock.contract.coverage.counting import Dimension, Share, Tally

STYLE = """
:root {
  color-scheme: light dark;
  --fg: #1c1c1e; --bg: #fff; --faint: #6a6a70; --line: #d8d8dc; --yes: #1a7f37; --no: #b42318;
}
@media (prefers-color-scheme: dark) {
  :root { --fg: #ececee; --bg: #17171a; --faint: #a0a0a8; --line: #3a3a40; --yes: #4cc26a; --no: #ff8a7a; }
}
body {
  font: 15px/1.5 system-ui, sans-serif; color: var(--fg); background: var(--bg);
  max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
}
h1 { font-size: 1.4rem; }
h2 { font-size: 1.15rem; margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid var(--line); }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.faint { color: var(--faint); font-weight: normal; }
meter { width: 8rem; }
details { border-bottom: 1px solid var(--line); padding: .35rem 0; }
summary { cursor: pointer; }
ul { columns: 20rem; margin: .5rem 0; padding-left: 1.2rem; }
li { break-inside: avoid; overflow-wrap: anywhere; }
.never { color: var(--no); }
.never::marker { content: "\\2717  "; }
.seen::marker { content: "\\2713  "; color: var(--yes); }
"""


def page(tallies: Sequence[Tally]) -> str:
    """The page."""
    body = "\n".join(line for tally in tallies for line in _provider(tally))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Coverage of behaviour</title>
<style>{STYLE}</style>
</head>
<body>
<h1>Coverage of behaviour</h1>
{body or "<p>No provider was used.</p>"}
</body>
</html>
"""


def _provider(tally: Tally) -> Iterator[str]:
    whole, shares = tally.share(), tally.shares()
    known = f'<span class="faint">{escape(tally.provider)} {escape(tally.version)}</span>'
    yield f"<h2>{escape(tally.title)} {known}</h2>"
    yield f"<p>{whole.percent}% covered: {whole.covered} of {whole.all} points.</p>"
    heads = "".join(f"<th>{name}</th>" for name in ("dimension", "covered", "percent", "", "what counts"))
    yield f"<table><thead><tr>{heads}</tr></thead><tbody>"
    yield from (_row(row, share) for row, share in shares.items())
    yield "</tbody></table>"
    for row, share in shares.items():
        yield from _points(tally, row, share)


def _row(row: Dimension, share: Share) -> str:
    cells = [
        f"<td>{escape(row.name)}</td>",
        f'<td class="number">{share.covered} of {share.all}</td>',
        f'<td class="number">{share.percent}%</td>',
        f'<td><meter min="0" max="{share.all}" value="{share.covered}">{share.percent}%</meter></td>',
        f'<td class="faint">{escape(row.means)}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _points(tally: Tally, row: Dimension, share: Share) -> Iterator[str]:
    """The points of one dimension: those that were never seen come first, and are shown without a click."""
    never = tally.missing(row.name)
    told = f"{len(never)} never tested" if never else f"all {share.all} tested"
    yield f"<details{' open' if never else ''}><summary>{escape(row.name)}: {told}</summary><ul>"
    yield from (f'<li class="never">{escape(point.label)}</li>' for point in never)
    for point in tally.covered(row.name):
        count = f'<span class="faint">{tally.hits[point]}&times;</span>'
        yield f'<li class="seen">{escape(point.label)} {count}</li>'
    yield "</ul></details>"
