"""Rounds on paper: round files, and run folders in any state, without training."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from stillhouse.config.expand import expand
from stillhouse.config.identity import identity
from stillhouse.config.load import load_round
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import RunConfig
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.claim import Claim
from stillhouse.runs.files import dump_json
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import dump, dump_sealed

ROUND: dict[str, Any] = {
    "round": "tiny",
    "datasets": ["Digits"],
    "teacher": "ResNet20",
    "students": ["ResNetBaby"],
    "methods": ["pure", "logit", "rkd"],
    "seeds": [0, 1],
    "training": {"epochs": 2, "batch_size": 64, "learning_rate": 0.02, "train_images": 200},
}
TEACHER = "Digits/pure/ResNet20"
PURE = "Digits/pure/ResNetBaby"
LOGIT = "Digits/logit/ResNet20_to_ResNetBaby"
NO_HASH = "0" * 64
RKD = "Digits/rkd/ResNet20_to_ResNetBaby"


# The least that these files of a completed run hold.
RUN_FACTS = {"identity": NO_HASH, "config": {}, "teacher": None, "data": NO_HASH}
RESULT_FACTS = {
    "identity": NO_HASH,
    "final": {"epoch": 3, "test": {"accuracy": 50.0}, "time": {"seconds": 1.0}},
    "best": {"epoch": 2, "chosen_on": "test", "accuracy": 60.0, "test_accuracy": 60.0},
    "weights": {"final": NO_HASH, "best": NO_HASH},
    "metrics": NO_HASH,
}


@dataclass
class Answer:
    """What a command answered."""

    code: int
    out: str
    err: str

    @property
    def last(self) -> str:
        return self.out.splitlines()[-1]


def write_round(path: Path, **changes: Any) -> Path:
    """A round file: `ROUND` with some fields changed; `teachers` replace its teacher."""
    path.parent.mkdir(parents=True, exist_ok=True)
    fields = {k: v for k, v in ROUND.items() if k != "teacher" or "teachers" not in changes}
    path.write_text(yaml.safe_dump(fields | changes, sort_keys=False))
    return path


class Bench:
    """A workspace with one round file, whose runs are put into states by hand."""

    def __init__(self, root: Path, **changes: Any) -> None:
        self.file = write_round(root / "rounds" / "tiny.yaml", **changes)
        self.workspace = Workspace(root)
        self.round = load_round(self.file)
        self.runs = {run.path: run for run in expand(self.round)}

    def folder(self, path: str) -> RunFolder:
        return RunFolder(self.workspace.experiments / path)

    def look(self, only: str | None = None) -> Survey:
        return survey_round(self.workspace, self.round, only)

    def begin(self, path: str) -> Claim:
        """A run that this process is training: state `running`."""
        folder = self.folder(path)
        folder.path.mkdir(parents=True, exist_ok=True)
        folder.run.write_bytes(dump_sealed(started(self.runs[path])))
        claim = Claim.take(folder)
        claim.write_status("running", epoch=1, step=0)
        return claim

    def end(self, path: str, state: str, reason: str = "") -> None:
        """A run that ended in `stopped` or `failed`, or was `lost`."""
        claim = self.begin(path)
        if state == "lost":
            gone = json.loads(claim.attempt.claim.read_text()) | {"started": "long ago"}
            claim.attempt.claim.write_bytes(dump_json(gone))
        else:
            claim.write_status(state, reason=reason, epoch=1, step=0)

    def finish(self, path: str, final: float, best: float | None = None) -> None:
        """A completed run with these test accuracies."""
        claim = self.begin(path)
        claim.write_status("finished", epoch=2, step=0)
        found = result(self.runs[path], final, best)
        metrics = (json.dumps(found["final"]) + "\n").encode()
        (self.folder(path).path / "metrics.jsonl").write_bytes(metrics)
        found["metrics"] = sha256(metrics).hexdigest()
        self.folder(path).result.write_bytes(dump_sealed(found))

    def finish_all(self, accuracies: Iterable[float]) -> None:
        for path, accuracy in zip(self.runs, accuracies, strict=True):
            self.finish(path, accuracy)


def edit(file: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Change a JSON file as its writer would, with its checksum."""
    content = json.loads(file.read_text())
    sealed = content.pop("sha256", None)
    change(content)
    file.write_bytes(dump_sealed(content) if sealed else dump(content))


def started(config: RunConfig) -> dict[str, Any]:
    """What a `run.json` holds, as far as it is read."""
    resolved, taught = resolve(config), config.teacher and config.teacher.model_dump()
    return {
        "config": resolved.model_dump(mode="json"),
        "identity": identity(resolved),
        "teacher": taught | {"sha256": NO_HASH} if taught else None,
        "data": NO_HASH,
    }


def result(config: RunConfig, final: float, best: float | None) -> dict[str, Any]:
    """What a `result.json` holds, as far as tables read it."""
    chosen = final if best is None else best
    return {
        "identity": identity(resolve(config)),
        "final": {"epoch": 2, "test": {"accuracy": final}, "time": {"seconds": 3.0}},
        "best": {"epoch": 1, "chosen_on": "test", "accuracy": chosen, "test_accuracy": chosen},
        "weights": {"final": NO_HASH, "best": NO_HASH},
        "metrics": NO_HASH,
    }
