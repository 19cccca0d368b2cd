"""`table --against`: a round beside published results."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from stillhouse import methods
from stillhouse.config.diff import recipe_differences
from stillhouse.config.load import load_round
from stillhouse.errors import ConfigError
from stillhouse.exchange.published import Kind, PublishedResult, find_results, read_results
from stillhouse.rounds.survey import Survey
from stillhouse.show.results import FAILED, label, results_notes
from stillhouse.stats.arms import SHOWN, Arm, Which, arms
from stillhouse.stats.inference import Difference, published_difference
from stillhouse.stats.summary import Summary, summarise, which_epoch
from stillhouse.tables import Table, from_rows

KINDS: dict[str, Kind] = {"final": "final_epoch", "best": "best_epoch"}
INSIDE = (
    "Inside: whether 0 lies in the 95 % interval of the difference (Welch's t where a standard "
    "deviation was published, else the t-interval of our mean alone); it takes three seeds."
)


def against_tables(
    survey: Survey, other: str, folder: Path, which: str | None, numbers: bool = False
) -> list[Table]:
    """The round beside published results, which `other` names (see `find_results`).

    `numbers`: for programs, one number per cell. Both sides show the same kind of accuracy, for
    best-epoch and final-epoch accuracies must not be compared: results of the other kind are left
    out, which is noted. Raises ConfigError if no result is of the kind that was asked for.
    """
    file = find_results(other, folder)
    other = file.stem.removesuffix("_results")
    published = _taught(read_results(file), survey, file.with_name(f"{other}.yaml"))
    kinds = {row.kind for row in published}
    if which is None and len(kinds) == 1:
        which = next(name for name, kind in KINDS.items() if kind in kinds)
    kind = which_epoch(which)
    if KINDS.get(kind) not in kinds:
        found = ", ".join(sorted(kinds))
        raise ConfigError(
            f"round {other} has {found} accuracies, which cannot be compared with {SHOWN[kind]}",
            "leave --accuracy out to show the same kind on both sides",
        )
    notes = [*_left_out(published, kind), *_protocol(survey, other, file)]
    tables = []
    for dataset in survey.round.datasets:
        theirs = [r for r in published if r.dataset == dataset and r.kind == KINDS[kind]]
        found_arms = arms(survey, dataset, kind)
        tables.append(_against(survey, other, theirs, found_arms, numbers, notes))
    return tables


def _taught(
    published: list[PublishedResult], survey: Survey, protocol: Path
) -> list[PublishedResult]:
    """Give results without a teacher that of their protocol, if the round compares several: they
    stand beside the arm of that teacher alone.
    """
    if len(survey.round.all_teachers) < 2 or not protocol.is_file():
        return published
    found = load_round(protocol)
    taught = {
        method
        for method in methods.names(found.files)
        if methods.declared(method, found.files).taught_by == "teacher"
    }
    if len(found.all_teachers) > 1:
        return published
    return [
        row.model_copy(update={"teacher": found.teacher})
        if row.teacher is None and row.method in taught
        else row
        for row in published
    ]


def _left_out(published: Iterable[PublishedResult], kind: Which) -> list[str]:
    """A note naming the methods that were published with another kind of accuracy."""
    others = [row for row in published if row.kind != KINDS[kind]]
    if not others:
        return []
    names = ", ".join(dict.fromkeys(row.method for row in others))
    word = "best" if kind == "final" else "final"
    return [f"Left out, as published by their {word} epoch: {names} (--accuracy {word})."]


def _protocol(survey: Survey, other: str, results: Path) -> list[str]:
    """One line per setting of the published protocol from which the round differs.

    The protocol is the round file beside the results; without one there is nothing to compare.
    """
    file = results.with_name(f"{other}.yaml")
    if not file.is_file():
        return [f"The protocol of {other} is unknown: there is no {file.name} beside its results."]
    differing = recipe_differences(load_round(file), survey.round)
    if not differing:
        return [f"Protocol: no setting differs from {other}'s."]
    return [
        f"Protocol: {name}: {there} in {other}, {here} here." for name, there, here in differing
    ]


def _against(
    survey: Survey,
    other: str,
    published: Sequence[PublishedResult],
    found: Sequence[Arm],
    numbers: bool,
    protocol: Sequence[str],
) -> Table:
    rows, records = [], []
    for arm in found:
        for theirs in _sources(arm, published):
            earlier = _summary(theirs)
            gap = published_difference(arm.summary, earlier)
            rows.append(_row(arm, theirs, earlier, gap))
            records.append(_record(survey, arm, theirs, earlier, gap))
    mine, dataset = survey.round.round, found[0].cells[0].config.dataset
    title = f"{label(survey, dataset)}: test accuracy (%), {SHOWN[found[0].which]} on both sides"
    notes, details = results_notes(survey, found)
    if any(record["inside"] for record in records):
        notes = (*notes, INSIDE)
    notes = (*notes, *protocol)
    if numbers:
        return from_rows(title, records, (*notes, *details))
    other = "published" if other == mine else other
    columns = ("Model / Method", other, f"n {other}", mine, f"n {mine}", "Difference", "Inside")
    spare = (f"n {other}", f"n {mine}")
    return Table(title, columns, tuple(rows), notes, 1, spare, details=details)


def _row(
    arm: Arm, theirs: Sequence[PublishedResult], earlier: Summary, gap: Difference | None
) -> tuple[Any, ...]:
    now = arm.summary
    return (
        arm.label,
        _published(theirs, earlier),
        earlier.n or None if theirs and theirs[0].seed is None else earlier.n,
        now.text(),
        now.n,
        None if gap is None else f"{gap.value:+.2f}",
        _inside(gap),
    )


def _record(
    survey: Survey,
    arm: Arm,
    theirs: Sequence[PublishedResult],
    earlier: Summary,
    gap: Difference | None,
) -> dict[str, Any]:
    return {
        **arm.numbers(survey),
        "published_n": earlier.n,
        "published_mean": earlier.mean,
        "published_sd": earlier.std,
        "published_status": theirs[0].status if theirs else None,
        "published_source": theirs[0].source if theirs else None,
        "difference": gap.value if gap else None,
        "low": gap.low if gap else None,
        "high": gap.high if gap else None,
        "inside": _inside(gap),
        "why": arm.why,
    }


def _inside(gap: Difference | None) -> str | None:
    if gap is None or gap.low is None or gap.high is None:
        return None
    return "yes" if gap.low <= 0 <= gap.high else "no"


def _sources(arm: Arm, published: Sequence[PublishedResult]) -> list[list[PublishedResult]]:
    """What was published of an arm: runs of one source together, each mean alone."""
    teacher = arm.cells[0].config.teacher
    found: dict[Any, list[PublishedResult]] = {}
    for number, row in enumerate(published):
        if (row.method, row.model) != (arm.method, arm.model):
            continue
        if row.teacher is None or (teacher and row.teacher == teacher.model):
            found.setdefault(row.source if row.seed is not None else number, []).append(row)
    return list(found.values()) or [[]]


def _summary(results: Sequence[PublishedResult]) -> Summary:
    """The mean that was published, or that of the runs that completed."""
    if results and results[0].seed is None:
        one = results[0]
        return Summary(one.n or 0, one.accuracy, one.sd)
    return summarise(
        [r.accuracy for r in results if r.status == "completed" and r.accuracy is not None]
    )


def _published(results: Sequence[PublishedResult], summary: Summary) -> str | None:
    if summary.mean is not None or not results:
        return summary.text()
    found = results[0]
    word = FAILED if found.status == "failed" else found.status.replace("_", " ")
    return word if found.accuracy is None else f"{word} ({found.accuracy:.2f})"
