"""Every rule on records made for it, with a look-alike on which it stays silent."""

from __future__ import annotations

from dataclasses import replace
from math import log as ln
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from fake_rounds import LOGIT, PURE, TEACHER, Bench, edit
from script_records import TRACEBACK, WALLTIME, ScriptRounds, log
from stillhouse.cli.main import app
from stillhouse.data import specs
from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.observations.rules import observe
from stillhouse.exchange.scripts.write import Import, import_round
from stillhouse.rounds import provenance
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.workspace import Workspace

T, P = "Cifar10/pure/ResNet112", "Cifar10/pure/ResNet56"
L, R = "Cifar10/logit/ResNet112_to_ResNet56", "Cifar10/rkd/ResNet112_to_ResNet56"
HEALTHY = {
    T: [94.0, 94.2, 94.1],
    P: [92.0, 92.3, 92.1],
    L: [92.0, 92.6, 92.8],
    R: [92.2, 92.0, 92.4],
}


class Records:
    """A healthy round in the scripts' layout, in which some arms are replaced."""

    def __init__(self, root: Path) -> None:
        self.scripts, self.root = ScriptRounds(root / "source"), root
        self.epochs = 0

    def arms(self, **changes: list[float]) -> Records:
        for path, values in (HEALTHY | {globals()[k]: v for k, v in changes.items()}).items():
            for seed, accuracy in enumerate(values):
                self.run(f"{path}/{seed}", accuracy)
        return self

    def run(self, path: str, accuracy: float, **facts: Any) -> None:
        self.epochs += 1  # no two curves alike
        self.scripts.run(path, [50.0 + 0.01 * self.epochs, accuracy], **facts)

    def look(self) -> list[Finding]:
        done = import_round(self.scripts.root, "old", self.root / "old")
        return observe(survey_round(Workspace(done.file.parent), done.round))

    def rules(self) -> set[str]:
        return {found.code for found in self.look()}

    def texts(self, rule: str) -> list[str]:
        return [found.sentence for found in self.look() if found.code == rule]


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path)


def test_a_healthy_round_gives_no_warning(records: Records) -> None:
    found = records.arms().look()
    assert {one.code: one.level for one in found} == {"inconclusive": "finding"}
    assert "Logit KD +0.33 [" in found[0].sentence and "(n = 3, needs about " in found[0].sentence
    assert len(found[0].runs) == 6


def test_an_effect_is_a_finding_with_its_tests(records: Records) -> None:
    (found,) = (one for one in records.arms(L=[93.9, 94.0, 93.8]).look() if one.code == "helps")
    assert (
        found.level == "finding"
        and "Welch p < 0.001" in found.sentence
        and "Dunnett p < 0.001" in found.sentence
    )


def test_an_interval_without_0_may_be_inconclusive_too(records: Records) -> None:
    """Welch's p is 0.04, and 0.08 adjusted for two comparisons."""
    texts = records.arms(L=[92.35, 92.6, 92.5]).texts("inconclusive")
    (found,) = (text for text in texts if "Logit KD" in text)
    assert found.startswith("The interval does not cover 0, but p adjusted")
    assert "RKD" not in found and "adjusted p = 0.0" in found


def test_harm_and_equivalence_are_told(records: Records) -> None:
    assert "hurts" in records.arms(L=[85.0, 85.2, 85.1]).rules()


def test_the_same_accuracies_are_equivalent(records: Records) -> None:
    narrow = [92.10, 92.11, 92.12]
    (text,) = records.arms(P=narrow, L=narrow, R=HEALTHY[R]).texts("equivalent")
    assert "margin 0.2" in text


def test_one_seed_below_every_pure_seed(records: Records) -> None:
    (text,) = records.arms(L=[91.0]).texts("below-pure")
    assert text.startswith("Logit KD (91.00 %, n = 1) is 1.13 points below Student pure")


def test_a_teacher_hardly_better_than_pure(records: Records) -> None:
    (text,) = records.arms(T=[92.4, 92.6, 92.5]).texts("weak-teacher")
    assert "+0.37 points leave little to transfer" in text


def test_students_above_their_teacher(records: Records) -> None:
    found = records.arms(L=[94.6, 94.9, 94.7]).texts("above-teacher")
    assert len(found) == 1 and "Logit KD (94.73 %, n = 3) by 0.63 over 94.10 %" in found[0]


def test_one_student_is_compared_with_its_own_teacher(records: Records) -> None:
    """Above the mean of all teachers, but below the one it had; and the other way round."""
    below = records.arms(T=[96.0, 92.0, 92.0], L=[95.0]).texts("above-teacher")
    assert not any("Logit KD" in text for text in below)


