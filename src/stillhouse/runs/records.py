"""The JSON files of a run, validated at every read.

Every file has a `format` number. Results depend on `run.json` and `result.json`; these are also
sealed: `sha256` is the hash of all other fields, so a changed digit is detected.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from itertools import takewhile
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NotRequired, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from stillhouse.errors import RunError, command_line
from stillhouse.fields import first_fault
from stillhouse.runs.files import (
    dump_json,
    parse_lines,
    read_bytes,
    read_json,
    read_recorded,
)

FORMAT = 1
KEPT_IN, FILES = "experiments", (".json", ".jsonl", ".safetensors")


def train_anew(path: Path) -> str:
    """The remedy for a damaged run, of which `path` is the folder or a file: what to type."""
    parts = path.parts
    if KEPT_IN not in parts:
        return "restore it, or move the run's folder aside and train the run again"
    split = len(parts) - 1 - parts[::-1].index(KEPT_IN)
    run = Path(*takewhile(lambda part: part != "attempts", parts[split + 1 :]))
    run = run.parent if run.suffix in FILES else run
    command = command_line("reset", run.as_posix(), Path(*parts[:split]))
    return f"restore it, or train the run anew after: {command}"


# A later format may add fields; known fields are never converted ("1" is not a number) and hold no
# number beyond floats.
_open = with_config(ConfigDict(extra="allow", strict=True, allow_inf_nan=False))

Natural = Annotated[int, Field(ge=0, le=2**63)]
Count = Annotated[int, Field(ge=0, le=10**9)]
Percent = Annotated[float, Field(ge=0, le=100)]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@_open
class Status(TypedDict):
    """`status.json`: the progress of an attempt, its last heartbeat, how it ended.

    `reason` is for readers; `code` names the cause for programs (see `causes`). A running attempt
    records what it is `doing` before its first step, then `step` of `steps` of the epoch, with the
    mean `loss` and training `accuracy` (%) of the epoch so far. An imported attempt may have
    `conflicts` (contradictions in its records) and `best_accuracy` on the test images.

    Only an imported attempt is recorded as `lost`; otherwise that follows from a missing process.
    """

    state: Literal["running", "stopped", "failed", "finished", "lost"]
    heartbeat: NotRequired[float]
    epoch: NotRequired[Count]
    step: NotRequired[Count]
    steps: NotRequired[Count]
    loss: NotRequired[float]
    accuracy: NotRequired[Percent]
    doing: NotRequired[str]
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
    """Measurements on a set of images (units: docs/run-records.md)."""

    accuracy: Percent
    ce: NotRequired[float]
    classes_predicted: NotRequired[Natural]
    ece: NotRequired[float]
    agreement: NotRequired[Percent]
    kl: NotRequired[float]


@_open
class Timing(TypedDict):
    """The fields that differ when a run is repeated.

    `seconds` are those of an epoch of the run alone: the loading of its batches (`loading`) and its
    teacher's passes (`teacher`), both of which the `runs` of its cohort shared, then its own steps,
    evaluation and writing. Older records lack these fields; their `seconds` are the run's own steps
    and evaluation.
    """

    seconds: Annotated[float, Field(ge=0)]
    loading: NotRequired[Annotated[float, Field(ge=0)]]
    teacher: NotRequired[Annotated[float, Field(ge=0)]]
    runs: NotRequired[Natural]
    images_per_second: NotRequired[float]
    peak_memory: NotRequired[Natural]
    ended: NotRequired[float]


def own_seconds(time: Timing) -> float:
    """Return the seconds of an epoch that no other run shares: steps, evaluation, writing."""
    return max(0.0, time["seconds"] - time.get("loading", 0.0) - time.get("teacher", 0.0))


@_open
class Epoch(TypedDict):
    """A line of `metrics.jsonl`.

    An imported one may lack a time and non-finite losses; `not_finite` lists the names of these
    losses.
    """

    epoch: Annotated[int, Field(ge=1, le=10**9)]
    test: Measures
    validation: NotRequired[Measures]
    ema: NotRequired[dict[str, Measures]]
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
    """SHA-256 of the weight files; empty for an imported run, which has none."""

    final: NotRequired[Digest]
    best: NotRequired[Digest]
    ema: NotRequired[Digest]
    method: NotRequired[Digest]


@_open
class Teaching(TypedDict):
    """The teacher of a run, with the hash of its weights except in an imported run."""

    sha256: NotRequired[Digest]
    weights: NotRequired[Literal["final", "best"]]
    accuracy: NotRequired[Percent]
    adopted: NotRequired[str]


@_open
class Adopted(TypedDict):
    """The weight file that a teacher was imported from.

    `normalised` is the mean and the standard deviation per channel that its images had.
    """

    file: str
    sha256: Digest
    normalised: NotRequired[list[list[float]]]


@_open
class Run(TypedDict):
    """`run.json`: the configuration; `identity` is the hash of `config`, `data` of the images."""

    identity: Digest
    config: dict[str, Any]
    teacher: Teaching | None
    data: NotRequired[Digest]
    code: NotRequired[dict[str, Any]]
    machine: NotRequired[dict[str, Any]]


@_open
class Result(TypedDict):
    """`result.json`: the run is complete.

    `metrics` is the hash of `metrics.jsonl`, `predictions` that of `predictions.safetensors`.
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
    """`own_loss.json`: a method's own losses, and the hashes of the measured weights."""

    measured_with: dict[str, Any]
    fit_epochs: Natural
    own: Annotated[list[float], Field(min_length=1)]
    pure: Annotated[list[float], Field(min_length=1)]


