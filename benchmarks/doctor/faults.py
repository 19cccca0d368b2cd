"""What makes a run ill: patched parts, damaged images, edited files, ended processes."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from torch import Tensor

from stillhouse import data
from stillhouse.config.schema import RunConfig
from stillhouse.data.base import Dataset, Split
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.records import dump, dump_sealed
from stillhouse.training import optim
from stillhouse.training.reopen import Place
from stillhouse.training.trainer import Trainer
from stillhouse.training.worker import work

Fault = Callable[[], AbstractContextManager[Any]]
PBS = "=>> PBS: job killed: walltime 7249 exceeded limit 7200\n"
SLURM_MEMORY = (
    "slurmstepd: error: Detected 1 oom_kill event in StepId=71.batch. Some of the step tasks have "
    "been OOM Killed.\n"
)
SLURM_TIME = "slurmstepd: error: *** JOB 71 ON n1 CANCELLED AT 2026-01-01 DUE TO TIME LIMIT ***\n"


def frozen() -> AbstractContextManager[Any]:
    """An optimizer whose step does nothing."""
    return patch.object(torch.optim.SGD, "step", lambda self, closure=None: None)


def bad_gradient() -> AbstractContextManager[Any]:
    """A finite loss with a gradient that is not: the square root of 0, as in an early RKD."""

    def changed(terms: dict[str, Tensor], outputs: Any) -> dict[str, Tensor]:
        return terms | {"ce": terms["ce"] + (outputs.logits * 0).square().sum().sqrt()}

    return _with_terms(changed)


def raising(error: Callable[[], object], epoch: int = 2) -> Fault:
    """A step that raises, or does worse, in some epoch (from 0)."""
    step = Trainer.step

    def failing(self: Trainer, *arguments: Any, **options: Any) -> None:
        if self.position == (epoch, 3):
            error()
        step(self, *arguments, **options)

    return lambda: patch.object(Trainer, "step", failing)


def rate(change: Callable[[int, float], float]) -> Fault:
    """A learning rate that is not the configured one: of epoch (from 0) and configured rate."""
    real = optim.learning_rate

    def changed(training: Any, epoch: int, *rest: int) -> float:
        return change(epoch, real(training, epoch, *rest))

    return lambda: patch.object(optim, "learning_rate", changed)


def asleep(epochs: int) -> Fault:
    """An optimizer that does nothing at first, as under a loss scale that starts too high."""
    step = Trainer.step

    def late(self: Trainer, *arguments: Any, **options: Any) -> None:
        with frozen() if self.position[0] < epochs else nullcontext():
            step(self, *arguments, **options)

    return lambda: patch.object(Trainer, "step", late)


def images(change: Callable[[Dataset], Dataset]) -> Fault:
    """Other images or labels than the dataset's."""
    real = data.load

    def changed(*arguments: Any) -> Dataset:
        return change(real(*arguments))

    return lambda: patch.object(data, "load", changed)


def noisy_labels(share: float) -> Callable[[Dataset], Dataset]:
    """A share of the training labels replaced by random ones."""

    def change(whole: Dataset) -> Dataset:
        draws = torch.Generator().manual_seed(0)
        labels = whole.train.labels.clone()
        chosen = torch.rand(len(labels), generator=draws) < share
        labels[chosen] = torch.randint(whole.spec.classes, (int(chosen.sum()),), generator=draws)
        return replace(whole, train=Split(whole.train.images, labels, whole.train.ids))

    return change


def test_labels(change: Callable[[Tensor], Tensor]) -> Callable[[Dataset], Dataset]:
    """Test labels changed."""

    def changed(whole: Dataset) -> Dataset:
        test = Split(whole.test.images, change(whole.test.labels), whole.test.ids)
        return replace(whole, test=test)

    return changed


def test_images(change: Callable[[Tensor], Tensor]) -> Callable[[Dataset], Dataset]:
    """Test images changed."""

    def changed(whole: Dataset) -> Dataset:
        test = Split(change(whole.test.images), whole.test.labels, whole.test.ids)
        return replace(whole, test=test)

    return changed


def wrong_label(whole: Dataset) -> Dataset:
    """One training label that no class has."""
    labels = whole.train.labels.clone()
    labels[:] = torch.where(labels == 9, 10, labels)
    return replace(whole, train=Split(whole.train.images, labels, whole.train.ids))


def without(module: str) -> Fault:
    """A package that does not import."""
    return lambda: patch.dict(sys.modules, {module: None})


def importing(module: str) -> Callable[[], object]:
    """An import in the middle of training that fails."""
    return lambda: __import__(module)


