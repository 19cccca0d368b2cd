"""The statistics table of a dataset: for readers as text, for programs as plain numbers."""

from __future__ import annotations

from collections.abc import Sequence

from stillhouse import data
from stillhouse.rounds.provenance import footnotes, unknown_fields
from stillhouse.rounds.survey import Survey
from stillhouse.show.results import best, left_out, not_counted, title
from stillhouse.stats.frame import Frame, Row
from stillhouse.stats.inference import Difference, Test
from stillhouse.stats.summary import MIN_SEEDS
from stillhouse.stats.wording import SHORT, interval, p_text, unresolved
from stillhouse.tables import Cell, Table, from_rows

TESTS = {"paired": "paired by seed", "welch": "by Welch's test"}
OF = {"paired": "of a round trained here", "welch": "of an imported round"}
INTERVAL = " [95 % CI]"
ACCURACY = "Accuracy %"
KEPT = ("Method", "Axis", ACCURACY, "Δ pure", "Verdict")
UNTESTED = (
    "Δ: difference of means in points.",
    "Verdict: inconclusive, as there is no interval. Seeds needed: how many find a gap of this "
    "size with 80 % power.",
)
IMAGES = "each image's prediction is not in these records"


def statistics_table(survey: Survey, frame: Frame) -> Table:
    """The table for readers: a difference with its interval is one cell, empty columns go."""
    swept = any(row.arm.axes for row in frame.rows)
    cells = [_cells(row, frame, swept) for row in frame.rows]
    filled = {
        name: tuple(row[name] for row in cells)
        for number, name in enumerate(cells[0])
        if number == 0 or any(row[name] is not None for row in cells)
    }
    names = tuple(_heading(name, column) for name, column in filled.items())
    rows = tuple(zip(*filled.values(), strict=True))
    short, details = notes(survey, frame)
    mean = names.index(ACCURACY) if ACCURACY in names else None
    top = best([row.arm for row in frame.rows]) if mean is not None else []
    return Table(
        title(survey, frame.dataset, frame.which),
        names,
        rows,
        short,
        keys=2 if swept else 1,
        spare=tuple(name for name in names[::-1] if name.removesuffix(INTERVAL) not in KEPT),
        bold=frozenset((row, mean) for row in top if mean is not None),
        details=details,
    )


def statistics_numbers(survey: Survey, frame: Frame) -> Table:
    """The table for programs: one number per cell, one row per arm."""
    rows = [_numbers(row, survey) for row in frame.rows]
    short, details = notes(survey, frame)
    return from_rows(title(survey, frame.dataset, frame.which), rows, (*short, *details))


def _heading(name: str, column: tuple[Cell, ...]) -> str:
    """A column's name, without the interval where no cell has one."""
    return name if any("[" in str(cell) for cell in column) else name.removesuffix(INTERVAL)


def _cells(row: Row, frame: Frame, swept: bool) -> dict[str, Cell]:
    arm, other = row.arm, row.sensitivity if row.arm.role == "method" else None
    return {
        "Method": arm.name if swept else arm.label,
        "Axis": arm.axes or None,
        ACCURACY: arm.summary.text(),
        f"Δ pure{INTERVAL}": interval(row.to_pure),
        "Verdict": row.verdict.label if row.verdict else None,
        "n": f"{len(arm.values)}/{len(arm.cells)}",
        "p (adjusted)": p_text(row.adjusted),
        "Seeds needed": row.verdict.needs if row.verdict else None,
        "Effect size": _signed(row.g),
        "Every seed": " ".join(f"{value:.2f}" for value in arm.values) or None,
        f"Δ teacher{INTERVAL}": interval(row.to_teacher),
        "Agreement % (excess)": (
            None if row.agreement is None else f"{row.agreement:.1f} ({row.excess:+.1f})"
        ),
        "ECE %": _plain(row.ece),
        "Best − final": _plain(row.selection),
        f"p ({SHORT[_other(frame)]})": p_text(other.p if other else None),
        "p (Dunnett)": p_text(row.dunnett),
        "Seeds by McNemar": None if row.images is None else f"{row.images[0]} of {row.images[1]}",
    }


def _numbers(row: Row, survey: Survey) -> dict[str, Cell]:
    gap, teacher, images = row.to_pure, row.to_teacher, row.images or (None, None)
    return {
        **row.arm.numbers(survey),
        "difference": gap.value if gap else None,
        "low": gap.low if gap else None,
        "high": gap.high if gap else None,
        "test": gap.test if gap else None,
        "p": gap.p if gap else None,
        "p_holm": row.adjusted,
        "hedges_g": row.g,
        "teacher_difference": teacher.value if teacher else None,
        "teacher_low": teacher.low if teacher else None,
        "teacher_high": teacher.high if teacher else None,
        "agreement": row.agreement,
        "agreement_excess": row.excess,
        "ece": row.ece,
        "best_minus_last": row.selection,
        "p_other_test": row.sensitivity.p if row.sensitivity else None,
        "p_dunnett": row.dunnett,
        "mcnemar_below_0.05": images[0],
        "mcnemar_seeds": images[1],
        "verdict": row.verdict.label if row.verdict else None,
        "seeds_needed": row.verdict.needs if row.verdict else None,
        "why": "; ".join(filter(None, (row.arm.why, unresolved(gap)))) or None,
    }


