"""What the JSON files of a run hold: checked here, once, wherever one is read.

Every file has a `format` number. `run.json` and `result.json`, on which numbers rest, are also
sealed: their `sha256` is of all the rest, so that a changed digit is found.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from stillhouse.errors import RunError
from stillhouse.runs.files import dump_json, read_json, read_lines

FORMAT = 1
MOVE_AWAY = "restore it, or move the run's folder away to train it anew"
# A later format may add fields; those known here are never converted ("1" is no number).
_open = with_config(ConfigDict(extra="allow", strict=True))

Natural = Annotated[int, Field(ge=0, le=2**63)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Percent = Annotated[float, Field(ge=0, le=100)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@_open
class Status(TypedDict):
    """`status.json`: how far an attempt is, when it last said so, how it ended.

    `reason` is for readers; `code` names the cause for programs (see `causes`). An imported
    attempt may have `conflicts` (contradictions in its records) and `best_accuracy` on the test
    images.

    Only an imported attempt is recorded as `lost`; here that follows from a missing process.
    """

    state: Literal["running", "stopped", "failed", "finished", "lost"]
    heartbeat: NotRequired[float]
    epoch: NotRequired[Count]
    step: NotRequired[Count]
    reason: NotRequired[str]
    code: NotRequired[str]
    conflicts: NotRequired[list[str]]
    best_accuracy: NotRequired[Percent]
    seconds: NotRequired[float]
    memory: NotRequired[Natural]


@_open
class Holder(TypedDict):
    """`claim.json`: the process that writes an attempt."""

    host: str
    pid: int
    started: str | None
    space: NotRequired[str]
    job: NotRequired[str | None]
    source: NotRequired[str | None]


@_open
class Measures(TypedDict):
    """What is measured on a set of images (see docs/run-records.md for the units)."""

    accuracy: Percent
    ce: NotRequired[float]
    classes_predicted: NotRequired[Natural]
    ece: NotRequired[float]
    agreement: NotRequired[Percent]
    kl: NotRequired[float]


@_open
class Timing(TypedDict):
    """What differs when a run is repeated."""

    seconds: Annotated[float, Field(ge=0)]
    images_per_second: NotRequired[float]
    peak_memory: NotRequired[Natural]
    ended: NotRequired[float]


@_open
class Epoch(TypedDict):
    """A line of `metrics.jsonl`. An imported one may lack a time, and losses that are not finite
    (their names stand in `not_finite`).
    """

    epoch: Annotated[int, Field(ge=1, le=10**9)]
    test: Measures
    validation: NotRequired[Measures]
    time: NotRequired[Timing]
    lr: NotRequired[float]
    train: NotRequired[dict[str, float]]
    weights: NotRequired[dict[str, float]]
    gradients: NotRequired[dict[str, float]]
    update_ratio: NotRequired[float]
    scaler: NotRequired[dict[str, float]]
    hashes: NotRequired[dict[str, Digest]]


@_open
class Best(TypedDict):
    """The best epoch, and the images on which it was chosen."""

    epoch: Annotated[int, Field(ge=1, le=10**9)]
    chosen_on: Literal["test", "validation"]
    accuracy: Percent
    test_accuracy: Percent


@_open
class Weights(TypedDict):
    """SHA-256 of the files of weights; empty for an imported run, which has none."""

    final: NotRequired[Digest]
    best: NotRequired[Digest]
    method: NotRequired[Digest]


@_open
class Teaching(TypedDict):
    """The teacher a run learns from; the hash of its weights, except in an imported run."""

    sha256: NotRequired[Digest]
    weights: NotRequired[Literal["final", "best"]]
    accuracy: NotRequired[Percent]
    adopted: NotRequired[str]


@_open
class Adopted(TypedDict):
    """The user's file that a network was taken over from."""

    file: str
    sha256: Digest


