from __future__ import annotations

import pytest
from scipy.stats import binom

from stillhouse.data.specs import SPECS
from stillhouse.runs.chance import chance_bound, learned_nothing, patience


@pytest.mark.parametrize("name", SPECS)
def test_the_bound_is_the_binomial_quantile(name: str) -> None:
    spec = SPECS[name]
    expected = binom.ppf(0.999, spec.test_images, spec.commonest / spec.test_images)
    found = chance_bound(spec.test_images, spec.commonest)
    assert found == pytest.approx(100 * expected / spec.test_images, abs=1e-12)


def test_bounds_of_the_published_datasets() -> None:
    bounds = {name: chance_bound(s.test_images, s.commonest) for name, s in SPECS.items()}
    assert bounds["Cifar10"] == pytest.approx(10.94)
    assert bounds["Cifar100"] == pytest.approx(1.32)
    assert bounds["TinyImageNet"] == pytest.approx(0.73)


@pytest.mark.parametrize(
    ("test", "word"),
    [
        ({"accuracy": 10.94}, "10.94 %"),
        ({"accuracy": 10.95}, ""),
        ({"accuracy": 19.9, "classes_predicted": 2}, "2 of 10 classes"),
        ({"accuracy": 19.9, "classes_predicted": 3}, ""),
    ],
)
def test_what_learned_nothing(test: dict[str, float], word: str) -> None:
    reason = learned_nothing(test, classes=10, images=10_000, commonest=1_000)
    assert (word in reason, bool(reason)) == (True, bool(word))


@pytest.mark.parametrize(
    ("epochs", "steps", "expected"),
    [(10, 22, 10), (200, 391, 10), (60, 6, 34), (10, 6, 34), (30, 100, 5), (5, 0, 200)],
)
def test_patience_counts_epochs_and_steps(epochs: int, steps: int, expected: int) -> None:
    assert patience(epochs, steps) == expected
