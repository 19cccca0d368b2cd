"""The storm: `python -m storm` with this folder's parent on PYTHONPATH; `make storm` does it."""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from pathlib import Path

import yaml

from stillhouse import methods
from storm.archive import POINTS as POINTS_OF_ARCHIVE
from storm.archive import archive_storm
from storm.driver import KINDS, Storm
from storm.faults.sitecustomize import POINTS, hits

ROUND = {
    "round": "storm",
    "datasets": ["Digits"],
    "teacher": "ResNet20",
    "students": ["ResNetBaby"],
    "training": {"batch_size": 64, "learning_rate": 0.05, "train_images": 600},
}
GENTLE = {  # Digits is small: what learns too little of it would be called at chance
    "factor_transfer": {"paraphraser_epochs": 4},
    "attention_transfer": {"weight": 62.5},
    "shuffled_teacher": {"total": "convex", "alpha": 0.1},
}


def storm(options: argparse.Namespace, folder: Path) -> list[str]:
    """The whole storm; returns everything that is wrong."""
    file = folder / "storm.yaml"
    settings = ROUND | {
        "methods": options.methods,
        "seeds": list(range(options.seeds)),
        "training": ROUND["training"] | {"epochs": options.epochs},
        "overrides": {"methods": {m: GENTLE[m] for m in options.methods if m in GENTLE}},
    }
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    one = Storm(
        folder,
        file,
        options.points,
        options.times,
        options.signals,
        0.0,
        random.Random(options.seed),
    )
    started = time.monotonic()
    one.calm_round(folder / "undisturbed")
    one.gap = options.gap * (time.monotonic() - started)
    print(
        f"undisturbed round: {len(one.survey(folder / 'undisturbed'))} runs, "
        f"{time.monotonic() - started:.0f} s",
        flush=True,
    )
    wrong: list[str] = []
    rounds = 0
    while (one.missing and time.monotonic() - started < options.limit) or not rounds:
        rounds += 1
        root = folder / f"round{rounds}"
        wrong += [f"round {rounds}: {line}" for line in one.round(root)]
        print(
            f"round {rounds}: {sum(c.state.attempts for c in one.survey(root))} attempts, "
            f"{one.starts} starts so far, {one.sent.total()} signals, "
            f"{hits(folder).total()} hits, {time.monotonic() - started:.0f} s",
            flush=True,
        )
    if options.archive_points:
        wrong += archive_storm(folder / "undisturbed", file, folder, options.archive_points)
        print(f"archived and restored: {time.monotonic() - started:.0f} s", flush=True)
    if one.missing:
        wrong.append("the time was over before enough faults had struck")
    report(one, rounds, time.monotonic() - started)
    return wrong


def report(one: Storm, rounds: int, seconds: float) -> None:
    """The faults by kind."""
    struck = hits(one.folder)
    for point in (*one.points, *(point for point in POINTS_OF_ARCHIVE if struck[point])):
        print(f"{struck[point]:5d}  {point}")
    for kind in KINDS:
        print(f"{one.sent[kind.name]:5d}  {kind.name} at a random moment")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    print(
        f"{struck.total() + one.sent.total()} faults in {rounds} rounds and {one.starts} starts; "
        f"{seconds:.0f} s, {used.ru_utime + used.ru_stime:.0f} s of processor time"
    )


def parse(words: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser("storm")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--signals", type=int, default=100, help="signals at random moments")
    parser.add_argument("--times", type=int, default=5, help="hits of each named point")
    parser.add_argument("--points", nargs="*", default=list(POINTS), help="named points")
    parser.add_argument(
        "--archive-points",
        nargs="*",
        default=list(POINTS_OF_ARCHIVE),
        help="of `archive`, once each",
    )
    parser.add_argument("--methods", nargs="+", default=methods.names())
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument(
        "--gap", type=float, default=1 / 20, help="between signals, in undisturbed rounds"
    )
    parser.add_argument(
        "--limit", type=float, default=1500, help="no new round after so many seconds"
    )
    parser.add_argument("--keep", type=Path, help="work in this folder and keep it")
    return parser.parse_args(words)


def main(words: list[str] | None = None) -> int:
    """Run a storm, print what struck and the verdict."""
    options = parse(words)
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        wrong = storm(options, folder)
    for line in wrong:
        print(line)
    print(f"verdict: {'FAILED' if wrong else 'every round ended bit for bit as if undisturbed'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
