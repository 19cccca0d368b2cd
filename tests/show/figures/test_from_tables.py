"""Figures of a round, drawn from its runs and the tables in its folder."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench
from stillhouse.errors import RunError
from stillhouse.rounds.survey import part
from stillhouse.show.figures import FIGURES
from stillhouse.show.figures.from_tables import OF_LAYERS, read_tables, write_figures
from stillhouse.stats.arms import Which
from stillhouse.stats.columns import TABLES

OF_RUNS = ("status", "accuracy", "forest", "curves")
NAMES = ("accuracy", "curves")


@pytest.fixture
def finished(bench: Bench) -> Bench:
    """A round of two seeds with a failed run and one that learned nothing."""
    for path, accuracy in ((TEACHER, 95.0), (PURE, 90.0), (LOGIT, 91.0)):
        for seed in (0, 1):
            bench.finish(f"{path}/{seed}", accuracy + 0.3 * seed, accuracy + 1)
    bench.finish(f"{RKD}/0", 10.0)
    bench.end(f"{RKD}/1", "failed", "a reason")
    return bench


def drawn(bench: Bench, folder: Path, *names: str, which: Which = "final") -> list[str]:
    tables = read_tables(folder, bench.workspace, bench.look(), names, which)
    return [str(one) for one in write_figures(tables, ["Digits"], names, folder, ["svg"])]


def values(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / f"tiny-Digits-{name}.csv")


def test_figures_of_runs_need_no_table_and_others_say_what_is_missing(
    finished: Bench, tmp_path: Path
) -> None:
    written = drawn(finished, tmp_path, *FIGURES)
    names = {path.name for path in tmp_path.glob("tiny-*")}
    assert names == {
        f"tiny-Digits-{name}.{kind}" for name in OF_RUNS for kind in ("svg", "csv", "md")
    }
    missing = [text for text in written if "not drawn: " in text]
    assert [text.split(":")[0].split(", ")[1] for text in missing] == [
        name for name in FIGURES if name not in OF_RUNS
    ]


def test_runs_that_do_not_count_are_shown_as_what_they_are(finished: Bench, tmp_path: Path) -> None:
    drawn(finished, tmp_path, "status", "accuracy")
    states = values(tmp_path, "status").set_index("run")["shown"]
    assert (states[f"{RKD}/0"], states[f"{RKD}/1"]) == ("not valid", "failed")
    row = values(tmp_path, "accuracy").set_index("arm").loc["RKD"]
    assert (
        row["n"] == 0
        and "not valid (10.00 %)" in row["not_drawn"]
        and "1 failed" in row["not_drawn"]
    )


def test_a_figure_can_show_the_best_epoch(finished: Bench, tmp_path: Path) -> None:
    drawn(finished, tmp_path, "accuracy", which="best")
    assert values(tmp_path, "accuracy").set_index("arm")["mean"]["Logit KD"] == 92.0
    assert "best epoch" in (tmp_path / "tiny-Digits-accuracy.md").read_text()


def test_a_part_of_a_round_is_drawn_with_what_it_is_compared_with(
    finished: Bench, tmp_path: Path
) -> None:
    seen = part(finished.look(), "method=logit,seed=0")
    tables = read_tables(tmp_path, finished.workspace, seen, ["accuracy"])
    assert [*write_figures(tables, ["Digits"], ["accuracy"], tmp_path, [])]
    found = values(tmp_path, "accuracy")
    assert {*found["role"]} == {"teacher", "pure", "method"} and {*found["n"]} == {1}
    assert "RKD" not in {*found["arm"]}


def test_curves_are_marked_where_the_doctor_found_something(
    finished: Bench, tmp_path: Path
) -> None:
    drawn(finished, tmp_path, "curves")
    codes = values(tmp_path, "curves").set_index("run")["codes"]
    assert isinstance(codes[f"{RKD}/0"], str) and pd.isna(codes[f"{PURE}/0"])


def test_damaged_tables_are_named(finished: Bench, tmp_path: Path) -> None:
    for name in OF_LAYERS:
        columns = [column.name for column in TABLES[name][1]]
        pd.DataFrame(columns=columns).to_csv(tmp_path / f"{name}.csv", index=False)
    assert drawn(finished, tmp_path, "forest")
    (tmp_path / "pairs.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(RunError, match=r"pairs\.csv") as caught:
        drawn(finished, tmp_path, "forest")
    assert "analyze tiny" in caught.value.hint
    pd.DataFrame({"dataset": []}).to_csv(tmp_path / "pairs.csv", index=False)
    with pytest.raises(RunError, match="run_a"):
        drawn(finished, tmp_path, "forest")
