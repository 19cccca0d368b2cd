"""`stillhouse plan`: the matrix, what waits for what, how losses are weighed, what it costs."""

from __future__ import annotations

from collections.abc import Iterable

from stillhouse.config.expand import label
from stillhouse.config.facts import loss_weights
from stillhouse.config.schema import PURE, Round, RunConfig
from stillhouse.methods.objective import effective_ratio
from stillhouse.rounds.cost import passes
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.tables import Cell as Value
from stillhouse.tables import Table, from_rows

COLUMNS = ("Method", "Network", "Seeds", "Runs", "Done", "Waits for", "Cost")
Row = tuple[Value, ...]


def plan(survey: Survey, seconds: dict[str, float], again: str = "stillhouse plan") -> list[Table]:
    """A table for all datasets that have the same rows: one row per method and network.

    `seconds` are those that unfinished runs still need (by path), as far as known; the cost of
    the others is in runs of the pure student. `again` is the command that was typed. The summary
    stands in the last table's last note.
    """
    relative = passes(cell.config for cell in survey.cells)
    groups: dict[tuple[Row, ...], list[str]] = {}
    for dataset in survey.round.datasets:
        rows = (_row(survey.round, cells, seconds, relative) for cells in _rows(survey, dataset))
        groups.setdefault(tuple(rows), []).append(dataset)
    tables = [Table(_datasets(names), COLUMNS, rows) for rows, names in groups.items()]
    notes = (
        *_losses(survey),
        _cost_note(survey, seconds, relative, again),
        f"round {survey.round.round}: {_counts(survey)}",
    )
    last = tables[-1]
    return [*tables[:-1], Table(last.title, last.columns, last.rows, notes)]


def plan_numbers(survey: Survey, seconds: dict[str, float]) -> Table:
    """The same for programs: one row per dataset, method and network, one number per cell."""
    relative = passes(cell.config for cell in survey.cells)
    rows = [cells for dataset in survey.round.datasets for cells in _rows(survey, dataset)]
    weights = [loss_weights(cells[0].config) for cells in rows]
    terms = dict.fromkeys(term for own in weights for term in own)
    found: list[dict[str, Value]] = []
    for cells, own in zip(rows, weights, strict=True):
        run, done = cells[0].config, sum(cell.state.name == "done" for cell in cells)
        found.append(
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
            }
        )
    return from_rows(f"round {survey.round.round}: {_counts(survey)}", found)


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
    round_: Round, cells: list[Cell], seconds: dict[str, float], relative: dict[str, float]
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
        cost = _hours(known)
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


def _cost_note(
    survey: Survey, seconds: dict[str, float], relative: dict[str, float], again: str
) -> str:
    left = [cell for cell in survey.cells if cell.state.name != "done"]
    if not left:
        return "cost: nothing is left to train"
    unknown = [cell for cell in left if cell.config.path not in seconds]
    known = _hours(sum(seconds.values()))
    if survey.round.imported:
        return (
            f"cost: {known} for {len(seconds)} of the {len(left)} runs that are left, by the epoch "
            "times in the records; for the others they hold none"
        )
    if not unknown:
        return (
            f"cost: {known} for all that is left, each run alone; the students of one seed share "
            "their teacher's pass and need less"
        )
    whole = sum(relative[cell.config.path] for cell in unknown)
    return (
        f"cost: {len(unknown)} runs have no recorded time and cost as much as {whole:.3g} runs of "
        "the pure student, in images x multiplications (3 x 1.7: three runs of 1.7 each); unknown "
        f"in hours: {again} --time" + (f"; {known} for the others" if seconds else "")
    )


def _counts(survey: Survey) -> str:
    total, done = len(survey.cells), survey.count("done")
    return f"{total} runs, {done} done, {total - done} left"


def _datasets(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names)}: for each of them"


def _seconds(cells: list[Cell], seconds: dict[str, float]) -> float | None:
    """What the unfinished of some runs still need; None if that is not known of every one."""
    left = [cell.config.path for cell in cells if cell.state.name != "done"]
    known = [seconds[path] for path in left if path in seconds]
    return sum(known) if len(known) == len(left) else None


def _hours(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
