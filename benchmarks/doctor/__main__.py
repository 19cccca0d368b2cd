"""`python -m benchmarks.doctor FOLDER`: train all scenes, then print the confusion tables."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from benchmarks.doctor import scenes
from benchmarks.doctor.score import judge, tables
from benchmarks.doctor.worlds import JUDGED, MADE, play, small_images, stage

from stillhouse.tables import render


def main() -> None:
    """Every scene is played in its own workspace below the folder; done ones are kept."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--world", choices=("made", "judged", "both"), default="both")
    parser.add_argument("--only", help="a part of the scenes' names")
    parser.add_argument("--judge", action="store_true", help="train nothing, judge what is there")
    options = parser.parse_args()
    worlds = {"made": [MADE], "judged": [JUDGED], "both": [MADE, JUDGED]}[options.world]
    rows = []
    with small_images():
        for world in worlds:
            base = options.folder / world.dataset / "methods"
            cast = [*scenes.healthy(world), *scenes.injected(world)]
            for scene in cast:
                if options.only and options.only not in scene.name:
                    continue
                started = time.perf_counter()
                if not options.judge:
                    play(scene, world, base)
                found = judge(scene, world, *stage(scene, world, base))
                rows += found
                seconds = time.perf_counter() - started
                wrong = [row for row in found if row["found"] != row["code"]]
                shown = "; ".join(f"{row['run']}: {row['all']}" for row in wrong) or "as it should"
                sys.stdout.write(f"{world.dataset} {scene.name} ({seconds:.0f} s): {shown}\n")
                sys.stdout.flush()
    (options.folder / "rows.json").write_text(json.dumps(rows, indent=1))
    for table in tables(rows):
        sys.stdout.write(render(table, "md") + "\n")


if __name__ == "__main__":
    main()
