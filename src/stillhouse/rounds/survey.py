"""Where every run of a round stands, read from its files. Imports no torch."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from stillhouse import data
from stillhouse.collector import without_collector
from stillhouse.config.expand import expand
from stillhouse.config.facts import training_images
from stillhouse.config.recorded import recorded
from stillhouse.config.renamed import canonical, folder_of
from stillhouse.config.schema import PURE, Round, RunConfig
from stillhouse.errors import ConfigError, RunError, unknown_name
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.chance import learned_nothing, never_learned, patience
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.index import Index, stamp
from stillhouse.runs.records import Run
from stillhouse.runs.state import RunState, state_of, unreadable

INDEXED = ("epoch", "result", "attempts", "heartbeat", "memory")  # of the state of a finished run
WHOLE_SECONDS = 60.0
FILTERS = ("dataset", "method", "model", "teacher", "seed")


@dataclass(frozen=True)
class Cell:
    """One run of the matrix: its configuration, its folder, its state, its teacher's state.

    `was` is the configuration that it was started with, where that was read.
    """

    config: RunConfig
    folder: RunFolder
    state: RunState
    teacher: RunState | None
    imported: bool = False
    was: RunConfig | None = None

    @cached_property
    def path(self) -> str:
        """The run's folder below `experiments/`."""
        return self.config.path

    @cached_property
    def started(self) -> Run | None:
        """`run.json` as it is when this is first asked. Raises RunError if it is damaged."""
        return self.folder.started()

    @property
    def ready(self) -> bool:
        """Whether its teacher, if it has one, is done."""
        return self.teacher is None or self.teacher.name == "done"

    @property
    def finished(self) -> bool:
        """Whether it is done and so is its teacher, if it has one."""
        return self.state.name == "done" and self.ready

    @property
    def left(self) -> int:
        """How many epochs are still to be trained."""
        done = self.state.name == "done"
        return 0 if done else max(0, self.config.training.epochs - self.state.epoch)

    @cached_property
    def learned_nothing(self) -> str:
        """Why a completed run learned nothing; empty for any other run."""
        if self.state.result is None:
            return ""
        spec = data.spec(self.config.dataset, self.config.files)
        test = self.state.result["final"]["test"]
        return learned_nothing(test, spec.classes, spec.test_images, spec.commonest)

    @property
    def why(self) -> str:
        """Why it counts nowhere, for readers: it learned nothing, or how it ended."""
        if self.learned_nothing:
            return self.learned_nothing
        ended = "; in conflict: ".join([self.state.reason, *self.state.conflicts])
        return f"{ended}; {self.at_chance}" if self.at_chance else ended

    @property
    def at_chance(self) -> str:
        """Why an unfinished run has learned nothing, by its best accuracy; empty if unknown."""
        best, epochs = self.state.best, self.state.epoch
        if best is None or epochs < patience(
            self.config.training.epochs, steps_per_epoch(self.config)
        ):
            return ""
        spec = data.spec(self.config.dataset, self.config.files)
        return never_learned(best, epochs, spec.test_images, spec.commonest)

    @cached_property
    def shown(self) -> str:
        """The state in a word: `waiting` for its teacher, `queued`, `pending` if it never started
        and was imported, `at chance` if it is done and learned nothing, or what its files say.
        """
        if self.learned_nothing:
            return "at chance"
        if self.state.name != "missing":
            return self.state.name
        if self.imported:
            return "pending"
        return "queued" if self.ready else "waiting"


def steps_per_epoch(run: RunConfig) -> int:
    """How many batches a run is trained on in an epoch."""
    return training_images(run) // run.training.batch_size


@dataclass(frozen=True)
class Survey:
    """A round's runs in the order of its matrix."""

    round: Round
    cells: list[Cell] = field(default_factory=list)

    @property
    def trained(self) -> bool:
        """Whether every run was trained to the end, above chance or not."""
        return all(cell.state.name == "done" for cell in self.cells)

    def validated(self, dataset: str) -> bool:
        """Whether the best epoch of a dataset's runs is chosen on validation images."""
        runs = (cell.config for cell in self.cells if cell.config.dataset == dataset)
        return any(run.training.validation for run in runs)

    def count(self, name: str) -> int:
        """How many runs are in a state (see `Cell.shown`)."""
        return sum(cell.shown == name for cell in self.cells)


def survey_round(
    workspace: Workspace,
    round_: Round,
    only: str | None = None,
    now: float | None = None,
    before: Survey | None = None,
) -> Survey:
    """Read the state of every run, or of those that `only` selects and their teachers.

    Where another round is active its runs, which may have the same paths, are not taken for
    this round's. `now` is the time of the files, where they are a copy (see `state_of`). A command
    that looks often gives the survey `before`: what was done there is not looked at again. Raises
    ConfigError for a filter that selects nothing.
    """
    homes = cache(workspace.teachers_of)
    active = workspace.active()
    foreign = active is not None and active["round"] != round_.round
    indexes: dict[Path, Index] = {}

    @cache
    def state(home: Path, path: str) -> tuple[RunFolder, RunState, RunConfig | None]:
        folder = folder_of(home, path)
        if foreign and folder.path.is_relative_to(workspace.experiments):
            return folder, RunState("missing"), None
        if home not in indexes:
            indexes[home] = Index(home)
        return folder, *_state(folder, now, indexes[home])

    def cell(run: RunConfig) -> Cell:
        taught_by = run.teacher_path
        source = run.teacher.source if run.teacher else None
        teacher = state(homes(source), taught_by)[1] if taught_by else None
        folder, found, was = state(workspace.experiments, run.path)
        return Cell(run, folder, found, teacher, round_.imported is not None, was)

    with without_collector():
        if before:
            cells = [one if one.finished else cell(one.config) for one in before.cells]
        else:
            cells = [cell(run) for run in select(expand(round_), only)]
    for index in indexes.values():
        index.save()
    return Survey(round_, cells)


