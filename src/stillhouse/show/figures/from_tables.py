"""The figures of a round: from its runs, its extracted layers and the tables of `analyze`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path

import pandas as pd

from stillhouse import data, methods
from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.diagnose import diagnose
from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.read import read_cases
from stillhouse.represent.store import Representations, read
from stillhouse.represent.targets import Skipped, as_stored
from stillhouse.rounds.survey import Survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.figures.drawn import PICTURES, NothingToDraw, Tables, write
from stillhouse.stats.arms import Which
from stillhouse.stats.runs import epochs_frame, runs_frame
from stillhouse.stats.written import read_table

OF_LAYERS = ("measures", "pairs", "transfer")


def read_tables(
    folder: Path, workspace: Workspace, survey: Survey, names: Sequence[str], which: Which = "final"
) -> Tables:
    """Read what the named figures are drawn from.

    Runs and epochs are read as they are now; the tables of layers, from `folder`, and the
    extracted layers may be missing. Raises RunError if a table of `analyze` is damaged.
    """
    round_ = survey.round
    found = {name: read_table(folder, name, round_.round) for name in OF_LAYERS}
    specs = {dataset: data.spec(dataset, round_.files) for dataset in round_.datasets}
    families = {name: methods.declared(name, round_.files).family for name in round_.methods}
    return Tables(
        round=round_.round,
        runs=runs_frame(survey),
        **found,
        test_images={name: spec.test_images for name, spec in specs.items()},
        classes={name: spec.classes for name, spec in specs.items()},
        paired=not round_.imported,
        epochs=epochs_frame(survey.cells)[0] if "curves" in names else pd.DataFrame(),
        marks=_marks(survey) if "curves" in names else pd.DataFrame(),
        extracted=_opener(workspace, survey),
        controls=frozenset(name for name, family in families.items() if family == "control"),
        which=which,
        labels={name: spec.label for name, spec in specs.items()},
    )


def _opener(workspace: Workspace, survey: Survey) -> Callable[[str], Representations | None]:
    """A function that opens a run's extracted layers; files are looked for at its first call."""

    @cache
    def stores() -> dict[str, Path]:
        found = (one for one in as_stored(workspace, survey) if not isinstance(one, Skipped))
        return {target.name: target.store for target, _ in found}

    def extracted(run: str) -> Representations | None:
        path = stores().get(run)
        return None if path is None else read(path)

    return extracted


def _marks(survey: Survey) -> pd.DataFrame:
    """What the doctor finds; where its evidence is no epoch, at the run's last one."""
    rows = [
        {"run": case.path, "epoch": _epoch(case, one), "code": one.code}
        for case in read_cases(survey)
        if case.records
        for one in diagnose(case)
    ]
    return pd.DataFrame(rows, columns=["run", "epoch", "code"])


def _epoch(case: Case, found: Finding) -> int:
    lines = [line.number for line in found.evidence if line.file == case.metrics]
    epochs = [int(record["epoch"]) for record in case.records]
    return epochs[min(lines[0], len(epochs)) - 1] if lines else epochs[-1]


def write_figures(
    tables: Tables,
    datasets: Sequence[str],
    names: Sequence[str],
    folder: Path,
    kinds: Sequence[str] = PICTURES,
) -> Iterator[Path | str]:
    """Draw the named figures of each dataset; yield the pictures, and why one is not drawn."""
    for dataset in datasets:
        for name in names:
            try:
                drawn = import_module(f"stillhouse.show.figures.{name}").draw(tables, dataset)
            except NothingToDraw as nothing:
                yield f"{dataset}, {name}: not drawn: {nothing.reason}"
                continue
            yield from write(drawn, folder, f"{tables.round}-{dataset}-{name}", kinds)
