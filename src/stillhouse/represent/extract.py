"""Showing every network of a round the same images, and keeping what it computes.

Runs of one dataset go through it together: it is loaded once, and every batch is made once for
all. A run that fails is reported, and the others go on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from operator import methodcaller
from statistics import median

import numpy as np
import torch

import stillhouse
from stillhouse import data
from stillhouse.data.base import Batch, Dataset, Split
from stillhouse.data.loader import plain_batches
from stillhouse.errors import RunError, StillhouseError, describe, one_line
from stillhouse.plugin import kept
from stillhouse.represent.claim import Claim, holder
from stillhouse.represent.classes import (
    TOP5_FROM_CLASSES,
    class_accuracies,
    confusion,
    top_k_accuracy,
)
from stillhouse.represent.measures.rows import rows_used
from stillhouse.represent.network import Opened, open_network
from stillhouse.represent.recorded import differing
from stillhouse.represent.store import (
    Header,
    Representations,
    Rows,
    rows_hash,
    write,
)
from stillhouse.represent.targets import Target
from stillhouse.runs.files import write_atomic
from stillhouse.runs.records import dump_sealed
from stillhouse.training.evaluate import EVALUATION_BATCH, Evaluation, Evaluator
from stillhouse.training.precision import configure
from stillhouse.training.reopen import Place
from stillhouse.training.stop import Stop

TRAIN_ROWS = 10_000
TOGETHER = 4  # networks at once, per job
Progress = Callable[[str, float, float], None]
"""Called with what is done, the work done and all work, in parameters x images."""


@dataclass(frozen=True)
class Outcome:
    """A run after its extraction: `error` is why there is none, `differing` as in `Facts`.

    `busy` names the process that extracts it now.
    """

    name: str
    error: str = ""
    busy: str = ""
    differing: int = 0


@dataclass
class Extraction:
    """What the runs of a command share: where they lie, `jobs` networks computed at once."""

    place: Place
    jobs: int
    progress: Progress
    stop: Stop
    _total: float = 0.0
    _done: float = 0.0
    _claims: list[Claim] = field(default_factory=list)

    def run(self, wanted: Sequence[Target]) -> Iterator[Outcome]:
        """Extract every target, the largest networks of a dataset first.

        Raises RunError when asked to stop; what is extracted by then stays.
        """
        for name in dict.fromkeys(one.config.dataset for one in wanted):
            group = sorted((one for one in wanted if one.config.dataset == name), key=_by_size)
            files = kept(group[0].config.files, group[0].kept)
            try:
                loaded = data.load(name, self.place.data_root, files)
            except StillhouseError as error:
                yield from (Outcome(one.name, str(error)) for one in group)
                continue
            images = Images.of(loaded, self.place.device)
            self._total = self._total or sum(_work(one, images.rows) for one in wanted)
            for part in _alike(group, TOGETHER * self.jobs):
                configure(part[0].config.training)
                yield from self._together(part, images)

    def _together(self, group: list[Target], images: Images) -> Iterator[Outcome]:
        """Claim, open, evaluate and write a few runs; what happened to each."""
        passes, outcomes = [], {}
        try:
            for target in group:
                if (claim := Claim.take(_made(target).home)) is None:
                    busy = holder(target.home) or "another process"
                    outcomes[target.name] = Outcome(target.name, busy=busy)
                    continue
                self._claims.append(claim)
                if target.stored():  # by another process, since the last look
                    outcomes[target.name] = Outcome(target.name)
                    continue
                one = _Pass(target)
                one.isolated(partial(one.open, images, self.place))
                passes.append(one)
            self._evaluate(passes, images)
            for one in passes:
                one.isolated(partial(one.write, images, self.jobs, self.place.device))
                outcomes[one.target.name] = Outcome(
                    one.target.name, one.error, differing=one.differing
                )
        finally:
            while self._claims:
                self._claims.pop().release()
        for target in group:
            self._done += _work(target, images.rows)
            yield outcomes[target.name]

    def _evaluate(self, passes: list[_Pass], images: Images) -> None:
        """Show all networks the test set and the training subset, batch by batch."""
        threads = torch.get_num_threads()
        if not passes:
            return
        what = f"{images.data.spec.name}, {passes[0].target.name}"
        what += f" and {len(passes) - 1} more" if len(passes) > 1 else ""
        work = sum(_work(one.target, 1) for one in passes)
        seen = 0
        with ThreadPoolExecutor(
            self.jobs, initializer=torch.set_num_threads, initargs=(threads,)
        ) as pool:
            for name, split in images.splits.items():
                for batch in plain_batches(split, images.data.spec, EVALUATION_BATCH):
                    alive = [one for one in passes if not one.error]
                    list(pool.map(methodcaller("see", name, batch), alive))
                    seen += len(batch.labels)
                    self._beat(what, self._done + work * seen)

    def _beat(self, what: str, done: float) -> None:
        for claim in self._claims:
            claim.beat()
        self.progress(what, done, self._total)
        if reason := self.stop.reason():
            raise RunError(
                f"{reason}: the runs extracted so far stay", "repeat the command to go on"
            )


@dataclass(frozen=True)
class Images:
    """The test set and the fixed training subset of a dataset on the device, without augmentation.

    The subset is at most `TRAIN_ROWS` images of the whole training set by `rows_used`: every class
    in its share, at equal steps in the order of ids.
    """

    data: Dataset
    splits: dict[str, Split]
    content: str

    @classmethod
    def of(cls, dataset: Dataset, device: torch.device) -> Images:
        """The images of a dataset."""
        labels = dataset.train.labels.numpy()
        chosen = torch.from_numpy(rows_used(labels, len(labels), TRAIN_ROWS))
        train = dataset.train.subset(chosen)
        splits = {"test": dataset.test.to(device), "train": train.to(device)}
        return cls(dataset, splits, dataset.content_hash())

    @property
    def rows(self) -> int:
        """How many images a network is shown."""
        return sum(len(split) for split in self.splits.values())


class _Pass:
    """One network on its way through the images; `error` is why it was left behind."""

    def __init__(self, target: Target) -> None:
        self.target, self.error, self.differing = target, "", 0
        self.seconds: list[float] = []
        self.opened: Opened
        self.evaluators: dict[str, Evaluator]

    def isolated(self, do: Callable[[], None]) -> None:
        """Do a part, unless an earlier part failed; note why it fails.

        A full disk or too little memory is not the run's own failure and is raised.
        """
        if self.error:
            return
        try:
            do()
        except (OSError, MemoryError, torch.OutOfMemoryError):
            raise
        except Exception as error:  # noqa: BLE001 - a custom component may raise anything
            self.error = describe(error) or (
                f"its network {self.target.config.model} failed ({type(error).__name__}: "
                f"{one_line(error)})\n  hint: a custom model must run on the device of its images "
                "(--device cpu uses none other) and return stillhouse.models.base.Outputs"
            )

    def open(self, images: Images, place: Place) -> None:
        trained_on = self.target.data
        if trained_on is not None and trained_on != images.content:
            raise RunError(
                "it was trained on other images, or on the same in another order",
                "name the folder of those images with --data-root",
            )
        self.opened = open_network(self.target, images.data.spec, place)
        layers = self.opened.layers
        self.evaluators = {name: Evaluator(self.opened.network, layers) for name in images.splits}

    def see(self, split: str, batch: Batch) -> None:
        def compute() -> None:
            started = time.perf_counter()
            self.evaluators[split].add(batch)
            if batch.images.is_cuda:
                torch.cuda.synchronize(batch.images.device)
            if len(batch.labels) == EVALUATION_BATCH or not self.seconds:
                self.seconds.append((time.perf_counter() - started) / len(batch.labels))

        self.isolated(compute)

    def write(self, images: Images, jobs: int, device: torch.device) -> None:
        """Check the logits against the record, then write the facts and, last, the rows."""
        rows = {
            name: _rows(self.evaluators[name].result(), split)
            for name, split in images.splits.items()
        }
        test, target = rows["test"], self.target
        tf32 = device.type == "cuda" and torch.backends.cudnn.allow_tf32
        self.differing, margin = differing(target, test.logits, test.labels, tf32)
        header = Header(
            run=target.config.path,
            dataset=target.config.dataset,
            data=images.content,
            sha256=target.sha256,
            weights=target.weights,
            epoch=target.epoch,
            rows=rows_hash(test, rows["train"]),
            code=stillhouse.__version__,
            device=str(device),
        )
        facts = {
            "weights": target.weights,
            "weights_sha256": target.sha256,
            **_rates(test),
            "parameters": self.opened.parameters,
            "multiply_adds": self.opened.multiply_adds,
            "seconds_per_image": median(self.seconds),
            "batch_size": min(EVALUATION_BATCH, len(test.labels)),
            "threads": torch.get_num_threads(),
            "jobs": jobs,
            "device": _device_name(device),
            "differing": self.differing,
            **({"largest_margin": margin} if self.differing else {}),
        }
        write_atomic(target.facts, dump_sealed(facts))
        write(target.store, Representations(header, test, rows["train"]))


def _rates(test: Rows) -> dict[str, float | list[float | None]]:
    classes = test.logits.shape[1]
    counts = confusion(test.logits.argmax(axis=1), test.labels, classes)
    found: dict[str, float | list[float | None]] = {
        "accuracy": 100.0 * int(np.trace(counts)) / len(test.labels),
        "class_accuracies": class_accuracies(counts),
    }
    if classes >= TOP5_FROM_CLASSES:
        found["top5"] = top_k_accuracy(test.logits, test.labels, 5)
    return found


def _rows(evaluation: Evaluation, split: Split) -> Rows:
    layers = {name: values.numpy() for name, values in evaluation.layers.items()}
    logits, labels = evaluation.logits.numpy(), evaluation.labels.numpy()
    return Rows(layers, logits, labels, split.ids.cpu().numpy())


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else str(device)


def _by_size(target: Target) -> int:
    return -target.size


def _alike(group: list[Target], most: int) -> Iterator[list[Target]]:
    """Parts of at most so many runs that were trained with the same threads and switches."""
    parts: dict[tuple[int, bool, str], list[Target]] = {}
    for one in group:
        recipe = one.config.training
        parts.setdefault((recipe.threads, recipe.deterministic, recipe.tf32), []).append(one)
    for part in parts.values():
        for start in range(0, len(part), most):
            yield part[start : start + most]


def _work(target: Target, rows: int) -> float:
    return max(target.size, 1) * rows


def _made(target: Target) -> Target:
    target.home.mkdir(parents=True, exist_ok=True)
    return target
