"""`make docs-figures`: the figures of a trained digits round that docs/measures.md shows."""

from __future__ import annotations

import sys
from pathlib import Path

from measures_page import PICTURES
from stillhouse.show.report.analysis import shrunk

IMAGES = Path(__file__).parents[1] / "docs" / "images"
MOST_BYTES = 400_000  # of all pictures together


def main(workspace: Path) -> None:
    """Copy the pictures from a workspace, smaller."""
    folder = workspace / "analysis" / "experiment_digits" / "figures"
    names = [name for several in PICTURES.values() for name in several]
    files = [folder / f"digits-Digits-{name}.png" for name in names]
    for name, content in zip(names, shrunk(files, MOST_BYTES), strict=True):
        (IMAGES / f"measures-{name}.png").write_bytes(content)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
