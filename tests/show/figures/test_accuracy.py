from __future__ import annotations

import struct
from pathlib import Path

from stillhouse.config.schema import RunConfig
from stillhouse.rounds.survey import Cell
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.state import RunState
from stillhouse.show.figures.accuracy import accuracy_figure
from stillhouse.show.figures.style import PURE, TEACHER, save
from stillhouse.stats.arms import Arm
from stillhouse.stats.runs import Role

VALID = {"failed": None, "done": "yes", "at chance": "no"}


def arm(label: str, role: Role, *accuracies: float | None) -> Arm:
    cells = []
    for seed, accuracy in enumerate(accuracies):
        run = RunConfig(dataset="Digits", method=label, model="ResNetBaby", seed=seed)
        result = {"final": {"test": {"accuracy": accuracy}}}
        state = RunState("failed") if accuracy is None else RunState("done", result=result)
        cells.append(Cell(run, RunFolder(Path(label)), state, None))
    known = {"arm": label, "role": role, "method": label, "student": "ResNetBaby"}
    runs = [
        {**known, "seed": seed, "accuracy": accuracy, "valid": VALID[cells[seed].shown]}
        for seed, accuracy in enumerate(accuracies)
    ]
    return Arm(tuple(runs), tuple(cells), "final")


ARMS = [
    arm("Teacher", "teacher", 95.0, 96.0, 97.0),
    arm("Pure", "pure", 90.0, 91.0, 92.0),
    arm("Logit", "method", 91.0, None, 93.0),
    arm("RKD", "method", None, None, None),
]


def test_every_completed_seed_is_a_dot_and_the_mean_stands_beside_it() -> None:
    axes = accuracy_figure("a title", ARMS).axes[0]
    dots = [sorted(line.get_xdata()) for line in axes.lines if line.get_linestyle() == "None"]
    assert [90.0, 91.0, 92.0] in dots and [91.0, 93.0] in dots
    texts = [text.get_text() for text in axes.texts]
    assert texts == [
        "96.00 ± 1.00 (n = 3)",
        "91.00 ± 1.00 (n = 3)",
        "92.00 (n = 2)\n1 failed",
        "no valid run: 3 failed",
    ]
    assert [label.get_text() for label in axes.get_yticklabels()] == [a.label for a in ARMS]


def test_fewer_than_three_seeds_have_no_bar() -> None:
    for number in (1, 2, 3):
        axes = accuracy_figure("", [arm("A", "method", *(90.0, 91.0, 92.5)[:number])]).axes[0]
        assert bool(axes.containers) == ("±" in axes.texts[0].get_text()) == (number == 3)
        assert ("standard deviation" in axes.get_xlabel()) == (number == 3)


def test_invalid_runs_are_called_what_they_are() -> None:
    arms = [arm("A", "method", 10.0, 9.5, None), arm("B", "method", 80.0, 11.0)]
    texts = [text.get_text() for text in accuracy_figure("", arms).axes[0].texts]
    assert texts == [
        "no valid run: 2 at chance (10.00 %, 9.50 %), 1 failed",
        "80.00 (n = 1)\n1 at chance (11.00 %)",
    ]


def test_where_everything_failed_the_axis_is_that_of_an_accuracy() -> None:
    arms = [arm("A", "pure", None, None, None), arm("B", "method", 10.0)]
    axes = accuracy_figure("", arms).axes[0]
    assert axes.get_xlim() == (0, 100)
    assert axes.get_xlabel() == "test accuracy, final epoch (%)"


def test_a_picture_is_saved_at_160_dots_per_inch(tmp_path: Path) -> None:
    figure = accuracy_figure("", ARMS)
    save(figure, tmp_path / "a.png")
    header = (tmp_path / "a.png").read_bytes()[:33]
    inches = figure.get_size_inches()
    assert struct.unpack(">II", header[16:24]) == (round(inches[0] * 160), int(inches[1] * 160))


def test_arms_differ_by_marker_as_well_as_by_colour() -> None:
    two = [arm("A", "method", 81.0), arm("B", "method", 82.0)]
    lines = [one for one in accuracy_figure("", two).axes[0].lines if one.get_marker() != "|"]
    looks = {(line.get_color(), line.get_marker()) for line in lines}
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == 2
    roles = accuracy_figure("", ARMS).axes[0].lines
    assert {TEACHER, PURE} <= {line.get_color() for line in roles}


def test_the_axis_says_what_it_shows() -> None:
    label = accuracy_figure("", ARMS).axes[0].get_xlabel()
    assert "final epoch" in label and "zoomed" in label
