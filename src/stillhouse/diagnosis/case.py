"""What is known of one run, read once; rules look at it and change nothing."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from statistics import fmean, mode
from typing import Any

from stillhouse import data
from stillhouse.config.identity import counted_recipe
from stillhouse.config.schema import PURE, RunConfig, Training
from stillhouse.data.specs import DatasetSpec
from stillhouse.diagnosis.finding import Line
from stillhouse.rounds.survey import steps_per_epoch
from stillhouse.runs.chance import learned_nothing, never_learned, patience
from stillhouse.runs.own_loss import OwnLoss
from stillhouse.runs.state import RunState

NOWHERE = Path()
OWN_LOG = "train.log"
CURVES = ("train.accuracy", "test.accuracy", "test.ce")
FEW_EPOCHS = 5  # below which nothing is said of how fast a run began
NUMBERS = {int, float, bool}
# A recipe's field that says how a run is computed, not what is learned.
FREE = {"threads", "deterministic", "cuda_graphs"}
Curves = tuple[tuple[float, ...], ...]
Recipe = tuple[tuple[str, Any], ...]


@dataclass(frozen=True, eq=False)
class Case:
    """One run: its configuration, state, records, log lines and surroundings.

    `records` are its epochs, line by line of `metrics`; `facts` is its `run.json`; `read_lines`
    reads the newest attempt's logs and what a scheduler wrote. `own_loss` is what `terms`
    measured of the same weights, `silence` how many seconds ago it last wrote its status, `here`
    whether it was trained on this machine, `imported` whether its records are of another program.
    `teacher` and `peers` (the runs of its dataset) are cases without surroundings of their own.
    """

    config: RunConfig
    state: RunState
    folder: Path = NOWHERE
    metrics: Path = NOWHERE
    records: tuple[Mapping[str, Any], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    read_lines: Callable[[], Sequence[Line]] = tuple
    status: Path = NOWHERE
    own_loss: OwnLoss | None = None
    silence: float | None = None
    here: bool = True
    imported: bool = False
    teacher: Case | None = None
    peers: Peers = field(default_factory=lambda: Peers(()))

    @property
    def path(self) -> str:
        """The run's folder below `experiments/`."""
        return self.config.path

    @property
    def run(self) -> Path:
        """The file of `facts`."""
        return self.folder / "run.json"

    @cached_property
    def lines(self) -> Sequence[Line]:
        """The lines of its logs."""
        return self.read_lines()

    @property
    def messages(self) -> list[Line]:
        """The lines that other programs wrote: all but those of stillhouse's own log."""
        return [line for line in self.lines if line.file.name != OWN_LOG]

    @property
    def spec(self) -> DatasetSpec:
        """Facts of its dataset."""
        return data.spec(self.config.dataset, self.config.files)

    @property
    def done(self) -> bool:
        """Whether it completed."""
        return self.state.name == "done"

    @property
    def chance(self) -> float:
        """The accuracy of a constant answer, in percent."""
        return 100.0 * self.spec.commonest / self.spec.test_images

    @property
    def started(self) -> bool:
        """Whether anything of it was ever trained."""
        return self.state.name != "missing"

    @property
    def settled(self) -> bool:
        """Whether its newest epoch may be judged: it completed, or is past its first twentieth."""
        epochs = len(self.records) or (self.state.epoch if self.state.best is not None else 0)
        return self.done or epochs >= patience(
            self.config.training.epochs, steps_per_epoch(self.config)
        )

    @cached_property
    def learned_nothing(self) -> str:
        """Why its newest epoch is no better than guessing; empty if it is, or there is none.

        Where no epoch is recorded but the best accuracy of all is, that is judged.
        """
        spec, best = self.spec, self.state.best
        if not self.records:
            images, most = spec.test_images, spec.commonest
            return "" if best is None else never_learned(best, self.state.epoch, images, most)
        test = self.records[-1]["test"]
        return learned_nothing(test, spec.classes, spec.test_images, spec.commonest)

    def series(self, name: str) -> list[float]:
        """A dotted field of every epoch; empty if an epoch lacks it."""
        if name not in self._series:
            self._series[name] = _column(self.records, name.split("."))
        return self._series[name]

    @cached_property
    def _series(self) -> dict[str, list[float]]:
        return {}

    def final(self, name: str) -> float | None:
        """The mean of a field over the last two epochs, or None."""
        values = self.series(name)[-2:]
        return fmean(values) if values else None

    def at(self, epoch: int, text: str) -> Line:
        """The line of an epoch's record (from 0; negative ones from the end)."""
        return Line(self.metrics, epoch % max(1, len(self.records)) + 1, text)

    def says(self, text: str) -> Line:
        """The state as evidence."""
        return Line(self.status, _line_of("reason", self.status), text)

    def fact(self, field: str, text: str) -> Line:
        """The line of `run.json` that holds a field, as evidence."""
        return Line(self.run, _line_of(field, self.run), text)

    def pure(self) -> list[Case]:
        """The completed pure runs of its dataset and network, of its own seed if there is one."""
        found = self.peers.pure.get(self.config.model, {})
        return found.get(self.config.seed) or self.pure_of_all_seeds()

    def pure_of_all_seeds(self) -> list[Case]:
        """The completed pure runs of its dataset and network."""
        by_seed = self.peers.pure.get(self.config.model, {})
        return [case for cases in by_seed.values() for case in cases]

    @cached_property
    def recipe(self) -> Recipe:
        """Its training settings, as far as they decide what is learned."""
        return _recipe(self.config.training)

    @cached_property
    def curves(self) -> Curves | None:
        """Its accuracies and losses of every epoch; None below three epochs."""
        curves = tuple(tuple(self.series(name)) for name in CURVES)
        return curves if all(len(curve) >= 3 for curve in curves) else None

    @property
    def half_way(self) -> int:
        """The epoch (from 1) in which it first has half of its best test accuracy."""
        accuracy = self.series("test.accuracy")
        return next(n for n, value in enumerate(accuracy, 1) if value >= max(accuracy) / 2)

    @property
    def judged_by_start(self) -> bool:
        """Whether it learned something in enough epochs to judge how fast it began."""
        return len(self.records) >= FEW_EPOCHS and not self.learned_nothing


