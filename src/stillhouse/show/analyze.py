"""`analyze`: the tables of a round, and what was transferred by each method."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from stillhouse.errors import unknown_name
from stillhouse.represent.analyse import FOLDER, cached, key, run, tasks
from stillhouse.represent.compute import LOGITS, Tables
from stillhouse.represent.matrix import networks
from stillhouse.represent.measures import REGISTRY
from stillhouse.represent.store import Header, check_same_rows
from stillhouse.represent.targets import Skipped, Target, as_stored
from stillhouse.rounds.survey import Survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.files import write_atomic
from stillhouse.show.extract import reasons
from stillhouse.show.progress import ShareProgress
from stillhouse.stats.columns import EPOCHS, MEASURES, PAIRS, RUNS, TRANSFER, Column, records
from stillhouse.stats.runs import epochs_frame, runs_frame
from stillhouse.stats.transfer import transfer_frame
from stillhouse.stats.wording import with_interval
from stillhouse.stats.written import parquet, read_table
from stillhouse.tables import Table

HEADLINES = (
    ("linear_cka", "excess", "CKA excess", 3),
    ("linear_cka", "specificity", "CKA specificity", 3),
    ("agreement", "excess", "Agreement excess", 1),
    ("agreement", "specificity", "Agreement specificity", 1),
)
EXCESS = (
    "Excess: similarity to the own teacher, less that of the pure student of the same seed to the "
    "same teacher. Specificity: less the mean similarity to other seeds' teachers; that of a "
    "student that nobody taught is its floor (it saw the images in the same order). Mean over "
    "seeds with the 95 % interval of Student's t; agreement in points."
)


def analyze_table(
    workspace: Workspace,
    survey: Survey,
    jobs: int | None,
    log: Callable[[str], None],
    more: Sequence[str] = (),
) -> tuple[Table, list[Path]]:
    """Write all tables of a round; return the headlines by method, and the files.

    `more` names measures outside the default set that are computed too.
    Without extracted networks only the tables of runs and epochs are written. What was computed
    before is read from the cache. Raises RunError if rows of files differ or a file is damaged.
    """
    found = as_stored(workspace, survey)
    skipped = {one.name: one.reason for one in found if isinstance(one, Skipped)}
    stored = [one for one in found if not isinstance(one, Skipped)]
    runs, (epochs, damaged) = runs_frame(survey), epochs_frame(survey.cells)
    contents: list[tuple[str, Iterable[Mapping[str, Any]], Sequence[Column]]] = [
        ("runs", records(runs), RUNS),
        ("epochs", records(epochs), EPOCHS),
    ]
    transfer: list[dict[str, Any]] = []
    if stored:
        tables = _computed(workspace, stored, jobs, log, more)
        transfer = records(transfer_frame(runs, tables.measures, tables.pairs))
        contents += [
            ("measures", sorted(tables.measures, key=_order), MEASURES),
            ("pairs", sorted(tables.pairs, key=_order), PAIRS),
            ("transfer", transfer, TRANSFER),
        ]
    home = workspace.analysis(survey.round.round) / "tables"
    home.mkdir(parents=True, exist_ok=True)
    files = []
    for name, rows, columns in contents:
        write_atomic(home / f"{name}.csv", _csv([*rows], columns))
        files.append(home / f"{name}.csv")
        if find_spec("pyarrow"):
            content = parquet(read_table(home, name, survey.round.round))
            write_atomic(home / f"{name}.parquet", content)
            files.append(home / f"{name}.parquet")
    notes = [EXCESS] if transfer else []
    notes += [f"{run}: its epochs are left out ({why})." for run, why in damaged.items()]
    if skipped:
        notes.append(f"Without measures: {reasons(skipped)}.")
    return transfer_table(survey, transfer, notes), files


def _computed(
    workspace: Workspace,
    stored: Sequence[tuple[Target, Header]],
    jobs: int | None,
    log: Callable[[str], None],
    more: Sequence[str],
) -> Tables:
    """The rows of measures and pairs of all extracted networks."""
    for dataset in dict.fromkeys(header.dataset for _, header in stored):
        check_same_rows(header for _, header in stored if header.dataset == dataset)
    known = networks(stored)
    default = [measure.name for measure in REGISTRY.values() if measure.default]
    extra = sorted({_known(name) for name in more} - {*default})
    folder = workspace.root / "analysis" / FOLDER
    # The others are tasks of their own: to ask for one computes no default measure again.
    planned = [task for names in (default, extra) if names for task in tasks(known, names)]
    keys = {key(task, known): task for task in planned}
    found = {name: cached(folder, name) for name in keys}
    wanted = [(name, task) for name, task in keys.items() if found[name] is None]
    log(f"networks: {len(stored)}; arms to compute: {len(wanted)}")
    found |= run(wanted, folder, jobs or os.cpu_count() or 1, ShareProgress(log))
    tables = Tables()
    for name in keys:  # in the order of the round, whatever was computed first
        if one := found[name]:
            tables.measures += one.measures
            tables.pairs += one.pairs
    return tables


def _known(name: str) -> str:
    """The name of a measure. Raises ConfigError with the nearest one if there is none."""
    if name not in REGISTRY:
        raise unknown_name("measure", name, REGISTRY)
    return name


def _order(row: Mapping[str, Any]) -> tuple[str, ...]:
    """An order of rows that does not depend on which arm was computed first."""
    places = ("dataset", "run", "run_a", "run_b", "kind", "layer", "layer_a", "layer_b", "measure")
    return tuple(str(row.get(name) or "") for name in (*places, "teacher"))


def _csv(rows: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> bytes:
    """Rows as CSV: the listed columns, then those that only rows have; a missing value is empty."""
    more = dict.fromkeys(name for row in rows for name in row)
    names = [*dict.fromkeys([*(column.name for column in columns), *more])]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue().encode()


def _cell(value: Any) -> Any:
    """A cell of a CSV file: numbers with fraction to nine significant digits, as float32 has."""
    return f"{value:.9g}" if isinstance(value, float) else value


def transfer_table(
    survey: Survey, transfer: Sequence[Mapping[str, Any]], notes: Sequence[str]
) -> Table:
    """One row per distilled arm: excess and specificity at its last layer."""
    arms: dict[tuple[str, str], dict[tuple[str, str], Mapping[str, Any]]] = {}
    for row in transfer:
        values = arms.setdefault((row["dataset"], row["arm"]), {})
        if row["layer"] == LOGITS or row["measure"] == "linear_cka":
            values[row["measure"], row["quantity"]] = row  # of layers, the last one stays
    rows = []
    for (dataset, arm), values in arms.items():
        found = [values.get((measure, quantity)) for measure, quantity, *_ in HEADLINES]
        seeds = max((int(one["n"]) for one in found if one), default=0)
        digits = [places for *_, places in HEADLINES]
        shown = (_interval(one, places) for one, places in zip(found, digits, strict=True))
        rows.append((dataset, arm, seeds, *shown))
    columns = ("Dataset", "Method", "Seeds", *(title for _, _, title, _ in HEADLINES))
    title = f"round {survey.round.round}: what was transferred, last layer and logits"
    return Table(
        title,
        columns,
        tuple(rows),
        tuple(notes),
        empty="no distilled network is extracted: stillhouse extract",
    )


def _interval(row: Mapping[str, Any] | None, places: int) -> str | None:
    """A difference with so many decimals, and its interval if it has one."""
    if row is None or row["value"] is None:
        return None
    return with_interval(row["value"], row["low"], row["high"], places)
