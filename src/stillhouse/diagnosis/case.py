"""What is known of one run, read once; rules look at it and change nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from stillhouse import data
from stillhouse.config.schema import RunConfig
from stillhouse.data.specs import DatasetSpec
from stillhouse.diagnosis.codes import CODES, KINDS, ORDER, Kind
from stillhouse.runs.own_loss import OwnLoss
from stillhouse.runs.soundness import learned_nothing, never_learned, patience
from stillhouse.runs.state import RunState

Confidence = Literal["certain", "likely", "possible"]
CONFIDENCES: tuple[Confidence, ...] = ("certain", "likely", "possible")
NOWHERE = Path()
OWN_LOG = "train.log"


@dataclass(frozen=True)
class Line:
    """A line of a file (from 1), with what it says."""

    file: Path
    number: int
    text: str


@dataclass(frozen=True)
class Finding:
    """A cause, how sure it is, and the lines that show it."""

    code: str
    confidence: Confidence
    evidence: tuple[Line, ...]

    @property
    def kind(self) -> Kind:
        """What the cause means for the run."""
        return CODES[self.code].kind

    @property
    def rank(self) -> tuple[int, int, int]:
        """Smaller comes first: what ended the run, then surer causes, then earlier causes."""
        return KINDS.index(self.kind), CONFIDENCES.index(self.confidence), ORDER[self.code]


@dataclass(frozen=True)
class Case:
    """One run: its configuration, state, records, log lines and surroundings.

    `records` are its epochs, line by line of `metrics`; `facts` is its `run.json`; `lines` are
    those of the newest attempt's logs and of what a scheduler wrote. `own_loss` is what `terms`
    measured of the same weights, `silence` how many seconds ago it last wrote its status, `here`
    whether it was trained on this machine, `imported` whether its records are of another program.
    `teacher`
    and `peers` (the other runs of its dataset) are cases without surroundings of their own.
    """

    config: RunConfig
    state: RunState
    folder: Path = NOWHERE
    metrics: Path = NOWHERE
    records: tuple[Mapping[str, Any], ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    lines: tuple[Line, ...] = ()
    status: Path = NOWHERE
    own_loss: OwnLoss | None = None
    silence: float | None = None
    here: bool = True
    imported: bool = False
    teacher: Case | None = None
    peers: tuple[Case, ...] = ()

    @property
    def path(self) -> str:
        """The run's folder below `experiments/`."""
        return self.config.path

    @property
    def run(self) -> Path:
        """The file of `facts`."""
        return self.folder / "run.json"

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
        return self.done or epochs >= patience(self.config.training.epochs)

    @property
    def unsound(self) -> str:
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
        found = [_dig(record, name) for record in self.records]
        return [] if None in found else [float(value) for value in found if value is not None]

    def final(self, name: str, epochs: int = 2) -> float | None:
        """The mean of a field over the last epochs, or None."""
        values = self.series(name)[-epochs:]
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
        found = self.pure_of_all_seeds()
        return [peer for peer in found if peer.config.seed == self.config.seed] or found

    def pure_of_all_seeds(self) -> list[Case]:
        """The completed pure runs of its dataset and network."""
        return [
            peer
            for peer in self.peers
            if peer.config.method == "pure" and peer.config.model == self.config.model
            if peer.done and peer.records and not peer.unsound
        ]


def _line_of(field: str, file: Path) -> int:
    """The line (from 1) of a JSON file that holds a field, or the first."""
    lines = file.read_text(errors="replace").splitlines() if file.is_file() else []
    return next((n for n, line in enumerate(lines, 1) if f'"{field}"' in line), 1)


def _dig(record: Mapping[str, Any], name: str) -> float | None:
    value: Any = record
    for key in name.split("."):
        if not isinstance(value, Mapping) or key not in value:
            return None
        value = value[key]
    return value if isinstance(value, int | float) else None
