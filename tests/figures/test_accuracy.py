from __future__ import annotations

from pathlib import Path

from stillhouse.config.schema import RunConfig
from stillhouse.figures.accuracy import accuracy_figure
from stillhouse.figures.style import PURE, TEACHER
from stillhouse.rounds.survey import Cell
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.state import RunState
from stillhouse.stats.arms import Arm, Role


def arm(label: str, role: Role, *accuracies: float | None) -> Arm:
    cells = []
    for seed, accuracy in enumerate(accuracies):
        run = RunConfig(dataset="Digits", method=label, model="ResNetBaby", seed=seed)
        result = {"final": {"test": {"accuracy": accuracy}}}
        state = RunState("failed") if accuracy is None else RunState("done", result=result)
        cells.append(Cell(run, RunFolder(Path(label)), state, None))
    return Arm(label, role, label, "ResNetBaby", "", tuple(cells), "final")


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
    assert texts == ["96.00 ± 1.00", "91.00 ± 1.00", "92.00 ± 1.41", "no completed run"]
    assert [label.get_text() for label in axes.get_yticklabels()] == [a.label for a in ARMS]


def test_arms_differ_by_marker_as_well_as_by_colour() -> None:
    two = [arm("A", "method", 1.0), arm("B", "method", 2.0)]
    lines = [one for one in accuracy_figure("", two).axes[0].lines if one.get_marker() != "None"]
    looks = {(line.get_color(), line.get_marker()) for line in lines}
    assert len({colour for colour, _ in looks}) == len({marker for _, marker in looks}) == 2
    roles = accuracy_figure("", ARMS).axes[0].lines
    assert {TEACHER, PURE} <= {line.get_color() for line in roles}


def test_the_axis_says_what_it_shows() -> None:
    label = accuracy_figure("", ARMS).axes[0].get_xlabel()
    assert "final epoch" in label and "zoomed" in label
