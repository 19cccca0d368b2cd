from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse.errors import DataError
from stillhouse.published import (
    PublishedResult,
    ReportedCell,
    estimator,
    estimator_table,
    read_reported,
    read_results,
    recompute,
    reported_file,
    results_file,
)

ROUND = Path(__file__).parent.parent / "rounds" / "alpha.yaml"
HEADER = "dataset,method,model,seed,accuracy,kind,status,epoch\n"


def test_round_alpha_as_reported() -> None:
    rows = read_results(results_file(ROUND))
    by_status = {s: [r for r in rows if r.status == s] for s in ("completed", "failed")}
    assert len(rows) == 43
    assert len({(r.dataset, r.method, r.model, r.seed) for r in rows}) == 43
    assert len(by_status["completed"]) == 31
    assert {r.kind for r in rows} == {"best_epoch"}
    failed = by_status["failed"]
    assert [r.accuracy for r in failed if r.method == "rkd"] == [18.13, 1.0, None]
    assert sum(r.dataset == "SVHN" and r.accuracy is None for r in failed) == 8
    unfinished = [(r.method, r.accuracy, r.epoch) for r in rows if r.status == "in_progress"]
    assert unfinished == [("pure", 53.31, 127), ("logit", 36.27, 58)]


def test_the_reported_deviations_mix_estimators() -> None:
    cells = recompute(read_reported(reported_file(ROUND)), read_results(results_file(ROUND)))
    found = [cell.estimator for cell in cells]
    counts = {kind: found.count(kind) for kind in ("ddof=1", "ddof=0", "neither")}
    assert counts == {"ddof=1": 1, "ddof=0": 3, "neither": 4}
    for cell in cells:
        assert cell.n == 3
        assert round(cell.mean, 2) == pytest.approx(cell.reported.mean, abs=0.0051)
    table = estimator_table(cells, "alpha")
    assert table.notes == ("Estimators behind the 8 reported ±: 1 ddof=1, 3 ddof=0, 4 neither.",)
    assert table.rows[2][3:] == ("93.37 ± 0.73", "93.37 ± 0.89", 3, "ddof=0")


@pytest.mark.parametrize(
    ("reported", "expected"), [(1.58, "ddof=1"), (1.41, "ddof=0"), (1.5, "neither")]
)
def test_estimator(reported: float, expected: str) -> None:
    assert estimator([1, 2, 3, 4, 5], reported) == expected


def test_failed_runs_are_not_averaged_in() -> None:
    common = {"dataset": "D", "method": "m", "model": "M", "kind": "best_epoch", "epoch": 1}
    rows = [
        PublishedResult.model_validate({**common, "seed": 0, "accuracy": 1, "status": "completed"}),
        PublishedResult.model_validate({**common, "seed": 1, "accuracy": 3, "status": "completed"}),
        PublishedResult.model_validate({**common, "seed": 2, "accuracy": 99, "status": "failed"}),
    ]
    cell = ReportedCell(dataset="D", method="m", model="M", mean=2, std=1)
    (found,) = recompute([cell], rows)
    assert (found.mean, found.n, found.estimator) == (2, 2, "ddof=0")
    with pytest.raises(DataError, match="reported for 1 run"):
        recompute([cell], rows[1:])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset,accuracy\n", ":1: unexpected columns"),
        (HEADER + "D,m,M,0,101,best_epoch,completed,1\n", ":2: accuracy: given '101'"),
        (HEADER + "D,m,M,0,50,best,completed,1\n", ":2: kind: given 'best'"),
        (HEADER + "D,m,M,0,50,best_epoch,completed,1,more\n", ":2: extra: given"),
        (HEADER + "D,m,M,,50,best_epoch,completed,1\n", ":2: seed: given None"),
    ],
)
def test_bad_files_name_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x_results.csv"
    path.write_text(text)
    with pytest.raises(DataError) as caught:
        read_results(path)
    assert caught.value.message.startswith(f"{path}{message}")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_results(tmp_path / "none.csv")
