"""How near a step is to its convolutions, what an epoch spends beside the mathematics, and growth.

Its parts have the form of those in `parts.py`.
"""

from __future__ import annotations

import itertools
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from benchmarks.gpu.workload import make_cohort
from benchmarks.performance.pairs import Row
from benchmarks.performance.work import CPU, Measured, Work
from torch import Tensor, nn

from stillhouse.training.precision import DTYPES

GROWTH = (5_120, 10_240, 20_480, 40_960)
BESIDE = ("data", "guards", "records")
MATHEMATICS = ("teacher", "student forward", "method", "backward", "optimizer", "evaluation")
ROUND = """round: beside
datasets: [{{name: Squares, npz: {folder}/squares.npz}}]
teacher: ResNet20
students: [ResNetBaby]
methods: [pure, logit, factor_transfer, attention_transfer, fitnets, rkd, nst]
seeds: [0]
training: {{epochs: 1, batch_size: 128, learning_rate: 0.05, precision: {precision},
           augmentation: [pad_crop, flip], threads: 1}}
distillation: {{total: reference}}
"""


def convolutions(work: Work) -> Iterator[Measured]:
    """A step of one pure student, over its convolutions alone: forward and both gradients."""
    networks = ("small",) if work.tiny or work.quick else ("small", "large")
    for pair, precision in itertools.product(networks, ("fp32", "bf16")):
        yield f"{pair} pair, {precision}", partial(_share, work, pair, precision)


def _share(work: Work, pair: str, precision: str) -> Row:
    setting = replace(work.setting(pair, precision), students=(("pure", {}),))
    cohort = make_cohort(setting, work.images, CPU)
    (trainer,), batch = cohort.trainers, cohort.inputs.batch(cohort.batches.batch(1, 0))
    bare = bare_convolutions(trainer.network, batch.images, DTYPES.get(precision, torch.float32))

    def step() -> None:
        trainer.position = (1, 0)
        trainer.step(batch, None)

    return work.pairs(step, bare)


def bare_convolutions(network: nn.Module, images: Tensor, dtype: torch.dtype) -> Callable[[], None]:
    """Return what computes every convolution of a training step, on random values in its layout.

    Forward, the gradient of the weights and, but for the first, that of the input.
    """
    shapes: list[tuple[nn.Conv2d, torch.Size]] = []
    parts = [part for part in network.modules() if isinstance(part, nn.Conv2d)]
    hooks = [
        part.register_forward_hook(lambda conv, given, _: shapes.append((conv, given[0].shape)))
        for part in parts
    ]
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    layout = torch.channels_last
    work = []
    for number, (conv, shape) in enumerate(shapes):
        given = torch.randn(shape).to(dtype, memory_format=layout).requires_grad_(number > 0)
        weight = conv.weight.detach().to(dtype, memory_format=layout).requires_grad_()
        made = F.conv2d(given, weight, None, conv.stride, conv.padding, 1, conv.groups)
        gradient = torch.randn_like(made, memory_format=layout)
        work.append((given, weight, conv, gradient))

    def act() -> None:
        for given, weight, conv, gradient in work:
            made = F.conv2d(given, weight, None, conv.stride, conv.padding, 1, conv.groups)
            wanted = [part for part in (given, weight) if part.requires_grad]
            torch.autograd.grad(made, wanted, gradient)

    return act


def beside(work: Work) -> Iterator[Measured]:
    """Shares of the training time, those that are not mathematics first, from `run --profile`."""
    for precision in () if work.quick else ("fp32",) if work.tiny else ("fp32", "bf16"):
        yield f"small pair, {precision}", partial(_beside, work, precision)


def _beside(work: Work, precision: str) -> Row:
    with tempfile.TemporaryDirectory(prefix="stillhouse-beside-") as name:
        folder = Path(name)
        counts = {"train": 256, "test": 64} if work.tiny else {"train": 38_400, "test": 7_680}
        arrays = [squares(part, count) for part, count in counts.items()]
        np.savez(folder / "squares.npz", **{name: v for one in arrays for name, v in one.items()})
        text = ROUND.format(folder=folder, precision=precision)
        (folder / "beside.yaml").write_text(text)
        command = [sys.executable, "-m", "stillhouse", "run", str(folder / "beside.yaml")]
        command += ["--root", str(folder / "w"), "--jobs", "1", "--profile", "--keep-going"]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
    shares = {
        found[1]: float(found[2])
        for found in re.finditer(r"^ *([a-z ]+?) +([\d.]+) +[\d.]+ .*$", done.stdout, re.MULTILINE)
    }
    if missing := [part for part in (*BESIDE, *MATHEMATICS) if part not in shares]:
        raise RuntimeError(f"`run --profile` shows no {', '.join(missing)}")
    return {
        "shares": {part: shares[part] for part in BESIDE},
        "mathematics": {part: shares[part] for part in MATHEMATICS},
    }


def squares(part: str, count: int) -> dict[str, Any]:
    """Return the part's images (count, 32, 32, 3), noise and a square, and its place as label."""
    draws = np.random.default_rng(count)
    images = draws.integers(0, 128, (count, 32, 32, 3), dtype=np.uint8)
    labels = draws.integers(0, 10, count)
    for image, label in zip(images, labels, strict=True):
        row, column = divmod(int(label), 4)
        image[8 * row : 8 * row + 8, 8 * column : 8 * column + 8] += 120
    return {f"{part}_images": images, f"{part}_labels": labels}


def evaluation(work: Work) -> Iterator[Measured]:
    """Evaluation in a process that keeps its memory, as workers do, against one that does not."""
    for pixels in () if work.quick else (32,) if work.tiny else (32, 64):
        yield f"{pixels} x {pixels} pixels", partial(_evaluation, work, pixels)


def _evaluation(work: Work, pixels: int) -> Row:
    found = [
        [_child(what, pixels) for what in ("evaluation-keep", "evaluation")]
        for _ in range(work.count)
    ]
    return {
        "pairs": [[one["seconds"] for one in pair] for pair in found],
        "faults": [[one["faults"] for one in pair] for pair in found],
        "unit": "processor s",
    }


def images(work: Work) -> Iterator[Measured]:
    """An epoch of so many images, over one of the fewest; and the memory of its process."""
    for count in () if work.quick else GROWTH[:1] if work.tiny else GROWTH:
        yield f"{count:,} images", partial(_images, work, count)


def _images(work: Work, count: int) -> Row:
    few, many = (256, 256) if work.tiny else (GROWTH[0], count)
    times = min(work.count, 3)  # the longest takes minutes
    found = [[_child("epoch", n) for n in (many, few)] for _ in range(times)]
    return {
        "pairs": [[one["seconds"] for one in pair] for pair in found],
        "images": many,
        "images_mib": found[0][0]["images_mib"],
        "peak_mib": max(pair[0]["peak_mib"] for pair in found),
        "unit": "processor s",
    }


def _child(what: str, number: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.performance.child", what, str(number)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return dict(json.loads(done.stdout))
