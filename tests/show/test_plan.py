from __future__ import annotations

from pathlib import Path

import pytest

from stillhouse import data
from stillhouse.config.load import load_round
from stillhouse.config.resolve import resolve
from stillhouse.rounds import cost
from stillhouse.rounds.cost import estimate
from stillhouse.rounds.survey import survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.plan import loss_text, plan
from workbench import LOGIT, PURE, RKD, TEACHER, Bench

BETA = Path(__file__).parents[2] / "rounds" / "beta.yaml"


@pytest.fixture
def unmeasured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every network takes a millisecond an image."""
    monkeypatch.setattr(cost, "_seconds_per_image", lambda *_: 1e-3)


@pytest.mark.usefixtures("unmeasured")
def test_round_beta_is_a_matrix_of_96_runs(tmp_path: Path) -> None:
    table = plan(survey(Workspace(tmp_path), load_round(BETA)), "cpu")
    assert table.title == "round beta: 96 runs, 0 done, 96 left"
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    assert len(rows) == 4 * 8
    assert sum(row["Runs"] for row in rows) == sum(row["Left"] for row in rows) == 96
    assert {row["Seeds"] for row in rows} == {"0,1,2"}
    waiting = {row["Method"]: row["Waits for"] for row in rows if row["Dataset"] == "SVHN"}
    assert waiting.pop("pure") == ""
    assert set(waiting.values()) == {"ResNet112 0,1,2"}
    losses = {row["Method"]: row["Loss"] for row in rows}
    assert losses["pure"] == "1 ce"
    assert losses["logit"] == "0.1 ce + 0.9 kd (kd : ce = 9)"
    assert losses["attention_transfer"].startswith("1 ce + 1000 ")


@pytest.mark.usefixtures("unmeasured")
def test_a_plan_follows_what_is_done(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.finish(f"{LOGIT}/0", 80.0)
    rows = {row[1:3]: row[4:8] for row in plan(bench.look(), "cpu").rows}
    assert rows["pure", "ResNet20"] == (2, 1, 1, "")
    assert rows["logit", "ResNetBaby"] == (2, 1, 1, "ResNet20 1")
    assert rows["rkd", "ResNetBaby"] == (2, 0, 2, "ResNet20 1")


@pytest.mark.usefixtures("unmeasured")
def test_programs_get_one_number_per_cell(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.finish(f"{LOGIT}/0", 80.0)
    table = plan(bench.look(), "cpu", numbers=True)
    rows = {row[1:3]: dict(zip(table.columns, row, strict=True)) for row in table.rows}
    logit, pure = rows["logit", "ResNetBaby"], rows["pure", "ResNetBaby"]
    counts = [logit[name] for name in ("planned", "done", "left", "waiting")]
    assert (counts, logit["teacher"], pure["teacher"]) == ([2, 1, 1, 1], "ResNet20", None)
    weights = [logit[name] for name in ("weight_ce", "weight_kd", "weight_angle")]
    assert weights == [0.1, 0.9, None]
    assert pure["seconds"] == pytest.approx(2 * 2 * (200 + 355 / 3) * 1e-3)


@pytest.mark.parametrize(
    ("path", "alpha", "expected"),
    [
        # Logit's published total is 0.1 and 0.9, so it is met at alpha = 0.9 ...
        (LOGIT, None, "0.1 ce + 0.9 kd (kd : ce = 9)"),
        (LOGIT, 0.9, "0.1 ce + 0.9 kd (kd : ce = 9)"),
        (LOGIT, 0.5, "0.5 ce + 0.5 kd (kd : ce = 1)"),
        # ... and RKD's, 1 to 25 and 50, at alpha = 0.5.
        (RKD, None, "0.5 ce + 12.5 distance + 25 angle (distance : ce = 25, angle : ce = 50)"),
        (RKD, 0.2, "0.8 ce + 5 distance + 10 angle (distance : ce = 6.25, angle : ce = 12.5)"),
    ],
)
def test_the_convex_total(tmp_path: Path, path: str, alpha: float | None, expected: str) -> None:
    bench = Bench(tmp_path, distillation={"total": "convex", "alpha": alpha})
    assert loss_text(resolve(bench.runs[f"{path}/0"])) == expected


def test_recorded_times_come_first(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.finish(f"{LOGIT}/0", 80.0)  # 3 s an epoch
    bench.end(f"{PURE}/0", "stopped")  # after epoch 1 of 2
    monkeypatch.setattr(cost, "_seconds_per_image", lambda *_: 1e-3)
    costs = estimate(bench.look(), "cpu")
    assert f"{LOGIT}/0" not in costs
    assert costs[f"{LOGIT}/1"] == 2 * 3.0
    one_epoch = 0.001 * (200 + data.spec("Digits").test_images / 3)
    assert costs[f"{TEACHER}/0"] == pytest.approx(2 * one_epoch)
    assert costs[f"{PURE}/0"] == pytest.approx(one_epoch)
    teacher_pass = 0.001 * 200 / 3
    assert costs[f"{RKD}/0"] == pytest.approx(2 * (one_epoch + teacher_pass))


def test_a_network_is_timed_once(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    timed: list[str] = []
    measure = cost._seconds_per_image

    def note(dataset: str, model: str, device: str) -> float:
        timed.append(model)
        return measure(dataset, "ResNetBaby", device)

    monkeypatch.setattr(cost, "_seconds_per_image", note)
    costs = estimate(bench.look(), "cpu")
    assert sorted(timed) == ["ResNet20", "ResNetBaby"]
    assert len(costs) == 8
    assert min(costs.values()) > 0
