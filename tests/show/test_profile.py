"""The screen of `run --profile`."""

from __future__ import annotations

from pathlib import Path

import torch

from stillhouse.show.profile import profile_tables
from stillhouse.tables import Format, render
from stillhouse.training.laps import Laps

PARTS = ("student forward", "method", "backward", "optimizer", "guards", "evaluation", "records")
METHODS = ("pure", "factor_transfer", "attention_transfer alpha=0.25")


class Clock:
    """A clock on which every part takes a millisecond more than the one before."""

    now, pace = 0.0, 0.0

    def __call__(self) -> float:
        self.pace += 0.001
        self.now += self.pace
        return self.now


def profiles(folder: Path, workers: int) -> list[Laps]:
    found = []
    for number in range(workers):
        laps = Laps(torch.device("cpu"), Clock())
        for _ in range(3):
            laps.of("")("data")
            laps.of("")("teacher")
            for method in METHODS:
                for part in PARTS:
                    laps.of(method)(part)
        laps.write(folder / f"{number}.json")
        found.append(laps)
    return found


def test_the_parts_are_the_whole_of_all_workers(tmp_path: Path) -> None:
    workers = profiles(tmp_path, 2)
    parts, methods = profile_tables(tmp_path)
    *rows, last = parts.rows
    assert [row[0] for row in rows] == ["data", "teacher", *PARTS]
    shares = [float(str(row[1])) for row in rows]
    assert abs(sum(shares) - 100) < 0.5
    steps, whole = 6, sum(laps.whole for laps in workers)
    assert float(str(last[2])) == float(f"{1000 * whole / steps:.3g}")
    spent = {part: sum(laps.seconds["", part] for laps in workers) for part in ("data", "teacher")}
    for part, _, milliseconds, *_ in rows[:2]:
        assert float(str(milliseconds)) == float(f"{1000 * spent[str(part)] / steps:.3g}")
    assert [row[0] for row in methods.rows] == [*reversed(METHODS)]  # the slowest first
    own = [float(str(value)) for value in methods.rows[0][1:]]
    assert abs(sum(own[:-1]) / own[-1] - 1) < 0.02


def test_it_fits_a_screen(tmp_path: Path) -> None:
    profiles(tmp_path, 1)
    lines = [
        line
        for table in profile_tables(tmp_path)
        for line in render(table, Format.rich, width=80).splitlines()
    ]
    assert max(map(len, lines)) <= 80 and len(lines) <= 30


def test_a_round_that_is_done_has_nothing_to_show(tmp_path: Path) -> None:
    assert profile_tables(tmp_path) == []
