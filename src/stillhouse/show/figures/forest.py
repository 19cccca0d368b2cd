"""Forest plot: every method's accuracy less that of the pure student, with its interval."""

from __future__ import annotations

from collections.abc import Mapping

import matplotlib
import pandas as pd
from matplotlib.figure import Figure

from stillhouse.show.figures.drawn import (
    INTERVAL,
    Drawn,
    NothingToDraw,
    Tables,
    caption,
    headline,
    settled,
    signed,
)
from stillhouse.show.figures.style import DOUBLE, PRINT, PURE, TEACHER, Look
from stillhouse.stats.inference import Difference, Test, difference, holm
from stillhouse.stats.power import ALPHA
from stillhouse.stats.verdict import MARGIN

READING = (
    "the large mark is a method's mean difference in points, the line its interval, small marks "
    "are seeds. The dotted vertical line at 0 is the pure student, the dashed one the teacher. "
    "Differences inside the grey band (±{margin:g} points) do not matter. An interval that "
    "crosses 0 leaves open whether the method helps. The intervals are per method: they are not "
    "corrected for the number of methods. The title counts the methods whose p, adjusted for all "
    "of them by Holm's method, is below {alpha:g}, as the verdicts of the tables do."
)


def draw(tables: Tables, dataset: str) -> Drawn:
    """Draw a dataset's methods, the largest difference on top. Raises NothingToDraw."""
    runs = tables.valid(dataset)
    by_arm = {
        (str(arm), str(role), str(student)): dict(zip(rows["seed"], rows["accuracy"], strict=True))
        for (arm, role, student), rows in runs.groupby(["arm", "role", "student"], sort=False)
    }
    pures = {student: seeds for (_, role, student), seeds in by_arm.items() if role == "pure"}
    test: Test = "paired" if tables.paired else "welch"
    found: list[tuple[str, Difference, list[float]]] = []
    for (arm, role, student), seeds in by_arm.items():
        if role != "method" or student not in pures:
            continue
        gap = difference(seeds, pures[student], test, 100 / tables.test_images[dataset])
        if gap is not None:
            found.append((arm, gap, _gaps(seeds, pures[student], tables.paired)))
    if not found:
        raise NothingToDraw("no method and pure student have a completed seed in common")
    found.sort(key=lambda row: -row[1].value)
    return Drawn(
        _figure(found, tables.looks(), _teacher(runs), tables.label(dataset)),
        _data(found, dataset),
        caption(
            f"Test accuracy less that of the pure student ({_how(tables.paired)}). {INTERVAL}; "
            "fewer than three seeds have none.",
            tables,
            dataset,
            [gap.n for _, gap, _ in found],
            READING.format(margin=MARGIN, alpha=ALPHA),
        ),
    )


def _how(paired: bool) -> str:
    return "difference of equal seeds" if paired else "difference of means"


def _gaps(seeds: Mapping[int, float], pure: Mapping[int, float], paired: bool) -> list[float]:
    """A difference per seed: to the pure student of the same seed, or to the pure mean."""
    if paired:
        return [seeds[seed] - pure[seed] for seed in seeds if seed in pure]
    mean = sum(pure.values()) / len(pure)
    return [value - mean for value in seeds.values()]


def _teacher(runs: pd.DataFrame) -> float | None:
    """The mean teacher less the mean pure student; None if a method has several teachers."""
    taught = runs[runs["role"] == "method"].groupby(["method", "student"])["teacher"].nunique()
    if (taught > 1).any():
        return None
    means = [runs[runs["role"] == role]["accuracy"].mean() for role in ("teacher", "pure")]
    gap = float(means[0] - means[1])
    return None if pd.isna(gap) else gap


def _title(found: list[tuple[str, Difference, list[float]]], dataset: str) -> str:
    known = [(arm, gap) for arm, gap, _ in found if gap.low is not None and gap.high is not None]
    if not known:
        arm, gap, _ = found[0]
        return f"{dataset}: {arm} {gap.value:+.2f} points; too few seeds for intervals"
    sure = [
        gap.value
        for (_, gap, _), p in zip(found, _adjusted(found), strict=True)
        if p is not None and p < ALPHA
    ]
    apart = sum((gap.low or 0) > 0 or (gap.high or 0) < 0 for _, gap in known)
    return (
        f"{dataset}: {sum(value > 0 for value in sure)} of {len(found)} methods above pure, "
        f"{sum(value < 0 for value in sure)} below (adjusted p < {ALPHA:g}); "
        f"{apart} {'interval excludes' if apart == 1 else 'intervals exclude'} 0"
    )


def _adjusted(found: list[tuple[str, Difference, list[float]]]) -> list[float | None]:
    """The p-value of each difference, adjusted for all of them; None where there is none."""
    held = iter(holm([gap.p for _, gap, _ in found if gap.p is not None]))
    return [None if gap.p is None else next(held) for _, gap, _ in found]


def _figure(
    found: list[tuple[str, Difference, list[float]]],
    looks: Mapping[str, Look],
    teacher: float | None,
    dataset: str,
) -> Figure:
    with matplotlib.rc_context(PRINT):
        figure = Figure(figsize=(DOUBLE, 0.3 * len(found) + 1.15))
        axes = figure.add_subplot()
        axes.axvspan(-MARGIN, MARGIN, color="#EEEEEE", zorder=0)
        axes.axvline(0, color=PURE, linestyle=":", linewidth=1, zorder=1)
        if teacher is not None:
            axes.axvline(teacher, color=TEACHER, linestyle="--", linewidth=1, zorder=1)
        for row, (arm, gap, seeds) in enumerate(found):
            look = looks[arm]
            below = [row + 0.22] * len(seeds)
            axes.plot(seeds, below, look.marker, color=look.colour, ms=3, alpha=0.5, mew=0)
            if gap.low is not None and gap.high is not None:
                axes.plot([gap.low, gap.high], [row, row], color=look.colour, zorder=2)
            axes.plot([gap.value], [row], look.marker, color=look.colour, ms=5.5)
            interval = _interval(gap)
            axes.annotate(
                f"{signed(gap.value)}{interval}, n = {gap.n}",
                (1.02, row),
                xycoords=("axes fraction", "data"),
                va="center",
                annotation_clip=False,
            )
        axes.set_yticks(range(len(found)), [arm for arm, _, _ in found])
        axes.set_ylim(len(found) - 0.5, -0.5)
        teacher_text = "" if teacher is None else "; dashed: teacher"
        axes.set_xlabel(f"difference to pure in points of test accuracy{teacher_text}")
        headline(figure, _title(found, dataset))
        return settled(figure)


def _interval(gap: Difference) -> str:
    if gap.low is None or gap.high is None:
        return ""
    return f" [{signed(gap.low)}, {signed(gap.high)}]"


def _data(found: list[tuple[str, Difference, list[float]]], dataset: str) -> pd.DataFrame:
    rows = [
        {
            "dataset": dataset,
            "arm": arm,
            "n": gap.n,
            "difference": gap.value,
            "low": gap.low,
            "high": gap.high,
            "p_holm": p,
            "test": gap.test,
            "seeds": " ".join(f"{value:.6g}" for value in seeds),
        }
        for (arm, gap, seeds), p in zip(found, _adjusted(found), strict=True)
    ]
    return pd.DataFrame(rows)
