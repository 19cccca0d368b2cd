"""The default measures on synthetic rounds of many runs: time and peak memory.

`python benchmarks/analysis.py [RUNS ...] [--jobs 2]` makes runs of 3 layers (16, 32 and 64
features), 10,000 test rows, 10,000 training rows and 10 classes, 78 per dataset, of which 6 are
references (3 teachers, 3 pure students). Every run goes through the default measures of layers and
of predictions, and every layer of it is compared with every layer of the 6 references. Prints one
line per number of runs: seconds on the clock, CPU seconds and peak memory of all processes
together. Making the synthetic features is counted, writing tables is not.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context
from typing import Any

import numpy as np

from stillhouse.represent.analyse import one_thread
from stillhouse.represent.measures import Predictions, Representation, compare, of_kind

ROWS, WIDTHS, CLASSES = 10_000, (16, 32, 64), 10
PER_DATASET, REFERENCES, BATCH = 78, 6, 6
KINDS = ("representation", "predictions", "pair")
Layer = tuple[np.ndarray, np.ndarray]


def features(dataset: int, run: int) -> tuple[list[Layer], Layer]:
    """Test and training rows of each layer, then of the logits, as float32.

    Half of the variance is shared by all runs of a dataset; channels are positive and of unequal
    variance.
    """
    shared = np.random.default_rng(dataset)
    own = np.random.default_rng((dataset, run))
    labels, layers = np.arange(ROWS) % CLASSES, []
    for width in (*WIDTHS, CLASSES):
        centres = shared.standard_normal((CLASSES, width), dtype=np.float32)
        mix = own.standard_normal((width, width), dtype=np.float32) / np.sqrt(width)
        scale = np.linspace(0.3, 1, width, dtype=np.float32)
        sides = []
        for _ in ("test", "train"):
            common = shared.standard_normal((ROWS, width), dtype=np.float32)
            alone = own.standard_normal((ROWS, width), dtype=np.float32)
            signal = centres[labels] + (common + alone) * scale
            sides.append(np.maximum(signal @ mix + 0.5, 0) if width != CLASSES else signal)
        layers.append((sides[0], sides[1]))
    logits = layers.pop()
    return layers, (
        logits[0] + 2 * np.eye(CLASSES)[labels],
        logits[1] + 2 * np.eye(CLASSES)[labels],
    )


def opened(dataset: int, run: int) -> tuple[list[Representation], Layer]:
    """A run's layers as inputs of measures, and its logits."""
    labels = np.arange(ROWS) % CLASSES
    layers, logits = features(dataset, run)
    return [Representation(test, labels, bank=(train, labels)) for test, train in layers], logits


@lru_cache(maxsize=1)
def references(dataset: int) -> tuple[list[Representation], np.ndarray, np.ndarray]:
    """All layers of the dataset's reference runs; the logits of a teacher and of a pure student."""
    runs = [opened(dataset, run) for run in range(REFERENCES)]
    return [layer for layers, _ in runs for layer in layers], runs[0][1][0], runs[3][1][0]


def analyse(dataset: int, runs: Iterable[int]) -> tuple[Counter[str], dict[str, float], int]:
    """Measure runs; return values and CPU seconds by kind, and the peak memory in KiB."""
    others, teacher, pure = references(dataset)
    measures = {kind: of_kind(kind) for kind in KINDS}
    counts: Counter[str] = Counter()
    seconds = dict.fromkeys(KINDS, 0.0)
    labels = np.arange(ROWS) % CLASSES
    for run in runs:
        layers, (logits, train) = opened(dataset, run)
        predictions = Predictions(logits, labels, (train, labels), teacher, pure)
        inputs: dict[str, Iterable[Any]] = {
            "representation": layers,
            "predictions": [predictions],
            "pair": (pair for _, _, pair in compare(layers, others)),
        }
        for kind, given in inputs.items():
            start = time.process_time()
            for one in given:
                for measure in measures[kind]:
                    values = measure(one)
                    assert not any(value.why for value in values), (measure.name, values)
                    counts[kind] += len(values)
            seconds[kind] += time.process_time() - start
    return counts, seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def bench(runs: int, jobs: int) -> str:
    """Analyse a number of runs in `jobs` processes and return a row of the table."""
    tasks = [
        (run // PER_DATASET, range(run % PER_DATASET, min(run % PER_DATASET + BATCH, PER_DATASET)))
        for run in range(0, runs, BATCH)
    ]
    start = time.perf_counter()
    pool = ProcessPoolExecutor(jobs, mp_context=get_context("spawn"))
    with one_thread(), pool:  # as `analyze` does
        done = list(pool.map(analyse, *zip(*tasks, strict=True)))
    elapsed = time.perf_counter() - start
    counts = sum((count for count, _, _ in done), Counter[str]())
    seconds = {kind: sum(second[kind] for _, second, _ in done) for kind in KINDS}
    # Each process reports its own peak; the largest `jobs` of them bound what they hold at once.
    memory = sum(sorted({peak for _, _, peak in done})[-jobs:]) / 2**20
    cells = [f"{runs}", f"{elapsed:.0f}", f"{memory:.1f}"]
    cells += [f"{seconds[kind]:.0f} ({counts[kind]})" for kind in KINDS]
    return "| " + " | ".join(cells) + " |"


def main() -> None:
    """Print the table of a benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="*", type=int, default=[312])
    parser.add_argument("--jobs", type=int, default=2)
    given = parser.parse_args()
    sys.stdout.write(
        "| runs | seconds | GiB | CPU s of layers (values) | of predictions | of pairs |\n"
        "|--:|--:|--:|--:|--:|--:|\n"
    )
    for runs in given.runs:
        sys.stdout.write(bench(runs, given.jobs) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
