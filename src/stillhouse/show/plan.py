"""`stillhouse plan`: the matrix, what waits for what, how losses are weighed, what it costs."""

from __future__ import annotations

from collections.abc import Iterable

from stillhouse import methods
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import RunConfig
from stillhouse.methods.objective import coefficients, effective_ratio
from stillhouse.rounds.cost import estimate
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.tables import Cell as Value
from stillhouse.tables import Table, from_rows

COLUMNS = (
    "Dataset",
    "Method",
    "Network",
    "Seeds",
    "Runs",
    "Done",
    "Left",
    "Waits for",
    "Loss",
    "Cost",
)


def plan(seen: Survey, device: str, numbers: bool = False) -> Table:
    """One row per dataset, method, sweep point and network. Validates every method's parameters.

    `numbers`: for programs, one number per cell.
    """
    costs = estimate(seen, device)
    rows: dict[tuple[str, ...], list[Cell]] = {}
    for cell in seen.cells:
        run = cell.config
        axes = " ".join(f"{name}={value:g}" for name, value in run.axes.items())
        rows.setdefault((run.dataset, f"{run.method} {axes}".strip(), run.model), []).append(cell)
    done = seen.count("done")
    total = len(seen.cells)
    title = f"round {seen.round.round}: {total} runs, {done} done, {total - done} left"
    notes = (
        _cost_note(seen, costs, device),
        "loss: coefficients of cross entropy and of each unweighted term, "
        "and in brackets the effective ratio to cross entropy",
    )
    if numbers:
        return from_rows(title, _records(list(rows.values()), seen.round.sweep, costs), notes)
    table = tuple((*key, *_row(cells, costs)) for key, cells in rows.items())
    return Table(title, COLUMNS, table, notes)


def _cost_note(seen: Survey, costs: dict[str, float], device: str) -> str:
    total = _hours(sum(costs.values()))
    if seen.round.imported:
        left = sum(cell.state.name != "done" for cell in seen.cells)
        return (
            f"cost: {total} for {len(costs)} of the {left} runs that are left, by the epoch times "
            "in the records; for the others they hold none"
        )
    return (
        f"cost: {total} of one {device} device for all that is left, by the recorded epoch times "
        "where there are any, else by one step timed here; students of one seed share their "
        "teacher's pass and need less"
    )


def _row(cells: list[Cell], costs: dict[str, float]) -> tuple[str | int, ...]:
    first = resolve(cells[0].config)
    done = sum(cell.state.name == "done" for cell in cells)
    waiting = [cell for cell in cells if not cell.ready]
    waits = ""
    if waiting:
        seeds = sorted({cell.config.teacher.seed for cell in waiting if cell.config.teacher})
        assert first.teacher is not None
        waits = f"{first.teacher.model} {','.join(map(str, seeds))}"
    seconds = _seconds(cells, costs)
    seeds_text = ",".join(str(cell.config.seed) for cell in cells)
    return (
        seeds_text,
        len(cells),
        done,
        len(cells) - done,
        waits,
        loss_text(first),
        "" if done == len(cells) else "unknown" if seconds is None else _hours(seconds),
    )


def _seconds(cells: list[Cell], costs: dict[str, float]) -> float | None:
    """What the unfinished of some runs still need; None if that is not known of every one."""
    left = [cell.config.path for cell in cells if cell.state.name != "done"]
    known = [costs[path] for path in left if path in costs]
    return sum(known) if len(known) == len(left) else None


def _records(
    rows: list[list[Cell]], axes: Iterable[str], costs: dict[str, float]
) -> list[dict[str, Value]]:
    weights = [_weights(resolve(cells[0].config)) for cells in rows]
    terms = dict.fromkeys(term for own in weights for term in own)
    found: list[dict[str, Value]] = []
    for cells, own in zip(rows, weights, strict=True):
        run, done = cells[0].config, sum(cell.state.name == "done" for cell in cells)
        found.append(
            {
                "dataset": run.dataset,
                "method": run.method,
                "model": run.model,
                **{f"axis_{name}": run.axes.get(name) for name in axes},
                "planned": len(cells),
                "done": done,
                "left": len(cells) - done,
                "teacher": run.teacher.model if run.teacher else None,
                "waiting": sum(not cell.ready for cell in cells),
                **{f"weight_{term}": own.get(term) for term in terms},
                "seconds": _seconds(cells, costs),
            }
        )
    return found


def loss_text(run: RunConfig) -> str:
    """`0.1 ce + 0.9 kd (kd : ce = 9)` for a resolved run."""
    weights = _weights(run)
    text = " + ".join(f"{weight:g} {name}" for name, weight in weights.items())
    ratios = effective_ratio(weights)
    if not ratios:
        return text
    return f"{text} ({', '.join(f'{name} : ce = {r:g}' for name, r in ratios.items())})"


def _weights(run: RunConfig) -> dict[str, float]:
    """The coefficient of cross entropy and of each unweighted term of a resolved run."""
    kind = methods.load(run.method, run.files)
    reference = kind.reference(kind.Config(**run.parameters))
    return coefficients(reference, run.distillation.total, run.distillation.alpha)


def _hours(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
