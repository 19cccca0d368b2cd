"""`table --against`: published results beside a round's own."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from fake_rounds import Bench
from stillhouse.errors import ConfigError
from stillhouse.exchange.published import read_results
from stillhouse.show.against import against_tables

ROUNDS = Path(__file__).parents[2] / "rounds"


@pytest.fixture
def beta(tmp_path: Path) -> Bench:
    """A round of round alpha's networks, two of its datasets and one that it had not."""
    bench = Bench(
        tmp_path,
        round="later",
        datasets=["Cifar10", "SVHN", "Digits"],
        teacher="ResNet112",
        students=["ResNet56"],
        seeds=[0, 1, 2],
    )
    for kind in ("alpha.yaml", "alpha_results.csv"):
        shutil.copy(ROUNDS / kind, bench.file.parent)
    for seed, (final, best) in enumerate([(93.0, 94.0), (94.0, 95.0), (95.0, 96.0)]):
        bench.finish(f"Cifar10/pure/ResNet56/{seed}", final, best)
    bench.finish("Cifar10/rkd/ResNet112_to_ResNet56/0", 90.0, 91.0)
    return bench


@pytest.mark.parametrize("which", [None, "best"])
def test_like_stands_beside_like(beta: Bench, which: str | None) -> None:
    """Round alpha's accuracies are best-epoch ones, so the best epoch is shown on both sides."""
    cifar, *_ = against_tables(beta.look(), "alpha", beta.file.parent, which)
    assert cifar.title == "CIFAR-10: test accuracy (%), best epoch on both sides"
    assert cifar.columns[1:] == ("alpha", "n alpha", "later", "n later", "Difference", "Inside")
    rows = {row[0]: row[1:] for row in cifar.rows}
    published = read_results(ROUNDS / "alpha_results.csv")
    place = ("Cifar10", "pure", "ResNet56")
    theirs = [r.accuracy for r in published if (r.dataset, r.method, r.model) == place]
    mean, std = np.mean(theirs), np.std(theirs, ddof=1)
    earlier, difference = f"{mean:.2f} ± {std:.2f}", f"{95 - mean:+.2f}"
    expected = (earlier, 3, "95.00 ± 1.00", 3, difference, "yes")
    assert rows["Student pure (ResNet56)"] == expected
    assert rows["RKD"] == ("FAILED (18.13)", 0, "91.00", 1, None, None)
    assert any("chosen on the test images" in note for note in cifar.notes)


def test_unlike_is_not_compared(beta: Bench) -> None:
    with pytest.raises(ConfigError, match="best_epoch accuracies, which cannot be") as caught:
        against_tables(beta.look(), "alpha", beta.file.parent, "final")
    assert "leave --accuracy out" in caught.value.hint


def test_what_was_not_published_is_missing(beta: Bench) -> None:
    _, svhn, digits = against_tables(beta.look(), "alpha", beta.file.parent, None)
    assert {row[1:] for row in svhn.rows} == {("FAILED", 0, None, 0, None, None)}
    assert {row[1:] for row in digits.rows} == {(None, 0, None, 0, None, None)}


def test_unknown_published_results_are_named(beta: Bench) -> None:
    with pytest.raises(ConfigError, match="gamma") as caught:
        against_tables(beta.look(), "gamma", beta.file.parent, None)
    assert "gamma_results.csv" in str(caught.value.hint)


def test_results_without_a_teacher_stand_beside_the_arm_of_their_protocols_teacher(
    tmp_path: Path,
) -> None:
    bench = Bench(
        tmp_path,
        datasets=["Cifar10"],
        teachers=["ResNet112", "ResNet20"],
        students=["ResNet56"],
        methods=["pure", "logit"],
    )
    for kind in ("alpha.yaml", "alpha_results.csv"):
        shutil.copy(ROUNDS / kind, bench.file.parent)
    (table,) = against_tables(bench.look(), "alpha", bench.file.parent, None)
    rows = {row[0]: row[1] for row in table.rows}
    assert rows["Logit KD from ResNet112"] and rows["Student pure (ResNet56)"]
    assert rows["Logit KD from ResNet20"] is None


