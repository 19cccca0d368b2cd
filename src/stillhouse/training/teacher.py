"""The teacher: a finished run's network whose weights are the recorded ones, frozen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from stillhouse import models
from stillhouse.config.recorded import recorded
from stillhouse.config.schema import Precision, RunConfig, Teacher
from stillhouse.data.base import Batch, Dataset
from stillhouse.data.loader import plain_batches
from stillhouse.errors import RunError
from stillhouse.models.base import Network, Outputs, fingerprint
from stillhouse.runs.folder import RunFolder
from stillhouse.training.evaluate import EVALUATION_BATCH, Evaluation, evaluate
from stillhouse.training.precision import autocast, to_device
from stillhouse.training.recorder import load_into

ACCURACY_TOLERANCE = 0.2


@dataclass(frozen=True)
class TrainedTeacher:
    """A frozen network in eval mode.

    `facts` go into each student's `run.json`; `test` is its evaluation on the test images.
    """

    network: Network
    facts: dict[str, Any]
    test: Evaluation
    precision: Precision
    device: torch.device

    @torch.no_grad()
    def __call__(self, batch: Batch) -> Outputs:
        """Return the teacher's float32 outputs for a batch."""
        with autocast(self.precision, self.device):
            outputs: Outputs = self.network(batch.images)
        return outputs.float()

    def check_unchanged(self) -> None:
        """Raise RunError if a weight or a batch-norm statistic changed since loading."""
        if fingerprint(self.network) != self.facts["fingerprint"]:
            raise RunError(
                "the teacher changed during training; its students are not valid",
                code="changed-teacher",
            )


def load_teacher(
    folder: RunFolder, student: RunConfig, data: Dataset, device: torch.device
) -> TrainedTeacher:
    """Load a student's teacher from its finished run; verify its weights' hash and test accuracy.

    Raises RunError if it is not finished, or if its weights or its accuracy differ from the record
    (accuracy by more than 0.2 points, which covers other hardware).
    """
    recorded(folder)
    result = folder.completed()
    if result is None:
        raise RunError(
            f"the teacher in {folder.path} is not finished",
            "train it first",
            "half-trained-teacher",
        )
    which, file, sha = folder.teaching_weights(result)
    if sha is None:
        raise RunError(
            f"the teacher in {folder.path} was imported without its weights",
            "train the teacher here, or give a weight file",
        )
    teacher, network = _new(student, data)
    try:
        load_into(network, file, sha)
    except RunError as error:
        raise RunError(error.message, error.hint, "changed-teacher") from error
    network.requires_grad_(False).eval()
    to_device(network, device)
    test = evaluate(network, plain_batches(data.test, data.spec, EVALUATION_BATCH))
    if which == "final" and abs(test.accuracy - result["final"]["test"]["accuracy"]) > (
        ACCURACY_TOLERANCE
    ):
        raise RunError(
            f"the teacher in {folder.path} measures {test.accuracy:.2f} % on the test images, "
            f"but {result['final']['test']['accuracy']:.2f} % was recorded",
            code="wrong-teacher",
        )
    facts = {
        "model": teacher.model,
        "seed": teacher.seed,
        "identity": result["identity"],
        "weights": which,
        "sha256": sha,
        "accuracy": test.accuracy,
        "fingerprint": fingerprint(network),
        **({"adopted": result["adopted"]["file"]} if "adopted" in result else {}),
    }
    return TrainedTeacher(network, facts, test, student.training.precision, device)


def untrained_teacher(student: RunConfig, data: Dataset, device: torch.device) -> TrainedTeacher:
    """Return a new network like a student's teacher, for tests before that is trained."""
    _, network = _new(student, data)
    network.requires_grad_(False).eval()
    to_device(network, device)
    facts = {"sha256": "", "fingerprint": fingerprint(network)}
    nothing = Evaluation(torch.empty(0, data.spec.classes), torch.empty(0, dtype=torch.int64))
    return TrainedTeacher(network, facts, nothing, student.training.precision, device)


def _new(student: RunConfig, data: Dataset) -> tuple[Teacher, Network]:
    """Return the teacher of a student as configured, and a new network of its kind."""
    teacher = student.teacher
    assert teacher is not None
    return teacher, models.build(teacher.model, data.spec, student.files, student.networks)
