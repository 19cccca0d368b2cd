"""The statistics table: what stands in it, what it refuses to say, what stands below."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file
from scipy import stats

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench, edit
from script_records import ScriptRounds
from stillhouse.exchange.scripts.write import Import, import_round
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.files import file_hash
from stillhouse.screen import blocks
from stillhouse.show.table import statistics_numbers, statistics_table
from stillhouse.stats.frame import Frame, Row, frame
from stillhouse.stats.images import chance_agreement
from stillhouse.stats.inference import difference
from stillhouse.stats.verdict import Verdict
from stillhouse.tables import Table, render

PURES, LOGITS, TEACHERS = [80.0, 81.0, 82.0], [83.1, 84.0, 85.1], [90.0, 91.0, 92.0]


@pytest.fixture
def full(tmp_path: Path) -> Bench:
    """Three seeds: logit is three points above pure; one RKD run is sound, the others are not."""
    bench = Bench(tmp_path, seeds=[0, 1, 2])
    for path, values in ((TEACHER, TEACHERS), (PURE, PURES), (LOGIT, LOGITS)):
        for seed, value in enumerate(values):
            bench.finish(f"{path}/{seed}", value, best=value + 0.5)
    bench.finish(f"{RKD}/0", 79.0)
    bench.finish(f"{RKD}/1", 10.0, best=30.0)
    bench.end(f"{RKD}/2", "failed", "the loss is not finite")
    return bench


def row(found: Frame, method: str, role: str = "method") -> Row:
    return next(r for r in found.rows if r.arm.method == method and r.arm.role == role)


def column(table: Table, name: str) -> dict[str, Any]:
    return {str(r[0]): r[table.columns.index(name)] for r in table.rows}


def test_every_column_of_a_round_trained_here(full: Bench) -> None:
    survey = full.look()
    table = statistics_table(survey, frame(survey, "Digits"))
    gap = difference(dict(enumerate(LOGITS)), dict(enumerate(PURES)), "paired")
    assert gap is not None and gap.low is not None and gap.high is not None
    assert column(table, "n") == {
        "Teacher (ResNet20)": "3/3",
        "Student pure (ResNetBaby)": "3/3",
        "Logit KD": "3/3",
        "RKD": "1/3",
    }
    assert column(table, "Accuracy %")["Logit KD"] == "84.07 ± 1.00"
    assert column(table, "Accuracy %")["RKD"] == "79.00"
    shown = f"+3.07 [{gap.low:+.2f}, {gap.high:+.2f}]"
    assert column(table, "Δ pure [95 % CI]")["Logit KD"] == shown
    assert column(table, "Δ pure [95 % CI]")["RKD"] == "-1.00"
    assert column(table, "p (adjusted)") == {
        "Teacher (ResNet20)": None,
        "Student pure (ResNetBaby)": None,
        "Logit KD": "<0.001",
        "RKD": None,
    }
    assert column(table, "Verdict")["Logit KD"] == "helps"
    assert column(table, "Verdict")["RKD"] == "inconclusive"
    assert column(table, "Seeds needed")["RKD"] is not None
    assert column(table, "Every seed")["Logit KD"] == "83.10 84.00 85.10"
    assert column(table, "Δ teacher [95 % CI]")["Logit KD"].startswith("-6.93 [-7.08")
    assert column(table, "Δ teacher [95 % CI]")["Student pure (ResNetBaby)"] == "-10.00 [n/a]"
    assert column(table, "Best − final")["Logit KD"] == "0.50"


def test_failures_are_neither_averaged_nor_dropped(full: Bench) -> None:
    survey = full.look()
    table = statistics_table(survey, frame(survey, "Digits"))
    assert any(note.startswith("2 runs failed") for note in table.notes)
    assert f"{RKD}/2: failed: the loss is not finite" in table.details
    assert any(
        note.startswith(f"{RKD}/1: at chance: test accuracy 10.00 %") for note in table.details
    )
    assert row(frame(survey, "Digits"), "rkd").arm.values == [79.0]


def test_a_method_whose_runs_all_failed_is_failed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.finish(f"{PURE}/0", 80.0)
    bench.end(f"{LOGIT}/0", "failed", "out of memory")
    survey = bench.look()
    found = column(statistics_table(survey, frame(survey, "Digits")), "Verdict")
    assert found["Logit KD"] == "failed" and found["RKD"] == "no run yet"


def test_an_interrupted_method_is_not_failed(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.finish(f"{PURE}/0", 80.0)
    bench.end(f"{LOGIT}/0", "stopped", "a signal")
    survey = bench.look()
    found = column(statistics_table(survey, frame(survey, "Digits")), "Verdict")
    assert found["Logit KD"] == "not finished"


def test_few_seeds_have_no_spread_and_no_p(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.finish_all([90, 90, 80, 81, 82, 83, 84, 85])
    survey = bench.look()
    table = statistics_table(survey, frame(survey, "Digits"))
    assert not {"p (adjusted)", "Effect size", "p (Welch)", "p (Dunnett)"} & set(table.columns)
    assert not any("±" in str(cell) for cell in column(table, "Accuracy %").values())
    assert not any("[" in str(cell) for cell in column(table, "Δ pure").values())
    numbers = statistics_numbers(survey, frame(survey, "Digits"))
    for name in ("sd", "low", "high", "p", "p_holm", "p_dunnett", "p_other_test", "hedges_g"):
        assert set(column(numbers, name).values()) == {None}
    assert set(column(numbers, "why").values()) == {"fewer than three seeds"}


def test_the_predictions_of_two_seeds_show_no_p_either(full: Bench) -> None:
    for seed in (0, 1):
        keep(full, f"{PURE}/{seed}", wrong=40)
        keep(full, f"{LOGIT}/{seed}", wrong=10)
    assert row(frame(full.look(), "Digits"), "logit").images is None


def test_seeds_that_differ_by_less_than_one_test_image_show_no_interval(tmp_path: Path) -> None:
    """355 test images: one is worth 0.28 points; the same gap in every seed has no spread."""
    bench = Bench(tmp_path, seeds=[0, 1, 2], methods=["pure", "logit"])
    for seed in range(3):
        bench.finish(f"{TEACHER}/{seed}", 90.0 + seed**2)
        bench.finish(f"{PURE}/{seed}", 80.56 + seed)
        bench.finish(f"{LOGIT}/{seed}", 80.0 + seed)
    survey = bench.look()
    found = frame(survey, "Digits")
    table = statistics_table(survey, found)
    assert column(table, "Δ pure [95 % CI]")["Logit KD"] == "-0.56 [n/a]"
    assert column(table, "Verdict")["Logit KD"] == "inconclusive"
    assert row(found, "logit").to_teacher.low is not None  # type: ignore[union-attr]
    assert any(
        note.startswith("n/a: the seeds differ by less than one test image (0.28 points)")
        for note in table.details
    )
    assert (found.sd, found.detectable, row(found, "logit").adjusted) == (None, None, None)
    numbers = {
        r[0]: dict(zip(statistics_numbers(survey, found).columns, r, strict=True))
        for r in statistics_numbers(survey, found).rows
    }
    logit = numbers["logit"]
    assert logit["difference"] == pytest.approx(-0.56)
    assert logit["low"] is logit["high"] is logit["p"] is logit["p_holm"] is None
    assert logit["why"] == "the interval would be narrower than one test image"


def test_an_imported_round_is_tested_by_welch(tmp_path: Path) -> None:
    scripts = ScriptRounds(tmp_path / "source")
    for seed, (pure, logit) in enumerate(zip(PURES, LOGITS, strict=True)):
        scripts.run(f"Cifar10/pure/ResNet56/{seed}", [pure])
        scripts.run(f"Cifar10/logit/ResNet112_to_ResNet56/{seed}", [logit])
    done = import_round(scripts.root, "old", tmp_path / "old", None)
    found = row(frame(look(done), "Cifar10"), "logit")
    reference = stats.ttest_ind(LOGITS, PURES, equal_var=False)
    assert found.to_pure is not None and found.to_pure.test == "welch"
    assert found.adjusted == pytest.approx(reference.pvalue)
    assert found.sensitivity is not None and found.sensitivity.test == "paired"


def look(done: Import) -> Survey:
    return survey_round(Workspace(done.file.parent), done.round)


def test_rows_stand_by_their_difference_to_pure(full: Bench) -> None:
    found = frame(full.look(), "Digits")
    assert [r.arm.label for r in found.rows] == [
        "Teacher (ResNet20)",
        "Student pure (ResNetBaby)",
        "Logit KD",
        "RKD",
    ]
    assert row(found, "pure", "teacher").adjusted is None


def test_swept_values_have_a_column(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        methods=["pure", "logit"],
        seeds=[0],
        distillation={"total": "convex"},
        sweep={"alpha": [0.25, 0.5]},
    )
    bench.finish_all([90, 80, 81, 82])
    survey = bench.look()
    table = statistics_table(survey, frame(survey, "Digits"))
    assert [tuple(r[:2]) for r in table.rows[2:]] == [
        ("Logit KD", "alpha=0.5"),
        ("Logit KD", "alpha=0.25"),
    ]


def keep(bench: Bench, path: str, wrong: int, first: int = 0, classes: int = 10) -> None:
    """Predictions for 355 images, `wrong` of them false beginning with image `first`."""
    labels = np.arange(355, dtype=np.int16) % classes
    predictions = labels.copy()
    predictions[first : first + wrong] = (labels[first : first + wrong] + 1) % 10
    folder = bench.folder(path)
    save_file({"predictions": predictions, "labels": labels}, folder.predictions)
    kept = file_hash(folder.predictions)
    edit(folder.result, lambda result: result.update(predictions=kept))


def test_networks_are_compared_image_by_image(full: Bench) -> None:
    for seed in range(3):
        keep(full, f"{PURE}/{seed}", wrong=40)
        keep(full, f"{LOGIT}/{seed}", wrong=10 if seed else 38)
    found = row(frame(full.look(), "Digits"), "logit")
    assert found.images == (2, 3)


def test_other_images_are_not_compared(full: Bench) -> None:
    keep(full, f"{LOGIT}/0", wrong=1)
    keep(full, f"{PURE}/0", wrong=1, classes=2)
    survey = full.look()
    found = frame(survey, "Digits")
    assert row(found, "logit").images is None
    below = statistics_table(survey, found).details
    assert any("were tested on other images or in another order" in note for note in below)


def test_predictions_that_changed_are_left_out_and_named(full: Bench) -> None:
    for seed in range(3):
        keep(full, f"{LOGIT}/{seed}", wrong=1)
        keep(full, f"{PURE}/{seed}", wrong=60)
    found = frame(full.look(), "Digits")
    assert row(found, "logit").images == (3, 3)
    without = frame(full.look(), "Digits", by_image=False)
    assert without == replace(found, rows=tuple(replace(one, images=None) for one in found.rows))
    file = full.folder(f"{PURE}/0").predictions
    file.write_bytes(b"no tensors")
    survey = full.look()
    found = frame(survey, "Digits")
    assert row(found, "logit").images is None  # two seeds are too few for a count of p-values
    text = f"Not compared image by image: {file} is not the file that result.json records."
    assert text in statistics_table(survey, found).details


def test_a_pure_student_is_measured_against_the_teacher_it_never_saw(full: Bench) -> None:
    keep(full, f"{TEACHER}/0", wrong=20)
    keep(full, f"{PURE}/0", wrong=40, first=10)
    found = row(frame(full.look(), "Digits"), "pure", "pure")
    # Images 0 to 49 are those in which one of them errs; both err alike in 10 to 19.
    assert found.agreement == pytest.approx(100 * (355 - 40) / 355)
    assert found.excess == pytest.approx(found.agreement - chance_agreement(80, 90, 10))


def test_agreement_is_in_excess_of_independent_errors(full: Bench) -> None:
    for seed in range(3):
        folder = full.folder(f"{LOGIT}/{seed}")
        edit(folder.run, lambda run: run["teacher"].update(accuracy=90.0))
        edit(folder.result, lambda result: result["final"]["test"].update(agreement=88.0, ece=2.5))
    found = row(frame(full.look(), "Digits"), "logit")
    chances = [0.9 * a / 100 + 0.1 * (1 - a / 100) / 9 for a in LOGITS]
    assert found.agreement == pytest.approx(88.0)
    assert found.excess == pytest.approx(88.0 - 100 * np.mean(chances))
    assert found.ece == pytest.approx(2.5)


def test_independent_networks_agree_as_often_as_chance_says() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, 200_000)

    def network(accuracy: float) -> Any:
        wrong = (labels + rng.integers(1, 10, labels.size)) % 10
        return np.where(rng.random(labels.size) < accuracy, labels, wrong)

    agreed = 100 * np.mean(network(0.7) == network(0.9))
    assert agreed == pytest.approx(chance_agreement(70, 90, 10), abs=0.4)


def test_what_stands_below(full: Bench) -> None:
    found = frame(full.look(), "Digits")
    below = "\n".join(statistics_table(full.look(), found).details)
    assert found.error == pytest.approx(100 * np.sqrt(0.81 * 0.19 / 355))
    assert f"355 test images: {found.error:.2f} points" in below
    assert found.detectable is not None and f"{found.detectable:.2f} points is found" in below
    assert "ddof = 1" in below and "paired by seed" in below
    assert "Agreement with the teacher was not recorded." in below


@pytest.mark.parametrize(
    ("verdict", "label"),
    [
        (Verdict("helps", 3, disputed=True), "helps (tests disagree)"),
        (Verdict("hurts", 3), "hurts"),
        (Verdict("missing"), "no run yet"),
        (Verdict("inconclusive", 3, needs=14), "inconclusive"),
        (Verdict("equivalent", 3), "equivalent"),
    ],
)
def test_a_csv_says_the_verdict_that_the_table_says(
    full: Bench, verdict: Verdict, label: str
) -> None:
    """Its figures, as the seeds needed, have cells of their own."""
    survey = full.look()
    found = frame(survey, "Digits")
    rows = tuple(replace(one, verdict=verdict) if one.verdict else one for one in found.rows)
    shown = column(statistics_table(survey, replace(found, rows=rows)), "Verdict")["Logit KD"]
    numbers = statistics_numbers(survey, replace(found, rows=rows))
    told = {dict(zip(numbers.columns, row, strict=True))["verdict"] for row in numbers.rows}
    assert told == {label, None}
    assert str(shown).startswith(label)


def test_programs_get_plain_numbers_of_the_same_frame(full: Bench) -> None:
    survey = full.look()
    found = frame(survey, "Digits")
    table = statistics_numbers(survey, found)
    read = list(csv.DictReader(io.StringIO(render(table, "csv"))))
    logit = next(r for r in read if r["method"] == "logit")
    mine = row(found, "logit")
    assert mine.to_pure is not None
    shown = [float(logit[name]) for name in ("difference", "p_holm", "hedges_g")]
    assert shown == pytest.approx([mine.to_pure.value, mine.adjusted, mine.g], rel=1e-5)
    assert json.loads(render(table, "json"))["notes"] == list(table.notes)


@pytest.mark.parametrize("width", [80, 100, 160])
def test_a_narrow_terminal_gets_blocks_of_whole_columns(full: Bench, width: int) -> None:
    survey = full.look()
    table = statistics_table(survey, frame(survey, "Digits"))
    text = render(table, "rich", width)
    assert max(map(len, text.splitlines())) <= width
    for word in " ".join(table.columns).split():
        assert word in text
    assert column(table, "Δ pure [95 % CI]")["Logit KD"] in text
    assert text.count("Student pure (ResNetBaby)") == len(blocks(table, width))


def test_round_alpha_by_its_published_accuracies(alpha: Import) -> None:
    """The golden case: one candidate effect, which depends on the test; all else inconclusive."""
    survey = look(alpha)
    ten, hundred = (frame(survey, dataset, "best") for dataset in ("Cifar10", "Cifar100"))
    verdicts = {r.arm.method: r.verdict.text() for r in ten.rows if r.verdict}
    assert verdicts["factor_transfer"] == "helps (tests disagree)"
    assert verdicts["rkd"] == "failed"
    others = [text for method, text in verdicts.items() if method not in ("factor_transfer", "rkd")]
    assert all(text.startswith("inconclusive") for text in others) and len(others) == 4
    ft = row(ten, "factor_transfer")
    assert ft.adjusted == pytest.approx(0.026, abs=0.0005)
    assert ft.dunnett == pytest.approx(0.4044, abs=0.0005)
    words = {r.arm.method: r.verdict.word for r in hundred.rows if r.verdict}
    assert set(words.values()) == {"inconclusive", "failed"}
    assert row(hundred, "logit").to_pure.p == pytest.approx(0.65, abs=0.006)  # type: ignore[union-attr]
