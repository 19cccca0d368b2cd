"""Two rounds side by side."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from scipy import stats
from typer.testing import CliRunner

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench
from stillhouse.cli.main import app
from stillhouse.errors import ConfigError
from stillhouse.exchange.scripts.write import Import
from stillhouse.rounds.find import open_round
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.compare import Pair, pairs, results_numbers, results_table, settings_table
from test_rounds_shipped import ROUNDS, load

BEFORE, AFTER = [80.0, 81.0, 82.0], [86.1, 87.0, 88.1]


@pytest.fixture
def rounds(tmp_path: Path) -> tuple[Bench, Bench]:
    """Pure got better, the teacher stayed, logit broke, RKD was fixed, NST is new."""
    first = Bench(tmp_path / "first", seeds=[0, 1, 2], round="first")
    methods = ["pure", "logit", "rkd", "nst"]
    second = Bench(tmp_path / "second", seeds=[0, 1, 2], round="second", methods=methods)
    for bench, pure in ((first, BEFORE), (second, AFTER)):
        for seed in range(3):
            bench.finish(f"{PURE}/{seed}", pure[seed])
            bench.finish(f"{TEACHER}/{seed}", 90.0 + seed)
    for seed in range(3):
        first.finish(f"{LOGIT}/{seed}", 83.0)
        second.end(f"{LOGIT}/{seed}", "failed", "out of memory")
        first.finish(f"{RKD}/{seed}", 10.0)
        second.finish(f"{RKD}/{seed}", 85.0 + seed)
    return first, second


def found(rounds: tuple[Bench, Bench]) -> dict[str, Pair]:
    first, second = rounds
    listed = pairs(first.look(), second.look())
    return {f"{pair.arm.method} {pair.arm.role}": pair for pair in listed}


def test_every_arm_has_its_change(rounds: tuple[Bench, Bench]) -> None:
    assert {name: pair.change for name, pair in found(rounds).items()} == {
        "pure teacher": "not shown",
        "pure pure": "better",
        "logit method": "broken",
        "rkd method": "fixed",
        "nst method": "new",
    }


def test_differences_are_the_later_less_the_earlier(rounds: tuple[Bench, Bench]) -> None:
    gap = found(rounds)["pure pure"].gap
    reference = stats.ttest_ind(AFTER, BEFORE, equal_var=False)
    low, high = reference.confidence_interval(0.95)
    assert gap is not None and gap.test == "welch"
    assert (gap.low, gap.high) == pytest.approx((low, high))
    assert gap.value == pytest.approx(6.07, abs=0.01)


def test_what_was_fixed_and_what_got_worse_is_said_with_its_reason(
    rounds: tuple[Bench, Bench],
) -> None:
    first, second = rounds
    notes = results_table(first.look(), second.look()).notes
    assert notes[0].startswith("Fixed (no valid run before): Digits RKD (test accuracy 10.00 %")
    assert notes[1] == "Got worse (no valid run any more): Digits Logit KD (out of memory)."
    assert notes[2] == "Got better (interval above 0): Digits Student pure (ResNetBaby)."
    assert "of 2 intervals about 0.1 miss 0 by chance" in notes[-1]


def test_worse_is_not_shown_by_less_alone(tmp_path: Path) -> None:
    first, second = (Bench(tmp_path / name, seeds=[0, 1, 2]) for name in ("a", "b"))
    for seed in range(3):
        first.finish(f"{PURE}/{seed}", 81.0 + seed)
        second.finish(f"{PURE}/{seed}", 80.0 + seed)
        first.finish(f"{RKD}/{seed}", 81.0 + seed)
        second.finish(f"{RKD}/{seed}", 51.0 + seed)
    changes = {name: pair.change for name, pair in found((first, second)).items()}
    assert (changes["pure pure"], changes["rkd method"]) == ("not shown", "worse")
    assert changes["logit method"] == "not run yet"


def test_a_change_without_any_spread_is_not_shown(tmp_path: Path) -> None:
    """Three seeds with one and the same accuracy on 355 test images are no proof of a change."""
    first, second = (Bench(tmp_path / name, seeds=[0, 1, 2]) for name in ("a", "b"))
    for seed in range(3):
        first.finish(f"{PURE}/{seed}", 81.0)
        second.finish(f"{PURE}/{seed}", 84.0)
        first.finish(f"{TEACHER}/{seed}", 90.0 + seed)
        second.finish(f"{TEACHER}/{seed}", 91.0 + seed)
    assert found((first, second))["pure pure"].change == "not shown"
    table = results_table(first.look(), second.look())
    assert next(row for row in table.rows if "pure" in str(row[1]))[4] == "+3.00 [n/a]"
    assert "n/a: the seeds of both differ by less than one test image" in table.notes[-1]


def test_rounds_are_found_as_folders_names_and_files(
    rounds: tuple[Bench, Bench], tmp_path: Path
) -> None:
    first, _ = rounds
    root = first.workspace.root
    first.workspace.activate(first.round, first.file)
    for where, name in ((tmp_path, str(root)), (tmp_path, "first"), (root, "tiny")):
        workspace, round_, _ = open_round(where, name)
        assert (workspace.root.resolve(), round_.round) == (root.resolve(), "first")
    (tmp_path / "analysis").mkdir()
    root.rename(tmp_path / "analysis" / "experiment_old")
    with pytest.raises(ConfigError, match="no round file for 'nowhere'") as caught:
        open_round(tmp_path, "nowhere")
    assert "experiment_nowhere" in caught.value.hint


def test_reasons_that_fit_are_shown_and_the_others_named() -> None:
    alpha, beta = load("alpha"), load("beta")
    same = alpha.model_copy(update={"seeds": beta.seeds})
    table = settings_table(same, beta)
    reasons = {row[0]: row[3] for row in table.rows}
    assert reasons["label_smoothing"]
    assert any("gives reasons for seeds too" in note for note in table.notes)


def test_alpha_beside_beta(alpha: Import) -> None:
    survey = survey_round(Workspace(alpha.file.parent), alpha.round)
    beta = survey_round(Workspace(alpha.file.parent / "elsewhere"), load("beta"))
    table = results_table(survey, beta)
    rows: dict[tuple[Any, ...], Any] = {row[:2]: row[2:] for row in table.rows}
    assert rows["CIFAR-10", "RKD"][0] == "failed (0/1)"
    assert rows["CIFAR-10", "Factor Transfer"][0] == "93.70 ± 0.17 (3/3)"
    assert rows["Tiny ImageNet", "NST"][0] is None
    assert {row[-1] for row in table.rows} == {"not run yet", "new"}


@pytest.mark.parametrize("swept", [0, 1])
def test_an_arm_at_the_value_of_the_others_sweep_is_the_same_arm(
    tmp_path: Path, swept: int
) -> None:
    """Logit at the round's alpha of 0.5 beside a sweep over alpha, in either order."""
    weighing = {"total": "convex", "alpha": 0.5}
    plain = Bench(tmp_path / "plain", round="plain", distillation=weighing)
    levels = Bench(
        tmp_path / "levels",
        round="levels",
        distillation={"total": "convex"},
        sweep={"alpha": [0.25, 0.5]},
    )
    plain.finish(f"{LOGIT}/0", 83.0)
    levels.finish("Digits/logit/alpha_0.5/ResNet20_to_ResNetBaby/0", 84.0)
    sides = [plain.look(), levels.look()]
    first, second = sides if swept else sides[::-1]
    listed = {pair.arm.label: pair for pair in pairs(first, second) if pair.arm.method == "logit"}
    assert set(listed) == {"Logit KD alpha=0.25", "Logit KD alpha=0.5"}
    both = listed["Logit KD alpha=0.5"]
    assert both.gap is not None and both.gap.value == pytest.approx(1.0 if swept else -1.0)
    assert listed["Logit KD alpha=0.25"].change in ("new", "gone")


