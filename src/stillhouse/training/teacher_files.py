"""Import a teacher: a trained network from a weight file.

Its accuracy on the test images is measured and recorded before it teaches. The record is like that
of a run trained here, with `adopted` instead of a recipe.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import torch

from stillhouse import models
from stillhouse.config.schema import RunConfig
from stillhouse.data.base import Dataset
from stillhouse.data.loader import plain_batches
from stillhouse.errors import RunError
from stillhouse.models.named import find
from stillhouse.runs import environment
from stillhouse.runs.chance import chance_bound
from stillhouse.runs.files import file_hash, write_atomic, write_once
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import dump_sealed
from stillhouse.training.evaluate import EVALUATION_BATCH, evaluate, summarise
from stillhouse.training.precision import to_device
from stillhouse.training.recorder import write_weights
from stillhouse.training.weight_files import put_weights, read_weights


def import_teacher(
    file: Path, folder: RunFolder, student: RunConfig, data: Dataset, device: torch.device
) -> tuple[float, str]:
    """Record a student's teacher, the network in a file, as a finished run.

    Returns its test accuracy in percent, and what a reader should know of the weights' names.

    Its only "epoch" is the measurement; the recipe is unknown, so the one in `run.json` is nominal.
    Raises RunError if the file holds anything but tensors, if they are not the network's, or if it
    is at chance level.
    """
    spec, teacher = data.spec, student.teacher
    assert teacher is not None
    network = models.build(teacher.model, spec, student.files, student.networks)
    options = find(teacher.model, student.networks)
    matched = put_weights(network, read_weights(file, options.key if options else ""), file)
    to_device(network, device)
    test = evaluate(network, plain_batches(data.test, spec, EVALUATION_BATCH))
    mean, std = (options and options.normalise) or (spec.mean, spec.std)
    if test.accuracy <= chance_bound(spec.test_images, spec.commonest):
        raise RunError(
            f"{file}: {test.accuracy:.2f} % on the test images of {spec.name} is at chance level; "
            f"the images were normalised by the mean {_numbers(mean)} and the standard deviation "
            f"{_numbers(std)}",
            "if it was trained with other ones, write `teacher: {name: ..., normalise: [[mean per "
            "channel], [std per channel]]}`; else check that its classes have the order of this "
            "dataset, and that it was trained on it",
        )
    folder.path.mkdir(parents=True, exist_ok=True)
    weights = write_weights(folder.final, network.state_dict())
    write_weights(folder.best, network.state_dict())
    measured = {"epoch": 1, "test": summarise(test, None), "time": {"seconds": 0.0}}
    metrics = (json.dumps(measured) + "\n").encode()
    write_atomic(folder.path / "metrics.jsonl", metrics)
    config = RunConfig(
        dataset=spec.name,
        method="pure",
        model=teacher.model,
        seed=teacher.seed,
        networks=(options,) if options else (),
    )
    adopted = {"file": str(file), "sha256": file_hash(file), "normalised": [list(mean), list(std)]}
    shared = {
        "identity": adopted["sha256"],
        "adopted": adopted,
        "teacher": None,
        "data": data.content_hash(),
    }
    run = {"config": config.model_dump(mode="json"), "code": environment.code()}
    write_once(folder.run, dump_sealed(shared | run))
    accuracies = {"accuracy": test.accuracy, "test_accuracy": test.accuracy}
    result = {
        "final": measured,
        "best": {"epoch": 1, "chosen_on": "test", **accuracies},
        "weights": {"final": weights, "best": weights},
        "metrics": sha256(metrics).hexdigest(),
        "finished": time.time(),
    }
    write_once(folder.result, dump_sealed(shared | result))
    return test.accuracy, matched


def _numbers(values: Sequence[float]) -> str:
    return f"({', '.join(f'{value:g}' for value in values)})"
