"""Parts that a method trains on the teacher first: trained once per teacher, kept, shared."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import safetensors.torch
from safetensors import SafetensorError, safe_open
from torch import nn

from stillhouse.data.base import Batch
from stillhouse.data.loader import TrainBatches
from stillhouse.errors import RunError, one_line
from stillhouse.methods.base import Method, Pretraining
from stillhouse.models.base import fingerprint
from stillhouse.runs.files import dump_json, write_atomic, write_once
from stillhouse.seeding import reseed
from stillhouse.training.teacher import TrainedTeacher

CURE = "remove it; the part is trained again"


def pretrain(
    method: Method,
    name: str,
    teacher: TrainedTeacher,
    batches: TrainBatches,
    cache: Path,
    beat: Callable[[float], None],
) -> None:
    """Load a method's pretrained module from the cache, or train it now and store it there.

    The weights depend only on the teacher's weights, the method's key and the training batches. If
    two processes train them at once, the first to finish determines them for both. Their cost is
    stored beside them. Raises RunError if the cached file is damaged.
    """
    work = method.pretraining()
    if work is None:
        return
    key = {"teacher": teacher.facts["sha256"], "data": batches.facts(), **work.key}
    text = json.dumps(key, sort_keys=True)
    path = cache / f"{name}-{sha256(text.encode()).hexdigest()[:16]}.safetensors"
    if not path.exists():
        _train(work, name, key, teacher, batches, path, beat)
    _load(work.module, path, text)


def _train(
    work: Pretraining,
    name: str,
    key: dict[str, Any],
    teacher: TrainedTeacher,
    batches: TrainBatches,
    path: Path,
    beat: Callable[[float], None],
) -> None:
    text = json.dumps(key, sort_keys=True)
    reseed("pretraining", text)
    for part in work.module.modules():
        if callable(reset := getattr(part, "reset_parameters", None)):
            reset()
    started = time.perf_counter()
    work.train(teacher.network, _epochs(batches, work.key["epochs"], beat))
    path.parent.mkdir(parents=True, exist_ok=True)
    cost = {"method": name, "key": key, "seconds": time.perf_counter() - started}
    write_atomic(path.with_suffix(".json"), dump_json(cost))
    state = {name: value.cpu().contiguous() for name, value in work.module.state_dict().items()}
    write_once(path, safetensors.torch.save(state, metadata=_about(work.module, text)))


def _load(module: nn.Module, path: Path, key: str) -> None:
    """Load the part. Raises RunError unless the file belongs to `key` and is undamaged."""
    if not path.is_file():  # a pipe would block
        raise RunError(f"{path}: not a plain file", CURE)
    try:
        with safe_open(path, "pt") as file:
            metadata = file.metadata() or {}
            module.load_state_dict({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
    except (SafetensorError, OSError, RuntimeError) as error:
        raise RunError(f"{path}: not readable as weights ({one_line(error)})", CURE) from error
    if metadata != _about(module, key):
        raise RunError(f"{path}: damaged, or it belongs to another teacher", CURE)


def _about(module: nn.Module, key: str) -> dict[str, str]:
    """Return one entry; several would be written in an order that varies."""
    return {"about": json.dumps([key, fingerprint(module)])}


def _epochs(
    batches: TrainBatches, epochs: int, beat: Callable[[float], None]
) -> Iterator[Iterator[Batch]]:
    for epoch in range(epochs):
        yield _steps(batches, epoch, epochs, beat)


def _steps(
    batches: TrainBatches, epoch: int, epochs: int, beat: Callable[[float], None]
) -> Iterator[Batch]:
    for step in range(batches.steps):
        beat((epoch + step / batches.steps) / epochs)
        yield batches.batch(epoch, step)
