"""The statistics table of a dataset: for readers as text, for programs as plain numbers."""

from __future__ import annotations

from stillhouse import data
from stillhouse.rounds.provenance import footnotes
from stillhouse.rounds.survey import Survey
from stillhouse.stats.frame import FAILED, Frame, Row
from stillhouse.stats.inference import Difference
from stillhouse.tables import Cell, Table

TESTS = {"paired": "paired by seed", "welch": "by Welch's test"}
OF = {"paired": "of a round trained here", "welch": "of an imported round"}
SHORT = {"paired": "paired", "welch": "Welch"}
IMAGES = "each image's prediction is not in these records"


def statistics_table(seen: Survey, frame: Frame) -> Table:
    """The table for readers: a difference with its interval is one cell, empty columns go."""
    other = "welch" if frame.test == "paired" else "paired"
    swept = any(row.arm.axes for row in frame.rows)
    columns = (
        "Method",
        *(["Axis"] if swept else []),
        "n",
        "Accuracy %",
        "Δ pure [95 % CI]",
        "p Holm",
        "Verdict",
        "g",
        "Seeds",
        "Δ teacher [95 % CI]",
        "Agreement (excess)",
        "ECE %",
        "Best − last",
        f"p {SHORT[other]}",
        "p Dunnett",
        "McNemar",
    )
    rows = tuple(_text_row(row, swept) for row in frame.rows)
    filled = [0] + [
        index for index in range(1, len(columns)) if any(row[index] is not None for row in rows)
    ]
    shown = tuple(tuple(row[index] for index in filled) for row in rows)
    names = tuple(columns[index] for index in filled)
    return Table(_title(seen, frame), names, shown, notes(seen, frame), keys=1)


def statistics_numbers(seen: Survey, frame: Frame) -> Table:
    """The table for programs: one number a column, one row an arm."""
    rows = tuple(_numbers(row, frame) for row in frame.rows)
    return Table(_title(seen, frame), NUMBERS, rows, notes(seen, frame))


def _title(seen: Survey, frame: Frame) -> str:
    label = data.spec(frame.dataset, seen.round.files).label
    return f"round {seen.round.round}, {label}: test accuracy (%), {frame.which} epoch"


def _text_row(row: Row, swept: bool) -> tuple[Cell, ...]:
    arm = row.arm
    return (
        arm.name if swept else arm.label,
        *([arm.axes or None] if swept else []),
        f"{len(arm.values)}/{len(arm.cells)}",
        arm.summary.text() if len(arm.values) != 2 else f"{arm.summary.mean:.2f}",
        interval(row.to_pure),
        p_text(row.adjusted),
        row.verdict.text() if row.verdict else None,
        _signed(row.g),
        " ".join(f"{value:.2f}" for value in arm.values) or None,
        interval(row.to_teacher),
        None if row.agreement is None else f"{row.agreement:.1f} ({row.excess:+.1f})",
        _plain(row.ece),
        _plain(row.selection),
        p_text(row.sensitivity.p) if row.sensitivity and arm.role == "method" else None,
        p_text(row.dunnett),
        None if row.images is None else f"{row.images[0]} of {row.images[1]}",
    )


def interval(found: Difference | None) -> str | None:
    """`+0.54 [+0.21, +0.87]`, or `+0.54` where there is no interval."""
    if found is None:
        return None
    if found.low is None or found.high is None:
        return f"{found.value:+.2f}"
    return f"{found.value:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def p_text(p: float | None) -> str | None:
    """A p-value to three decimals."""
    if p is None:
        return None
    return f"{p:.3f}" if p >= 0.001 else "<0.001"


def is_p(p: float | None) -> str | None:
    """A p-value in a sentence: `= 0.034`, `< 0.001`."""
    text = p_text(p)
    return f"< {text[1:]}" if text and text.startswith("<") else f"= {text}"


def _signed(value: float | None) -> str | None:
    return None if value is None else f"{value:+.2f}"


def _plain(value: float | None) -> str | None:
    return None if value is None else f"{value:.2f}"


NUMBERS = (
    "method",
    "model",
    "role",
    "axis",
    "n",
    "planned",
    "mean",
    "sd",
    "seeds",
    "accuracies",
    "difference",
    "low",
    "high",
    "test",
    "p",
    "p_holm",
    "hedges_g",
    "teacher_difference",
    "teacher_low",
    "teacher_high",
    "agreement",
    "agreement_excess",
    "ece",
    "best_minus_last",
    "p_other_test",
    "p_dunnett",
    "mcnemar_below_0.05",
    "mcnemar_seeds",
    "verdict",
    "seeds_needed",
)


