"""The parts of the benchmark; each yields the names of its rows, and what measures them."""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial

from benchmarks.gpu import textbook
from benchmarks.gpu.workload import make_cohort
from benchmarks.performance import limits, torchdistill
from benchmarks.performance.pairs import Row
from benchmarks.performance.work import CPU, Measured, Work

from stillhouse.data.loader import TrainBatches
from stillhouse.training.reopen import augmentation

COHORTS = (1, 2, 4, 7, 14)
COMMANDS = (1_000, 10_000)
AGAINST = (("fp32", "fp32"), ("bf16", "bf16"), ("bf16", "fp32"))  # ours, the other's


def round_cost(work: Work) -> Iterator[Measured]:
    """A step of seven students as a cohort, against seven textbook steps, one run at a time."""
    networks = ("small",) if work.tiny or work.quick else ("small", "large")
    for pair, precisions in itertools.product(networks, AGAINST):
        name = f"{pair} pair, {' against '.join(dict.fromkeys(precisions))}"
        yield name, partial(_round, work, pair, *precisions)


def _round(work: Work, pair: str, precision: str, others: str) -> Row:
    setting = work.setting(pair, precision)
    cohort = make_cohort(setting, work.images, CPU)
    other_setting = replace(setting, precision=others)
    steps = [textbook.make_step(other_setting, *one, work.images, CPU) for one in setting.students]
    fed = textbook.loader(work.images, setting.batch_size, 0)

    def other() -> None:
        for step in steps:
            step(next(fed))

    return work.pairs(cohort.step, other)


def growth(work: Work) -> Iterator[Measured]:
    """A step of so many students as a cohort, over a step of one: all with logit distillation."""
    for count in () if work.quick else COHORTS[:2] if work.tiny else COHORTS:
        yield f"{count} student" + ("s" if count > 1 else ""), partial(_growth, work, count)


def _growth(work: Work, count: int) -> Row:
    setting = replace(work.setting("small", "fp32"), students=(("logit", {}),))
    several = make_cohort(replace(setting, students=setting.students * count), work.images, CPU)
    one = make_cohort(setting, work.images, CPU)
    return {**work.pairs(several.step, one.step), "students": count}


def data_path(work: Work) -> Iterator[Measured]:
    """A batch of augmented images, against torchvision's transforms on PIL images."""

    def measure() -> Row:
        setting = work.setting("small", "fp32")
        recipe = augmentation(setting.config("pure", {}).training)
        ours = TrainBatches(work.images.train, work.images.spec, 0, setting.batch_size, recipe)
        fed = textbook.loader(work.images, setting.batch_size, 0)
        steps = itertools.cycle(range(ours.steps))
        return work.pairs(lambda: ours.batch(0, next(steps)), lambda: next(fed))

    yield "a batch", measure


def other_library(work: Work) -> Iterator[Measured]:
    """One run of a method, against the same in torchdistill, set up as its documentation says."""
    methods = () if work.quick else ("logit", "attention_transfer")
    for method, precision, students in itertools.product(methods, ("fp32", "bf16"), (1, 7)):
        name = f"{method}, {students} student" + ("s" if students > 1 else "")
        yield f"{name}, {precision}", partial(_library, work, method, precision, students)


def _library(work: Work, method: str, precision: str, students: int) -> Row:
    if why := torchdistill.missing():
        return {"left_out": why}
    setting = replace(work.setting("small", precision), students=((method, {}),) * students)
    cohort = make_cohort(setting, work.images, CPU)
    theirs = torchdistill.make_step(setting, method, work.images, CPU)
    fed = textbook.loader(work.images, setting.batch_size, 0)

    def other() -> None:
        for _ in range(students):
            theirs(next(fed))

    return work.pairs(cohort.step, other)


def command_times(work: Work) -> Iterator[Measured]:
    """The commands over rounds of many finished runs."""
    for runs in () if work.quick else (1,) if work.tiny else COMMANDS:
        yield f"{runs:,} runs", partial(_commands, work, runs)


def _commands(work: Work, runs: int) -> Row:
    """Time them from a small process: the memory of a command counts that of its parent."""
    words = [str(work.folder), "--runs", str(runs)]
    words += ["--epochs", "1", "--commands", "status"] if work.tiny else []
    command = [sys.executable, "-m", "benchmarks.commands", *words]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    lines = [line.split() for line in done.stdout.splitlines()]
    found = [
        {"command": name, "index": index, "seconds": float(seconds), "mib": float(mib)}
        for count, name, index, seconds, _, mib in (one for one in lines if len(one) == 6)
        if count == str(runs)
    ]
    return {"commands": found, "runs": runs}


PARTS: dict[str, Callable[[Work], Iterator[Measured]]] = {
    "round-cost": round_cost,
    "convolutions": limits.convolutions,
    "torchdistill": other_library,
    "beside": limits.beside,
    "evaluation": limits.evaluation,
    "growth": growth,
    "images": limits.images,
    "data": data_path,
    "commands": command_times,
}
