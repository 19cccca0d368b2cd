"""`python -m benchmarks.gpu`: checks and ratios on a CUDA machine, into one JSON and one page."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

NEEDED = {
    "torch": "torch",
    "numpy": "numpy",
    "pydantic": "pydantic (with pydantic-core, annotated-types, typing-inspection)",
    "safetensors": "safetensors",
    "stillhouse": "stillhouse: `pip install -e .`, or PYTHONPATH=src",
}


def missing() -> list[str]:
    """What does not import, as a person installs it."""
    found = []
    for module, package in NEEDED.items():
        try:
            import_module(module)
        except ImportError as error:
            found.append(f"{package} ({error})")
    return found


def arguments(given: list[str] | None) -> argparse.Namespace:
    """The options of the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.gpu", description=__doc__)
    parser.add_argument(
        "--out", type=Path, default=Path("gpu-report"), help="folder for both files"
    )
    parser.add_argument("--data-root", type=Path, help="folder that holds CIFAR-10 (else random)")
    parser.add_argument("--budget", type=float, default=1200, help="seconds; the best first")
    parser.add_argument("--only", default="", help="parts, as in checks,timings,processes")
    parser.add_argument("--dry-run", action="store_true", help="the same on the CPU, tiny")
    parser.add_argument("--worker", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--pair", help=argparse.SUPPRESS)
    parser.add_argument("--precision", default="fp32", help=argparse.SUPPRESS)
    parser.add_argument("--mode", default="eager", help=argparse.SUPPRESS)
    return parser.parse_args(given)


def main(given: list[str] | None = None) -> int:
    """Run the parts in order until the budget is spent. Returns 0, 1 (a check failed) or 2."""
    options = arguments(given)
    if lacking := missing():
        sys.stderr.write("missing packages:\n" + "".join(f"  {name}\n" for name in lacking))
        return 2
    import torch

    if not torch.cuda.is_available() and not options.dry_run:
        sys.stderr.write(
            f"torch {torch.__version__} finds no CUDA device here: nothing was measured "
            "(--dry-run tries the program on the CPU)\n"
        )
        return 2
    from benchmarks.gpu import report

    return report.worker(options) if options.worker else report.make(options)


if __name__ == "__main__":
    raise SystemExit(main())
