"""`make example`: docs/example/ out of trained rounds, and the pages that are written from it.

Usage: python tools/example.py [WORKSPACE ...]

Two steps. `collect` copies out of each workspace or archive what a reader looks at: the report's
page and its Markdown twin, figures, small tables, and what the commands show. Round alpha is
imported from $STILLHOUSE_ALPHA_RECORDS, where that is set. `pages` then writes docs/example.md,
docs/beta-small.md and README's first picture from these files alone, so that a test can write
them again. Without a workspace only the pages are written.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from example_pages import README, pages, readme
from stillhouse.config.load import load_round
from stillhouse.exchange.archive import archive_of
from stillhouse.exchange.scripts.write import import_round
from stillhouse.rounds.find import open_round
from stillhouse.rounds.survey import Survey
from stillhouse.runs.files import read_json
from stillhouse.show.report.analysis import shrunk
from stillhouse.show.report.build import read_material, write_report
from stillhouse.show.report.content import document, status

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "docs" / "example"
TABLES = ("runs", "epochs", "transfer", "measures", "pairs")
MOST = 400_000  # bytes of a table
MOST_FIGURES = 1_200_000  # bytes of a round's figures together
DRAWN_AS_SVG = ("forest", "transfer", "fidelity")
VIEWS = {
    "table": ("table",),
    "stats": ("table", "--style", "stats"),
    "observe": ("observe",),
    "doctor": ("doctor",),
}
BEST = ("--accuracy", "best")  # what an imported round's document has
MACHINE = re.compile(r"/(home|mnt|opt|root|srv|tmp|Users)/\S*")


def main(workspaces: list[Path], into: Path = EXAMPLE) -> None:
    """Collect every round, then write the pages."""
    for folder in workspaces:
        collect(folder, into)
    if records := os.environ.get("STILLHOUSE_ALPHA_RECORDS"):
        with TemporaryDirectory() as place:
            done = import_round(
                Path(records), "alpha", Path(place) / "alpha", ROOT / "rounds" / "alpha.yaml"
            )
            collect(done.file.parent, into, whole=False)
    for name, text in pages(into).items():
        (ROOT / "docs" / name).write_text(text)
    README.write_text(readme(README.read_text(), into))


def collect(folder: Path, into: Path, whole: bool = True) -> None:
    """Copy what a reader looks at of the round in a workspace or archive into `into`/ROUND.

    Unless `whole`, what its commands show is all.
    """
    workspace, round_, file = open_round(Path(), str(folder))
    shipped = ROOT / "rounds" / f"{round_.round}.yaml"
    if shipped.is_file() and not round_.imported:  # its texts, beside the earlier round's file
        round_, file = load_round(shipped), shipped
    material = read_material(workspace, round_, file)
    home = into / round_.round
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    archive = archive_of(workspace, round_.round)
    (home / "facts.json").write_text(
        json.dumps(facts(material.survey, archive.experiments.is_dir()), indent=2) + "\n"
    )
    for name, words in VIEWS.items():
        best = BEST if round_.imported and name != "doctor" else ()
        (home / f"{name}.md").write_text(view((*words, *best), folder))
    if not whole:
        return
    found = document(material)
    write_report(found, home)
    (home / "README.md").rename(home / "document.md")
    _figures(archive.path / "figures", home / "figures")
    for name in TABLES:
        table = archive.path / "tables" / f"{name}.csv"
        if table.is_file() and table.stat().st_size <= MOST:
            (home / "tables").mkdir(exist_ok=True)
            shutil.copyfile(table, home / "tables" / table.name)
    if wrong := [*machine_paths(home, str(folder.resolve()), str(ROOT))]:
        raise SystemExit(f"machine paths in {', '.join(wrong)}")


def _figures(source: Path, home: Path) -> None:
    """The figures with few colours, what they plot and their captions; some as SVG too."""
    files = sorted(source.glob("*.png"))
    if not files:
        raise SystemExit(f"no figures in {source}: run extract, analyze and this again")
    home.mkdir()
    for file, content in zip(files, shrunk(files, MOST_FIGURES), strict=True):
        (home / file.name).write_bytes(content)
        for kind in ("csv", "md"):
            shutil.copyfile(file.with_suffix(f".{kind}"), home / f"{file.stem}.{kind}")
        if file.stem.rpartition("-")[2] in DRAWN_AS_SVG:
            shutil.copyfile(file.with_suffix(".svg"), home / f"{file.stem}.svg")


def view(words: Sequence[str], folder: Path) -> str:
    """What a command shows of a round, as Markdown."""
    command = [sys.executable, "-m", "stillhouse", words[0], str(folder), *words[1:]]
    done = subprocess.run([*command, "--format", "md"], capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or not done.stdout.strip():
        raise SystemExit(f"{' '.join(words)} ended with {done.returncode}:\n{done.stderr}")
    lines = done.stdout.splitlines()
    return "\n".join(line for line in lines if not line.startswith("next: ")).strip() + "\n"


def facts(survey: Survey, archived: bool) -> dict[str, Any]:
    """What the pages say of the round beside its tables."""
    recipe = survey.round.training
    return {
        "status": status(survey, archived),
        "datasets": list(survey.round.datasets),
        "seeds": len(survey.round.seeds),
        "teacher": ", ".join(survey.round.all_teachers),
        "student": ", ".join(survey.round.students),
        "epochs": recipe.epochs,
        "train_images": recipe.train_images,
        "motivation": " ".join((survey.round.motivation or "").split()),
        "killed_processes": len({*_ended(survey)}),
    }


def _ended(survey: Survey) -> Iterator[tuple[str, str]]:
    """Every process that trained a run and ended before the run was complete."""
    for cell in survey.cells:
        claims = sorted(cell.folder.path.glob("attempts/*/claim.json"))
        if cell.shown in ("done", "running"):
            claims = claims[:-1]
        for claim in claims:
            found = read_json(claim)
            yield str(found["pid"]), str(found["started"])


def machine_paths(home: Path, *own: str) -> Iterator[str]:
    """The text files below a folder that name a folder of some machine, or one of `own`."""
    for file in sorted(home.rglob("*")):
        text = file.suffix in (".md", ".html", ".csv", ".json", ".svg")
        found = file.read_text(encoding="utf-8") if text else ""
        if MACHINE.search(found) or any(name in found for name in own):
            yield str(file.relative_to(home))


if __name__ == "__main__":
    main([Path(word) for word in sys.argv[1:]])
