"""The specs folders beside the bundled one, a module of its own: the option adds to it before providers are loaded."""

from __future__ import annotations

from pathlib import Path

MORE = [Path(__file__).parents[1] / "tests" / "providers"]