@_open
class Active(TypedDict):
    """`round.json`: the active round of a workspace, and its file, relative to the workspace."""

    round: str
    file: str


_Kind = TypeVar("_Kind")


@dataclass(frozen=True)
class Schema(Generic[_Kind]):
    """A kind of file: its content, whether it is sealed, the remedy for a damaged one."""

    kind: type[_Kind]
    cure: str | Callable[[Path], str]
    sealed: bool = False

    @cached_property
    def _adapter(self) -> TypeAdapter[_Kind]:
        return TypeAdapter(self.kind)

    def read(self, path: Path) -> _Kind:
        """Read and validate the file. Raises RunError naming it, its fault and the remedy."""
        if isinstance(self.cure, str):
            return self._read(path, self.cure)
        try:
            return self._read(path, "")
        except RunError as error:  # only a fault costs the text of its remedy
            error.hint = error.hint or self.cure(path)
            raise

    def _read(self, path: Path, cure: str) -> _Kind:
        value = read_json(path, cure)
        if _newer(value):
            raise RunError(
                f"{path}: written by a newer stillhouse (format {value['format']}; "
                f"this one reads up to {FORMAT})",
                "update stillhouse",
            )
        if self.sealed and value.pop("sha256", None) != _digest(value):
            raise RunError(f"{path}: it was damaged or edited: its checksum is wrong", cure)
        return self.check(value, str(path), cure)

    def parse(self, text: bytes) -> _Kind:
        """Parse and validate JSON in one pass. Raises ValidationError."""
        return self._adapter.validate_json(text)

    def check(self, value: Any, where: str, cure: str = "") -> _Kind:
        """Validate one value. Raises RunError that begins with `where`."""
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            raise RunError(f"{where}: {first_fault(error)}", cure) from None


STATUS = Schema(Status, "remove it; the run resumes from its checkpoint")
HOLDER = Schema(Holder, "remove it if no process trains this run")
RUN = Schema(Run, train_anew, sealed=True)
RESULT = Schema(Result, train_anew, sealed=True)
OWN_LOSS = Schema(
    OwnLosses, "remove it; `stillhouse verify --losses` measures it again", sealed=True
)
ACTIVE = Schema(Active, "remove it; `stillhouse run` writes it again")
NO_EPOCHS = "restore it, or remove it to continue without the records of the epochs"
EPOCH = Schema(Epoch, NO_EPOCHS)
EPOCHS = Schema(list[Epoch], NO_EPOCHS)


def dump(value: dict[str, Any]) -> bytes:
    """Return a file's bytes with the format number."""
    return dump_json({"format": FORMAT, **value})


def dump_sealed(value: dict[str, Any]) -> bytes:
    """Return a sealed file's bytes: with the format number and the hash of all other fields."""
    value = {"format": FORMAT, **value}
    return dump_json({**value, "sha256": _digest(value)})


def read_epochs(path: Path, expected: str | None = None) -> list[Epoch]:
    """Return the records of a `metrics.jsonl`; the SHA-256 of its bytes may be `expected`.

    Raises RunError with file and line.
    """
    content = read_recorded(path, expected) if expected else read_bytes(path)
    if (found := _all_at_once(content)) is not None:
        return found
    return [
        EPOCH.check(line, f"{path}:{number}", NO_EPOCHS)
        for number, line in enumerate(parse_lines(path, content), start=1)
    ]


def _all_at_once(content: bytes) -> list[Epoch] | None:
    """Parse and validate lines as one array, in a third of the time; None if any is not sound."""
    text, between = content.removesuffix(b"\n"), b"}\n{"
    array = b"[%s]" % text.replace(between, b"},{")
    if b"\n" in array:
        return None
    try:
        found = EPOCHS.parse(array)
    except ValidationError:
        return None
    return found if len(found) == text.count(between) + 1 else None


def _newer(value: dict[str, Any]) -> bool:
    found = value.get("format", FORMAT)
    return isinstance(found, int) and found > FORMAT


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False)


def _digest(value: dict[str, Any]) -> str:
    """Return the SHA-256 of the canonical JSON: sorted keys, no spaces, ASCII."""
    return sha256(_CANONICAL.encode(value).encode()).hexdigest()
