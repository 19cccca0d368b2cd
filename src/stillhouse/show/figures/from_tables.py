"""The figures of a round from the tables that `analyze` has written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path

import pandas as pd

from stillhouse import data
from stillhouse.config.schema import Round
from stillhouse.errors import RunError
from stillhouse.rounds.survey import Survey
from stillhouse.show.figures.accuracy import accuracy_figure
from stillhouse.show.figures.drawn import PICTURES, NothingToDraw, Tables, write
from stillhouse.show.figures.style import save
from stillhouse.stats.arms import Which, arms
from stillhouse.stats.columns import MEASURES, PAIRS, RUNS, TRANSFER

COLUMNS = {"runs": RUNS, "measures": MEASURES, "pairs": PAIRS, "transfer": TRANSFER}


def read_tables(folder: Path, round_: Round) -> Tables:
    """Read the tables of a round; those that need extracted layers may be missing.

    Raises RunError if there is no table of runs, or a file is no table.
    """
    if not (folder / "runs.csv").exists():
        raise RunError(f"{folder / 'runs.csv'} is not there", f"stillhouse analyze {round_.round}")
    found = {}
    for name, columns in COLUMNS.items():
        path = folder / f"{name}.csv"
        names = [column.name for column in columns]
        if not path.exists():
            found[name] = pd.DataFrame(columns=names)
            continue
        try:
            found[name] = pd.read_csv(path, low_memory=False)
        except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError):
            found[name] = pd.DataFrame()
        if missing := [one for one in names if one not in found[name]]:
            raise RunError(
                f"{path}: the column '{missing[0]}' is missing",
                f"write it again with `stillhouse analyze {round_.round}`",
            )
    specs = {dataset: data.spec(dataset, round_.files) for dataset in round_.datasets}
    return Tables(
        round=round_.round,
        **found,
        test_images={name: spec.test_images for name, spec in specs.items()},
        classes={name: spec.classes for name, spec in specs.items()},
        paired=not round_.imported,
    )


def write_accuracy(survey: Survey, which: Which, folder: Path, kinds: Sequence[str]) -> list[Path]:
    """Draw the accuracies of each dataset, of a round or of a part of it; return the pictures."""
    paths = []
    for dataset in survey.round.datasets:
        title = f"{data.spec(dataset, survey.round.files).label}, round {survey.round.round}"
        figure = accuracy_figure(title, arms(survey, dataset, which))
        for kind in kinds:
            paths.append(folder / f"{survey.round.round}-{dataset}-accuracy.{kind}")
            save(figure, paths[-1])
    return paths


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
