"""Every measure against independent implementations (golden/make.py says which and how)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from stillhouse.represent.measures import REGISTRY, Pair, Predictions, Representation

GOLDEN = Path(__file__).parent / "golden"
NUMBERS = json.loads((GOLDEN / "numbers.json").read_text())
SINGLE = 1e-6  # torchmetrics counts in float32
TOLERANCES = {
    "agreement": SINGLE,
    "agreement_excess": SINGLE,
    "agreement_on_errors": SINGLE,
    "ece": SINGLE,
    "ece_tempered": 1e-4,  # two optimisers of one temperature
    "rsa": 1e-9,
}


@pytest.fixture(scope="module")
def given() -> dict[str, Representation | Pair | Predictions]:
    arrays = np.load(GOLDEN / "inputs.npz")
    labels, train = arrays["labels"], arrays["bank_labels"]
    x = Representation(arrays["x"], labels, bank=(arrays["bank"], train))
    return {
        "representation": x,
        "pair": Pair(x, Representation(arrays["y"], labels)),
        "predictions": Predictions(
            arrays["student"],
            labels,
            (arrays["train"], train),
            teacher=arrays["teacher"],
            pure=arrays["pure"],
        ),
    }


def test_every_measure_has_a_golden_number() -> None:
    assert set(REGISTRY) - set(NUMBERS) == {"ica_matching"}  # no second implementation is known


@pytest.mark.parametrize("name", NUMBERS)
def test_golden_number(name: str, given: dict[str, Representation | Pair | Predictions]) -> None:
    measure = REGISTRY[name]
    found = [value.value for value in measure(given[measure.kind])]
    expected = np.atleast_1d(NUMBERS[name]["value"])
    np.testing.assert_allclose(found, expected, rtol=TOLERANCES.get(name, 1e-10))