def _numbers(row: Row, frame: Frame) -> tuple[Cell, ...]:
    arm, gap, teacher = row.arm, row.to_pure, row.to_teacher
    return (
        arm.method,
        arm.model,
        arm.role,
        arm.axes or None,
        len(arm.values),
        len(arm.cells),
        arm.summary.mean,
        arm.summary.std if len(arm.values) > 2 else None,
        " ".join(str(seed) for seed in arm.by_seed) or None,
        " ".join(f"{value:g}" for value in arm.values) or None,
        *((gap.value, gap.low, gap.high, frame.test, gap.p) if gap else (None,) * 5),
        row.adjusted,
        row.g,
        *((teacher.value, teacher.low, teacher.high) if teacher else (None,) * 3),
        row.agreement,
        row.excess,
        row.ece,
        row.selection,
        row.sensitivity.p if row.sensitivity else None,
        row.dunnett,
        *(row.images or (None, None)),
        row.verdict.word if row.verdict else None,
        row.verdict.needs if row.verdict else None,
    )


def notes(seen: Survey, frame: Frame) -> tuple[str, ...]:
    """What stands below the table: how to read it, what it cannot show, who failed."""
    return (
        *_reading(frame),
        *_limits(seen, frame),
        *_left_out(frame),
        *footnotes(seen, frame.dataset),
    )


def _reading(frame: Frame) -> tuple[str, ...]:
    other = "welch" if frame.test == "paired" else "paired"
    counted = (
        "Accuracy: mean ± sample standard deviation over seeds (ddof = 1; none below three). "
        "n: sound of planned runs; all others are left out of every mean."
    )
    if not any(row.to_pure for row in frame.rows):
        return (counted,)
    return (
        counted,
        f"Δ: difference of means in points with its 95 % t-interval; to pure {TESTS[frame.test]}, "
        f"as is fixed beforehand for the tables {OF[frame.test]}; to the teacher paired. "
        f"p Holm: adjusted over the {frame.family} comparisons that have a p. "
        "g: Hedges, in pooled standard deviations.",
        f"Verdict: equivalent: interval within ±{frame.margin:g}; helps, hurts: interval above, "
        "below 0 and p Holm < 0.05 (tests disagree: a check below does not confirm it); else "
        "inconclusive, with the seeds that find a gap of this size with 80 % power.",
        f"Checks: p {SHORT[other]} and p Dunnett are other tests of the same difference; "
        "McNemar: seeds whose two networks differ image by image (mid-p < 0.05).",
    )


def _limits(seen: Survey, frame: Frame) -> tuple[str, ...]:
    found = []
    if frame.error is not None:
        spec = data.spec(frame.dataset, seen.round.files)
        found.append(
            f"Sampling error of the {spec.test_images:,} test images: ±{frame.error:.2f} points "
            "(one standard error), shared by all seeds and therefore in no interval."
        )
    if frame.detectable is not None:
        found.append(
            f"With {frame.seeds} seeds a true difference of {frame.detectable:.2f} points is found "
            "with 80 % power, a smaller one less often."
        )
    sound = [row for row in frame.rows if row.arm.values]
    students = [row for row in sound if row.arm.role == "method"]
    if students and all(row.images is None for row in students):
        found.append(f"McNemar and the pure student's agreement: {IMAGES}.")
    if students and all(row.agreement is None for row in students):
        found.append("Agreement with the teacher was not recorded.")
    problems = dict.fromkeys(problem for row in frame.rows for problem in row.problems)
    found += [f"Not compared image by image: {problem}." for problem in problems]
    if sound and all(row.ece is None for row in sound):
        found.append("ECE was not recorded.")
    if frame.which == "best":
        chosen = "validation images" if seen.round.training.validation else "test images"
        found.append(f"The best epoch was chosen on the {chosen}.")
    return tuple(found)


def _left_out(frame: Frame) -> tuple[str, ...]:
    """Every run that was tried and counts nowhere, with its reason."""
    return tuple(
        f"{cell.config.path}: {cell.shown}: {cell.unsound or cell.state.reason}"
        for row in frame.rows
        for cell in row.arm.cells
        if cell.shown in FAILED
    )
