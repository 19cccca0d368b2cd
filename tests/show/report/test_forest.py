"""The report's plot of differences: every text inside the picture, none over another."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from fake_rounds import Bench
from stillhouse.show.report.pictures import CHARACTER, NUMBER, forest
from stillhouse.stats.frame import frame

TEXT = re.compile(r'<text x="([\d.]+)" y="(\d+)"(?: class="(\w+)")?>([^<]+)</text>')


def texts(root: Path, gain: float, **changes: object) -> list[tuple[float, float, str]]:
    """The texts below the plot and beside it: where they begin and end, and what they say."""
    bench = Bench(root, seeds=[0, 1, 2], methods=["pure", "logit"], **changes)
    for path, run in bench.runs.items():
        spread = [0.0, 0.4, -0.5][run.seed]
        bench.finish(path, 80.0 + (gain + 2 * spread if run.teacher else spread))
    (picture,) = forest([frame(bench.look(), "Digits")])
    found = []
    for place, _, anchor, text in TEXT.findall(picture.svg):
        number = text[:1] in "+-0"
        width = NUMBER if number and text != "0" else CHARACTER * len(text)
        begin = float(place) - {"end": width, "middle": width / 2}.get(anchor, 0)
        found.append((begin, begin + width, text))
    return found


@pytest.mark.parametrize("gain", [9.0, 0.3, -6.0])
def test_numbers_at_the_axis_do_not_cover_each_other(tmp_path: Path, gain: float) -> None:
    numbers = sorted(one for one in texts(tmp_path, gain) if re.fullmatch(r"[+-]?[\d.]+", one[2]))
    assert "0" in {text for *_, text in numbers} and len(numbers) > 1
    for (_, end, _), (begin, _, _) in pairwise(numbers):
        assert end <= begin


def test_a_long_name_begins_inside(tmp_path: Path) -> None:
    teachers = [
        "ResNet20",
        {"name": "ResNet56", "as": "a_teacher_with_a_rather_long_name_of_its_own"},
    ]
    found = texts(tmp_path, 3.0, teachers=teachers)
    assert any("rather_long" in text for *_, text in found)
    assert min(begin for begin, *_ in found) >= 0