def _other(frame: Frame) -> Test:
    return "welch" if frame.test == "paired" else "paired"


def _signed(value: float | None) -> str | None:
    return None if value is None else f"{value:+.2f}"


def _plain(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


def notes(survey: Survey, frame: Frame) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What stands below the table; and how to read each column, what it cannot show, who failed."""
    cells = [cell for row in frame.rows for cell in row.arm.cells]
    tested = any(gap.low is not None for gap in _gaps(frame))
    short = [f"Δ: gain over the pure student in points, {TESTS[frame.test]}."] if tested else []
    if any(row.adjusted is not None for row in frame.rows):
        short[0] += f" p: adjusted for all {frame.family} comparisons."
    if frame.which == "best":
        chosen = "validation images" if survey.validated(frame.dataset) else "test images"
        short.append(f"The best epoch was chosen on the {chosen}.")
    short += [*not_counted(cells), *unknown_fields(survey), *footnotes(survey, frame.dataset)]
    return tuple(short), (*_reading(frame), *_limits(survey, frame), *left_out(cells))


def _gaps(frame: Frame) -> list[Difference]:
    return [gap for row in frame.rows for gap in (row.to_pure, row.to_teacher) if gap]


def _reading(frame: Frame) -> tuple[str, ...]:
    spread = any(row.arm.summary.std is not None for row in frame.rows)
    accuracy = "Accuracy: mean over seeds; below three there is no deviation, interval or p-value. "
    if spread:
        accuracy = (
            "Accuracy: mean ± sample standard deviation over seeds (ddof = 1); below three the "
            "mean alone. "
        )
    counted = (
        f"{accuracy}n: completed and valid runs, of those planned; all others are left out of "
        "every mean."
    )
    gaps = _gaps(frame)
    if not any(row.to_pure for row in frame.rows):
        return (counted,)
    checks = [row.sensitivity for row in frame.rows if row.sensitivity]
    tested = any(gap.low is not None for gap in (*gaps, *checks))
    return (counted, *(_tested(frame) if tested else UNTESTED), *_unresolved(gaps, frame))


def _tested(frame: Frame) -> tuple[str, ...]:
    return (
        f"Δ: difference of means in points with its 95 % t-interval; to pure {TESTS[frame.test]}, "
        f"as is fixed beforehand for the tables {OF[frame.test]}; to the teacher paired. "
        f"p (adjusted): by Holm's method over the {frame.family} comparisons that have a p. "
        "Effect size: the difference in pooled standard deviations (Hedges' g).",
        f"Verdict: equivalent: interval within ±{frame.margin:g}; helps, hurts: interval above, "
        "below 0 and adjusted p < 0.05 (tests disagree: a check below does not confirm it); else "
        "inconclusive. Seeds needed: how many find a gap of this size with 80 % power.",
        "Agreement: test images on which student and teacher give the same answer (excess: beyond "
        "independent errors). ECE: expected calibration error. Best − final: what choosing the "
        "best epoch adds, in points.",
        f"Checks: p ({SHORT[_other(frame)]}) and p (Dunnett) are other tests of the same "
        "difference; Seeds by McNemar: seeds whose two networks differ image by image (mid-p < "
        "0.05), from three on.",
    )


def _unresolved(gaps: Sequence[Difference], frame: Frame) -> tuple[str, ...]:
    if not any(map(unresolved, gaps)):
        return ()
    return (
        f"n/a: the seeds differ by less than one test image ({frame.rows[0].arm.resolution:.2g} "
        "points), from which there is no interval and no p-value.",
    )


def _limits(survey: Survey, frame: Frame) -> tuple[str, ...]:
    found = []
    if frame.error is not None:
        spec = data.spec(frame.dataset, survey.round.files)
        found.append(
            f"Sampling error of the {spec.test_images:,} test images: {frame.error:.2f} points "
            "(one standard error), shared by all seeds and therefore in no interval."
        )
    if frame.detectable is not None:
        found.append(
            f"With {frame.seeds} seeds a true difference of {frame.detectable:.2f} points is found "
            "with 80 % power, a smaller one less often."
        )
    valid = [row for row in frame.rows if row.arm.values]
    students = [row for row in valid if row.arm.role == "method"]
    tested = [row for row in students if len(row.arm.values) >= MIN_SEEDS]
    if tested and all(row.images is None for row in tested):
        found.append(f"McNemar and the pure student's agreement: {IMAGES}.")
    if students and all(row.agreement is None for row in students):
        found.append("Agreement with the teacher was not recorded.")
    problems = dict.fromkeys(problem for row in frame.rows for problem in row.problems)
    found += [f"Not compared image by image: {problem}." for problem in problems]
    if valid and all(row.ece is None for row in valid):
        found.append("ECE was not recorded.")
    return tuple(found)
