"""Two rounds side by side: settings, results cell by cell, what was fixed, what got worse."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from stillhouse import data, methods
from stillhouse.config.diff import diff_rounds, reasons_that_fit
from stillhouse.config.schema import Round
from stillhouse.rounds.survey import Survey
from stillhouse.show.table import INTERVAL
from stillhouse.stats.arms import SHOWN, Arm, Which, arms
from stillhouse.stats.frame import FAILED
from stillhouse.stats.inference import Difference, difference
from stillhouse.stats.wording import interval, unresolved
from stillhouse.tables import Cell, Table, from_rows

Change = Literal[
    "fixed", "broken", "better", "worse", "not shown", "new", "gone", "not run yet", "failed"
]
EXPLAINED = (
    ("fixed", "Fixed (no valid run before)"),
    ("broken", "Got worse (no valid run any more)"),
    ("worse", "Got worse (interval below 0)"),
    ("better", "Got better (interval above 0)"),
    ("failed", "Still without a valid run"),
)


NO_INTERVAL = (
    "There is no interval: it takes three completed and valid seeds on both sides that differ by "
    "more than one test image."
)


@dataclass(frozen=True)
class Pair:
    """An arm in two rounds; `gap` is the later mean less the earlier, by Welch's test."""

    dataset: str
    earlier: Arm | None
    later: Arm | None
    gap: Difference | None

    @property
    def arm(self) -> Arm:
        """Either of them, for its names: the later, unless the earlier names an axis or teacher
        of which the later has only one.
        """
        known = [arm for arm in (self.later, self.earlier) if arm]
        return max(known, key=lambda arm: len(arm.label))

    @property
    def change(self) -> Change:
        """What became of the arm from one round to the other."""
        before, after = self.earlier, self.later
        if before is None or after is None:
            return "gone" if after is None else "new"
        if not after.values:
            return ("broken" if before.values else "failed") if _tried(after) else "not run yet"
        if not before.values:
            return "fixed" if _tried(before) else "new"
        if self.gap and self.gap.low is not None and self.gap.high is not None:
            if self.gap.low > 0:
                return "better"
            if self.gap.high < 0:
                return "worse"
        return "not shown"


def pairs(a: Survey, b: Survey, which: Which = "final") -> list[Pair]:
    """Every arm of either round, in the order of the tables; the datasets of A first."""
    found = []
    for dataset in dict.fromkeys([*a.round.datasets, *b.round.datasets]):
        sides = arms(a, dataset, which), arms(b, dataset, which)
        before, after = _keyed(*sides, several=_several_teachers(a, b))
        for key in dict.fromkeys([*before, *after]):
            earlier, later = before.get(key), after.get(key)
            gap = None
            if earlier and later:
                gap = difference(later.by_seed, earlier.by_seed, "welch", later.resolution)
            found.append(Pair(dataset, earlier, later, gap))
    return found


Key = tuple[str, str, str | None, tuple[tuple[str, Any], ...]]


def _several_teachers(a: Survey, b: Survey) -> bool:
    """Whether either round compares teachers, so that an arm is not known without its own."""
    return any(len(survey.round.all_teachers) > 1 for survey in (a, b))


def _keyed(*sides: list[Arm], several: bool) -> list[dict[Key, Arm]]:
    """Each side's arms by method, network, the value of every axis that either side sweeps, and
    teacher if either round has several.

    An arm that is not swept has the value of its settings: logit at alpha 0.5 is logit at the
    point 0.5 of a sweep.
    """
    axes: dict[tuple[str, str], set[str]] = {}
    for arm in (arm for side in sides for arm in side):
        swept = axes.setdefault((arm.method, arm.model), set())
        swept |= set(arm.cells[0].config.axes)

    def key(arm: Arm) -> Key:
        run = arm.cells[0].config
        by = methods.declared(run.method, run.files).taught_by
        teacher = arm.teacher if several and by == "teacher" else None
        return arm.method, arm.model, teacher, _point(arm, sorted(axes[arm.method, arm.model]))

    return [{key(arm): arm for arm in side} for side in sides]


def _point(arm: Arm, axes: list[str]) -> tuple[tuple[str, Any], ...]:
    """The value of some axes in an arm, swept or not."""
    run = arm.cells[0].config
    known = {
        **methods.declared(run.method, run.files).defaults,
        "alpha": run.distillation.alpha,
        **run.parameters,
        **run.axes,
    }
    return tuple((axis, known.get(axis)) for axis in axes)


