"""`make docs`: write the pages of docs/ that are generated from the code."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import reference
from measures_page import PICTURES, page
from stillhouse import data, methods, models
from stillhouse.config.expand import expand
from stillhouse.config.facts import SHIPPED, count_multiplications, published
from stillhouse.config.load import load_round
from stillhouse.config.schema import KEEP_ALL, PURE, RunConfig
from stillhouse.data.specs import SPECS
from stillhouse.represent.measures import REGISTRY
from stillhouse.rounds.disk import disk_fact
from stillhouse.stats.columns import TABLES

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
        "tables.md": tables(),
        "measures.md": text,
        "commands.md": reference.commands(),
        "round-files.md": reference.fields((ROOT / "docs" / "round-files.md").read_text()),
        "examples.md": examples(),
    }


def tables() -> str:
    """Return docs/tables.md: every table with its columns."""
    parts = [
        "# Tables for programs",
        "This page is written from the list in `stillhouse.stats.columns`. `run` is the key of\n"
        "all tables. Accuracies are in percent, losses in nats. A missing value is empty; the\n"
        "column `why` gives the reason. A sweep adds a column `axis_NAME` per axis to `runs`.",
        'From Python: `stillhouse.load_round("rounds/digits.yaml").runs`, `.epochs`, `.measures`,\n'
        "`.pairs` and `.transfer` ([python.md](python.md)). As text:\n"
        "`stillhouse list runs rounds/digits.yaml --format csv`.",
    ]
    for name, (key, listed) in TABLES.items():
        lines = [f"## {name}: one row per {key}", "", "| column | type | unit | meaning |"]
        lines += ["|---|---|---|---|"]
        lines += [f"| `{c.name}` | {c.type} | {c.unit} | {c.meaning} |" for c in listed]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


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
    found: dict[str, Any] = {}
    for model in models.NETWORKS:
        for spec in map(data.spec, SPECS):
            key = f"multiplications {model} {spec.classes} {spec.channels} {spec.size}"
            found[key] = count_multiplications(model, spec, (), ())
    for method in methods.names():
        if method != PURE:
            run = RunConfig(dataset="Cifar10", method=method, model="ResNet20", seed=0)
            found[f"reference {method} {{}}"] = published(run)
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
