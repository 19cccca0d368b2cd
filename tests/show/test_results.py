from __future__ import annotations

from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench, edit
from stillhouse.errors import ConfigError
from stillhouse.show.results import seed_tables
from stillhouse.tables import render

ROUNDS = Path(__file__).parents[2] / "rounds"
METHODS = ["rkd", "nst", "fitnets", "attention_transfer", "factor_transfer", "logit", "pure"]


def test_rows_stand_in_the_documents_order(tmp_path: Path) -> None:
    bench = Bench(tmp_path, methods=METHODS)
    bench.finish(f"{PURE}/0", 80.0)
    (table,) = seed_tables(bench.look(), "final")
    assert [row[0] for row in table.rows] == [
        "Teacher (ResNet20)",
        "Student pure (ResNetBaby)",
        "Logit KD",
        "Factor Transfer",
        "Attention Transfer",
        "FitNets",
        "NST",
        "RKD",
    ]
    assert table.columns == ("Model / Method", "Seed 0", "Seed 1", "Mean", "n")


def test_a_cell_is_a_number_missing_or_failed(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.finish(f"{TEACHER}/1", 91.0)
    bench.finish(f"{PURE}/0", 80.125)
    bench.end(f"{LOGIT}/0", "failed", "the loss term 'kd' is not finite")
    bench.end(f"{LOGIT}/1", "stopped")
    bench.begin(f"{RKD}/0")
    (table,) = seed_tables(bench.look(), "final")
    assert [row[1:] for row in table.rows] == [
        ("90.00", "91.00", "90.50", "2/2"),
        ("80.12", None, "80.12", "1/2"),
        ("FAILED", None, None, "0/2"),
        (None, None, None, "0/2"),
    ]
    assert f"{LOGIT}/0: failed: the loss term 'kd' is not finite" in table.details
    assert any(note.startswith("2 runs failed or are not finished") for note in table.notes)


@pytest.mark.parametrize(("which", "shown"), [("final", "80.00"), ("best", "85.00")])
def test_the_title_says_which_accuracy_is_shown(bench: Bench, which: str, shown: str) -> None:
    bench.finish(f"{PURE}/0", 80.0, best=85.0)
    (table,) = seed_tables(bench.look(), which)
    assert table.title == f"round tiny, Digits: test accuracy (%), {which} epoch"
    assert table.rows[1][1] == shown
    assert any("best epoch was chosen on the test images" in n for n in table.notes) == (
        which == "best"
    )
    assert not any("deviation" in note for note in table.notes)


def test_the_best_epoch_by_validation_is_called_so(tmp_path: Path) -> None:
    bench = Bench(tmp_path, training={"epochs": 2, "validation": 100})
    (table,) = seed_tables(bench.look(), "best")
    assert "The best epoch was chosen on the validation images." in table.notes


def test_another_accuracy_is_refused(bench: Bench) -> None:
    with pytest.raises(ConfigError, match="--accuracy median") as caught:
        seed_tables(bench.look(), "median")
    assert caught.value.hint == "expected final, best or ema"


def test_averaged_weights_have_their_own_accuracy(bench: Bench, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="averages its weights"):
        seed_tables(bench.look(), "ema")
    averaged = Bench(tmp_path / "ema", training={"epochs": 2, "ema_decay": 0.9})
    path = f"{PURE}/0"
    averaged.finish(path, 70.0)
    ema = {"test": {"accuracy": 72.5}}
    edit(averaged.folder(path).result, lambda result: result["final"].update(ema=ema))
    (table,) = seed_tables(averaged.look(), "ema")
    (row,) = [row for row in table.rows if "pure" in str(row[0])]
    assert "72.50" in row and "70.00" not in row
    assert "averaged" in table.title


def test_every_dataset_has_its_table_and_every_student_its_row(tmp_path: Path) -> None:
    students = ["ResNetBaby", "ResNet56"]
    bench = Bench(tmp_path, datasets=["Digits", "SVHN"], students=students, methods=["logit"])
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.finish("SVHN/pure/ResNet20/0", 90.0)
    digits, svhn = seed_tables(bench.look(), "final")
    assert (digits.title.split(":")[0], svhn.title.split(":")[0]) == (
        "round tiny, Digits",
        "round tiny, SVHN",
    )
    assert [row[0] for row in svhn.rows] == [
        "Teacher (ResNet20)",
        "Logit KD (ResNet56)",
        "Logit KD (ResNetBaby)",
    ]


def test_a_round_without_results_is_one_sentence(tmp_path: Path) -> None:
    tables = seed_tables(Bench(tmp_path, datasets=["Digits", "SVHN"]).look(), "final")
    assert [table.rows for table in tables] == [(), ()]
    assert all("no run is done" in render(table, "rich").splitlines()[0] for table in tables)


def test_a_student_of_anothers_teacher_is_no_teacher(tmp_path: Path) -> None:
    Bench(tmp_path / "first").finish(f"{TEACHER}/0", 90.0)
    students = ["ResNet20"]
    bench = Bench(tmp_path / "later", teachers_from="../first", students=students)
    bench.finish(f"{RKD}/0".replace("ResNetBaby", "ResNet20"), 80.0)
    (table,) = seed_tables(bench.look(), "final")
    assert [row[0] for row in table.rows] == ["Student pure (ResNet20)", "Logit KD", "RKD"]


def test_every_sweep_point_has_its_row(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        methods=["pure", "logit"],
        seeds=[0],
        distillation={"total": "convex"},
        sweep={"alpha": [0.25, 0.5, 0.75], "temperature": [4.0]},
    )
    point = "Digits/logit/alpha_0.5/temperature_4/ResNet20_to_ResNetBaby/0"
    bench.finish(point, 70.0)
    (table,) = seed_tables(bench.look(), "final")
    assert {row[0]: row[1] for row in table.rows} == {
        "Teacher (ResNet20)": None,
        "Student pure (ResNetBaby)": None,
        "Logit KD alpha=0.25 temperature=4": None,
        "Logit KD alpha=0.5 temperature=4": "70.00",
        "Logit KD alpha=0.75 temperature=4": None,
    }