def test_an_arm_at_a_parameters_default_is_a_point_of_its_sweep(tmp_path: Path) -> None:
    plain = Bench(tmp_path / "plain", round="plain")
    levels = Bench(tmp_path / "levels", round="levels", sweep={"temperature": [1.0, 4.0]})
    plain.finish(f"{LOGIT}/0", 83.0)
    levels.finish("Digits/logit/temperature_4/ResNet20_to_ResNetBaby/0", 84.0)
    found = [pair for pair in pairs(plain.look(), levels.look()) if pair.gap]
    assert [pair.arm.label for pair in found] == ["Logit KD temperature=4"]


BY_56 = "ResNet56_to_ResNetBaby"


def taught(root: Path, **changes: Any) -> Bench:
    """A finished round in which ResNet56 teaches five points better than ResNet20."""
    bench = Bench(root, round=root.name, seeds=[0, 1, 2], **changes)
    for path, run in bench.runs.items():
        bench.finish(path, 80.0 + run.seed + 5 * (BY_56 in path))
    return bench


@pytest.mark.parametrize("reverse", [False, True])
def test_arms_of_one_teacher_are_compared_with_each_other(tmp_path: Path, reverse: bool) -> None:
    """Two rounds with the same two teachers, in another order, and equal results."""
    both = ["ResNet20", "ResNet56"]
    first = taught(tmp_path / "first", teachers=both)
    second = taught(tmp_path / "second", teachers=both[::-1] if reverse else both)
    listed = pairs(first.look(), second.look())
    assert {pair.change for pair in listed} == {"not shown"}
    assert {pair.gap.value for pair in listed if pair.gap} == {0.0}
    found = {pair.arm.label: pair for pair in listed if pair.arm.role == "method"}
    assert len(found) == 4
    for label, pair in found.items():
        assert pair.earlier and pair.later
        assert pair.earlier.teacher == pair.later.teacher == label.rpartition(" ")[2]


