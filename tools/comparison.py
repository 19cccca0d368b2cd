"""`make comparison`: docs/comparison.md out of a trained and archived round of all methods.

Usage: python tools/comparison.py [WORKSPACE [REDUCED]]

Two steps, as for `make example`. `collect` copies what the page shows into docs/comparison/: what
the commands say, the report's tables of representations, the forest plot, and for each method what
a process with that student alone holds (`plan --try`); of REDUCED, a workspace of
rounds/crd_reduced.yaml, what stands beside the published results. `page` writes docs/comparison.md
from these files alone. Without a workspace only the page is written.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from example import ROOT, facts, machine_paths, view
from example_pages import bodies, joined, picture, setup, transfer, verdicts
from stillhouse.config.schema import Round
from stillhouse.exchange.archive import Archive, archive_of
from stillhouse.rounds.find import open_round
from stillhouse.show.report.analysis import shrunk
from stillhouse.show.report.build import read_material
from stillhouse.show.report.content import document
from stillhouse.show.report.markdown import markdown
from stillhouse.show.report.material import Material

HOME = ROOT / "docs" / "comparison"
PAGE = ROOT / "docs" / "comparison.md"
MISSING = "—"  # in tables
MOST = 400_000  # bytes of the picture
VIEWS = {
    "stats": ("table", "--style", "stats"),
    "cost": ("table", "--style", "cost"),
    "losses": ("verify", "--losses", "--fit-epochs", "1"),
    "observe": ("observe",),
}
PUBLISHED = "crd_benchmark"
OPENING = """\
# All methods, compared

One round file, `rounds/{name}.yaml`, trains every method and every control under one recipe, with
its published weights. `make comparison` writes this page from the files of the trained round.
The budget is small: the page shows what the round supports, and ranks nothing beyond its intervals.
"""
VERDICT = """\
Differences to the pure student are paired by seed; p is adjusted over all rows
([statistics.md](statistics.md)).
"""
COST = """\
Time is that of a student's own steps over those of the pure student. Extra parameters are those of
the method's own modules; *frozen* ones are not trained with the student. The last table is of a
process that trains one student of the method alone, two batches (`plan --try`).
"""
LOSSES = """\
`stillhouse verify --losses`: is a method's own loss lower for its student than for the pure one,
which never saw it? Where it is not, the method did not do what it says.
"""
TRANSFER = """\
Excess: a student's similarity to its teacher less that of the pure student. Specificity: that to
its own teacher less that to the teachers of other seeds ([measures.md](measures.md)).
"""
BESIDE = """\
`rounds/{name}.yaml` trains a pair of the CRD benchmark on a part of its budget, labelled as such:
`stillhouse table {name} --against {published}`. The lines below the table are the settings that
differ.
"""


def main(workspaces: list[Path]) -> None:
    """Collect the rounds that are named, then write the page."""
    if workspaces:
        collect(workspaces[0], HOME)
        for reduced in workspaces[1:]:
            collect_reduced(reduced, HOME)
    elif not HOME.is_dir():
        raise SystemExit("no round was collected yet: name its workspace or archive")
    PAGE.write_text(page(HOME))


def collect(folder: Path, home: Path) -> None:
    """Copy what the page shows of the round in a workspace or archive."""
    material, archive, file = opened(folder)
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    round_, known = material.round, noted(material, archive, home / "facts.json")
    for name, words in VIEWS.items():
        (home / f"{name}.md").write_text(view(words, folder))
    (home / "transfer.md").write_text("\n".join(transfer(markdown(document(material)))))
    (home / "tried.json").write_text(json.dumps(tried(round_, file), indent=1) + "\n")
    drawn = [archive.path / "figures" / f"{name}.png" for name in _forests(known)]
    for file, content in zip(drawn, shrunk(drawn, MOST), strict=True):
        (home / file.name).write_bytes(content)
        shutil.copyfile(file.with_suffix(".md"), home / f"{file.stem}.md")
    refuse_paths(folder, home)


def collect_reduced(folder: Path, home: Path) -> None:
    """Copy what stands beside the published results, of the round in a workspace or archive."""
    material, archive, _ = opened(folder)
    noted(material, archive, home / "reduced.json")
    (home / "reduced.md").write_text(view(("table", "--against", PUBLISHED), folder))
    refuse_paths(folder, home)


def opened(folder: Path) -> tuple[Material, Archive, Path]:
    """The round in a workspace or archive, where its archive is or would be, and its file."""
    workspace, round_, file = open_round(Path(), str(folder))
    return read_material(workspace, round_, file), archive_of(workspace, round_.round), file


def noted(material: Material, archive: Archive, file: Path) -> dict[str, Any]:
    """What the page says of a round beside its tables, which is written to a file too."""
    known = facts(material.survey, archive.experiments.is_dir())
    known |= {"round": material.round.round}
    file.write_text(json.dumps(known, indent=2) + "\n")
    return known


def refuse_paths(folder: Path, home: Path) -> None:
    """End with an error if something that was collected names a place of this machine."""
    if wrong := [*machine_paths(home, str(folder.resolve()), str(ROOT))]:
        raise SystemExit(f"machine paths in {', '.join(wrong)}")


def tried(round_: Round, file: Path) -> dict[str, list[float]]:
    """Seconds per step and GiB of a process that trains each method's student alone."""
    found = {}
    for method in round_.methods:
        only = f"method={method},seed={round_.seeds[0]}"
        command = [sys.executable, "-m", "stillhouse", "plan", str(file), "--try", "--only", only]
        with TemporaryDirectory() as place:
            words = [*command, "--root", place, "--format", "json"]
            done = subprocess.run(words, capture_output=True, text=True, check=True)
        table, _ = json.JSONDecoder().raw_decode(done.stdout)
        rows = [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]]
        (row,) = (
            row for row in rows if row["Method"] == method and row["Network"] in round_.students
        )
        found[method] = [row["s/step"], row["GiB"]]
    return found


