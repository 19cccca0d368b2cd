"""Time and memory of the commands over rounds of many finished runs.

`python -m benchmarks.commands FOLDER [--runs 1000 10000] [--epochs 20]` writes synthetic rounds of
finished runs into FOLDER (unless they are there) and times every command in a process of its own:
`cold` without the index, `warm` once nothing has changed. Prints processor seconds, seconds on the
clock and the peak memory of the process.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from safetensors.numpy import save

from stillhouse import data
from stillhouse.config.expand import expand
from stillhouse.config.identity import identity
from stillhouse.config.load import load_round
from stillhouse.config.schema import RunConfig
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.records import dump, dump_sealed

DATASETS = ("Cifar10", "Cifar100", "SVHN", "FashionMNIST")
METHODS = ("logit", "attention_transfer", "factor_transfer", "fitnets", "nst", "rkd")
SEEDS = 10
COMMANDS = ("status", "plan", "table", "observe", "doctor")
NO_HASH = "0" * 64


def write_round(file: Path, runs: int) -> Path:
    """Write a round of about `runs` runs: a sweep of alpha over the methods."""
    points = max(1, round((runs / len(DATASETS) / SEEDS - 2) / len(METHODS)))
    content = {
        "round": f"of_{runs}",
        "datasets": list(DATASETS),
        "teacher": "ResNet20",
        "students": ["ResNetBaby"],
        "methods": ["pure", *METHODS],
        "seeds": list(range(SEEDS)),
        "training": {"epochs": 20},
        "distillation": {"total": "convex"},
        "sweep": {"alpha": [round((n + 1) / (points + 1), 4) for n in range(points)]},
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def finish(folder: Path, run: RunConfig, epochs: int, labels: np.ndarray) -> None:
    """Write a finished run's files, of the size that training writes."""
    from stillhouse.config.resolve import resolve

    resolved = resolve(run)
    chance = random.Random(run.path)
    reached = 60 + 30 * chance.random()
    attempt = folder / "attempts" / "001"
    attempt.mkdir(parents=True)
    teacher = run.teacher and run.teacher.model_dump() | {"sha256": NO_HASH, "accuracy": 91.5}
    known = identity(resolved)
    started = {
        "config": resolved.model_dump(mode="json"),
        "identity": known,
        "teacher": teacher,
        "data": NO_HASH,
        "machine": {"host": "node", "cores": 2, "device": "cpu", "threads": 1},
    }
    (folder / "run.json").write_bytes(dump_sealed(started))
    (attempt / "claim.json").write_bytes(dump({"host": "node", "pid": 1, "started": "1"}))
    status = {"state": "finished", "heartbeat": 1.7e9, "epoch": epochs, "memory": 2**30}
    (attempt / "status.json").write_bytes(dump(status))
    (attempt / "train.log").write_text("epoch\n" * epochs)
    records = [_record(n, epochs, reached, bool(teacher), chance) for n in range(1, epochs + 1)]
    metrics = "".join(json.dumps(record) + "\n" for record in records).encode()
    (folder / "metrics.jsonl").write_bytes(metrics)
    rows = np.random.default_rng(chance.getrandbits(32))
    wrong = rows.random(len(labels)) > reached / 100
    answers = np.where(wrong, (labels + 1) % (labels.max() + 1), labels).astype(np.int16)
    kept = save({"predictions": answers, "labels": labels})
    (folder / "predictions.safetensors").write_bytes(kept)
    final = records[-1]["test"]["accuracy"]
    best = {"epoch": epochs, "chosen_on": "test", "accuracy": final, "test_accuracy": final}
    result = {
        "identity": known,
        "teacher": teacher,
        "data": NO_HASH,
        "cost": {"parameters": 77754, "method_parameters": 0, "method_frozen_parameters": 0},
        "final": records[-1],
        "best": best,
        "weights": {"final": NO_HASH, "best": NO_HASH},
        "metrics": sha256(metrics).hexdigest(),
        "predictions": sha256(kept).hexdigest(),
        "attempts": 1,
    }
    (folder / "result.json").write_bytes(dump_sealed(result))


