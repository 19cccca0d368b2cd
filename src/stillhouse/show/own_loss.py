"""`verify --losses`: every method's own loss on the test images, of its student and a pure one."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from statistics import median

from stillhouse import data
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import RunConfig
from stillhouse.errors import RunError
from stillhouse.methods import load
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.own_loss import OwnLoss, read, write
from stillhouse.runs.records import own_seconds
from stillhouse.tables import Cell as TableCell
from stillhouse.tables import Table
from stillhouse.training.own_loss import FITS, compare, groups
from stillhouse.training.reopen import Place

COLUMNS = (
    "Dataset",
    "Method",
    "Seed",
    "Own, lowest",
    "Own, highest",
    "Pure, lowest",
    "Pure, highest",
    "Ratio",
    "Own is lower",
)
SHOWN = {"lower": "yes", "higher": "NO", "no difference": "no difference"}
PROGRESS_SECONDS = 10.0


def terms_table(
    survey: Survey,
    place: Place,
    fit_epochs: int | None,
    log: Callable[[str], None],
    writing: Callable[[], None] = lambda: None,
) -> tuple[Table, bool]:
    """The comparison of every completed distillation run, and that no own loss is higher.

    What was recorded of the same weights is not measured again. `log` receives first what will be
    measured and fitted, then the progress. `writing` is called before anything is measured, and
    raises if nothing may be written. Raises RunError if no distillation run is done, or if the
    round was imported.
    """
    if survey.round.imported:
        raise RunError(
            f"round {survey.round.round} was imported: it has no weights to measure",
            "train the round here",
        )
    cells = [cell for cell in survey.cells if cell.config.teacher and cell.state.name == "done"]
    if not cells:
        raise RunError(f"round {survey.round.round}: no distillation run is done", "train it first")
    found: dict[str, OwnLoss] = {}
    missing: list[RunConfig] = []
    for cell in cells:
        if _incomparable(cell.config):
            continue
        losses = read(cell.folder, place.folder(cell.config.pure_path))
        if losses and losses.fit_epochs in (0, fit_epochs or cell.config.training.epochs):
            found[cell.config.path] = losses
        else:
            missing.append(resolve(cell.config))
    if missing:
        writing()
    log(_announce(missing, len(found), place, fit_epochs))
    for one in compare(missing, place, fit_epochs, _Progress(log)):
        own, pure = map(place.folder, (one.run.path, one.run.pure_path))
        write(own, pure, one.losses)
        found[one.run.path] = one.losses
    rows = tuple(_row(cell, found.get(cell.config.path)) for cell in cells)
    kept = all(losses.verdict != "higher" for losses in found.values())
    title = f"round {survey.round.round}: is each method's own loss lower for its student?"
    return Table(title, COLUMNS, rows, _notes(found.values())), kept


def _incomparable(run: RunConfig) -> str:
    """Why a run has no pure student to compare it with; empty if it has one."""
    if run.teacher and run.teacher.source is None and run.teacher_path == run.pure_path:
        return "n/a: its pure student is its teacher"
    if "training_images" in load(run.method, run.files).needs:
        return "n/a: its loss knows training images only"
    return ""


def _row(cell: Cell, losses: OwnLoss | None) -> tuple[TableCell, ...]:
    run = cell.config
    name = (run.dataset, run.label, run.seed)
    if losses is None:
        return (*name, None, None, None, None, None, _incomparable(run))
    own, pure = median(losses.own), median(losses.pure)
    ratio = f"{own / pure:.3f}" if pure else None
    bounds = (*_bounds(losses.own), *_bounds(losses.pure))
    return (*name, *bounds, ratio, SHOWN[losses.verdict])


def _bounds(values: Sequence[float]) -> tuple[str, str | None]:
    return f"{min(values):.4g}", f"{max(values):.4g}" if len(values) > 1 else None


def _notes(found: Iterable[OwnLoss]) -> tuple[str, ...]:
    notes = [
        "Each method's weighted loss without cross entropy, on the test images against the "
        "teacher, of its own student and of the pure one."
    ]
    if fits := sorted({one.fit_epochs for one in found if one.fit_epochs}):
        epochs = ", ".join(map(str, fits)) + (" epoch" if fits == [1] else " epochs")
        notes.append(
            f"Where a method trains modules of its own, they are fitted to the frozen pure student "
            f"{FITS} times from other initial weights, in {epochs} each. Where the own "
            "student, with the modules it was trained with, is not below all of these, fresh "
            "modules are fitted to it in the same way, and fits of equal initial weights are "
            "compared. 'no difference': they do not all agree."
        )
    return tuple(notes)


def _announce(
    runs: Sequence[RunConfig], recorded: int, place: Place, fit_epochs: int | None
) -> str:
    """What will be measured and fitted, and for about how long at the recorded speed."""
    if not runs:
        return (
            f"recorded already: {_number(recorded, 'comparison')}; nothing to measure or to train"
        )
    fits, seconds = Counter[tuple[str, int]](), 0.0
    for group in groups(runs):
        fitted = [run for run in group if _own_parameters(run, place)]
        epochs = fit_epochs or group[0].training.epochs
        seconds += _seconds(group, fitted, epochs, place)
        if fitted:
            fits[", ".join(dict.fromkeys(run.method for run in fitted)), epochs] += 1
    trained = "; ".join(
        f"training modules of {names} for {_number(count, 'pure student')}, {FITS} fits of "
        f"{epochs} epochs"
        for (names, epochs), count in fits.items()
    )
    training = f"; {trained or 'nothing is trained'}"
    known = f"; recorded already: {_number(recorded, 'comparison')}" if recorded else ""
    about = f"about {timedelta(seconds=round(seconds))} at the recorded speed"
    again = ", up to twice that where their own students need fits, too" if fits else ""
    return (
        f"measuring {_number(len(runs), 'run')} on the test images{training}{known}: {about}{again}"
    )


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _own_parameters(run: RunConfig, place: Place) -> int:
    """How many parameters the method's own trained modules have."""
    result = place.folder(run.path).completed()
    return result.get("cost", {}).get("method_parameters", 0) if result else 0