HEADER = "dataset,method,model,seed,accuracy,kind,status,epoch,n,sd,teacher,source\n"


@pytest.fixture
def published(tmp_path: Path) -> Bench:
    """A round of three seeds beside means that were published, with a protocol of 240 epochs."""
    bench = Bench(
        tmp_path, round="mine", teacher="ResNet20", students=["ResNetBaby"], seeds=[0, 1, 2]
    )
    protocol = bench.file.read_text().replace("round: mine", "round: table")
    (bench.file.parent / "table.yaml").write_text(protocol.replace("epochs: ", "epochs: 24"))
    rows = [
        "pure,resnet8,,80,final_epoch,completed,240,5,0.5,,A",
        "logit,resnet8,,90,final_epoch,completed,240,,,resnet20,A",
        "logit,resnet8,,91,final_epoch,completed,240,,,resnet56,A",
        "rkd,resnet8,,91,best_epoch,completed,240,,,resnet20,B",
    ]
    text = HEADER + "".join(f"Digits,{row}\n" for row in rows)
    (bench.file.parent / "table_results.csv").write_text(text)
    for seed, (pure, logit) in enumerate([(81.0, 84.0), (81.5, 84.5), (82.0, 85.0)]):
        bench.finish(f"Digits/pure/ResNetBaby/{seed}", pure)
        bench.finish(f"Digits/logit/ResNet20_to_ResNetBaby/{seed}", logit)
    return bench


def test_a_published_mean_of_the_same_pair_is_compared(published: Bench) -> None:
    (table,) = against_tables(published.look(), "table", published.file.parent, "final", True)
    records = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    rows = {one["method"]: one for one in records if one["model"] == "ResNetBaby"}
    pure, logit = rows["pure"], rows["logit"]
    assert (pure["published_mean"], pure["published_n"], pure["published_sd"]) == (80.0, 5, 0.5)
    found = stats.ttest_ind_from_stats(81.5, 0.5, 3, 80.0, 0.5, 5, equal_var=False)
    assert (pure["inside"] == "yes") == (found.pvalue > 0.05)
    assert pure["difference"] == pytest.approx(1.5)
    # Nothing is known of its spread: the interval is that of the round's own mean.
    half = stats.t.interval(0.95, 2, scale=stats.sem([84.0, 84.5, 85.0]))[1]
    assert logit["published_mean"] == 90.0
    assert (logit["low"], logit["high"]) == pytest.approx((-5.5 - half, -5.5 + half))
    assert logit["inside"] == "no"
    assert rows["rkd"]["published_mean"] is None


def test_the_protocols_differences_and_what_is_left_out_are_noted(published: Bench) -> None:
    (table,) = against_tables(published.look(), "table", published.file.parent, "final")
    protocol = [note for note in table.notes if note.startswith("Protocol: ")]
    epochs = published.look().round.training.epochs
    assert protocol == [f"Protocol: epochs: 24{epochs} in table, {epochs} here."]
    assert any("rkd (--accuracy best)" in note for note in table.notes)


def test_shipped_tables_are_read() -> None:
    """Spot checks against the pages that they were copied from."""
    crd = read_results(ROUNDS / "crd_benchmark_results.csv")
    assert len(crd) == len({(r.method, r.model, r.teacher) for r in crd}) == 115
    by_pair = {(r.method, r.teacher, r.model): r.accuracy for r in crd}
    assert by_pair["logit", "ResNet56", "ResNet20"] == 70.66
    assert by_pair["crd", "vgg13", "vgg8"] == 73.94
    assert by_pair["dkd", "wrn_40_2", "wrn_16_2"] == 76.23
    cross = {(r.method, r.teacher, r.model): r.accuracy
             for r in read_results(ROUNDS / "crd_cross_results.csv")}  # fmt: skip
    assert cross["attention_transfer", "vgg13", "MobileNetV2"] == 59.40
    zoo = {(r.dataset, r.method): r for r in read_results(ROUNDS / "kd_zoo_results.csv")}
    assert (zoo["Cifar10", "sp"].accuracy, zoo["Cifar10", "sp"].n) == (93.30, 1)
    assert zoo["Cifar100", "crd"].kind == "best_epoch"
