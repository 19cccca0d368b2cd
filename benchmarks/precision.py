"""Does bf16 end where fp32 does? `python -m benchmarks.precision FOLDER` trains and compares.

Two rounds on CIFAR-10 that differ in the precision alone: teacher, pure student and six methods,
the same seeds. The accuracies of the final epoch are paired by method and seed. Runs of a seed
share their batches and their teacher, so a seed is one observation: the mean over its runs. bf16
counts as equivalent if the 90 % t-interval of the mean over seeds lies within ±0.5 points (two
one-sided tests at 5 %). Killed, it goes on where it was. Writes precision.json and precision.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import pandas as pd
import yaml
from scipy import stats

from stillhouse import load_round

MARGIN = 0.5  # points; stated before anything was trained
LEVEL = 0.9
PRECISIONS = ("bf16", "fp32")
DOCS = Path(__file__).parents[1] / "docs"
METHODS = ("pure", "logit", "factor_transfer", "attention_transfer", "fitnets", "rkd", "nst")
HEAD = f"""# bf16 against fp32

Written by `make precision` from `precision.json`; do not edit. Two rounds on CIFAR-10 differ in
the precision of the networks alone (losses are computed in float32 in both). The accuracies of the
final epoch are paired by method and seed. Runs of one seed share batches and teacher, so the mean
over the runs of a seed is one observation. The margin of ±{MARGIN} points was stated beforehand:
bf16 counts as equivalent if the 90 % interval of the mean lies within it.
"""


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.precision", description=__doc__)
    parser.add_argument("folder", type=Path, help="round files and runs")
    parser.add_argument("--dataset", default="Cifar10")
    parser.add_argument("--seeds", type=int, default=6)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--images", type=int, default=10_000, help="training images")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--teacher", default="ResNet20")
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of precision.{json,md}")
    parser.add_argument("--run", default="", help="more options of `stillhouse run`")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Train what is missing of both rounds, then write the comparison.

    Returns 0; 1 if a run is missing or not valid; 2 if used wrongly.
    """
    options = arguments(given)
    if options.seeds < 2:
        sys.stderr.write("expected --seeds of 2 or more: one seed has no interval\n")
        return 2
    frames = []
    for precision in PRECISIONS:
        file = write_round(options, precision)
        command = [sys.executable, "-m", "stillhouse", "run", str(file)]
        command += ["--root", str(file.parent), *options.run.split()]
        if code := subprocess.run(command).returncode:
            sys.stderr.write(f"no comparison: `run` of {file} ended with {code}\n")
            return 1
        frames.append(load_round(file, file.parent).runs)
    rows = paired(*frames)
    report = {"setting": setting(options), "rows": rows, **judged(rows)}
    (options.out / "precision.json").write_text(json.dumps(report, indent=1) + "\n")
    (options.out / "precision.md").write_text(page(report))
    sys.stdout.write(f"{report['verdict']}\nwritten: {options.out / 'precision.md'}\n")
    return 0


def write_round(options: argparse.Namespace, precision: str) -> Path:
    """Write the round file of a precision into a folder of its own."""
    content = {
        "round": f"precision_{precision}",
        "datasets": [options.dataset],
        "teacher": options.teacher,
        "students": ["ResNetBaby"],
        "methods": list(METHODS),
        "seeds": list(range(options.seeds)),
        "training": {
            "epochs": options.epochs,
            "batch_size": options.batch,
            "learning_rate": 0.05,
            "augmentation": ["pad_crop", "flip"],
            "train_images": options.images,
            "precision": precision,
            "threads": 1,
        },
        "distillation": {"total": "reference"},
    }
    file: Path = options.folder / precision / f"precision_{precision}.yaml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(yaml.safe_dump(content, sort_keys=False))
    return file


def setting(options: argparse.Namespace) -> dict[str, Any]:
    """Return what the page says of the rounds."""
    names = ("dataset", "seeds", "epochs", "images", "batch", "teacher")
    return {name: getattr(options, name) for name in names}


def paired(first: pd.DataFrame, second: pd.DataFrame) -> list[dict[str, Any]]:
    """Return a row for each run that both rounds completed: its accuracies and the difference.

    Raises ValueError if one of them is missing or not valid in a round.
    """
    for frame in (first, second):
        if not frame["valid"].eq(True).all():
            raise ValueError("a run is missing or not valid: `stillhouse status` names it")
    both = first.merge(second, on=["run", "arm", "seed"], how="outer", suffixes=("_a", "_b"))
    a, b = both["accuracy_a"], both["accuracy_b"]
    rows = both[["run", "arm", "seed"]].assign(bf16=a, fp32=b, difference=a - b)
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


def judged(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the mean difference over seeds, its 90 % interval, and what it means."""
    seeds = defaultdict[int, list[float]](list)
    for row in rows:
        seeds[row["seed"]].append(row["difference"])
    values = [mean(found) for _, found in sorted(seeds.items())]
    centre, error = mean(values), stdev(values) / len(values) ** 0.5
    low, high = stats.t.interval(LEVEL, len(values) - 1, centre, error)
    inside = low > -MARGIN and high < MARGIN
    outside = low > MARGIN or high < -MARGIN
    word = "equivalent" if inside else "different" if outside else "inconclusive"
    found = f"{centre:+.2f} points, 90 % interval [{low:+.2f}, {high:+.2f}]"
    return {
        "by_seed": values,
        "mean": centre,
        "low": float(low),
        "high": float(high),
        "verdict": f"bf16 minus fp32: {found}; {word} at a margin of ±{MARGIN}",
    }


def page(report: Mapping[str, Any]) -> str:
    """Return the page."""
    of, rows = report["setting"], pd.DataFrame(report["rows"])
    lines = [
        HEAD,
        f"{of['teacher']} teaches ResNetBaby on {of['images']:,} images of {of['dataset']}, "
        f"{of['epochs']} epochs, batches of {of['batch']}, {of['seeds']} seeds: {len(rows)} pairs "
        "of runs.",
        "",
        f"**{report['verdict']}.**",
        "",
        "| Method | bf16 (%) | fp32 (%) | Difference, mean over seeds | [least, most] |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, found in rows.groupby("arm", sort=False):
        gaps = found["difference"]
        lines.append(
            f"| {name} | {found['bf16'].mean():.2f} | {found['fp32'].mean():.2f} "
            f"| {gaps.mean():+.2f} | [{gaps.min():+.2f}, {gaps.max():+.2f}] |"
        )
    by_seed = ", ".join(f"{value:+.2f}" for value in report["by_seed"])
    return "\n".join([*lines, "", f"Means by seed: {by_seed}.", ""])


if __name__ == "__main__":
    raise SystemExit(main())