def test_a_low_student_is_above_a_lower_teacher(records: Records) -> None:
    (text,) = records.arms(T=[91.0, 97.0, 97.0], L=[92.5], R=[]).texts("above-teacher")
    assert "Logit KD (92.50 %, n = 1) by 1.50 over 91.00 %" in text


def test_a_failure_is_counted_by_its_reason(records: Records) -> None:
    records.arms(R=[])
    for seed in range(2):
        records.scripts.run(f"{R}/{seed}", errors=TRACEBACK, log=log(0))
    (text,) = records.texts("failed")
    assert text == "2 of 11 runs failed: ModuleNotFoundError: No module named 'scipy'"


def test_a_collapsed_run_and_its_best_epoch(records: Records) -> None:
    records.arms(R=[])
    losses = [2.0, 2.31, ln(10)]
    records.scripts.run(f"{R}/0", [18.13, 10.0, 10.0], losses=losses)
    found = {one.code: one for one in records.look()}
    assert found["failed-chance"].level == found["collapse"].level == "alarm"
    assert (
        "ended at 10.00 %, which guessing reaches (up to 10.94 %)"
        in found["failed-chance"].sentence
    )
    assert "2.3026 (ln C = 2.3026)" in found["collapse"].sentence
    assert "its best, 18.13 %, is of epoch 1 of" in found["collapse"].sentence


def test_an_unfinished_teacher_and_a_student_above_it(records: Records) -> None:
    records.arms(T=[])
    status = {"status": "in_progress", "epoch": 1, "max_acc": 60.0}
    told = log(0, (50.0, 55.0), (58.0, 60.0))
    records.scripts.run(f"{T}/0", status=status, log=told, errors=WALLTIME)
    found = {one.code: one for one in records.look() if one.level == "alarm"}
    assert (
        "epoch 2 of 2, 60.00 % at best until then (PBS: job killed" in found["incomplete"].sentence
    )
    assert "is above its teacher (60.00 %), which is unfinished" in (
        found["above-unfinished-teacher"].sentence
    )


def test_runs_that_ended_alike_are_one_finding(records: Records) -> None:
    records.arms(T=[], L=[])
    status = {"status": "in_progress", "epoch": 1, "max_acc": 60.0}
    for run in (f"{T}/0", f"{L}/1", f"{L}/2"):
        records.scripts.run(run, status=status, log=log(0, (50.0, 55.0)), errors=WALLTIME)
    (found,) = (one for one in records.look() if one.code == "incomplete")
    assert found.runs == (f"{T}/0", f"{L}/1", f"{L}/2")
    assert "3 of 9 runs" in found.sentence and f"{L}/2: epoch 2 of 2" in found.sentence


def test_a_teacher_still_in_training_explains_an_outlier(records: Records) -> None:
    records.arms(T=[], L=[])
    late, early = log(0, (40.0, 41.0), (50.0, 51.0), seconds=4000), log(0, (1.0, 2.0), seconds=9)
    for seed, accuracy in enumerate([88.0, 92.5, 92.6]):
        records.run(f"{T}/{seed}", 94.0 + seed / 10, log=late.replace("14:24", "13:24"))
        told = early.replace("14:24", "14:00") if seed == 0 else early.replace("14:24", "15:24")
        records.run(f"{L}/{seed}", accuracy, log=told)
    found = {one.code: one.sentence for one in records.look()}
    assert found["half-trained-teacher"].startswith("Logit KD, 1 of 3 runs: ")
    assert "seed 0: it started at about epoch 1 of 2 of" in found["half-trained-teacher"]
    assert "(50." in found["half-trained-teacher"]
    assert "Logit KD, seed 0 (88.00 %) is an outlier: -4.50 points" in found["seed-outlier"]
    assert "below every pure seed; its teacher was then at about epoch 1" in found["seed-outlier"]
    assert "wide-spread" in found


def test_an_outlier_whose_teacher_is_the_lowest_too(records: Records) -> None:
    (text,) = records.arms(T=[93.0, 94.2, 94.1], L=[88.0, 92.5, 92.6]).texts("seed-outlier")
    assert text.endswith("; its teacher is also the lowest (93.00 %)")


def test_a_teacher_that_shares_the_lowest_place_explains_nothing(records: Records) -> None:
    (text,) = records.arms(T=[93.0, 93.0, 94.1], L=[88.0, 92.5, 92.6]).texts("seed-outlier")
    assert text.endswith("below every pure seed")


def test_the_teachers_spread_is_no_measure_of_the_students(records: Records) -> None:
    wild = records.arms(T=[80.0, 94.0, 94.1], L=[89.5, 92.5, 92.6])
    assert {"seed-outlier", "wide-spread"} <= wild.rules()


