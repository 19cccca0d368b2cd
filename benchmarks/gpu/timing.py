"""Time per step of a cohort and of the textbook loop, launches, and the GPU's busy share."""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from benchmarks.gpu import textbook
from benchmarks.gpu.workload import Cohort, Setting, make_cohort
from torch.profiler import ProfilerActivity, profile

from stillhouse.config.resolve import resolve
from stillhouse.data.base import Dataset
from stillhouse.training.memory import together

Row = dict[str, Any]
REPEATS, STEPS = 5, 50
ROOT = Path(__file__).parents[2]
PAIRS = {"large": ("ResNet112", "ResNet56"), "small": ("ResNet20", "ResNetBaby")}


def wait(device: torch.device) -> None:
    """Until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def cohort_row(setting: Setting, images: Dataset, device: torch.device, seconds: float) -> Row:
    """Time a cohort's steps; `seconds` is about how long that may take after the warm-up."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
    cohort = make_cohort(setting, images, device)
    cohort.run(5)
    wait(device)
    started = time.perf_counter()
    cohort.run(2)
    wait(device)
    once = (time.perf_counter() - started) / 2
    repeats = _repeats(seconds)
    steps = max(2, min(STEPS, int(seconds / repeats / once)))
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        cohort.run(steps)
        wait(device)
        found.append((time.perf_counter() - started) / steps)
    row = described(setting, len(cohort.trainers)) | spread(found) | {"steps": steps}
    if device.type == "cuda":
        row["peak_mib"] = torch.cuda.max_memory_reserved(device) / 2**20
        runs = [resolve(setting.config(name, given)) for name, given in setting.students]
        row["predicted_mib"] = together(runs, setting.mode == "graph") / 2**20
        row |= _profiled(cohort, device, row["ms"])
    return row


def textbook_row(setting: Setting, images: Dataset, device: torch.device, seconds: float) -> Row:
    """The same students one after another: the sum of their steps, with a loader and without."""
    each = seconds / len(setting.students) / 2
    row = described(setting, len(setting.students)) | {"mode": "textbook"}
    batches = textbook.resident(images, setting.batch_size)
    steps = [textbook.make_step(setting, *one, images, device) for one in setting.students]
    repeats = _repeats(seconds)
    times = [textbook.seconds_per_step(step, batches, repeats, each) for step in steps]
    row |= spread([sum(repeat) for repeat in zip(*times, strict=True)])
    row["methods_ms"] = {
        name: 1000 * statistics.median(found)
        for (name, _), found in zip(setting.students, times, strict=True)
    }
    try:
        fed = textbook.loader(images, setting.batch_size, textbook.workers())
        times = [textbook.seconds_per_step(step, fed, repeats, each) for step in steps]
        row["loader_ms"] = 1000 * sum(statistics.median(found) for found in times)
        row["loader_workers"] = textbook.workers()
    except ImportError as error:
        row["loader_missing"] = str(error)
    return row


def _repeats(seconds: float) -> int:
    """How often a measurement is repeated: once in a dry run, which has less than a second."""
    return REPEATS if seconds >= 1 else 1


def described(setting: Setting, students: int) -> Row:
    """Which measurement a row is of."""
    return {
        "teacher": setting.teacher,
        "student": setting.student,
        "precision": setting.precision,
        "mode": setting.mode,
        "tf32": setting.tf32,
        "students": students,
        "batch": setting.batch_size,
    }


def spread(seconds: list[float]) -> Row:
    """Median, least and most, in milliseconds."""
    found = sorted(1000 * value for value in seconds)
    return {"ms": statistics.median(found), "ms_least": found[0], "ms_most": found[-1]}


def _profiled(cohort: Cohort, device: torch.device, ms: float, steps: int = 2) -> Row:
    """Launches and busy milliseconds per step, from a profile of some steps."""
    with profile(activities=[ProfilerActivity.CPU, ProfilerActivity.CUDA]) as found:
        cohort.run(steps)
        wait(device)
    spans, launches = [], 0
    for event in found.events():
        if event.device_type.name == "CUDA":
            spans.append((event.time_range.start, event.time_range.end))
        elif event.name.startswith(("cudaLaunch", "cuLaunch", "cudaGraphLaunch", "cudaMemcpy")):
            launches += 1
    busy, reached = 0.0, 0.0
    for start, end in sorted(spans):
        busy += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    busy_ms = busy / 1000 / steps
    return {
        "launches": launches / steps,
        "kernels": len(spans) / steps,
        "busy_ms": busy_ms,
        "busy_share": min(1.0, busy_ms / ms),  # profiled kernels do not overlap as others do
    }


def ratios(rows: list[Row]) -> list[Row]:
    """Each cohort's advantage over the textbook loop of the same precision, and over fp32's."""
    plain = {
        (row["student"], row["precision"], row["students"]): row
        for row in rows
        if row["mode"] == "textbook"
    }
    found = []
    for row in rows:
        if row["mode"] == "textbook" or row["tf32"] != "convolutions":
            continue
        same = plain.get((row["student"], row["precision"], row["students"]))
        full = plain.get((row["student"], "fp32", row["students"]))
        if same or full:
            found.append(
                {key: row[key] for key in ("student", "precision", "mode", "students")}
                | {
                    "over_same_precision": same and same["ms"] / row["ms"],
                    "over_fp32": full and full["ms"] / row["ms"],
                    "over_same_with_loader": same
                    and "loader_ms" in same
                    and same["loader_ms"] / row["ms"],
                    "over_fp32_with_loader": full
                    and "loader_ms" in full
                    and full["loader_ms"] / row["ms"],
                }
            )
    return found


def processes_row(setting: Setting, count: int, seconds: float, extra: list[str]) -> Row:
    """Steps per second of `count` processes with a cohort each on one GPU, over the same time."""
    command = [sys.executable, "-m", "benchmarks.gpu", "--worker", str(seconds)]
    command += ["--pair", f"{setting.teacher},{setting.student}"]
    command += ["--precision", setting.precision, "--mode", setting.mode, *extra]
    workers = [
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
        )
        for _ in range(count)
    ]
    pipes = [(worker.stdin, worker.stdout) for worker in workers]
    ready = [out.readline() for _, out in pipes if out]
    for inward, _ in pipes:
        if inward:
            inward.write("go\n")
            inward.flush()
    answers = [out.readline() for _, out in pipes if out]
    codes = [worker.wait() for worker in workers]
    row = described(setting, len(setting.students)) | {"processes": count}
    if any(codes) or not all(ready):
        return row | {"failed": f"exit codes {codes}"}
    return row | {"steps_per_second": sum(map(float, answers))}


def worker(setting: Setting, images: Dataset, device: torch.device, seconds: float) -> None:
    """One of several processes: warm up, say so, wait for the word, count steps."""
    cohort = make_cohort(setting, images, device)
    cohort.run(8)
    wait(device)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    started, steps = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        cohort.run(2)
        wait(device)
        steps += 2
    sys.stdout.write(f"{steps / (time.perf_counter() - started)}\n")


def settings(mode: str, precision: str, pair: str, students: int, batch: int) -> Setting:
    """A setting of the timing matrix: so many of the seven students."""
    teacher, student = PAIRS[pair]
    whole = Setting(teacher, student, precision, mode, batch_size=batch)
    few = whole.students if students == len(whole.students) else whole.students[1 : 1 + students]
    return replace(whole, students=few)
