"""Every invariance that a measure declares, on features drawn by hypothesis."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from represent.measures.made import (
    Change,
    classes_of,
    logits,
    network,
    normal,
    orthogonal,
    skewed,
    values,
)
from stillhouse.represent.measures import REGISTRY, Pair, Representation

SETTINGS = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
DECLARED = [
    (name, kind)
    for name, measure in REGISTRY.items()
    for kind in measure.invariances
    if name != "ica_matching"  # restarts may choose another fit: tested below with tolerance
]


def change(kind: str, seed: int, size: int) -> Change:
    rng = np.random.default_rng(seed)
    match kind:
        case "channel_permutation":
            order = rng.permutation(size)
            return lambda x: x[:, order]
        case "orthogonal":
            q = orthogonal(seed, size)
            return lambda x: x @ q
        case "isotropic_scaling":
            factor = float(np.exp(rng.uniform(-5, 5)))
            return lambda x: factor * x
        case "channel_scaling":
            factors = np.exp(rng.uniform(-2, 2, size))
            return lambda x: factors * x
        case "translation":
            shift = rng.normal(size=size) * 10
            return lambda x: x + shift
        case "invertible_linear":
            u, v = orthogonal(seed, size), orthogonal(seed + 1, size)
            spectrum = np.exp(rng.uniform(-2, 2, size))
            return lambda x: x @ (u * spectrum) @ v
        case "logit_shift":
            shifts = {rows: rng.normal(size=(rows, 1)) for rows in (150, 200)}
            return lambda x: x + shifts[len(x)]
    raise AssertionError(kind)


@pytest.mark.parametrize(("name", "kind"), DECLARED)
@SETTINGS
@given(seed=st.integers(0, 2**31), width=st.sampled_from([6, 10]))
def test_declared_invariance(name: str, kind: str, seed: int, width: int) -> None:
    measure = REGISTRY[name]
    width = 10 if measure.kind == "predictions" else width
    make = logits if measure.kind == "predictions" else network
    x, y, bank = make(seed, 200, width), make(seed + 1, 200, width), make(seed + 2, 150, width)
    before = values(measure, x, y, bank=bank)
    after = values(measure, x, y, bank=bank, change=change(kind, seed, width))
    tolerance = 1e-4 if name == "ece_tempered" else 1e-7
    np.testing.assert_allclose(after, before, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", ["linear_cka", "procrustes", "svcca", "mutual_knn", "rsa"])
def test_what_is_not_declared_changes_the_value(name: str) -> None:
    measure, x, y = REGISTRY[name], network(1, 200, 16), network(2, 200, 16)
    assert "invertible_linear" not in measure.invariances
    changed = values(measure, x, y, change=change("invertible_linear", 5, 16))
    assert abs(changed[0] - values(measure, x, y)[0]) > 1e-3


def test_translation_changes_cosine_votes() -> None:
    measure, x = REGISTRY["knn_probe"], network(1, 200, signal=0.3)
    shifted = values(measure, x, x, bank=network(3, 150), change=lambda x: x + 50.0)
    assert shifted != values(measure, x, x, bank=network(3, 150))


def test_matching_of_independent_components_ignores_rotation() -> None:
    measure, x = REGISTRY["ica_matching"], skewed(1, 1500, 5)
    found = values(measure, x, x, change=lambda x: 3 * x @ orthogonal(4, 5) + 1)
    np.testing.assert_allclose(found, 1, atol=0.01)


def test_a_network_with_permuted_channels_is_the_same_network() -> None:
    """A network and its copy whose last group writes its channels in another order."""
    import torch

    from stillhouse.models.resnet import ResNet

    torch.manual_seed(0)
    original, copy = (ResNet(1, 10, 1).eval() for _ in range(2))
    copy.load_state_dict(original.state_dict())
    order = torch.randperm(64)
    with torch.no_grad():
        block = copy.layer3[0]
        for layer in (block.conv2, block.bn2, *block.shortcut):
            for name, values_ in layer.state_dict(keep_vars=True).items():
                if name != "num_batches_tracked":
                    values_.data = values_.data[order]
        copy.head.weight.data = copy.head.weight.data[:, order]
        images = torch.randn(300, 1, 16, 16)
        first, second = original(images), copy(images)
    torch.testing.assert_close(first.logits, second.logits)
    assert not torch.equal(first.features["pooled"], second.features["pooled"])
    labels = classes_of(300)
    a, b = (
        Representation(outputs.features["pooled"].numpy(), labels) for outputs in (first, second)
    )
    for name, measure in REGISTRY.items():
        claims = "channel_permutation" in measure.invariances
        if measure.kind == "pair" and claims and name != "ica_matching":
            expected = 0 if measure.direction == "distance" else 1
            tolerance = 0.02 if name.startswith("linear_r2") else 1e-4
            for value in measure(Pair(a, b)):
                assert value.value == pytest.approx(expected, abs=tolerance), name
        if measure.kind == "representation" and claims and not measure.needs:
            for one, other in zip(measure(a), measure(b), strict=True):
                assert one.value == pytest.approx(other.value, rel=1e-4), name


def test_the_angle_of_procrustes_is_a_metric() -> None:
    """arccos(1 - d) satisfies the triangle inequality (Williams et al. 2021)."""
    measure = REGISTRY["procrustes"]
    for seed in range(20):
        three = [network(seed, 60), normal(seed, 60, 5), network(seed + 50, 60, 3)]

        def angle(i: int, j: int, three: list[np.ndarray] = three) -> float:
            return float(np.arccos(1 - values(measure, three[i], three[j])[0]))

        assert angle(0, 2) <= angle(0, 1) + angle(1, 2) + 1e-12
        assert angle(0, 1) == pytest.approx(angle(1, 0))
