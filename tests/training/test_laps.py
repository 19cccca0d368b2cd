"""Where the time of a training goes, and that looking changes nothing."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch

from small_runs import Lab, StopAfter
from stillhouse.runs.files import read_json
from stillhouse.training.laps import Laps
from stillhouse.training.loop import train

CPU = torch.device("cpu")


def test_every_moment_belongs_to_the_part_that_ends_with_it(tmp_path: Path) -> None:
    moments = iter([0.0, 5.0, 6.0, 8.0, 8.5, 9.5])
    laps = Laps(CPU, lambda: next(moments))
    laps.begin()  # at 5.0: what was before is nobody's
    cohort, rkd = laps.of(""), laps.of("rkd")
    cohort("data")
    rkd("backward")
    cohort("data")
    rkd("backward")
    assert laps.seconds == {("", "data"): 1.5, ("rkd", "backward"): 3.0}
    laps.write(tmp_path / "profile.json")
    found = read_json(tmp_path / "profile.json")
    assert found["seconds"] == 4.5 == sum(row["seconds"] for row in found["rows"])
    assert [row["times"] for row in found["rows"]] == [2, 2]


@pytest.mark.parametrize("precision, images, batch", [("fp32", 200, 64), ("fp16", 32, 16)])
def test_a_profiled_training_has_the_same_bits_and_its_parts_are_the_whole(
    lab: Lab, tmp_path: Path, precision: str, images: int, batch: int
) -> None:
    settings = {"precision": precision, "train_images": images, "batch_size": batch}
    runs = [lab.run(method, **settings) for method in ("pure", "logit", "rkd")]
    lab.train(*runs)
    beside = Lab(tmp_path / "profiled", lab.teachers, lab.data_root)
    cohort = beside.open(*runs)
    cohort.laps = Laps(CPU, time.process_time)  # neither a busy disk nor other processes show
    cohort.laps.begin()
    started = time.process_time()
    train(cohort, StopAfter(10**9), lambda trainer, record: None)
    whole = time.process_time() - started
    for run in runs:
        assert beside.outcome(run) == lab.outcome(run)
    laps = cohort.laps
    assert sum(laps.seconds.values()) == pytest.approx(laps.whole)
    assert 0.8 * whole < laps.whole < whole  # the rest: finishing the runs
    parts = {part for _, part in laps.seconds}
    own = {"student forward", "method", "backward", "optimizer", "guards"}
    assert parts == own | {"data", "teacher", "evaluation", "records"}
    steps = 2 * (images // batch)
    assert laps.counts["", "data"] == laps.counts["rkd", "backward"] == steps
    assert {who for who, _ in laps.seconds} == {"", "pure ResNetBaby", "logit", "rkd"}


def test_without_a_profile_nothing_is_marked(lab: Lab) -> None:
    cohort = lab.open(lab.run("pure", seed=3))
    train(cohort, StopAfter(1), lambda trainer, record: None)
    assert cohort.laps is None and cohort.members[0].trainer.lap("data") is None