class Watched:
    """A round that is looked at often: finished runs only once in `WHOLE_SECONDS`."""

    def __init__(self, workspace: Workspace, round_: Round, only: str | None = None) -> None:
        self.workspace, self.round, self.only = workspace, round_, only
        self._last: Survey | None = None
        self._whole = 0.0

    def look(self) -> Survey:
        """Survey the round; runs that were done count as done until the next whole survey."""
        now = time.monotonic()
        if self._last is None or now - self._whole > WHOLE_SECONDS:
            self._whole, self._last = now, None
        self._last = survey_round(self.workspace, self.round, self.only, before=self._last)
        return self._last


def _state(folder: RunFolder, now: float | None, index: Index) -> tuple[RunState, RunConfig | None]:
    """What a folder's files say, if they are those of the run that belongs there, and what it was
    started with.
    """
    stamps = [stamp(f"{folder.path}/result.json")]
    if stamps[0] is not None:
        stamps.append(stamp(f"{folder.path}/run.json"))
        if known := index.get(folder.path, stamps):
            return RunState("done", **known[0]), RunConfig.model_validate_json(known[1])
    try:
        was = recorded(folder)
    except (RunError, OSError) as error:
        return unreadable(error), None
    found = state_of(folder, now)
    if found.name == "done" and was is not None:
        facts = {name: getattr(found, name) for name in INDEXED}
        index.put(folder.path, stamps, [facts, was.model_dump_json()])
    return found, was


def own_teacher(run: RunConfig) -> str | None:
    """The path of the run of the same round that trains a run's teacher, if one does."""
    return run.teacher_path if run.teacher and run.teacher.source is None else None


def select(runs: list[RunConfig], only: str | None) -> list[RunConfig]:
    """The runs that a filter such as `dataset=SVHN,method=rkd,method=nst,seed=0` selects.

    Values of one key are alternatives; the teachers of the selected runs are included.
    """
    if only is None:
        return runs
    chosen = choose(runs, only)
    needed = {run.path for run in chosen} | {own_teacher(run) for run in chosen}
    return [run for run in runs if run.path in needed]


def choose(runs: list[RunConfig], only: str) -> list[RunConfig]:
    """The runs that a filter selects, without their teachers. Raises ConfigError for none."""
    wanted = _parse(only)
    for key, values in wanted.items():
        known = sorted({_value(run, key) for run in runs})
        for value in values:
            if value not in known:
                raise unknown_name(key, value, known)
    chosen = [r for r in runs if all(_value(r, key) in wanted[key] for key in wanted)]
    if not chosen:
        raise ConfigError(f"--only {only} selects no run", "see the matrix with: stillhouse plan")
    return chosen


def _value(run: RunConfig, key: str) -> str:
    """What a run has for a key of a filter; a run without a teacher has an empty one."""
    if key == "teacher":
        return run.teacher.model if run.teacher else ""
    return str(getattr(run, key))


def choose_cells(survey: Survey, only: str | None) -> list[Cell]:
    """The cells of a survey that a filter selects, without their teachers; all without a filter."""
    if only is None:
        return survey.cells
    paths = {run.path for run in choose([cell.config for cell in survey.cells], only)}
    return [cell for cell in survey.cells if cell.config.path in paths]


def part(survey: Survey, only: str | None) -> Survey:
    """The part of a survey that a filter selects, and the runs that results compare it with:
    teachers, and pure students of the same dataset, network and seed.
    """
    if only is None:
        return survey
    chosen = [cell.config for cell in choose_cells(survey, only)]
    taught_by = {own_teacher(run) for run in chosen}
    beside = {(run.dataset, PURE, run.model, run.seed) for run in chosen}
    paths = {run.path for run in chosen} | taught_by
    cells = [
        cell
        for cell in survey.cells
        if cell.config.path in paths
        or ((run := cell.config) and (run.dataset, run.method, run.model, run.seed) in beside)
    ]
    datasets = {run.dataset for run in chosen}
    shown = tuple(name for name in survey.round.datasets if name in datasets)
    return Survey(survey.round.model_copy(update={"datasets": shown}), cells)


def _parse(only: str) -> dict[str, set[str]]:
    wanted: dict[str, set[str]] = {}
    for part in only.split(","):
        key, equals, value = part.partition("=")
        if not equals or key not in FILTERS:
            raise ConfigError(f"--only: '{part}' is not key=value", f"keys: {', '.join(FILTERS)}")
        wanted.setdefault(key, set()).add(canonical("model" if key == "teacher" else key, value))
    return wanted


def failures(cells: Iterable[Cell]) -> list[Cell]:
    """The runs that need attention, each with a reason in its state or its `at chance`."""
    return [cell for cell in cells if cell.shown in ("failed", "unreadable", "lost", "at chance")]
