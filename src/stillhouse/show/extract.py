"""`extract`: which networks were extracted, which were not and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.errors import RunError
from stillhouse.represent.claim import tidy
from stillhouse.represent.store import Header, check_rows
from stillhouse.represent.targets import Skipped, Target, targets
from stillhouse.rounds.survey import Survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.progress import ShareProgress
from stillhouse.tables import Table

if TYPE_CHECKING:
    from stillhouse.represent.extract import Outcome

COLUMNS = (
    "Dataset",
    "Networks",
    "Extracted",
    "There before",
    "Not extracted",
    "Failed",
    "Predicted otherwise",
)
IMPORTED = (
    "name the files of its weights, from this workspace: --weights 'old/{run}/best.pth' (fields: "
    "run, dataset, method, model, seed)"
)


@dataclass
class _Found:
    """What is known of the runs of a round, by name."""

    stored: dict[str, Header] = field(default_factory=dict)
    pending: list[Target] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    done: dict[str, Outcome] = field(default_factory=dict)


def extract_table(
    workspace: Workspace,
    survey: Survey,
    weights: str,
    data_root: Path,
    device: str,
    jobs: int | None,
    log: Callable[[str], None],
) -> tuple[Table, bool]:
    """Extract what is missing of a round; a row per dataset, and that nothing failed.

    `weights` as in `represent.targets.targets`; `jobs` networks at once, by default as many as
    the cores hold, or one on a GPU. `log` receives what will be done, then the progress. Raises
    RunError if the round has nothing to extract, or when asked to stop. Imports no torch if
    everything is extracted.
    """
    wanted = targets(workspace, survey, weights)
    found = _look(wanted)
    if not (found.stored or found.pending or found.failed):
        raise RunError(
            f"round {survey.round.round}: no run can be extracted ({reasons(found.skipped)})",
            IMPORTED if survey.round.imported else "train it first",
        )
    log(
        f"to extract: {len(found.pending)}; extracted before: {len(found.stored)}; "
        f"not extracted: {len(found.skipped)}"
    )
    if found.pending:
        _extract(workspace, survey, found, data_root, device, jobs, log)
    stored = [*found.stored.values()]
    stored += [_header(one) for one in found.pending if one.name in found.done]
    problems = check_rows(stored)
    counted = (_row(dataset, wanted, found) for dataset in survey.round.datasets)
    rows = tuple(row for row in counted if row[1])  # of a part, the datasets that it has
    title = f"round {survey.round.round}: representations of the {_which(weights)} weights"
    notes = (*_notes(found), *problems)
    return Table(title, COLUMNS, rows, notes), not (found.failed or problems)


def _extract(
    workspace: Workspace,
    survey: Survey,
    found: _Found,
    data_root: Path,
    device: str,
    jobs: int | None,
    log: Callable[[str], None],
) -> None:
    # Imported here: torch takes seconds, and often everything is extracted already.
    from stillhouse.represent.extract import Extraction
    from stillhouse.training.stop import Stop

    place = workspace.place(survey.round.teachers_from, data_root, device)
    cores = max(1, (os.cpu_count() or 1) // survey.round.training.threads)
    stop = Stop()
    stop.listen()
    work = Extraction(
        place,
        jobs or (1 if place.device.type == "cuda" else cores),
        ShareProgress(log),
        stop,
    )
    for outcome in work.run(found.pending):
        if outcome.error:
            found.failed[outcome.name] = outcome.error
        elif outcome.busy:
            found.skipped[outcome.name] = f"is being extracted by {outcome.busy}"
        else:
            found.done[outcome.name] = outcome


def _look(wanted: Iterable[Target | Skipped]) -> _Found:
    found = _Found()
    for one in wanted:
        if isinstance(one, Skipped):
            found.skipped[one.name] = one.reason
            continue
        try:
            header = one.stored()
        except RunError as error:
            found.failed[one.name] = str(error)
            continue
        if header is None:
            found.pending.append(one)
        else:
            found.stored[one.name] = header
            tidy(one.home)
    return found


def _header(target: Target) -> Header:
    header = target.stored()
    assert header is not None
    return header


def _row(dataset: str, wanted: Sequence[Target | Skipped], found: _Found) -> tuple[str | int, ...]:
    names = [one.name for one in wanted if f"/{dataset}/" in f"/{one.name}/"]
    return (
        dataset,
        len(names),
        sum(name in found.done for name in names),
        sum(name in found.stored for name in names),
        sum(name in found.skipped for name in names),
        sum(name in found.failed for name in names),
        sum(found.done[name].differing for name in names if name in found.done),
    )


def _notes(found: _Found) -> list[str]:
    notes = [f"{name}: {error}" for name, error in found.failed.items()]
    if found.skipped:
        notes.append(f"Not extracted: {reasons(found.skipped)}.")
    if any(outcome.differing for outcome in found.done.values()):
        notes.append(
            "Predicted otherwise: test images whose predicted class is not the recorded one, "
            "because this machine rounds differently; the two highest logits of each are nearly "
            "equal."
        )
    return notes


def reasons(skipped: dict[str, str]) -> str:
    """How many runs are left out for each reason, with the first of them."""
    texts = []
    for reason in dict.fromkeys(skipped.values()):
        names = [name for name, one in skipped.items() if one == reason]
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        texts.append(f"{names[0]}{more}: {reason}")
    return "; ".join(texts) or "it has no runs"


def _which(weights: str) -> str:
    return weights if weights in ("final", "best") else "imported"
