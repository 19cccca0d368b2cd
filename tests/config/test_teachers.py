"""Several teachers in one round: which runs it has, and that other rounds keep their identity."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from fake_rounds import ROUND, write_round
from stillhouse.config.diff import diff_rounds
from stillhouse.config.expand import expand
from stillhouse.config.identity import identity
from stillhouse.config.load import load_round
from stillhouse.config.schema import RunConfig
from stillhouse.errors import ConfigError
from stillhouse.rounds.survey import select

TWO = {key: value for key, value in ROUND.items() if key != "teacher"}
METHODS = ["pure", "logit", "self", "label_smoothing"]


def write(folder: Path, teachers: list[Any], **changes: Any) -> Path:
    file = folder / "two.yaml"
    file.write_text(yaml.safe_dump(TWO | {"teachers": teachers, "methods": METHODS} | changes))
    return file


def runs(file: Path) -> dict[str, RunConfig]:
    return {run.path: run for run in expand(load_round(file))}


def test_every_teacher_teaches_every_method_that_has_one(tmp_path: Path) -> None:
    found = runs(write(tmp_path, ["ResNet20", "ResNetBaby"], seeds=[0]))
    assert list(found) == [
        "Digits/pure/ResNet20/0",
        "Digits/pure/ResNetBaby/0",
        "Digits/logit/ResNet20_to_ResNetBaby/0",
        "Digits/logit/ResNetBaby_to_ResNetBaby/0",
        "Digits/self/ResNetBaby_to_ResNetBaby/0",
        "Digits/label_smoothing/ResNetBaby/0",
    ]


def test_a_round_with_one_of_them_has_the_same_runs(tmp_path: Path) -> None:
    """A run keeps its identity if its round gets another teacher: its results are reused."""
    several = runs(write(tmp_path, ["resnet14", "ResNet20"]))
    for teacher in ("resnet14", "ResNet20"):
        alone = runs(write_round(tmp_path / "one.yaml", teacher=teacher, methods=METHODS))
        assert set(alone) < set(several)
        assert all(identity(run) == identity(several[path]) for path, run in alone.items())
    one_listed = runs(write(tmp_path, ["ResNet20"]))
    assert {path: identity(run) for path, run in one_listed.items()} == {
        path: identity(run) for path, run in alone.items()
    }


def test_one_of_them_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "w.pth").write_bytes(b"weights")
    frozen = {"name": "resnet14", "weights": "w.pth", "train": False}
    found = runs(write(tmp_path, ["ResNet20", frozen], methods=["logit"], seeds=[3]))
    taught = {run.teacher_path: run.teacher for run in found.values() if run.teacher}
    assert "Digits/pure/resnet14/3" not in found and "Digits/pure/ResNet20/3" in found
    assert [(one.source, one.seed) for one in taught.values() if one] == [(None, 3), ("weights", 0)]


def test_a_filter_selects_a_teacher(tmp_path: Path) -> None:
    every = list(runs(write(tmp_path, ["ResNet20", "resnet14"], seeds=[0])).values())
    chosen = [run.path for run in select(every, "teacher=resnet14")]
    assert chosen == ["Digits/pure/resnet14/0", "Digits/logit/resnet14_to_ResNetBaby/0"]
    assert [run.path for run in select(every, "teacher=resnet20,method=logit")][1:] == [
        "Digits/logit/ResNet20_to_ResNetBaby/0"
    ]


def test_a_changed_list_of_teachers_is_a_difference(tmp_path: Path) -> None:
    a = load_round(write_round(tmp_path / "one.yaml", methods=METHODS))
    b = load_round(write(tmp_path, ["ResNet20", "resnet14"]))
    assert [row[:3] for row in diff_rounds(a, b).rows] == [
        ("teacher", "ResNet20", "ResNet20, resnet14")
    ]


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"teacher": "ResNet20"}, "beside `teachers`"),
        ({"teachers": ["ResNet20", "ResNet21"]}, "ResNet21"),
        ({"teachers": ["ResNet20", "resnet20"]}, "duplicate"),
        ({"teachers": []}, "no network"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, changes: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load_round(write(tmp_path, changes.pop("teachers", ["resnet14"]), **changes))
    assert what in str(caught.value)
