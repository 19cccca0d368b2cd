from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillhouse.config.format_1 import FIELDS
from stillhouse.config.identity import canonical, counted, difference, flatten, identity
from stillhouse.config.schema import ONLY_WITH, RunConfig, Training

TAUGHT: dict[str, Any] = {
    "dataset": "Cifar10",
    "method": "logit",
    "model": "ResNet56",
    "seed": 0,
    "teacher": {"model": "ResNet112", "seed": 0},
    "training": {"augmentation": ["pad_crop"]},
    "distillation": {"total": "convex", "alpha": 0.5},
    "parameters": {"temperature": 4.0},
}
# A run that the first version recorded, and the hash that it gave it.
GOLDEN = """
{
    "dataset": "Digits",
    "method": "nst",
    "model": "own_model",
    "seed": 0,
    "teacher": {
        "model": "ResNetBaby",
        "seed": 0,
        "source": null
    },
    "training": {
        "epochs": 5,
        "batch_size": 128,
        "optimizer": "sgd",
        "learning_rate": 0.1,
        "momentum": 0.9,
        "nesterov": false,
        "weight_decay": 0.0005,
        "schedule": "cosine",
        "milestones": [],
        "warmup_epochs": 0,
        "label_smoothing": 0.0,
        "augmentation": [
            "pad_crop"
        ],
        "crop_padding": 1,
        "train_images": 1280,
        "validation": 0,
        "precision": "fp32",
        "threads": 1,
        "deterministic": true
    },
    "distillation": {
        "total": "reference",
        "alpha": null
    },
    "parameters": {
        "weight": 50.0,
        "layers": null
    }
}
"""
GOLDEN_HASH = "920bd139d7c8798aae24b35e231eb64a01f4684b66545f7f20a9df691e5cefb8"
PURE = {**TAUGHT, "method": "pure", "teacher": None, "parameters": {}, "distillation": {}}


def make(base: dict[str, Any], **fields: Any) -> RunConfig:
    return RunConfig.model_validate(base | fields)


OTHER_TRAINING = {
    "epochs": 7,
    "batch_size": 7,
    "learning_rate": 0.7,
    "momentum": 0.7,
    "nesterov": True,
    "weight_decay": 0.7,
    "decay_norms_and_biases": False,
    "clip_grad_norm": 0.7,
    "ema_decay": 0.7,
    "schedule": "constant",
    "warmup_epochs": 7,
    "label_smoothing": 0.7,
    "augmentation": ["pad_crop", "flip"],
    "crop_padding": 7,
    "train_images": 7,
    "validation": 7,
    "precision": "bf16",
    "threads": 7,
    "deterministic": False,
    "tf32": "everywhere",
    "cuda_graphs": False,
}


def test_every_training_field_counts() -> None:
    tried = {*OTHER_TRAINING, "optimizer", "milestones", *ONLY_WITH}
    assert tried == set(Training.model_fields)
    for field, value in OTHER_TRAINING.items():
        changed = make(TAUGHT, training=TAUGHT["training"] | {field: value})
        assert identity(changed) != identity(make(TAUGHT)), field


@pytest.mark.parametrize(
    "fields",
    [
        {"dataset": "SVHN"},
        {"method": "rkd"},
        {"model": "ResNet20"},
        {"seed": 1},
        {"teacher": {"model": "ResNet112", "seed": 1}},
        {"teacher": {"model": "ResNet112", "seed": 0, "source": "beta"}},
        {"distillation": {"total": "additive", "alpha": 0.5}},
        {"distillation": {"total": "convex", "alpha": 0.25}},
        {"parameters": {"temperature": 2.0}},
    ],
)
def test_what_changes_a_number_counts(fields: dict[str, Any]) -> None:
    assert identity(make(TAUGHT, **fields)) != identity(make(TAUGHT))


def test_what_cannot_change_a_number_does_not_count() -> None:
    assert identity(make(TAUGHT, axes={"alpha": 0.5})) == identity(make(TAUGHT))
    assert identity(make(TAUGHT, parameters={"temperature": 4})) == identity(make(TAUGHT))
    convex = make(PURE, distillation={"total": "convex", "alpha": 0.5})
    assert identity(convex) == identity(make(PURE))
    plain = {"training": {"augmentation": ["flip"]}}
    padded = {"training": {"augmentation": ["flip"], "crop_padding": 7}}
    assert identity(make(PURE, **plain)) == identity(make(PURE, **padded))
    low = make(TAUGHT, distillation={"total": "reference", "alpha": 0.1})
    assert identity(low) == identity(make(TAUGHT, distillation={"total": "reference"}))


def test_canonical_is_json_and_survives_a_round_trip() -> None:
    text = canonical(make(TAUGHT))
    assert json.loads(text) == counted(make(TAUGHT))
    assert " " not in text
    again = RunConfig.model_validate_json(make(TAUGHT).model_dump_json())
    assert identity(again) == identity(make(TAUGHT))
    assert len(identity(again)) == 64


@settings(deadline=None)
@given(st.permutations(list(TAUGHT.items())))
def test_the_order_of_fields_does_not_matter(items: list[tuple[str, Any]]) -> None:
    assert canonical(RunConfig.model_validate(dict(items))) == canonical(make(TAUGHT))


def test_difference_names_dotted_fields() -> None:
    a = {"x": {"y": 1, "z": [1, 2]}, "only_a": 3, "same": 4.0}
    b = {"x": {"y": 2, "z": [1, 2]}, "only_b": 5, "same": 4}
    assert difference(a, b) == [("x.y", 1, 2), ("only_a", 3, None), ("only_b", None, 5)]
    assert difference(a, a) == []


def test_difference_sees_a_teacher_come_and_go() -> None:
    fields = [key for key, _, _ in difference(counted(make(PURE)), counted(make(TAUGHT)))]
    assert {"method", "teacher", "teacher.model", "teacher.seed"} <= set(fields)


class LaterTraining(Training):
    """As a later version may have it."""

    clip_norm: float | None = None
    schedule_power: float = 2.0


class LaterConfig(RunConfig):
    training: LaterTraining = LaterTraining()
    note: str = ""


def test_a_later_field_counts_only_where_it_differs_from_its_default() -> None:
    now = identity(make(TAUGHT))
    later = LaterConfig.model_validate(TAUGHT)
    assert identity(later) == now
    assert counted(later) == counted(make(TAUGHT))
    clipped = LaterConfig.model_validate(TAUGHT | {"training": {"clip_norm": 1.0}})
    assert identity(clipped) != identity(LaterConfig.model_validate(TAUGHT | {"training": {}}))
    assert counted(clipped)["training"]["clip_norm"] == 1
    assert identity(LaterConfig.model_validate(TAUGHT | {"note": "other"})) != now


def test_format_1_is_what_its_runs_recorded() -> None:
    """Of every field and parameter that existing runs have, none may be missing here."""
    fields = {"parameters", "teacher", "distillation", "training"} | {
        field for field, _ in flatten(json.loads(GOLDEN)) if not field.startswith("parameters")
    }
    assert fields == FIELDS


def test_hashes_of_format_1_never_change() -> None:
    recorded = RunConfig.model_validate_json(GOLDEN)
    assert identity(recorded) == GOLDEN_HASH
