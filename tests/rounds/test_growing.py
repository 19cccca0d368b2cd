"""docs/growing.md: what trains when a finished round grows, and what is said of more epochs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

from fake_rounds import ROUND, Bench, write_round
from small_runs import Lab
from stillhouse.cli.main import app
from stillhouse.config.expand import expand
from stillhouse.config.load import load_round
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import Round
from stillhouse.config.teacher_file import from_file
from stillhouse.errors import ConfigError, RunError
from stillhouse.rounds.check import check_round
from stillhouse.rounds.edited import disagreements
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.teacher_files import _file
from stillhouse.rounds.workspace import Workspace

PAGE = Path(__file__).parents[2] / "docs" / "growing.md"
SWEEP = {"sweep": {"temperature": [4]}}


@pytest.mark.parametrize(
    ("before", "after", "left"),
    [
        ({}, {"seeds": [0, 1, 2]}, 4),
        ({"methods": ["pure", "logit"]}, {"methods": ["pure", "logit", "rkd"]}, 2),
        (SWEEP, {"sweep": {"temperature": [4, 8]}}, 2),
    ],
)
def test_new_seeds_methods_and_values_train_alone(
    before: dict[str, Any], after: dict[str, Any], left: int, tmp_path: Path
) -> None:
    old = Bench(tmp_path, **before)
    old.workspace.activate(old.round, old.file)
    for path in old.runs:
        old.finish(path, 80.0)
    grown = Bench(tmp_path, **{**before, **after})
    cells = grown.look().cells
    assert {c.config.path for c in cells if c.state.name == "done"} == {*old.runs}
    assert sum(cell.state.name == "missing" for cell in cells) == left
    assert disagreements(grown.workspace, grown.look(), "reset") == ()
    check_round(grown.workspace, grown.round, grown.file, None, None)


@pytest.mark.parametrize(
    ("recipe", "why"),
    [
        ({}, "learning rate"),
        ({"schedule": "constant"}, "state of the optimizer"),
        ({"schedule": "step", "milestones": [1]}, "state of the optimizer"),
    ],
)
def test_more_epochs_are_told_why_nothing_is_reused_and_that_teachers_can_be(
    recipe: dict[str, Any], why: str, tmp_path: Path
) -> None:
    old = Bench(tmp_path, training={"epochs": 2, **recipe})
    old.workspace.activate(old.round, old.file)
    for path in old.runs:
        old.finish(path, 80.0)
    longer = Bench(tmp_path, training={"epochs": 4, **recipe})
    (said,) = [n for n in disagreements(longer.workspace, longer.look(), "reset") if why in n]
    assert "2 to 4 epochs" in said and "--as" in said
    with pytest.raises(RunError) as refused:
        check_round(longer.workspace, longer.round, longer.file, None, None)
    assert said in str(refused.value)
    other = Bench(tmp_path, training={"epochs": 2, "batch_size": 32, **recipe})
    assert not [n for n in disagreements(other.workspace, other.look(), "reset") if why in n]


def test_students_train_longer_with_the_teachers_of_the_old_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands of the page; the training itself in this process."""
    short = {"batch_size": 64, "learning_rate": 0.05, "train_images": 200}
    file = write_round(
        tmp_path / "mine.yaml",
        round="mine",
        compares_to="earlier",
        teacher="ResNetBaby",
        methods=["logit"],
        seeds=[0],
        training={"epochs": 2, **short},
    )
    workspace = Workspace(tmp_path)
    workspace.activate(load_round(file), file)
    old = Lab(workspace.experiments, workspace.experiments, tmp_path)
    for run in expand(load_round(file)):
        old.train(resolve(run))
    monkeypatch.chdir(tmp_path)
    (command,) = re.findall(r"^stillhouse (reset mine.yaml --as longer) ", PAGE.read_text(), re.M)
    done = CliRunner().invoke(app, command.split())
    assert done.exit_code == 0, done.output
    assert "--root longer" in done.output
    new = tmp_path / "longer.yaml"
    new.write_text(new.read_text().replace("epochs: 2", "epochs: 4"))
    round_, home = load_round(new), Workspace(tmp_path / "longer", new.parent)
    assert (round_.compares_to, round_.seeds) == ("mine", (0,))
    (run,) = expand(round_)
    assert [cell.ready for cell in survey_round(home, round_).cells] == [True]
    teachers = home.teachers(round_)
    later = Lab(home.experiments, teachers, tmp_path)
    later.train(resolve(run))
    assert len(later.folder(run).records()) == 4
    taught = json.loads(later.folder(run).run.read_text())["teacher"]["sha256"]
    teacher = json.loads(
        (tmp_path / "experiments/Digits/pure/ResNetBaby/0/result.json").read_text()
    )
    assert taught == teacher["weights"]["final"]


