"""Fields of the recipe that later versions added: refused without effect, no part of old runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stillhouse.config.identity import counted, identity
from stillhouse.config.load import load_round
from stillhouse.config.schema import RunConfig, Training
from stillhouse.errors import ConfigError

ROUND = """\
round: trial
datasets: [Digits]
teacher: ResNet20
students: [ResNetBaby]
methods: [pure, logit]
seeds: [0]
"""
EXAMPLES = Path(__file__).parents[2] / "examples"
ADAM = {"optimizer": "adam", "learning_rate": 0.01}


def run(**recipe: Any) -> RunConfig:
    return RunConfig(
        dataset="Digits", method="pure", model="ResNetBaby", seed=0, training=Training(**recipe)
    )


def write(folder: Path, text: str) -> Path:
    file = folder / "round.yaml"
    file.write_text(ROUND + text)
    return file


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({}, {"betas": (0.5, 0.6)}),
        ({}, {"step_factor": 0.5}),
        (ADAM, ADAM | {"momentum": 0.5}),
        (ADAM, ADAM | {"nesterov": True}),
        ({"augmentation": ("flip",)}, {"augmentation": ("flip",), "erasing_probability": 0.2}),
    ],
)
def test_a_field_without_effect_is_no_part_of_the_identity(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    assert identity(run(**one)) == identity(run(**other))


@pytest.mark.parametrize(
    ("before", "changed"),
    [
        (ADAM, {"betas": (0.5, 0.6)}),
        (ADAM, {"optimizer": "adamw"}),
        ({}, {"decay_norms_and_biases": False}),
        ({}, {"clip_grad_norm": 1.0}),
        ({}, {"ema_decay": 0.9}),
        ({"augmentation": ("random_erasing",)}, {"erasing_probability": 0.2}),
        ({"augmentation": ("color_jitter",)}, {"jitter_strength": 0.2}),
        ({"augmentation": ("rand_augment",)}, {"rand_augment_operations": 1}),
        ({"augmentation": ("rand_augment",)}, {"rand_augment_magnitude": 5}),
        ({"augmentation": ("mixup",)}, {"mixup_alpha": 0.2}),
        ({"augmentation": ("cutmix",)}, {"cutmix_alpha": 0.2}),
        ({"augmentation": ("cutmix",)}, {"mix_probability": 0.5}),
        ({"schedule": "step", "milestones": (3,)}, {"step_factor": 0.5}),
    ],
)
def test_a_field_with_an_effect_is_part_of_the_identity(
    before: dict[str, Any], changed: dict[str, Any]
) -> None:
    assert identity(run(**before | changed)) != identity(run(**before))
    assert "betas" not in counted(run())["training"]


@pytest.mark.parametrize(
    ("text", "field", "line"),
    [
        ("training:\n  betas: [0.9, 0.95]\n", "betas", 8),
        ("training:\n  epochs: 3\n  step_factor: 0.2\n", "step_factor", 9),
        (
            "training: {optimizer: adam, learning_rate: 0.01}\n"
            "overrides:\n  methods:\n    logit:\n      momentum: 0.5\n",
            "momentum",
            11,
        ),
    ],
)
def test_a_field_that_no_run_uses_is_refused_with_its_line(
    text: str, field: str, line: int, tmp_path: Path
) -> None:
    file = write(tmp_path, text)
    with pytest.raises(ConfigError) as refused:
        load_round(file)
    assert f"round.yaml:{line}:" in str(refused.value)
    assert field in str(refused.value)


def test_a_field_that_some_run_uses_is_accepted(tmp_path: Path) -> None:
    text = "training: {momentum: 0.8}\noverrides:\n  methods:\n    logit: "
    round_ = load_round(write(tmp_path, text + "{optimizer: adamw, learning_rate: 0.001}\n"))
    assert round_.training.momentum == 0.8


@pytest.mark.parametrize(
    "text",
    [
        "training: {optimizer: adamw}\n",
        "overrides:\n  methods:\n    logit: {optimizer: adam}\n",
    ],
)
def test_adam_at_the_rate_of_sgd_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="learning_rate"):
        load_round(write(tmp_path, text))


MIXED = "training: {augmentation: [flip, mixup]}\n"


@pytest.mark.parametrize("method", ["dkd", "crd"])
def test_a_method_that_needs_one_label_refuses_mixed_images(method: str, tmp_path: Path) -> None:
    file = write(tmp_path, MIXED)
    file.write_text(file.read_text().replace("logit]", f"logit, {method}]"))
    with pytest.raises(ConfigError) as refused:
        load_round(file)
    assert "round.yaml:7: training.augmentation" in str(refused.value)
    assert str(refused.value).rstrip().count(method) >= 1
    apart = f"overrides:\n  methods:\n    {method}: {{augmentation: [flip]}}\n"
    file.write_text(file.read_text() + apart)
    assert method in load_round(file).methods


def test_a_custom_method_must_say_that_it_takes_mixed_images(tmp_path: Path) -> None:
    own = tmp_path / "own_loss.py"
    text = (EXAMPLES / "own_method.py").read_text().replace("OwnMethod", "OwnLoss")
    own.write_text(text)
    file = write(tmp_path, MIXED)
    custom = (
        file.read_text()
        .replace("logit]", "own_loss]")
        .replace("seeds", "files: [own_loss.py]\nseeds")
    )
    file.write_text(custom)
    with pytest.raises(ConfigError, match="own_loss") as refused:
        load_round(file)
    assert "mixed_images" in str(refused.value)
    own.write_text(text.replace("    label =", "    mixed_images = True\n    label =", 1))
    assert load_round(file).methods == ("pure", "own_loss")


def test_mixing_comes_last(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="last"):
        load_round(write(tmp_path, "training: {augmentation: [cutmix, flip]}\n"))