@_open
class Run(TypedDict):
    """`run.json`: what is trained. `identity` is the hash of `config`, `data` of the images."""

    identity: Digest
    config: dict[str, Any]
    teacher: Teaching | None
    data: NotRequired[Digest]
    code: NotRequired[dict[str, Any]]
    machine: NotRequired[dict[str, Any]]


@_open
class Result(TypedDict):
    """`result.json`: the run is complete. `metrics` is the hash of `metrics.jsonl`, `predictions`
    that of `predictions.safetensors`.
    """

    identity: Digest
    final: Epoch
    best: Best
    weights: Weights
    metrics: Digest
    predictions: NotRequired[Digest]
    attempts: NotRequired[Natural]
    cost: NotRequired[dict[str, Natural]]
    teacher: NotRequired[Teaching | None]
    adopted: NotRequired[Adopted]


@_open
class OwnLosses(TypedDict):
    """`own_loss.json`: a method's own loss of its student and of the pure one, and the hashes of
    what was measured.
    """

    measured_with: dict[str, Any]
    fit_epochs: Natural
    own: Annotated[list[float], Field(min_length=1)]
    pure: Annotated[list[float], Field(min_length=1)]


@_open
class Active(TypedDict):
    """`round.json`: the round that is active in a workspace, and its file, seen from there."""

    round: str
    file: str


_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class Schema(Generic[_Kind]):
    """A kind of file: what it holds, whether it is sealed, what to do about a damaged one."""

    kind: type[_Kind]
    cure: str
    sealed: bool = False

    @cached_property
    def _adapter(self) -> TypeAdapter[_Kind]:
        return TypeAdapter(self.kind)

    def read(self, path: Path) -> _Kind:
        """The file, checked. Raises RunError naming it, its fault and the cure."""
        value = read_json(path, self.cure)
        if _newer(value):
            raise RunError(
                f"{path}: written by a newer stillhouse (format {value['format']}; "
                f"this one reads up to {FORMAT})",
                "update stillhouse",
            )
        if self.sealed and value.pop("sha256", None) != _digest(value):
            raise RunError(f"{path}: damaged or edited: its checksum is wrong", self.cure)
        return self.check(value, str(path))

    def check(self, value: Any, where: str) -> _Kind:
        """One value as this kind. Raises RunError that begins with `where`."""
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"]))
            what = f"the field '{field}': {first['msg']}" if field else first["msg"]
            raise RunError(f"{where}: {what}", self.cure) from None


STATUS = Schema(Status, "remove it; the run goes on from its checkpoint")
HOLDER = Schema(Holder, "remove it if no process trains this run")
RUN = Schema(Run, MOVE_AWAY, sealed=True)
RESULT = Schema(Result, MOVE_AWAY, sealed=True)
OWN_LOSS = Schema(
    OwnLosses, "remove it; `stillhouse verify --losses` measures it again", sealed=True
)
ACTIVE = Schema(Active, "remove it; `stillhouse run` writes it again")
EPOCH = Schema(Epoch, "restore it, or remove it to do without the epochs' records")


def dump(value: dict[str, Any]) -> bytes:
    """A file's bytes with the format number."""
    return dump_json({"format": FORMAT, **value})


def dump_sealed(value: dict[str, Any]) -> bytes:
    """A sealed file's bytes: with the format number, and the hash of all the rest."""
    value = {"format": FORMAT, **value}
    return dump_json({**value, "sha256": _digest(value)})


def read_epochs(path: Path, expected: str | None = None) -> list[Epoch]:
    """The records of a `metrics.jsonl`. Raises RunError with file and line (see `read_lines`)."""
    lines = read_lines(path, expected)
    return [EPOCH.check(line, f"{path}:{number}") for number, line in enumerate(lines, start=1)]


def _newer(value: dict[str, Any]) -> bool:
    found = value.get("format", FORMAT)
    return isinstance(found, int) and found > FORMAT


def _digest(value: dict[str, Any]) -> str:
    """Of the canonical JSON: sorted keys, no spaces, ASCII."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return sha256(text.encode()).hexdigest()
