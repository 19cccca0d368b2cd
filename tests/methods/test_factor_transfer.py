from __future__ import annotations

import json

import pytest
import torch

from methods.pairs import make_batch, make_method, network
from stillhouse.errors import TrainingError
from stillhouse.models.base import Network


def pair() -> tuple[Network, Network]:
    student, teacher = network("ResNetBaby"), network("ResNet20")
    with torch.no_grad():
        for _ in range(30):  # features as large as a trained network's
            teacher.train()(make_batch().images)
    return student, teacher.eval().requires_grad_(False)


def test_the_paraphraser_is_frozen_and_stays_in_eval_mode() -> None:
    student, teacher = pair()
    method = make_method("factor_transfer", student, teacher)
    trainable = [name for name, p in method.named_parameters() if p.requires_grad]
    assert trainable
    assert all(name.startswith("translator.") for name in trainable)
    method.train()
    assert method.translator.training
    assert not any(module.training for module in method.paraphraser.modules())


@pytest.mark.parametrize("variant", ["official", "crd"])
def test_pretraining_learns_to_reconstruct_and_freezes_again(variant: str) -> None:
    student, teacher = pair()
    method = make_method("factor_transfer", student, teacher, variant=variant)
    work = method.pretraining()
    batch = make_batch()
    features = teacher(batch.images).features["layer3"]

    def error() -> float:
        return float((work.module(features) - features).abs().mean())

    before = error()
    work.train(teacher, [[batch] * 5] * 30)
    assert error() < 0.9 * before
    assert not any(p.requires_grad for p in method.paraphraser.parameters())


def test_the_key_names_what_decides_the_paraphraser() -> None:
    student, teacher = pair()
    keys = {
        json.dumps(make_method("factor_transfer", student, teacher, **options).pretraining().key)
        for options in (
            {},
            {"variant": "crd"},
            {"rate": 0.25},
            {"paraphraser_epochs": 2},
            {"layers": ("layer3", "layer2")},
        )
    }
    assert len(keys) == 5
    published = {
        v: make_method("factor_transfer", student, teacher, variant=v) for v in ("official", "crd")
    }
    assert {v: m.pretraining().key["epochs"] for v, m in published.items()} == {
        "official": 5,
        "crd": 30,
    }
    assert make_method("factor_transfer", student, teacher, weight=3.0).pretraining().key == (
        published["official"].pretraining().key
    )


@pytest.mark.parametrize("variant", ["official", "crd"])
def test_pretraining_on_an_untrained_teacher_stays_finite(variant: str) -> None:
    """Without batch statistics its features are large, and the published rates too high."""
    student, teacher = network("ResNetBaby"), network("ResNet20").eval()
    method = make_method("factor_transfer", student, teacher, variant=variant)
    method.pretraining().train(teacher, [[make_batch()] * 40])
    assert all(torch.isfinite(p).all() for p in method.paraphraser.parameters())


def test_a_paraphraser_that_blows_up_is_an_error() -> None:
    student, teacher = pair()
    method = make_method("factor_transfer", student, teacher)
    batch = make_batch()
    batch.images.fill_(float("inf"))
    with pytest.raises(TrainingError, match="paraphraser's loss is nan in epoch 0"):
        method.pretraining().train(teacher, [[batch]])


def test_the_number_of_factors_follows_the_rate() -> None:
    student, teacher = pair()
    method = make_method("factor_transfer", student, teacher, rate=0.25)
    assert method.paraphraser.encoder(torch.rand(1, 64, 4, 4)).shape == (1, 16, 4, 4)
    assert method.translator(torch.rand(1, 64, 4, 4)).shape == (1, 16, 4, 4)