def test_with_four_seeds_the_median_deviation_judges(records: Records) -> None:
    arms = {"P": [92.0, 92.3, 92.1, 92.2], "T": [94.0, 94.2, 94.1, 94.3]}
    (text,) = records.arms(L=[92.5, 92.6, 92.8, 95.0], **arms).texts("seed-outlier")
    assert "seed 3 (95.00 %)" in text and "of 4 seeds" in text


def test_students_that_follow_their_teachers(records: Records) -> None:
    teachers, students = [90.0, 92.0, 94.0], [91.0, 92.1, 92.9]
    (text,) = records.arms(T=teachers, L=students).texts("teacher-driven")
    r = np.corrcoef(teachers, students)[0, 1]
    assert f"r = {r:.3f} over 3 seeds; suggestive only" in text


def test_methods_that_follow_their_teachers_alike_are_one_finding(records: Records) -> None:
    teachers, students = [90.0, 92.0, 94.0], [91.0, 92.1, 92.9]
    (text,) = records.arms(T=teachers, L=students, R=students).texts("teacher-driven")
    assert "2 methods" in text and "Logit KD r = 0.99" in text and "RKD r = 0.99" in text


def test_pure_students_that_follow_them_too_say_it_is_not_identified(records: Records) -> None:
    rising = {"T": [90.0, 92.0, 94.0], "P": [91.9, 92.1, 92.4], "L": [91.0, 92.1, 92.9]}
    (text,) = records.arms(**rising).texts("teacher-driven")
    assert "which never saw it, have r = 0.9" in text and text.endswith("not identified")


def test_identical_curves_of_different_settings(records: Records) -> None:
    records.arms(L=[], R=[])
    for path in (f"{L}/0", f"{R}/0"):
        records.scripts.run(path, [60.0, 80.0, 92.1], losses=[1.5, 1.0, 0.25])
    found = [one for one in records.look() if one.code == "identical-curves"]
    assert [one.runs for one in found] == [(f"{L}/0",), (f"{R}/0",)]
    assert f"the same as {R}/0" in found[0].sentence


def test_seeds_and_lengths_that_differ(records: Records) -> None:
    records.arms(R=[])
    records.scripts.run(f"{R}/0", [60.0, 70.0, 92.1])
    found = {one.code: one.sentence for one in records.look()}
    assert found["uneven-seeds"].startswith("Valid seeds differ: 3 for Teacher (ResNet112)")
    assert found["mixed-epochs"] == "Completed runs have different numbers of epochs: [2, 3]"


def test_a_best_epoch_that_makes_the_difference(records: Records) -> None:
    records.arms(R=[])
    for seed, accuracy in enumerate([92.2, 92.4, 92.3]):
        records.scripts.run(f"{R}/{seed}", [50.0 + seed, accuracy + 0.3, accuracy])
    (text,) = records.texts("selection-bias")
    assert text.endswith("RKD 0.30 of 0.17")


def test_a_method_that_no_longer_fits_its_training_images(records: Records) -> None:
    (text,) = records.arms(L=[80.0, 80.2, 80.1]).texts("underfits")
    assert "(80.1 against 92.1 %)" in text


def test_calibration_that_shifts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.finish_all([90, 90, 80, 81, 82, 83, 84, 85])
    for path, ece in ((PURE, 2.0), (LOGIT, 5.5)):
        for seed in (0, 1):
            result = bench.folder(f"{path}/{seed}").result
            edit(result, lambda content, ece=ece: content["final"]["test"].update(ece=ece))
    found = observe(bench.look())
    (text,) = (one.sentence for one in found if one.code == "calibration")
    assert text.endswith("2.0 %: Logit KD 5.5 %")


def test_recipes_that_differ_between_arms(tmp_path: Path) -> None:
    bench = Bench(tmp_path, overrides={"methods": {"rkd": {"label_smoothing": 0.1}}})
    bench.finish_all([90, 90, 80, 81, 82, 83, 84, 85])
    found = [one.sentence for one in observe(bench.look()) if one.code == "confound"]
    assert found == ["Recipes differ between arms: rkd: label_smoothing 0.1 (others 0)"]


def test_smoothed_teachers_and_swept_values(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        methods=["pure", "logit"],
        seeds=[0],
        training={"epochs": 2, "label_smoothing": 0.1, "train_images": 200, "batch_size": 64},
        distillation={"total": "convex"},
        sweep={"alpha": [0.25, 0.5]},
    )
    bench.finish_all([90, 80, 81, 82])
    found = {one.code: one.sentence for one in observe(bench.look())}
    assert "label smoothing 0.1" in found["smoothed-teacher"]
    assert found["swept"].startswith("The best value of Logit KD was chosen")
    assert "alpha=0.5: 82.00 % and alpha=0.25: 81.00 %" in found["swept"]