def ignored_seed(own: int, instead: int) -> Fault:
    """Every draw from another seed than the run's own."""
    from stillhouse import seeding

    real = seeding.derive

    def fixed(purpose: str, *parts: int | str) -> int:
        first = next((n for n, part in enumerate(parts) if isinstance(part, int)), None)
        if first is not None and parts[first] == own:
            parts = (*parts[:first], instead, *parts[first + 1 :])
        return real(purpose, *parts)

    return lambda: patch.object(seeding, "derive", fixed)


def moving_teacher() -> AbstractContextManager[Any]:
    """A teacher whose batch norm learns while it teaches."""
    from stillhouse.training.graphs import Inputs

    real = Inputs.teach

    def teach(inputs: Any, batch: Any) -> Any:
        if inputs.teacher:
            for part in inputs.teacher.network.modules():
                if isinstance(part, torch.nn.BatchNorm2d) and part.running_mean is not None:
                    part.running_mean.add_(1e-3)
        return real(inputs, batch)

    return patch.object(Inputs, "teach", teach)


@contextmanager
def small_files() -> Iterator[None]:
    """A disk that takes logs but no checkpoint."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 17, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def host_memory() -> object:
    """An allocation that torch is refused."""
    return torch.empty(1 << 50)


def host_memory_numpy() -> object:
    """An allocation that NumPy is refused."""
    return np.ones(1 << 50)


def gpu_memory() -> object:
    """What torch raises on a full GPU; raised by hand, for there may be none."""
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has ...")


def signalled(number: int) -> Callable[[list[RunConfig], Place], object]:
    """Train in a child process and send it a signal once it has two epochs on record."""

    def train(runs: list[RunConfig], place: Place) -> None:
        child = os.fork()
        if child == 0:
            quiet = os.open(os.devnull, os.O_WRONLY)
            os.dup2(quiet, 2)
            os._exit(work(runs, place, None, None, lambda text: None, lambda text: None))
        metrics = place.experiments / runs[0].path / "attempts/001/metrics.jsonl"
        while not (metrics.exists() and metrics.read_text().count("\n") >= 2):
            time.sleep(0.02)
        os.kill(child, number)
        os.waitpid(child, 0)

    return train


def until(seconds: float) -> Callable[[list[RunConfig], Place], object]:
    """Train with a deadline, as a scheduler's job does."""

    def train(runs: list[RunConfig], place: Place) -> None:
        work(runs, place, None, time.time() + seconds, lambda text: None, lambda text: None)

    return train


def unstarted(runs: list[RunConfig], place: Place) -> None:
    """Not started, as `run` leaves a student whose teacher has failed."""


KILL = signalled(signal.SIGKILL)
TERMINATE = signalled(signal.SIGTERM)
After = Callable[[Workspace, RunConfig], None]


def says(text: str) -> After:
    """A scheduler's message beside the attempt's own log."""

    def after(workspace: Workspace, run: RunConfig) -> None:
        (workspace.folder(run).attempts()[-1].path / "job.err").write_text(text)

    return after


def edited(name: str, change: Callable[[dict[str, Any]], object], teacher: bool = False) -> After:
    """A JSON file of the run, or of its teacher, changed as its writer would."""

    def after(workspace: Workspace, run: RunConfig) -> None:
        folder = workspace.folder(run).path
        if teacher:
            assert run.teacher is not None
            folder = workspace.experiments / run.dataset / "pure" / run.teacher.model
            folder = folder / str(run.teacher.seed)
        file = folder / name
        content = json.loads(file.read_text())
        sealed = content.pop("sha256", None)
        change(content)
        file.write_bytes(dump_sealed(content) if sealed else dump(content))

    return after


def torn(name: str) -> After:
    """A file of the run cut in half."""

    def after(workspace: Workspace, run: RunConfig) -> None:
        file = workspace.folder(run).path / name
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])

    return after


def elsewhere(workspace: Workspace, run: RunConfig) -> None:
    """A claim of another machine that has not beaten for an hour."""
    edited("attempts/001/claim.json", lambda c: c.update(host="n7"))(workspace, run)
    hour = time.time() - 3600
    edited("attempts/001/status.json", lambda s: s.update(heartbeat=hour))(workspace, run)


def _with_terms(
    change: Callable[[dict[str, Tensor], Any], dict[str, Tensor]],
) -> AbstractContextManager[Any]:
    real = Trainer._terms

    def changed(self: Trainer, outputs: Any, *rest: Any) -> dict[str, Tensor]:
        return change(real(self, outputs, *rest), outputs)

    return patch.object(Trainer, "_terms", changed)