@dataclass(frozen=True, eq=False)
class Peers:
    """The cases of one dataset, the looking run's own included, and what rules ask of all.

    It is computed once for all runs, so that a rule costs no more with more runs.
    """

    cases: tuple[Case, ...]

    @cached_property
    def pure(self) -> dict[str, dict[int, list[Case]]]:
        """The completed pure runs that learned something, by network and seed."""
        found: dict[str, dict[int, list[Case]]] = {}
        for case in self.cases:
            if (
                case.config.method == PURE
                and case.done
                and case.records
                and not case.learned_nothing
            ):
                by_seed = found.setdefault(case.config.model, {})
                by_seed.setdefault(case.config.seed, []).append(case)
        return found

    @cached_property
    def pure_recipe(self) -> dict[str, Recipe]:
        """The recipe of most pure runs, by network."""
        found: dict[str, list[Recipe]] = {}
        for case in self.cases:
            if case.config.method == PURE:
                found.setdefault(case.config.model, []).append(case.recipe)
        return {model: mode(recipes) for model, recipes in found.items()}

    @cached_property
    def by_curves(self) -> dict[Curves, list[Case]]:
        """The runs that have the same numbers in every epoch."""
        found: dict[Curves, list[Case]] = {}
        for case in self.cases:
            if case.curves is not None:
                found.setdefault(case.curves, []).append(case)
        return found

    @cached_property
    def data(self) -> Counter[str]:
        """How many runs saw images of each hash."""
        return Counter(case.facts["data"] for case in self.cases if case.facts.get("data"))

    @cached_property
    def swept(self) -> dict[tuple[str, str, str, int, str], dict[float, float]]:
        """By method, network, teacher, seed and axis: the final training accuracy by value."""
        found: dict[tuple[str, str, str, int, str], dict[float, float]] = {}
        for case in self.cases:
            accuracy = case.final("train.accuracy") if case.done else None
            if accuracy is not None and len(case.config.axes) == 1:
                run, ((axis, value),) = case.config, case.config.axes.items()
                key = (run.method, run.model, str(run.teacher_path), run.seed, axis)
                found.setdefault(key, {})[value] = accuracy
        return found

    @cached_property
    def _half_ways(self) -> list[int]:
        return sorted(case.half_way for case in self.cases if case.judged_by_start)

    def usual_half_way(self, own: int) -> float | None:
        """The median of `Case.half_way` without one run's `own`; None if there is no other."""
        ways = self._half_ways
        place, n = bisect_left(ways, own), len(ways) - 1
        if n < 1:
            return None
        low, high = ((n - 1) // 2, n // 2)
        values = (ways[at + (at >= place)] for at in (low, high))
        return sum(values) / 2


@cache
def _recipe(training: Training) -> Recipe:
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in counted_recipe(training).items()}
    return tuple(sorted((name, value) for name, value in plain.items() if name not in FREE))


def _line_of(field: str, file: Path) -> int:
    """The line (from 1) of a JSON file that holds a field, or the first."""
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    return next((n for n, line in enumerate(lines, 1) if f'"{field}"' in line), 1)


def _column(records: Sequence[Mapping[str, Any]], keys: Sequence[str]) -> list[float]:
    """The number at a path of keys in every record; empty if one lacks it."""
    found: list[Any] = [*records]
    try:
        for key in keys:
            found = [value[key] for value in found]
    except (KeyError, TypeError):
        return []
    return [*map(float, found)] if {*map(type, found)} <= NUMBERS else []
