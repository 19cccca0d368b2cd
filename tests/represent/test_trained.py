"""A trained network opened from Python predicts what its run recorded."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from fake_rounds import Bench
from represented import LOGIT, WIDE
from stillhouse import data, load_round
from stillhouse.errors import ConfigError, RunError
from stillhouse.stats.runs import LoadedRound

pytestmark = pytest.mark.slow


@pytest.fixture
def loaded(trained: Bench) -> LoadedRound:
    return load_round(trained.file, trained.workspace.root)


@pytest.mark.parametrize("path", [LOGIT, WIDE])
@pytest.mark.parametrize("weights", ["final", "best"])
def test_its_accuracy_is_the_recorded_one(loaded: LoadedRound, path: str, weights: str) -> None:
    """Also where the inference model is more than the student (the method `widened`)."""
    network = loaded.run(path).network(weights, data_root=loaded.workspace.root)
    test = data.load("Digits", loaded.workspace.root).test
    accuracy = 100 * float((network.predict(test.images) == test.labels).double().mean())
    column = "accuracy" if weights == "final" else "best_accuracy"
    assert accuracy == pytest.approx(loaded.runs.set_index("run")[column][path])


def test_predictions_are_those_of_arrays_and_tensors_in_any_number(loaded: LoadedRound) -> None:
    network = loaded.run(LOGIT).network()
    images = np.random.default_rng(0).integers(0, 17, (1030, 1, 8, 8), np.uint8)
    found = network.predict(images)
    assert torch.equal(found, network.predict(torch.as_tensor(images)))
    assert torch.equal(found[600:], network.predict(images[600:]))
    assert network.predict(images[:0]).shape == (0,)
    assert not network.training


@pytest.mark.parametrize("shape", [(2, 3, 8, 8), (2, 1, 16, 16), (1, 8, 8)])
def test_images_of_another_form_are_refused(loaded: LoadedRound, shape: tuple[int, ...]) -> None:
    network = loaded.run(LOGIT).network()
    with pytest.raises(RunError, match="the images are"):
        network.predict(np.zeros(shape, np.uint8))
    with pytest.raises(RunError, match=r"torch\.float32"):
        network.predict(np.zeros((2, 1, 8, 8), np.float32))


def test_opening_draws_no_random_number_of_the_callers(loaded: LoadedRound) -> None:
    def drawn() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))

    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # type: ignore[func-returns-value]
    expected = drawn()
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # type: ignore[func-returns-value]
    loaded.run(LOGIT).network()
    assert drawn() == expected


def test_a_run_without_weights_says_why(bench: Bench) -> None:
    found = load_round(bench.file, bench.workspace.root)
    with pytest.raises(RunError, match=r"not completed"):
        found.run(next(iter(bench.runs))).network()
    with pytest.raises(ConfigError, match="unknown run"):
        found.run("Digits/logit/nothing/0")
