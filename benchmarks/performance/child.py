"""What is measured in a process of its own, as memory and page faults are a process's.

`python -m benchmarks.performance.child epoch IMAGES` trains one epoch of one student with logit
distillation; `... evaluation PIXELS` evaluates a ResNet20 on 1,000 images of PIXELS x PIXELS, after
twice as many to warm up, and `... evaluation-keep PIXELS` does so keeping freed memory, as every
process of stillhouse does. Each prints what that took as JSON.
"""

from __future__ import annotations

import json
import resource
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from benchmarks.gpu import timing
from benchmarks.gpu.workload import load_images, make_cohort

from stillhouse import data, models
from stillhouse.data.base import Batch
from stillhouse.runs.environment import keep_freed_memory
from stillhouse.seeding import reseed
from stillhouse.training.evaluate import EVALUATION_BATCH, Evaluator
from stillhouse.training.precision import to_device

CPU = torch.device("cpu")
EVALUATED = 1000


def epoch(count: int) -> dict[str, Any]:
    """Train one epoch of `count` images: processor seconds, MiB of the images and of all."""
    keep_freed_memory()
    images = load_images(None, count, CPU)[0]
    setting = timing.settings("eager", "fp32", "small", 1, 128)
    cohort = make_cohort(replace(setting, students=(("logit", {}),)), images, CPU)
    cohort.run(2)
    before = _used()
    cohort.run(cohort.batches.steps)
    after = _used()
    return {
        "seconds": _processor(after) - _processor(before),
        "images_mib": images.train.images.nbytes / 2**20,
        "peak_mib": _peak_kib(after) / 2**10,
    }


def evaluation(pixels: int, keep: bool = False) -> dict[str, Any]:
    """Evaluate 1,000 images: processor seconds, those in the kernel, and page faults."""
    if keep:
        keep_freed_memory()
    reseed("init", 0, "evaluation")
    network = models.build("ResNet20", replace(data.spec("Cifar10"), size=pixels)).eval()
    to_device(network, CPU)
    parts = torch.split(torch.randn(EVALUATED, 3, pixels, pixels), EVALUATION_BATCH)
    found = []
    for _ in range(3):
        before, evaluator = _used(), Evaluator(network)
        for images in parts:
            rows = torch.arange(len(images))
            evaluator.add(Batch(images.to(memory_format=torch.channels_last), rows % 10, rows))
        after = _used()
        found.append(
            {
                "seconds": _processor(after) - _processor(before),
                "kernel": after.ru_stime - before.ru_stime,
                "faults": after.ru_minflt - before.ru_minflt,
            }
        )
    return found[-1]


def _used() -> resource.struct_rusage:
    return resource.getrusage(resource.RUSAGE_SELF)


def _peak_kib(used: resource.struct_rusage) -> float:
    """Return the most that this program held; `ru_maxrss` counts its parent before it, too."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.is_file() else []
    own = [line.split()[1] for line in lines if line.startswith("VmHWM:")]
    return float(own[0]) if own else used.ru_maxrss


def _processor(used: resource.struct_rusage) -> float:
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    torch.set_num_threads(1)
    what, number = sys.argv[1], int(sys.argv[2])
    parts: dict[str, Callable[[int], dict[str, Any]]] = {
        "epoch": epoch,
        "evaluation": evaluation,
        "evaluation-keep": partial(evaluation, keep=True),
    }
    sys.stdout.write(json.dumps(parts[what](number)) + "\n")
