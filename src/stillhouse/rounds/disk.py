"""The disk space that a round will need, by kind, before it is trained."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import TYPE_CHECKING

from stillhouse import data, models
from stillhouse.config.facts import facts
from stillhouse.config.identity import canonical
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import KEEP_ALL, Distillation, Keep, RunConfig
from stillhouse.errors import ConfigError
from stillhouse.runs.disk import CHECKPOINTS, PARTS, RECORDS, REPRESENTATIONS, WEIGHTS

if TYPE_CHECKING:
    from torch import nn

    from stillhouse.methods.base import Method
    from stillhouse.models.base import Network

BLOCK = 4096  # bytes; file systems give whole blocks
BYTES_PER_EPOCH = 800  # of metrics.jsonl and train.log
SMALL_FILES = 5  # run.json, result.json, claim.json, status.json, train.log
FOLDERS = 4  # of a run: its own, attempts/, 001/, and its share of those above
KEY_DIGITS = 24
TRAIN_ROWS = 10_000  # of a dataset, in representations


def predicted(runs: Iterable[RunConfig], keep: Keep = KEEP_ALL) -> dict[str, dict[str, int]]:
    """Return the bytes on disk that each run (by path) will need, by kind.

    `weights`, `records` and `parts` (at the first run that needs them) stay; `checkpoints` are
    there while it trains; `representations` are what `extract` adds. A run whose method cannot
    serve its networks is left out.
    """
    parts = set[tuple[object, ...]]()
    made: dict[str, dict[str, int] | None] = {}
    found = {}
    for run in runs:
        arm = run.path.rpartition("/")[0]  # the path without the seed
        if arm not in made:
            made[arm] = facts().get(*disk_fact(run, keep))
        if sizes := made[arm]:
            trained_once = (run.dataset, run.teacher, run.method, str(run.parameters))
            found[run.path] = sizes | ({PARTS: 0} if trained_once in parts else {})
            parts.add(trained_once)
    return found


def disk_fact(run: RunConfig, keep: Keep) -> tuple[str, Callable[[], dict[str, int] | None]]:
    """Return the key by which a run's sizes are kept, and what computes them.

    They do not depend on its seeds, nor on the weights of its losses.
    """
    teacher = run.teacher.model_copy(update={"seed": 0}) if run.teacher else None
    same = {"seed": 0, "axes": {}, "teacher": teacher, "distillation": Distillation()}
    kind = run.model_copy(update=same)
    text = f"{canonical(kind)} {keep.model_dump_json()}"
    key = f"disk {sha256(text.encode()).hexdigest()[:KEY_DIGITS]}"
    return key, lambda: _sizes(resolve(kind), keep)


def _made(run: RunConfig) -> tuple[Network, Method]:
    """Return the untrained network and method of a resolved run."""
    from stillhouse.training.reopen import untrained_method

    spec, taught = data.spec(run.dataset, run.files), run.teacher.model if run.teacher else None
    student, teacher = (
        models.build(name, spec, run.files, run.networks) if name else None
        for name in (run.model, taught)
    )
    assert student is not None
    return student, untrained_method(run, student, teacher)


def _sizes(run: RunConfig, keep: Keep) -> dict[str, int] | None:
    spec, recipe = data.spec(run.dataset, run.files), run.training
    try:
        network, method = _made(run)
    except ConfigError:  # `run` refuses it, with the reason
        return None
    ends: dict[str, nn.Module] = dict.fromkeys(("final", "best"), method.inference_model(network))
    if recipe.ema_decay:
        ends["ema"] = ends["final"]
    if method.state_dict():
        ends["method"] = method
    sizes = {name: _tensors(module) for name, module in ends.items()}
    dropped = keep.drops(run.method, bool(recipe.validation))
    predictions = 2 * 2 * spec.test_images + 200  # int16, and the labels
    records = _blocks(recipe.epochs * BYTES_PER_EPOCH) + _blocks(predictions)
    weights = sum(p.numel() * 4 for p in network.parameters())
    trained = weights + sum(p.numel() * 4 for p in method.parameters())
    moments = 2 if recipe.optimizer.startswith("adam") else 1
    # The weights at the epoch's start are kept too: how far they move is recorded.
    state = sum(sizes.values()) + moments * trained + weights
    seen = models.shapes(network, spec)
    width = sum(seen.features[name][0] for name in seen.groups) + spec.classes
    rows = spec.test_images + min(TRAIN_ROWS, spec.train_images)
    part = method.pretraining()
    return {
        PARTS: _blocks(_tensors(part.module)) + BLOCK if part else 0,
        WEIGHTS: sum(_blocks(size) for name, size in sizes.items() if name not in dropped),
        RECORDS: records + (SMALL_FILES + FOLDERS) * BLOCK,
        CHECKPOINTS: 2 * _blocks(state),
        REPRESENTATIONS: _blocks(rows * (width * 4 + 16)) + _blocks(BLOCK),
    }


def _blocks(size: int) -> int:
    return -(-size // BLOCK) * BLOCK


def _tensors(module: nn.Module) -> int:
    """Return the bytes of a module's weights as a safetensors file."""
    head, end = {}, 0
    for name, tensor in module.state_dict().items():
        start, end = end, end + tensor.numel() * tensor.element_size()
        kind = {"dtype": "F32", "shape": [*tensor.shape], "data_offsets": [start, end]}
        head[name] = kind
    return end + len(json.dumps(head, separators=(",", ":"))) + 8
