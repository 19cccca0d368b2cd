"""What the reader of a table should know of where its numbers come from. Imports no torch.

A table that mixes recipes, code, packages or machines, or holds students of a teacher that has
changed since, says so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from stillhouse import data
from stillhouse.config.identity import as_written, difference
from stillhouse.errors import RunError, some
from stillhouse.rounds.choose import search_note
from stillhouse.rounds.edited import SHOWN_RUNS, changed_notes, changed_runs
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.records import Result, Run, Teaching

SHOWN_DIGITS = 8
MATTERING = ("torch", "numpy")


def footnotes(survey: Survey, dataset: str) -> tuple[str, ...]:
    """Notes for the table of a dataset: what its images are, and in what its runs differ.

    Empty if the images were used as published and all runs are of one kind.
    """
    note = data.spec(dataset, survey.round.files).note
    return (*((note,) if note else ()), *confounds(survey, dataset))


def confounds(survey: Survey, dataset: str) -> tuple[str, ...]:
    """Name in what the completed runs of a dataset differ besides their methods.

    Reads `run.json` and the attempts' claims; a damaged claim is named.
    """
    done = [c for c in survey.cells if c.config.dataset == dataset and c.state.name == "done"]
    runs = [run for cell in done if (run := cell.started)]
    sources, damaged = [], []
    for cell in done:
        try:
            sources.append(_sources(cell))
        except RunError as error:
            damaged.append(f"Where this run comes from is not known: {error.message}.")
    return (
        *search_note(survey.round),
        *damaged,
        *changed_teachers(done),
        *_adopted(done),
        *changed_notes(changed_runs(done)),
        *_arms_recipes(done),
        *_mixed("versions of the code", sources),
        *_mixed("sets of packages", [[_packages(run)] for run in runs]),
        *_mixed("kinds of processor", [[_processor(run)] for run in runs]),
    )


def unknown_fields(survey: Survey) -> tuple[str, ...]:
    """A note naming the recipe's fields that an imported round's records do not tell."""
    fields = survey.round.imported.unknown if survey.round.imported else ()
    shown = ", ".join(field.replace("_", " ") for field in fields)
    return (f"Unknown, because the records do not contain them: {shown}.",) if fields else ()


def changed_teachers(cells: Iterable[Cell]) -> tuple[str, ...]:
    """A note if students learnt from other weights than their teacher's run has now."""
    changed = []
    for cell in cells:
        own, teacher = cell.state.result, cell.teacher and cell.teacher.result
        taught = own and own.get("teacher")
        if taught and teacher and _weights(teacher, taught) != taught["sha256"]:
            changed.append(cell.config.path)
    if not changed:
        return ()
    return (
        f"The teacher changed after these students learnt from it: {some(changed, SHOWN_RUNS)}.",
    )


def _adopted(cells: Iterable[Cell]) -> tuple[str, ...]:
    """A note naming teachers that were taken over from files."""
    taught = [c.state.result.get("teacher") for c in cells if c.state.result]
    known = [one for one in taught if one and "adopted" in one and "accuracy" in one]
    files = {one["adopted"]: one["accuracy"] for one in known}
    if not files:
        return ()
    shown = some([f"{file} ({accuracy:.2f} %)" for file, accuracy in files.items()], SHOWN_RUNS)
    return (f"Teachers from files, whose training is not recorded: {shown}.",)


def _arms_recipes(cells: list[Cell]) -> tuple[str, ...]:
    """A note for arms whose recipe, by the round file, is not that of most students."""
    students = [cell.config for cell in cells if cell.config.teacher]
    if not students:
        return ()
    recipes = Counter(config.training for config in students)
    usual, count = recipes.most_common(1)[0]
    if count == len(students):
        return ()
    found: dict[str, None] = {}
    for config in students:
        for field, a, b in difference(config.training.model_dump(), usual.model_dump()):
            found[f"{config.method}: {field} {as_written(a)} (others {as_written(b)})"] = None
    return (f"Recipes differ between arms: {'; '.join(found)}.",)


def _mixed(what: str, runs: list[list[str]]) -> tuple[str, ...]:
    counts = Counter(kind for kinds in runs for kind in set(kinds))
    if len(counts) < 2:
        return ()
    shown = "; ".join(f"{kind} ({count} runs)" for kind, count in counts.most_common())
    return (f"Trained with {len(counts)} {what}: {shown}.",)


def _weights(teacher: Result, taught: Teaching) -> str:
    return teacher["weights"][taught.get("weights", "final")]


def _sources(cell: Cell) -> list[str]:
    claims = (attempt.read_claim() for attempt in cell.folder.attempts())
    return [source[:SHOWN_DIGITS] for claim in claims if claim and (source := claim.get("source"))]


def _packages(run: Run) -> str:
    versions = run.get("machine", {}).get("packages", {})
    return ", ".join(f"{name} {versions.get(name, 'unknown')}" for name in MATTERING)


def _processor(run: Run) -> str:
    machine = run.get("machine", {})
    return str(machine.get("gpu") or machine.get("processor") or "unknown")