@pytest.mark.parametrize("several_first", [False, True])
def test_the_only_teacher_of_a_round_is_one_of_the_others(
    tmp_path: Path, several_first: bool
) -> None:
    one = taught(tmp_path / "one")
    two = taught(tmp_path / "two", teachers=["ResNet20", "ResNet56"])
    sides = (two, one) if several_first else (one, two)
    first, second = (bench.look() for bench in sides)
    rows = {str(row[1]): row[2:] for row in results_table(first, second).rows}
    assert rows["Logit KD from ResNet20"][-1] == "not shown"
    assert rows["Logit KD from ResNet56"][-1] == ("gone" if several_first else "new")
    numbers = results_numbers(first, second)
    cells = [dict(zip(numbers.columns, row, strict=True)) for row in numbers.rows]
    logit = {cell["teacher"]: cell for cell in cells if cell["method"] == "logit"}
    assert logit["ResNet20"]["difference"] == 0
    assert logit["ResNet56"]["difference"] is None


def test_two_rounds_with_one_teacher_each_compare_the_teachers(tmp_path: Path) -> None:
    """The settings say that the teacher differs; the arms are those of one method."""
    first, second = taught(tmp_path / "first"), taught(tmp_path / "second", teacher="ResNet56")
    listed = {pair.arm.label: pair for pair in pairs(first.look(), second.look())}
    assert listed["Logit KD"].change == "better"
    assert "teacher" not in results_numbers(first.look(), second.look()).columns


def test_a_student_that_teaches_itself_is_one_arm_whoever_else_teaches(tmp_path: Path) -> None:
    methods = ["pure", "self"]
    one = taught(tmp_path / "one", methods=methods)
    two = taught(tmp_path / "two", methods=methods, teachers=["ResNet20", "ResNet56"])
    found = [p for p in pairs(one.look(), two.look()) if p.arm.method == "self"]
    assert [pair.change for pair in found] == ["not shown"]


def test_the_command(rounds: tuple[Bench, Bench]) -> None:
    for bench in rounds:
        bench.workspace.activate(bench.round, bench.file)
    names = [str(bench.workspace.root) for bench in rounds]
    done = CliRunner().invoke(app, ["compare", *names, "--format", "md"])
    assert done.exit_code == 0, done.output
    assert "What Changed From First" in done.output and "| Digits | RKD |" in done.output
    table = CliRunner().invoke(app, ["compare", *names, "--format", "csv"])
    found = {(r["method"], r["role"]): r for r in csv.DictReader(io.StringIO(table.stdout))}
    pure, logit = found["pure", "pure"], found["logit", "method"]
    assert (pure["earlier_mean"], pure["later_n"], pure["change"]) == ("81.0", "3", "better")
    assert float(pure["low"]) < float(pure["difference"]) < float(pure["high"])
    assert (logit["later_mean"], logit["why"]) == ("", "no completed and valid run: 3 failed")
    beta = CliRunner().invoke(app, ["compare", names[0], str(ROUNDS / "beta.yaml")])
    assert beta.exit_code == 0 and "not run yet" not in beta.output.splitlines()[-1]
