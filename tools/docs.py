"""`make docs`: write the pages of docs/ that are generated from the code."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from stillhouse.config.expand import expand
from stillhouse.config.facts import SHIPPED, of_built_in
from stillhouse.config.load import load_round
from stillhouse.config.schema import KEEP_ALL
from stillhouse.represent.measures import REGISTRY
from stillhouse.represent.measures.page import PICTURES, page
from stillhouse.rounds.disk import disk_fact
from stillhouse.stats import columns

sys.path.insert(0, str(Path(__file__).parent))
import reference

ROUNDS = ("digits", "beta")  # whose `plan` needs no torch on a fresh machine
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
    return {
        "tables.md": columns.page(),
        "measures.md": text,
        "commands.md": reference.commands(),
        "round-files.md": reference.fields((ROOT / "docs" / "round-files.md").read_text()),
        "examples.md": examples(),
    }


def examples() -> str:
    """Return the page that shows every file of examples/."""
    parts = [
        "# Examples of custom components",
        "The files of `examples/`. [custom-components.md](custom-components.md) explains them.",
    ]
    for path in sorted((ROOT / "examples").iterdir()):
        if path.suffix in (".py", ".yaml"):
            kind = {".py": "python", ".yaml": "yaml"}[path.suffix]
            parts.append(f"## {path.name}\n\n```{kind}\n{path.read_text().strip()}\n```")
    return "\n\n".join(parts) + "\n"


def shipped_facts() -> dict[str, Any]:
    """Return the facts of built-in parts, and of the disk space that the shipped rounds need."""
    found = of_built_in()
    for name in ROUNDS:
        for run in expand(load_round(ROOT / "rounds" / f"{name}.yaml")):
            key, compute = disk_fact(run, KEEP_ALL)
            if key not in found:
                found[key] = compute()
    return found


if __name__ == "__main__":
    for name, text in pages().items():
        (ROOT / "docs" / name).write_text(text)
    SHIPPED.write_text(json.dumps(shipped_facts(), indent=0) + "\n")