def test_a_round_that_has_not_begun_says_nothing(tmp_path: Path) -> None:
    assert observe(Bench(tmp_path).look()) == []


def test_a_run_whose_files_are_damaged_is_a_failure(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.folder(f"{TEACHER}/0").result.write_text("{")
    (found,) = observe(bench.look())
    assert found.code == "failed" and found.runs == (f"{TEACHER}/0",)


def test_epoch_records_that_changed_are_named(records: Records) -> None:
    records.arms()
    done = import_round(records.scripts.root, "old", records.root / "old")
    metrics = done.file.parent / "experiments" / f"{L}/0" / "metrics.jsonl"
    metrics.write_text(metrics.read_text().replace("0.25", "0.26") + "\n")
    found = observe(survey_round(Workspace(done.file.parent), done.round))
    (one,) = (one for one in found if one.level == "alarm")
    assert one.code == "damaged" and one.runs == (f"{L}/0",) and str(metrics) in one.sentence


def test_no_sentence_speaks_of_significance(alpha: Import) -> None:
    survey = survey_round(Workspace(alpha.file.parent), alpha.round)
    texts = [one.sentence for which in ("final", "best") for one in observe(survey, which)]
    assert texts and not any("significan" in text.lower() for text in texts)


def test_round_alpha_shows_what_its_authors_saw_and_what_they_missed(alpha: Import) -> None:
    survey = survey_round(Workspace(alpha.file.parent), alpha.round)
    found = observe(survey, "best")

    def has(dataset: str, rule: str, *parts: str) -> bool:
        texts = [one.sentence for one in found if (one.scope, one.code) == (dataset, rule)]
        return any(all(part in text for part in parts) for text in texts)

    assert has("Cifar10", "weak-teacher", "+0.35 points")
    assert has("Cifar10", "above-teacher", "Attention Transfer (94.12 %, n = 1) by 1.58", "0.89")
    assert has("Cifar10", "above-teacher", "Logit KD (93.37 %, n = 3) by 4.78 over 88.60 %")
    assert has("Cifar10", "seed-outlier", "Logit KD, seed 0 (92.35 %)", "below every pure seed")
    assert has("Cifar100", "wide-spread", "Logit KD spreads", "2.12")
    assert has("Cifar100", "below-pure", "FitNets (70.23 %, n = 1) is 0.94 points below")
    assert has("TinyImageNet", "above-unfinished-teacher", "55.65", "53.31", "128 of 150")
    assert has("Cifar10", "failed-chance", "RKD") and has("Cifar100", "failed-chance", "RKD")
    assert has("SVHN", "failed", "8 of 8", "scipy")

    assert has("Cifar10", "collapse", "18.13 %, is of epoch 2 of 150", "ln C = 2.3026")
    assert has("Cifar10", "teacher-driven", "r = 0.996", "not identified")
    assert has("Cifar100", "teacher-driven", "r = 0.922")
    assert has("TinyImageNet", "half-trained-teacher", "epoch 85 of 150")
    assert has(
        "Cifar10", "half-trained-teacher", "3 of 3", "epoch 76 of 150 of its teacher", "(82.66 %"
    )
    assert has("Cifar10", "inconclusive", "Logit KD +0.18", "n = 3")
    assert has("Cifar100", "inconclusive", "Logit KD +0.67", "Factor Transfer +0.15")
    assert has("Cifar10", "helps", "the tests disagree", "Dunnett p = 0.404")


def test_the_command_lists_them_for_people_and_programs(records: Records) -> None:
    import_round(records.arms().scripts.root, "old", records.root / "old")
    runner, root = CliRunner(), str(records.root / "old")
    shown = runner.invoke(app, ["observe", "old", "--root", root])
    assert shown.exit_code == 0, shown.output
    assert "round old, CIFAR-10: observations" in shown.output
    assert shown.output.splitlines()[-1] == f"next: stillhouse table old --root {root}"
    listed = runner.invoke(app, ["observe", "old", "--root", root, "--format", "csv"])
    assert listed.stdout.splitlines()[0] == "dataset,level,rule,text,runs"


def test_what_own_images_are_is_noted_below_the_table_and_no_confound(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = bench.round.datasets[0]
    noted = replace(specs.SPECS[dataset], note="Test images are those in val/.")
    monkeypatch.setitem(specs.SPECS, dataset, noted)
    assert provenance.footnotes(bench.look(), dataset) == (noted.note,)
    assert provenance.confounds(bench.look(), dataset) == ()
