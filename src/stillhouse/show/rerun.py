"""Compare a round with a packed one: was it reproduced?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.records import Result
from stillhouse.stats.arms import Arm, arms
from stillhouse.stats.inference import difference
from stillhouse.stats.summary import MIN_SEEDS, summarise
from stillhouse.tables import Table

EQUAL, WITHIN, DIFFERENT, OPEN = (
    "bit-equal",
    "equal within the seeds' spread",
    "different",
    "not judged",
)


def rerun_table(packed: Mapping[str, Result], survey: Survey, name: str) -> tuple[Table, bool]:
    """One row per arm, and whether no arm is different.

    An arm is bit-equal if all of its runs ended with the packed round's weights; otherwise it is
    equal within the seeds' spread if Welch's 95 % interval of the difference covers 0.
    """
    rows, equal, both = [], 0, 0
    for dataset in survey.round.datasets:
        for arm in arms(survey, dataset):
            pairs = [(cell, packed[cell.config.path]) for cell in arm.cells if _in(cell, packed)]
            same = sum(_same(cell, before) for cell, before in pairs)
            equal, both = equal + same, both + len(pairs)
            before = summarise([one["final"]["test"]["accuracy"] for _, one in pairs])
            rows.append(
                (
                    dataset,
                    arm.label,
                    before.text(),
                    arm.summary.text(),
                    f"{same} of {len(pairs)}",
                    _judged(arm, pairs, same),
                )
            )
    columns = ("Dataset", "Method", "Packed", "Here", "Bit-equal", "Judgement")
    notes = (
        f"{equal} of {both} runs that both rounds completed have the same weights, bit for bit.",
        f"{OPEN}: fewer than three seeds on a side, or seeds that do not differ.",
    )
    title = f"round {survey.round.round} beside {name}: test accuracy (%), final epoch"
    table = Table(title, columns, tuple(rows), notes, keys=2)
    return table, all(row[-1] != DIFFERENT for row in rows)


def _in(cell: Cell, packed: Mapping[str, Result]) -> bool:
    """Whether a run was completed in both rounds."""
    return cell.config.path in packed and cell.state.result is not None


def _same(cell: Cell, before: Result) -> bool:
    result = cell.state.result
    weights = before["weights"].get("final")
    return bool(result and weights and result["weights"].get("final") == weights)


def _judged(arm: Arm, pairs: Sequence[tuple[Cell, Result]], same: int) -> str:
    if not pairs:
        return "not in both"
    if same == len(pairs):
        return EQUAL
    before = {cell.config.seed: one["final"]["test"]["accuracy"] for cell, one in pairs}
    found = difference(arm.by_seed, before, "welch", arm.resolution)
    if found is None or found.low is None or found.high is None or found.n < MIN_SEEDS:
        return OPEN
    return WITHIN if found.low <= 0 <= found.high else DIFFERENT
