"""`stillhouse plan`: the matrix, what waits for what, how losses are weighed, what it costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from stillhouse import data
from stillhouse.config.expand import label
from stillhouse.config.facts import loss_weights
from stillhouse.config.schema import PURE, Round, RunConfig
from stillhouse.methods.objective import effective_ratio
from stillhouse.rounds.cost import passes
from stillhouse.rounds.estimate import Process
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.show.cost import cost_note, hours
from stillhouse.tables import Cell as Value
from stillhouse.tables import Table, from_rows

COLUMNS = ("Method", "Network", "Seeds", "Runs", "Done", "Waits for", "Cost")
Row = tuple[Value, ...]


def plan(
    survey: Survey, found: Sequence[Process], jobs: int = 1, again: str = "stillhouse plan"
) -> list[Table]:
    """A table for all datasets that have the same rows: one row per method and network.

    `found` are the processes in which `jobs` workers train what is left. A run whose time is not
    known has its cost in runs of the pure student. `again` is the command that was typed. The
    summary stands in the last table's last note.
    """
    relative, seconds = passes(cell.config for cell in survey.cells), _shares(found)
    groups: dict[tuple[Row, ...], list[str]] = {}
    for dataset in survey.round.datasets:
        rows = (_row(survey.round, cells, seconds, relative) for cells in _rows(survey, dataset))
        groups.setdefault(tuple(rows), []).append(dataset)
    tables = [Table(_datasets(names), COLUMNS, rows) for rows, names in groups.items()]
    notes = (
        *_images(survey.round),
        *_losses(survey),
        cost_note(survey, found, jobs, relative, again),
        f"round {survey.round.round}: {_counts(survey)}",
    )
    last = tables[-1]
    return [*tables[:-1], Table(last.title, last.columns, last.rows, notes)]


def _images(round_: Round) -> Iterator[str]:
    """What is unusual about a dataset's images: which of them test, and which were resized."""
    for name in round_.datasets:
        spec = data.spec(name, round_.files)
        if spec.note:
            yield f"{spec.label}: {spec.note}"


def plan_numbers(survey: Survey, found: Sequence[Process]) -> Table:
    """The same for programs: one row per dataset, method and network, one number per cell.

    Of what is left: `seconds` as cohorts train it, `seconds_alone`, `memory` (bytes of the largest
    process that trains one of the runs) and `disk` (bytes that stay).
    """
    relative, seconds = passes(cell.config for cell in survey.cells), _shares(found)
    runs = [(one, run) for one in found for run in one.runs]
    alone = {run.path: run.epochs * run.cost.alone for _, run in runs if run.cost}
    memory = {run.path: one.memory for one, run in runs}
    disk = {run.path: run.disk for _, run in runs}
    rows = [cells for dataset in survey.round.datasets for cells in _rows(survey, dataset)]
    weights = [loss_weights(cells[0].config) for cells in rows]
    terms = dict.fromkeys(term for own in weights for term in own)
    records: list[dict[str, Value]] = []
    for cells, own in zip(rows, weights, strict=True):
        run, done = cells[0].config, sum(cell.state.name == "done" for cell in cells)
        records.append(
            {
                "dataset": run.dataset,
                "method": run.method,
                "model": run.model,
                **{f"axis_{name}": run.axes.get(name) for name in survey.round.sweep},
                "planned": len(cells),
                "done": done,
                "left": len(cells) - done,
                "teacher": run.teacher.model if run.teacher else None,
                "waiting": sum(not cell.ready for cell in cells),
                **{f"weight_{term}": own.get(term) for term in terms},
                "passes": relative[run.path],
                "seconds": _seconds(cells, seconds),
                "seconds_alone": _seconds(cells, alone),
                "memory": max((memory.get(cell.path, 0) for cell in cells), default=0) or None,
                "disk": sum(disk.get(cell.path, 0) for cell in cells) or None,
            }
        )
    return from_rows(f"round {survey.round.round}: {_counts(survey)}", records)


def loss_text(run: RunConfig) -> str:
    """`0.1 ce + 0.9 kd (kd : ce = 9)` for a run."""
    weights = loss_weights(run)
    text = " + ".join(f"{weight:g} {name}" for name, weight in weights.items())
    ratios = effective_ratio(weights)
    if not ratios:
        return text
    return f"{text} ({', '.join(f'{name} : ce = {r:g}' for name, r in ratios.items())})"


def _rows(survey: Survey, dataset: str) -> Iterable[list[Cell]]:
    rows: dict[tuple[str, str], list[Cell]] = {}
    for cell in survey.cells:
        if cell.config.dataset == dataset:
            rows.setdefault((label(survey.round, cell.config), cell.config.model), []).append(cell)
    return rows.values()


def _row(
    round_: Round, cells: list[Cell], seconds: Mapping[str, float], relative: Mapping[str, float]
) -> Row:
    run = cells[0].config
    done = sum(cell.state.name == "done" for cell in cells)
    waiting = {cell.config.teacher.seed for cell in cells if not cell.ready and cell.config.teacher}
    waits = ""
    if waiting and run.teacher:
        waits = f"{run.teacher.model} {','.join(map(str, sorted(waiting)))}"
    known = _seconds(cells, seconds)
    cost = f"{len(cells) - done} x {relative[run.path]:.2g}"
    if known is not None:
        cost = hours(known)
    elif cells[0].imported:
        cost = "unknown"
    seeds = ",".join(str(cell.config.seed) for cell in cells)
    shown = "" if done == len(cells) else cost
    return (label(round_, run), run.model, seeds, len(cells), done, waits, shown)


def _losses(survey: Survey) -> tuple[str, ...]:
    """How each method's loss is weighed, once where all its runs agree."""
    texts: dict[str, dict[str, None]] = {}
    for cell in survey.cells:
        if cell.config.method != PURE:
            texts.setdefault(cell.config.label, {})[loss_text(cell.config)] = None
    return tuple(f"loss of {method}: {' or '.join(own)}" for method, own in texts.items())


def _counts(survey: Survey) -> str:
    total, done = len(survey.cells), survey.count("done")
    return f"{total} runs, {done} done, {total - done} left"


def _datasets(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names)}: for each of them"


def _seconds(cells: list[Cell], seconds: Mapping[str, float]) -> float | None:
    """What the unfinished of some runs still need; None if that is not known of every one."""
    left = [cell.config.path for cell in cells if cell.state.name != "done"]
    known = [seconds[path] for path in left if path in seconds]
    return sum(known) if len(known) == len(left) else None


def _shares(found: Iterable[Process]) -> dict[str, float]:
    """The seconds of each run (by path), with its part of what its process shares."""
    return {path: seconds for one in found for path, seconds in one.shares().items()}