def test_more_epochs_are_told_that_given_teachers_stay(tmp_path: Path) -> None:
    torch.save({"no": "network"}, tmp_path / "t.pth")
    teacher = {"name": "ResNet20", "weights": "../t.pth", "train": False}
    old = Bench(tmp_path, teacher=teacher)
    old.workspace.activate(old.round, old.file)
    for path in old.runs:
        old.finish(path, 80.0)
    longer = Bench(tmp_path, teacher=teacher, training={**ROUND["training"], "epochs": 4})
    notes = [n for n in disagreements(longer.workspace, longer.look(), "reset") if "2 to 4" in n]
    assert "given teachers stay" in notes[0] and "--as" in notes[0]
    assert "from here" not in notes[0]


GIVEN = {"name": "ResNet20", "weights": "../t.pth", "train": False, "as": "given"}
STARTED = {"name": "ResNet20", "weights": "../t.pth"}
CASES: dict[str, dict[str, Any]] = {
    "trained here": {},
    "frozen": {"teacher": GIVEN},
    "frozen, and one trained here": {"teachers": [GIVEN, "ResNet20"]},
    "trained here from given weights": {"teacher": STARTED},
    "files beside the round file": {"teachers_from": "../w/{seed}.pth"},
    "files in the workspace": {"teachers_from": "w/{seed}.pth"},
    "another round": {"teachers_from": "../../other"},
    "an archived round of this workspace": {"teachers_from": "past"},
    "the students themselves": {"teacher": GIVEN, "methods": ["self"]},
    "the students themselves, trained again": {"teacher": GIVEN, "methods": ["pure", "self"]},
}


def sources(workspace: Workspace, round_: Round) -> dict[str, Path | str]:
    """Where each taught run of a round has its teacher from: a weight file or a run's folder."""
    found: dict[str, Path | str] = {}
    for run in (run for run in expand(round_) if run.teacher):
        assert run.teacher and run.teacher_path
        if from_file(run.teacher.source):
            found[run.path] = _file(workspace, run, run.teacher).resolve()
        elif run.teacher_path == run.pure_path and "pure" in round_.methods:
            found[run.path] = "its own pure run"
        else:
            found[run.path] = (
                workspace.teachers_of(run.teacher.source) / run.teacher_path
            ).resolve()
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_copy_of_a_round_has_the_same_teachers(case: str, tmp_path: Path) -> None:
    root = tmp_path / "old"
    for home in (".", "../other", "analysis/experiment_past"):
        (root / home / "experiments").mkdir(parents=True)
    (root / "w").mkdir()
    for file in ("t.pth", "w/0.pth", "w/1.pth"):
        torch.save({"no": "network"}, root / file)
    reasons = {"changes": {"epochs": "the reason\nof another round"}, "compares_to": "earlier"}
    old = Bench(root, **reasons, **CASES[case])
    words = ["reset", str(old.file), "--root", str(root), "--as", "longer"]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.stderr
    new = old.file.with_name("longer.yaml")
    copied = load_round(new)
    assert (copied.round, copied.compares_to, copied.changes) == ("longer", "tiny", {})
    before = sources(Workspace(root, new.parent), old.round)
    after = sources(Workspace(tmp_path / "elsewhere", new.parent), copied)
    assert after and {*after} <= {*before}
    assert after == {path: before[path] for path in after}
    assert copied.own_teachers == []


def test_a_name_that_no_round_can_have_leaves_no_file(tmp_path: Path) -> None:
    old = Bench(tmp_path)
    words = ["reset", str(old.file), "--root", str(tmp_path), "--as", "two words"]
    assert isinstance(CliRunner().invoke(app, words).exception, ConfigError)
    assert [*old.file.parent.iterdir()] == [old.file]
