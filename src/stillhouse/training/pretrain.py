"""Parts that a method trains on the teacher first: trained once a teacher, kept, shared."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import safetensors.torch
import torch

from stillhouse.data.base import Batch
from stillhouse.data.loader import TrainBatches
from stillhouse.errors import RunError
from stillhouse.methods.base import Method
from stillhouse.runs.files import write_once
from stillhouse.seeding import derive
from stillhouse.training.teacher import TrainedTeacher


def pretrain(
    method: Method,
    name: str,
    teacher: TrainedTeacher,
    batches: TrainBatches,
    cache: Path,
    beat: Callable[[], None],
) -> None:
    """Give a method its pretrained module: from the cache, or trained now and put there.

    The result depends on the teacher's weights, the method's own key and the training batches
    only. Of two processes that train it at once the first to end decides, for both.
    Raises RunError if the cached file is damaged.
    """
    work = method.pretraining()
    if work is None:
        return
    key = {"teacher": teacher.facts["sha256"], "data": batches.facts(), **work.key}
    text = json.dumps(key, sort_keys=True)
    path = cache / f"{name}-{sha256(text.encode()).hexdigest()[:16]}.safetensors"
    if not path.exists():
        torch.manual_seed(derive("pretraining", text))
        for part in work.module.modules():
            if callable(reset := getattr(part, "reset_parameters", None)):
                reset()
        work.train(teacher.network, _epochs(batches, work.key["epochs"], beat))
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {name: value.cpu().contiguous() for name, value in work.module.state_dict().items()}
        write_once(path, safetensors.torch.save(state, metadata={"key": text}))
    try:
        work.module.load_state_dict(safetensors.torch.load_file(path))
    except safetensors.SafetensorError as error:
        raise RunError(f"{path} is damaged ({error})", "remove it: it is trained again") from error


def _epochs(
    batches: TrainBatches, epochs: int, beat: Callable[[], None]
) -> Iterator[Iterator[Batch]]:
    for epoch in range(epochs):
        yield _steps(batches, epoch, beat)


def _steps(batches: TrainBatches, epoch: int, beat: Callable[[], None]) -> Iterator[Batch]:
    for step in range(batches.steps):
        beat()
        yield batches.batch(epoch, step)