def page(home: Path) -> str:
    """The page, from the files in `home`."""
    known = json.loads((home / "facts.json").read_text())
    parts = [OPENING.format(name=known["round"]), f"> {known['motivation']}\n", setup(known) + "\n"]
    parts += ["## Accuracy\n", VERDICT, *verdicts(home / "stats.md")]
    parts += [picture(home / f"{name}.md", "comparison") for name in _forests(known)]
    parts += ["## What the observations say\n", *bodies(home / "observe.md")]
    parts += ["## What each method costs\n", COST, _tables(home / "cost.md")]
    parts += [_tried(json.loads((home / "tried.json").read_text()))]
    parts += ["## Did each method lower its own loss?\n", LOSSES, _losses(home / "losses.md")]
    parts += ["## What the representations say\n", TRANSFER, (home / "transfer.md").read_text()]
    if (reduced := home / "reduced.json").is_file():
        known = json.loads(reduced.read_text())
        beside = BESIDE.format(name=known["round"], published=PUBLISHED)
        parts += ["## Beside published results\n", beside, setup(known) + "\n"]
        parts.append(_tables(reduced.with_suffix(".md")))
    return joined(parts)


def _losses(file: Path) -> str:
    """A row per method and dataset out of one per seed, and the notes below the table."""
    lines = file.read_text().splitlines()
    head, _, *rows = ([*map(str.strip, line.split("|")[1:-1])] for line in lines if line[:1] == "|")
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    for row in rows:
        named = dict(zip(head, row, strict=True))
        found.setdefault((named["Dataset"], named["Method"]), []).append(named)
    shown = ["| Dataset | Method | Own over pure [least, most] | Lower |", "|---|---|---|---|"]
    for (dataset, method), seeds in found.items():
        ratios = sorted(float(seed["Ratio"]) for seed in seeds if seed["Ratio"] != MISSING)
        lower = sum(seed["Own is lower"] == "yes" for seed in seeds)
        cells = (
            f"[{ratios[0]:.3f}, {ratios[-1]:.3f}] | {lower} of {len(ratios)} seeds"
            if ratios
            else f"{MISSING} | {seeds[0]['Own is lower']}"
        )
        shown.append(f"| {dataset} | `{method}` | {cells} |")
    notes = [line for line in lines if line[:1] not in ("|", "*") and "--notes" not in line]
    return "\n".join([*shown, *notes]) + "\n"


def _tables(file: Path) -> str:
    """What a command shows, its titles as headings without the round's name."""
    text = re.sub(r"^--notes .*\n", "", file.read_text(), flags=re.M)
    return re.sub(r"^\*\*round \S+?[,:] (.+)\*\*$", r"### \1", text, flags=re.M)


def _tried(found: dict[str, list[float]]) -> str:
    rows = [f"| `{name}` | {step} | {memory} |" for name, (step, memory) in found.items()]
    head = ["### A process with one student", "", "| Method | s/step | GiB |", "|---|---:|---:|"]
    return "\n".join([*head, *rows]) + "\n"


def _forests(known: dict[str, Any]) -> list[str]:
    return [f"{known['round']}-{dataset}-forest" for dataset in known["datasets"]]


if __name__ == "__main__":
    main([*map(Path, sys.argv[1:])])
