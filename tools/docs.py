"""`make docs`: write the pages of docs/ that are generated from the code."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

from stillhouse.represent.measures import REGISTRY
from stillhouse.represent.measures.page import PICTURES, page
from stillhouse.stats import columns

ROOT = Path(__file__).parents[1]
GOLDEN = ROOT / "tests" / "represent" / "measures" / "golden" / "numbers.json"


def pages() -> dict[str, str]:
    """Return the text of each generated page by its path below docs/."""
    golden = json.loads(GOLDEN.read_text())
    sources = {name: number["source"] for name, number in golden.items()}
    readings = {
        name: import_module(f"stillhouse.show.figures.{name}").READING
        for several in PICTURES.values()
        for name in several
    }
    text = page(REGISTRY.values(), sources, readings)
    return {"tables.md": columns.page(), "measures.md": text}


if __name__ == "__main__":
    for name, text in pages().items():
        (ROOT / "docs" / name).write_text(text)
