from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse.errors import DataError
from stillhouse.exchange.published import read_results, results_file

ROUND = Path(__file__).parents[2] / "rounds" / "alpha.yaml"
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dataset,accuracy\n", ":1: unexpected columns"),
        (HEADER + "D,m,M,0,101,best_epoch,completed,1\n", ":2: the field 'accuracy': given '101'"),
        (HEADER + "D,m,M,0,50,best,completed,1\n", ":2: the field 'kind': given 'best'"),
        (HEADER + "D,m,M,0,50,best_epoch,completed,1,more\n", ":2: the field 'extra': given"),
        (
            HEADER + "D,m,M,,50,best_epoch,completed,1\n",
            ":2: the field 'seed': given nothing, expected a whole number",
        ),
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
