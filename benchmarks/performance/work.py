"""What the rows of the benchmark are measured with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from benchmarks.gpu import timing
from benchmarks.gpu.workload import Setting, load_images
from benchmarks.performance.pairs import Row, pairs, processor_clock

from stillhouse.data.base import Dataset

CPU = torch.device("cpu")
Measured = tuple[str, Callable[[], Row]]


@dataclass(frozen=True)
class Work:
    """What a benchmark is made with: pairs of each row, a folder, and whether it is a dry run."""

    count: int
    folder: Path
    tiny: bool = False
    quick: bool = False

    @cached_property
    def images(self) -> Dataset:
        """Return random images in the shape of CIFAR-10."""
        return load_images(None, 128 if self.tiny else 10_000, CPU)[0]

    def setting(self, pair: str, precision: str, students: int = 7) -> Setting:
        """Return the networks, recipe and students of a row."""
        found = timing.settings("eager", precision, pair, students, 8 if self.tiny else 128)
        if self.tiny:
            return replace(found, teacher="ResNetBaby", student="ResNetBaby")
        return found

    def pairs(self, ours: Callable[[], object], other: Callable[[], object]) -> Row:
        """Return a row of interleaved pairs in processor seconds, on one thread."""
        return {"pairs": pairs(ours, other, self.count, processor_clock), "unit": "processor s"}