def _seconds(
    group: Sequence[RunConfig], fitted: Sequence[RunConfig], epochs: int, place: Place
) -> float:
    """What measuring a group takes, from the recorded times of epochs; 0 where there are none.

    A training step costs about three forward passes; an epoch has one pass over the test images.
    """
    first = group[0]
    spec = data.spec(first.dataset, first.files)
    images = first.training.train_images or spec.train_images - first.training.validation
    teacher = _epoch_seconds(place.teacher(first))
    pure = _epoch_seconds(place.folder(first.pure_path))
    own = {run.path: _epoch_seconds(place.folder(run.path)) for run in group}
    per_image = 1 / (3 * images + spec.test_images)
    tests = (teacher + pure + sum(own.values())) * per_image * spec.test_images
    modules = sum(max(0.0, own[run.path] - pure) for run in fitted) * FITS
    fits = epochs * ((teacher + pure) * per_image * images + modules) if fitted else 0.0
    return tests + fits


def _epoch_seconds(folder: RunFolder) -> float:
    result = folder.completed()
    time = result["final"].get("time") if result else None
    return own_seconds(time) if time else 0.0


class _Progress:
    """Tells at most every few seconds how far a part of the work is."""

    def __init__(self, log: Callable[[str], None]) -> None:
        self.log = log
        self._part, self._started, self._done = "", 0.0, 0
        self._told = time.monotonic()

    def __call__(self, part: str, done: int, of: int) -> None:
        """Take note of `done` steps of a part."""
        now = time.monotonic()
        if part != self._part or done < self._done:
            self._part, self._started = part, now
        self._done = done
        if now - self._told < PROGRESS_SECONDS:
            return
        self._told = now
        left = (now - self._started) / done * (of - done)
        about = f", about {timedelta(seconds=round(left))} left" if left else ""
        self.log(f"{part}: {done} of {of}{about}")