def results_table(a: Survey, b: Survey, which: Which = "final") -> Table:
    """The results of both rounds; below, what was fixed and what got worse."""
    found = pairs(a, b, which)
    names = a.round.round, b.round.round
    tested = any(pair.gap and pair.gap.low is not None for pair in found)
    delta = f"Δ{INTERVAL}" if tested else "Δ"
    columns = ("Dataset", "Method", names[0], names[1], delta, "Change")
    rows = tuple(
        (
            _label(a if pair.earlier else b, pair.dataset),
            pair.arm.label,
            _result(pair.earlier),
            _result(pair.later),
            interval(pair.gap),
            pair.change,
        )
        for pair in found
    )
    return Table(
        _title(names, which), columns, rows, (*_summary(found), *_notes(found, names)), keys=2
    )


def results_numbers(a: Survey, b: Survey, which: Which = "final") -> Table:
    """The results of both rounds for programs, one number per cell: A is `earlier`, B `later`."""
    found = pairs(a, b, which)
    axes = dict.fromkeys([*a.round.sweep, *b.round.sweep])
    several = _several_teachers(a, b)
    rows = [
        {
            "dataset": pair.dataset,
            **pair.arm.names(axes),
            **({"teacher": pair.arm.teacher} if several else {}),
            **_side("earlier", pair.earlier),
            **_side("later", pair.later),
            "difference": pair.gap.value if pair.gap else None,
            "low": pair.gap.low if pair.gap else None,
            "high": pair.gap.high if pair.gap else None,
            "p": pair.gap.p if pair.gap else None,
            "change": pair.change,
            "why": _why_empty(pair),
        }
        for pair in found
    ]
    names = a.round.round, b.round.round
    return from_rows(_title(names, which), rows, (*_summary(found), *_notes(found, names)))


def _why_empty(pair: Pair) -> str | None:
    if pair.gap:
        return pair.gap.why or None
    missing = [arm.why for arm in (pair.later, pair.earlier) if arm and not arm.values]
    return missing[0] if missing else pair.change


def _title(names: tuple[str, str], which: Which) -> str:
    return f"{names[1]} after {names[0]}: test accuracy (%), {SHOWN[which]}"


def _side(name: str, arm: Arm | None) -> dict[str, Cell]:
    return {
        f"{name}_n": len(arm.values) if arm else None,
        f"{name}_planned": len(arm.cells) if arm else None,
        f"{name}_mean": arm.summary.mean if arm else None,
        f"{name}_sd": arm.summary.std if arm else None,
    }


def settings_table(a: Round, b: Round) -> Table:
    """What changed in the settings, with those of B's reasons that fit what differs here."""
    if b.compares_to not in (None, a.round):
        return diff_rounds(a, b)
    fitting = reasons_that_fit(a, b)
    table = diff_rounds(a, b.model_copy(update={"changes": fitting}))
    left = [key for key in b.changes if key not in fitting]
    if not left:
        return table
    note = f"{b.round} gives reasons for {', '.join(left)} too, in which it does not differ here."
    return replace(table, notes=(*table.notes, note))


def _summary(found: list[Pair]) -> list[str]:
    parts = []
    for change, words in EXPLAINED:
        own = [pair for pair in found if pair.change == change]
        if own:
            listed = "; ".join(f"{pair.dataset} {pair.arm.label}{_why(pair)}" for pair in own)
            parts.append(f"{words}: {listed}.")
    return parts


def _why(pair: Pair) -> str:
    """The reason of the failure that was fixed, or that is new."""
    if pair.change not in ("fixed", "broken", "failed"):
        return ""
    arm = pair.earlier if pair.change == "fixed" else pair.later
    cells = [cell for cell in arm.cells if cell.shown in FAILED] if arm else []
    reason = cells[0].learned_nothing or cells[0].state.reason if cells else ""
    return f" ({reason})" if reason else ""


def _notes(found: list[Pair], names: tuple[str, str]) -> tuple[str, ...]:
    gaps = [pair.gap for pair in found if pair.gap]
    tested = sum(gap.low is not None for gap in gaps)
    delta = f"Δ: {names[1]} less {names[0]} in points"
    if not tested:
        return (f"{delta}. {NO_INTERVAL}",)
    missing = (
        "; n/a: the seeds of both differ by less than one test image"
        if any(map(unresolved, gaps))
        else ""
    )
    return (
        f"{delta}, with Welch's 95 % t-interval where both sides have three completed and valid "
        f"seeds{missing}; of {tested} intervals about {tested / 20:.1f} miss 0 by chance alone. "
        "Seeds of two rounds are not paired: their code, order and teachers differ.",
    )


def _result(arm: Arm | None) -> str | None:
    if arm is None:
        return None
    n = f"{len(arm.values)}/{len(arm.cells)}"
    if not arm.values:
        word = "failed" if _tried(arm) else "not run"
        return f"{word} ({n})"
    return f"{arm.summary.text()} ({n})"


def _tried(arm: Arm) -> bool:
    return any(cell.shown in FAILED for cell in arm.cells)


def _label(survey: Survey, dataset: str) -> str:
    return data.spec(dataset, survey.round.files).label
