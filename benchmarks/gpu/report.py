"""The parts of a report in order of worth, written after each, within a budget of seconds."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from benchmarks.gpu import checks, timing
from benchmarks.gpu.page import page
from benchmarks.gpu.workload import MODES, Setting, load_images

from stillhouse.data.base import Dataset
from stillhouse.errors import StillhouseError

FORMAT = 1
IMAGES, FEW_IMAGES = 50_000, 256


@dataclass
class Work:
    """A report in the making: where it goes, what it is made from, and the time left."""

    folder: Path
    images: Dataset
    device: torch.device
    budget: float
    tiny: bool
    report: dict[str, Any]
    started: float = field(default_factory=time.monotonic)

    @property
    def left(self) -> float:
        """Seconds of the budget."""
        return self.budget - (time.monotonic() - self.started)

    def write(self) -> None:
        """Both files, as far as they have got."""
        self.report["ratios"] = timing.ratios([r for r in self.report["timings"] if "ms" in r])
        self.report["seconds"] = round(time.monotonic() - self.started, 1)
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "gpu.json").write_text(json.dumps(self.report, indent=1) + "\n")
        (self.folder / "gpu.md").write_text(page(self.report))

    def say(self, text: str) -> None:
        """One line of progress, with the seconds so far."""
        sys.stdout.write(f"{time.monotonic() - self.started:6.1f} s  {text}\n")
        sys.stdout.flush()


def make(options: argparse.Namespace) -> int:
    """Make the report of this machine."""
    device = torch.device("cpu" if options.dry_run else "cuda")
    images, kind = load_images(options.data_root, FEW_IMAGES if options.dry_run else IMAGES, device)
    report: dict[str, Any] = {
        "format": FORMAT,
        "facts": facts(device) | {"images": kind},
        **{part: [] for part in ("checks", "timings", "ratios", "processes", "skipped")},
    }
    work = Work(options.out, images, device, options.budget, options.dry_run, report)
    wanted = options.only.split(",") if options.only else ["checks", "timings", "processes"]
    steps: list[tuple[str, Callable[[Work], None]]] = [
        ("smoke", smoke),
        ("checks", waiting_checks),
        ("timings", first_timings),
        ("checks", all_checks),
        ("timings", other_timings),
        ("processes", processes),
    ]
    for part, step in steps:
        if part in wanted:
            step(work)
            work.write()
    failed = [row["name"] for row in report["checks"] if row["passed"] is False]
    work.say(f"{len(failed)} checks failed; see {options.out / 'gpu.md'}")
    return 1 if failed else 0


def facts(device: torch.device) -> dict[str, Any]:
    """The machine, the versions and the switches."""
    found: dict[str, Any] = {
        "device": str(device),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "cpu_cores": os.cpu_count(),
        "system": platform.platform(),
    }
    if device.type == "cuda":
        properties = torch.cuda.get_device_properties(device)
        found |= {
            "gpu": properties.name,
            "gpu_memory_gib": round(properties.total_memory / 2**30, 1),
            "multiprocessors": properties.multi_processor_count,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
            "driver": _driver(),
            "tf32_convolutions": torch.backends.cudnn.allow_tf32,
            "tf32_products": torch.backends.cuda.matmul.allow_tf32,
        }
    return found


def _driver() -> str:
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError) as error:
        return f"unknown ({error})"


def smoke(work: Work) -> None:
    """Within a minute: whether CUDA graphs work here at all, and what they are worth."""
    base = checks.TINY if work.tiny else checks.SMALL
    _collect(work, checks.modes_agree(base, work.images, work.device))
    mode = [*MODES][-1]
    half = replace(base, mode=mode, precision="fp32" if work.tiny else "fp16")
    _collect(work, checks.same_bits(half, work.images, work.device))
    _collect(work, checks.synchronisations(replace(base, mode=mode), work.images, work.device))
    _collect(work, checks.bad_step(replace(base, mode=mode), work.images, work.device))
    for pair, precision in (("large", "bf16"), ("small", "bf16"), ("large", "fp32")):
        _time(work, timing.settings(mode, precision, pair, 7, _batch(work)))


def waiting_checks(work: Work) -> None:
    """The checks that say most in the least time."""
    base = checks.TINY if work.tiny else checks.SMALL
    for mode in reversed(MODES):
        one = replace(base, mode=mode)
        _collect(work, checks.synchronisations(one, work.images, work.device))
        _collect(work, checks.bad_step(one, work.images, work.device))
    for precision in _precisions(work):
        one = replace(base, precision=precision)
        _collect(work, checks.modes_agree(one, work.images, work.device))


def all_checks(work: Work) -> None:
    """Every method in every precision and mode: bits, then values."""
    base = checks.TINY if work.tiny else checks.SMALL
    until = work.left * 0.3
    for mode in reversed(MODES):
        for precision in _precisions(work):
            one = replace(base, precision=precision, mode=mode)
            _collect(work, checks.same_bits(one, work.images, work.device), until)
            _collect(work, checks.values(one, work.images, work.device), until)


def _precisions(work: Work) -> tuple[str, ...]:
    return ("fp32",) if work.tiny else ("fp32", "bf16", "fp16")


def _collect(work: Work, rows: Iterator[checks.Check], until: float = 0) -> None:
    """Take the rows of a check while `work.left` seconds are more than `until`."""
    for row in rows:
        work.report["checks"].append(row)
        word = {True: "ok", False: "FAILED", None: "-"}[row["passed"]]
        work.say(f"{word:6} {row['name']}: {row['detail']}")
        if not work.tiny and work.left < until:
            work.report["skipped"].append(f"checks after {row['name']} (no time left)")
            return


def first_timings(work: Work) -> None:
    """The figures that the goals are stated in: seven students, both precisions."""
    for pair in ("large", "small"):
        for precision in ("fp32", "bf16"):
            for mode in reversed(MODES):
                _time(work, timing.settings(mode, precision, pair, 7, _batch(work)))
                if mode == [*MODES][-1]:
                    plain = timing.settings("eager", precision, pair, 7, _batch(work))
                    _time(work, plain, textbook=True)
        if work.tiny:
            break


def other_timings(work: Work) -> None:
    """Fewer students, and fp16."""
    for students in (1, 3):
        for pair in ("small",) if work.tiny else ("large", "small"):
            for precision in ("fp32",) if work.tiny else ("fp32", "bf16"):
                for mode in reversed(MODES):
                    _time(work, timing.settings(mode, precision, pair, students, _batch(work)))
        if work.tiny:
            return
    mode = [*MODES][-1]
    _time(work, timing.settings(mode, "fp16", "large", 7, _batch(work)))
    without = replace(timing.settings(mode, "fp32", "large", 7, _batch(work)), tf32="nowhere")
    _time(work, without)


def processes(work: Work) -> None:
    """One, two and four processes on the device."""
    extra = ["--dry-run"] if work.tiny else []
    seconds = 0.2 if work.tiny else 4.0
    for pair in ("small",) if work.tiny else ("large", "small"):
        for count in (1, 2) if work.tiny else (1, 2, 4):
            setting = timing.settings([*MODES][-1], "bf16", pair, 7, _batch(work))
            name = f"{count} processes, {setting.student}"
            if not work.tiny and work.left < 30:
                work.report["skipped"].append(f"{name} (no time left)")
                continue
            row = timing.processes_row(setting, count, seconds, extra)
            work.report["processes"].append(row)
            work.say(f"{name}: {row.get('steps_per_second') or row.get('failed')} steps a second")
            work.write()


def _time(work: Work, setting: Setting, textbook: bool = False) -> None:
    setting = _tiny(setting) if work.tiny else setting
    kind = "textbook" if textbook else setting.mode
    name = f"{setting.student} {setting.precision} {kind} {len(setting.students)} students"
    share = 0.1 if work.tiny else max(1.0, min(12.0, work.budget / 100))
    if not work.tiny and work.left < 3 * share:
        work.report["skipped"].append(f"{name} (no time left)")
        return
    measure = timing.textbook_row if textbook else timing.cohort_row
    try:
        row = measure(setting, work.images, work.device, share)
        work.say(f"{name}: {row['ms']:.2f} ms, {_extra(row)}")
    except (RuntimeError, AssertionError, StillhouseError) as error:
        text = " ".join(str(error).split())[:600]
        row = timing.described(setting, len(setting.students)) | {"failed": text}
        work.say(f"{name}: failed: {text}")
    work.report["timings"].append(row)
    work.write()


def _tiny(setting: Setting) -> Setting:
    return replace(setting, teacher="ResNetBaby", student="ResNetBaby")


def _extra(row: dict[str, Any]) -> str:
    names = ("launches", "kernels", "busy_ms", "busy_share", "peak_mib", "loader_ms")
    return ", ".join(f"{name} {row[name]:.4g}" for name in names if row.get(name) is not None)


def _batch(work: Work) -> int:
    return 8 if work.tiny else 128


def worker(options: argparse.Namespace) -> int:
    """One of several processes on the device."""
    device = torch.device("cpu" if options.dry_run else "cuda")
    images, _ = load_images(None, FEW_IMAGES if options.dry_run else 5_000, device)
    teacher, student = options.pair.split(",")
    setting = Setting(
        teacher,
        student,
        options.precision,
        options.mode,
        batch_size=8 if options.dry_run else 128,
    )
    timing.worker(setting, images, device, options.worker)
    return 0