def _record(
    epoch: int, epochs: int, reached: float, taught: bool, chance: random.Random
) -> dict[str, Any]:
    """One epoch with the fields that training records."""
    accuracy = reached * (1 - math.exp(-5 * epoch / epochs)) + 0.3 * chance.random()
    ce = 2.5 * math.exp(-3 * epoch / epochs) + 0.01 * chance.random()
    record: dict[str, Any] = {
        "epoch": epoch,
        "lr": 0.05 * (1 + math.cos(math.pi * (epoch - 1) / epochs)),
        "train": {"ce": ce, "total": ce, "accuracy": min(99.9, accuracy + 1)},
        "test": {"accuracy": accuracy, "ce": ce + 0.1, "classes_predicted": 10, "ece": 1.5},
        "weights": {"ce": 1.0},
        "gradients": {"norm": 1 + chance.random()},
        "update_ratio": 0.01 * (1 + chance.random()),
        "scaler": {"scale": 1.0, "skipped": 0},
        "time": {"seconds": 20 + chance.random(), "images_per_second": 2500.0, "ended": 1.7e9},
    }
    if taught:
        record["train"]["kd"] = ce / 2
        record["test"] |= {"agreement": accuracy * 0.9, "kl": ce / 3}
        record["weights"] = {"ce": 0.1, "kd": 0.9}
        record["gradients"] |= {"ce": 0.5, "kd": 0.5 + chance.random(), "cosine": 0.3}
    return record


def make(root: Path, runs: int, epochs: int) -> Path:
    """Return the file of a round of finished runs, written unless it is there."""
    file = root / "rounds" / f"of_{runs}.yaml"
    if (root / "made").is_file():
        return file
    shutil.rmtree(root, ignore_errors=True)
    round_ = load_round(write_round(file, runs))
    workspace = Workspace(root)
    workspace.activate(round_, file)
    labels = {
        name: (np.arange((spec := data.spec(name, ())).test_images) % spec.classes).astype(np.int16)
        for name in DATASETS
    }
    for run in expand(round_):
        finish(workspace.folder(run).path, run, epochs, labels[run.dataset])
    (root / "made").touch()
    return file


@dataclass(frozen=True)
class Took:
    """Processor seconds, seconds on the clock, and MiB of a command's process."""

    processor: float
    clock: float
    memory: float


def took(words: list[str], cache: Path) -> Took:
    """Run a command in a process of its own. Raises CalledProcessError if it fails."""
    began, variables = time.perf_counter(), os.environ | {"STILLHOUSE_CACHE": str(cache)}
    process = subprocess.Popen(
        [sys.executable, "-m", "stillhouse", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=variables,
    )
    assert process.stderr is not None
    with process.stderr as stream:
        said = stream.read()
    _, code, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(code)
    if process.returncode not in (0, 1):
        raise subprocess.CalledProcessError(code, words, stderr=said)
    seconds = used.ru_utime + used.ru_stime
    return Took(seconds, time.perf_counter() - began, used.ru_maxrss / 1024)


def measure(root: Path, file: Path, commands: tuple[str, ...]) -> Iterator[tuple[str, str, Took]]:
    """Every command cold, then warm; `plan` of the same round in an empty workspace too.

    There it is `plan-new`, of which the first measures the sizes of the networks.
    """
    cache = root / "cache"
    calls = [(command, command, root) for command in commands]
    for name, command, place in [*calls, ("plan-new", "plan", root / "empty")]:
        words = [command, str(file), "--root", str(place)]
        shutil.rmtree(cache, ignore_errors=True)
        yield name, "cold", took(words, cache)
        took(words, cache)
        yield name, "warm", took(words, cache)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main() -> None:
    """Print one line per number of runs, command and state of the index."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--runs", type=int, nargs="+", default=[1000, 10_000])
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--make", action="store_true", help="write the rounds and time nothing")
    parser.add_argument("--commands", nargs="+", default=list(COMMANDS))
    asked = parser.parse_args()
    say(f"{'runs':>6} {'command':8} {'index':5} {'CPU s':>7} {'clock s':>8} {'MiB':>6}")
    for runs in asked.runs:
        root = asked.folder / f"of_{runs}"
        file = root / "rounds" / f"of_{runs}.yaml"
        if asked.make:
            make(root, runs, asked.epochs)
            continue
        if not (root / "made").is_file():  # in a process of its own: torch makes this one large
            words = [sys.executable, "-m", "benchmarks.commands", *sys.argv[1:], "--make"]
            subprocess.run(words, check=True)
        for command, state, one in measure(root, file, tuple(asked.commands)):
            figures = f"{one.processor:7.2f} {one.clock:8.2f} {one.memory:6.0f}"
            say(f"{runs:6} {command:8} {state:5} {figures}")


if __name__ == "__main__":
    main()
