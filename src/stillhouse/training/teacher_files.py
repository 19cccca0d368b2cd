"""Import a teacher: a trained network from a weight file.

Its accuracy on the test images is measured and recorded before it teaches. The record is like that
of a run trained here, with `adopted` instead of a recipe.
"""

from __future__ import annotations

import json
import time
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import safetensors.torch
import torch
from torch import Tensor, nn

from stillhouse import models
from stillhouse.config.schema import RunConfig, Teacher
from stillhouse.data.base import Dataset
from stillhouse.data.loader import plain_batches
from stillhouse.errors import RunError, some
from stillhouse.plugin import Plugin
from stillhouse.runs import environment
from stillhouse.runs.chance import chance_bound
from stillhouse.runs.files import file_hash, write_atomic, write_once
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import dump_sealed
from stillhouse.training.evaluate import EVALUATION_BATCH, evaluate, summarise
from stillhouse.training.precision import to_device
from stillhouse.training.recorder import write_weights

CONTAINERS = ("weights", "state_dict", "model_state_dict", "model")
SPELLINGS = {"conv1": "conv", "bn1": "bn", "linear": "head", "fc": "head"}
SHOWN = 3


def import_teacher(
    file: Path,
    folder: RunFolder,
    teacher: Teacher,
    data: Dataset,
    files: tuple[Plugin, ...],
    device: torch.device,
) -> float:
    """Record the network in a file as a finished run; return its test accuracy in percent.

    Its only "epoch" is the measurement; the recipe is unknown, so the one in `run.json` is nominal.
    Raises RunError if the file holds anything but tensors, if they are not the network's, or if it
    is at chance level.
    """
    spec = data.spec
    network = models.build(teacher.model, spec, files)
    put_weights(network, read_weights(file), file)
    to_device(network, device)
    test = evaluate(network, plain_batches(data.test, spec, EVALUATION_BATCH))
    if test.accuracy <= chance_bound(spec.test_images, spec.commonest):
        raise RunError(
            f"{file}: {test.accuracy:.2f} % on the test images of {spec.name} is at chance level",
            "check that it was trained on this dataset, with the classes in this order",
        )
    folder.path.mkdir(parents=True, exist_ok=True)
    weights = write_weights(folder.final, network.state_dict())
    write_weights(folder.best, network.state_dict())
    measured = {"epoch": 1, "test": summarise(test, None), "time": {"seconds": 0.0}}
    metrics = (json.dumps(measured) + "\n").encode()
    write_atomic(folder.path / "metrics.jsonl", metrics)
    config = RunConfig(dataset=spec.name, method="pure", model=teacher.model, seed=teacher.seed)
    adopted = {"file": str(file), "sha256": file_hash(file)}
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
    return test.accuracy


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read the named tensors of a `.safetensors`, `.pth` or `.pt` file; nothing in it is executed.

    Reads a state dict, alone or under one of `CONTAINERS`. Raises RunError for anything else.
    """
    cure = "save only tensors: torch.save(model.state_dict(), file), or safetensors"
    try:
        if file.suffix == ".safetensors":
            loaded: Any = safetensors.torch.load_file(file)
        else:
            if not is_zipfile(file):
                raise ValueError("not written by torch.save")
            loaded = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a hostile file may raise anything
        reason = str(error).partition("\n")[0]
        raise RunError(f"{file}: not readable as weights ({reason})", cure) from error
    if isinstance(loaded, dict):
        loaded = next((loaded[key] for key in CONTAINERS if key in loaded), loaded)
    tensors = isinstance(loaded, dict) and all(isinstance(v, Tensor) for v in loaded.values())
    if not tensors or not loaded:
        raise RunError(f"{file}: expected a state dict, alone or under {CONTAINERS}", cure)
    return dict(loaded)


def put_weights(network: nn.Module, weights: dict[str, Tensor], file: Path) -> None:
    """Load weights by the network's names, or by the field's usual ones for a ResNet.

    Raises RunError naming missing, additional or differently shaped weights.
    """
    expected = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    if set(weights) != set(expected):
        weights = {_own_name(name): value for name, value in weights.items()}
    found = {name: tuple(value.shape) for name, value in weights.items()}
    wrong = [
        ("missing", [name for name in expected if name not in found]),
        ("not of this network", [name for name in found if name not in expected]),
        ("of another shape", [n for n in expected if n in found and found[n] != expected[n]]),
    ]
    if problems := [f"{what}: {some(names, SHOWN)}" for what, names in wrong if names]:
        raise RunError(
            f"{file}: its weights are not this network's ({'; '.join(problems)})",
            "check the model, and the dataset's number of classes and channels",
        )
    network.load_state_dict(weights)


def _own_name(name: str) -> str:
    first, dot, rest = name.removeprefix("module.").partition(".")
    return f"{SPELLINGS.get(first, first)}{dot}{rest}".replace(".downsample.", ".shortcut.")
