"""What the networks of a round cost, counted."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench
from stillhouse import data
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import RunConfig, Teacher
from stillhouse.rounds.cost import forward_operations, processes, recorded_costs, timed_costs
from stillhouse.rounds.timings import Timings
from stillhouse.training import timing
from stillhouse.training.timing import measure
from stillhouse.training.worker import work


@pytest.mark.parametrize(
    ("model", "flops"),  # of torch.utils.flop_counter, which counts two a multiplication
    [("ResNet112", 506_299_648), ("ResNet20", 81_626_368), ("ResNetBaby", 25_003_264)],
)
def test_operations_are_torchs_own_count(model: str, flops: int) -> None:
    run = RunConfig(dataset="Cifar10", method="pure", model=model, seed=0)
    assert forward_operations([run, run]) == {"Cifar10": {model: flops // 2}}


def test_teachers_are_counted_too_and_larger_images_cost_more() -> None:
    teacher = Teacher(model="ResNet20", seed=0)
    runs = [
        RunConfig(dataset=name, method="logit", model="ResNetBaby", seed=0, teacher=teacher)
        for name in ("Cifar10", "TinyImageNet")
    ]
    small, large = forward_operations(runs).values()
    assert set(small) == set(large) == {"ResNet20", "ResNetBaby"}
    assert large["ResNet20"] == pytest.approx(4 * small["ResNet20"], rel=0.01)


@pytest.fixture
def processor_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every duration is processor time, which other work on the machine does not lengthen."""
    monkeypatch.setattr(time, "perf_counter", time.process_time)


def trained(bench: Bench, seed: int) -> float:
    """Train a seed in this process, teacher first; the seconds of its students' process."""
    spent = 0.0
    place = bench.workspace.place(None, data.data_root(None), "cpu")
    for paths in ([TEACHER], [PURE, LOGIT, RKD]):
        started = time.process_time()
        runs = [resolve(bench.runs[f"{path}/{seed}"]) for path in paths]
        assert work(runs, place, None, None, str, str) == 0
        spent = time.process_time() - started
    return spent


def test_a_trained_round_predicts_its_next_seed(tmp_path: Path, processor_clock: None) -> None:
    recipe = {"epochs": 4, "batch_size": 64, "learning_rate": 0.02, "train_images": 640}
    bench = Bench(tmp_path, training=recipe)
    trained(bench, 0)
    survey = bench.look()
    costs = recorded_costs(survey)
    (_, students) = processes(survey, costs)
    assert [run.cost is not None for run in students.runs] == [True, True, True]
    shared = costs[f"{LOGIT}/1"]
    assert 0 < shared.loading < shared.own and 0 < shared.teacher < shared.own
    assert costs[f"{PURE}/1"].teacher == 0 and shared.runs == 3
    predicted, true = students.seconds, trained(bench, 1)
    assert predicted / 2 < true < 3 * predicted + 2.0  # opening the cohort is not predicted
    assert students.seconds < students.alone


def test_timed_steps_predict_recorded_epochs(tmp_path: Path, processor_clock: None) -> None:
    bench = Bench(tmp_path, training={"epochs": 2, "batch_size": 64, "learning_rate": 0.02})
    place = bench.workspace.place(None, data.data_root(None), "cpu")
    assert work([resolve(bench.runs[f"{PURE}/0"])], place, None, None, str, str) == 0
    recorded = recorded_costs(bench.look())[f"{PURE}/0"]
    run, timings = bench.runs[f"{PURE}/0"], Timings()
    timings.known["here"] = measure(resolve(run), torch.device("cpu"))
    timed = timings.cost(run, "here")
    assert recorded.own / 3 < timed.own < 3 * recorded.own
    assert timed.teacher == 0 < timed.loading


def test_what_was_timed_is_kept_and_timed_once(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    per_image = {
        "step": 0.01,
        "evaluation": 0.002,
        "loading": 0.001,
        "teacher": 0.004,
        "memory": 7e8,
    }
    asked: list[str] = []
    monkeypatch.setenv("STILLHOUSE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(timing, "measure", lambda run, device: per_image)
    bench.finish(f"{LOGIT}/0", 80.0)  # 3 s an epoch
    survey = bench.look()
    known = recorded_costs(survey)
    assert timed_costs(survey, "cpu", known, Timings()) == known  # plan alone times nothing
    costs = timed_costs(survey, "cpu", known, Timings(), asked.append)
    assert len(asked) == 3 and len({*asked}) == 3  # the teacher, pure and rkd
    assert timed_costs(survey, "cpu", known, Timings()) == costs
    images = 192  # whole batches of 64
    tests = data.spec("Digits").test_images
    rkd = costs[f"{RKD}/1"]
    assert rkd.own == pytest.approx(images * 0.01 + tests * 0.002)
    assert rkd.teacher == pytest.approx(images * 0.004) and rkd.memory == 700_000_000
    assert costs[f"{LOGIT}/1"].own == 3.0
