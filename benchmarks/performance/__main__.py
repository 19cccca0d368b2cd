"""`python -m benchmarks.performance`: measure what is missing, then write the page and its plots.

Every row is written to the JSON as soon as it is measured, so an interrupted benchmark goes on
where it was. A row counts for the version of the code, the machine and the number of pairs that it
was measured with; others are measured again. The rows of other machines stay beside them.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from benchmarks.performance import page
from benchmarks.performance.pairs import Row, fallen, middle
from benchmarks.performance.parts import PARTS
from benchmarks.performance.work import Work

from stillhouse.errors import StillhouseError
from stillhouse.runs import environment

FORMAT = 1
QUICK_PAIRS = 3
DOCS = Path(__file__).parents[2] / "docs"


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.performance", description=__doc__)
    parser.add_argument("--out", type=Path, default=DOCS, help="folder of performance.{json,md}")
    parser.add_argument("--work", type=Path, default=Path("bench-commands"), help="large files")
    parser.add_argument("--only", default="", help=f"parts, as in {','.join(PARTS)}")
    parser.add_argument("--pairs", type=int, default=7, help="interleaved pairs of each row")
    parser.add_argument("--fresh", action="store_true", help="measure again what is measured")
    parser.add_argument("--page", action="store_true", help="measure nothing, write the page")
    parser.add_argument("--quick", action="store_true", help="compare some ratios with the JSON")
    parser.add_argument("--dry-run", action="store_true", help="tiny: nothing is worth keeping")
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Return 0; 1 if a ratio fell by more than a quarter, or a part failed; 2 if used wrongly."""
    options = arguments(given)
    wanted = options.only.split(",") if options.only else [*PARTS]
    if unknown := [name for name in wanted if name not in PARTS]:
        say(f"no part {', '.join(unknown)}: expected some of {', '.join(PARTS)}")
        return 2
    file = options.out / "performance.json"
    if not file.is_file() and (options.quick or options.page):
        say(f"{file} is not there: `make bench` measures it first")
        return 2
    kept: dict[str, Any] = {"format": FORMAT, "rows": []}
    if file.is_file():
        kept = json.loads(file.read_text())
    if options.page:
        page.write(kept, options.out)
        return 0
    torch.set_num_threads(1)
    count = min(options.pairs, QUICK_PAIRS) if options.quick else options.pairs
    work = Work(count, options.work, options.dry_run, options.quick)
    if options.quick:
        return compare(work, wanted, kept["rows"])
    return complete(work, wanted, kept, options)


def compare(work: Work, wanted: list[str], before: list[Row]) -> int:
    """Measure the quick rows now; returns 1 if one fell by more than a quarter."""
    now = []
    for part in wanted:
        for name, measure in PARTS[part](work):
            row = {"part": part, "name": name, **measure()}
            now.append(row)
            say(f"{part}, {name}: {middle(row):.2f} times as fast")
    processor = facts(work)["processor"]
    worse = fallen(now, [row for row in before if row["by"]["processor"] == processor] or before)
    for line in worse:
        say(f"fallen by more than 25 %: {line}")
    return 1 if worse else 0


def complete(
    work: Work, wanted: list[str], kept: dict[str, Any], options: argparse.Namespace
) -> int:
    """Measure every row that is wanted and missing, write each, then the page."""
    by = facts(work)
    here = by["processor"]
    rows: dict[tuple[str, str, str], Row] = {
        (row["part"], row["name"], row["by"]["processor"]): row for row in kept["rows"]
    }
    failed = 0
    for part in wanted:
        names = {name for name, _ in PARTS[part](work)}
        rows = {of: row for of, row in rows.items() if of[0] != part or of[1] in names}
        for name, measure in PARTS[part](work):
            known = rows.get((part, name, here))
            if known and _counts(known, by) and not options.fresh:
                say(f"{part}, {name}: measured already")
                continue
            started = time.perf_counter()
            try:
                found = measure()
            except (RuntimeError, StillhouseError, OSError, subprocess.SubprocessError) as error:
                found = {"failed": " ".join(f"{type(error).__name__}: {error}".split())[:500]}
                failed += 1
            rows[part, name, here] = {"part": part, "name": name, "by": by, **found}
            kept["rows"] = [*rows.values()]
            write(kept, options.out / "performance.json")
            spent = time.perf_counter() - started
            say(f"{part}, {name}: {told(found)} ({spent:.0f} s)")
    page.write(kept, options.out)
    say(f"written: {options.out / 'performance.md'}")
    return 1 if failed else 0


def _counts(row: Row, by: dict[str, Any]) -> bool:
    """Return whether a row was measured, and with the same code, machine and number of pairs."""
    return bool(row["by"] == by and not {"failed", "left_out"} & {*row})


def told(found: Row) -> str:
    """Return a row as a line of progress shows it."""
    if "pairs" in found:
        return f"{middle(found):.2f} times"
    if "shares" in found:
        return f"{sum(found['shares'].values()):.1f} %"
    return found.get("failed") or found.get("left_out") or f"{len(found['commands'])} commands"


def facts(work: Work) -> dict[str, Any]:
    """Return what a row was measured with."""
    machine = environment.machine()
    return {
        "source": environment.source(),
        "processor": machine["processor"],
        "cores": machine["cores"],
        "python": machine["python"],
        "torch": torch.__version__,
        "pairs": work.count,
        "dry_run": work.tiny,
    }


def write(kept: dict[str, Any], file: Path) -> None:
    """Write the JSON whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(kept, indent=1) + "\n")
    new.replace(file)


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
