"""Many pairs by one product equal the pairs one by one."""

from __future__ import annotations

import numpy as np
import pytest

from represent.measures.made import classes_of, network
from stillhouse.represent.measures import Pair, Representation, compare, of_kind

PAIRS = of_kind("pair")


def layers(seed: int, rows: int = 301) -> list[Representation]:
    """Layers of widths 5, 8 and 12; the second has dead, repeated and huge channels."""
    labels = classes_of(rows)
    made = [network(seed + width, rows, width) for width in (5, 8, 12)]
    made[1][:, 0] = 7
    made[1][:, 1] = made[1][:, 2]
    made[1][:, 3] *= 1e4
    return [Representation(x.astype(np.float32), labels) for x in made]


def test_the_batch_equals_single_pairs() -> None:
    a, b = layers(1), layers(2)
    found = list(compare(a, b))
    assert [(i, j) for i, j, _ in found] == [(i, j) for i in range(3) for j in range(3)]
    for i, j, pair in found:
        for measure in PAIRS:
            batch = [value.value for value in measure(pair)]
            single = [value.value for value in measure(Pair(a[i], b[j]))]
            np.testing.assert_allclose(batch, single, rtol=1e-8, atol=1e-8, err_msg=measure.name)


def test_the_batch_equals_pairs_of_fresh_inputs() -> None:
    """Nothing kept with an input depends on what it was compared with before."""
    list(compare(layers(1), layers(3)))
    (_, _, pair), *_ = compare(layers(1), layers(2))
    for measure in PAIRS:
        fresh = measure(Pair(layers(1)[0], layers(2)[0]))
        assert [v.value for v in measure(pair)] == pytest.approx([v.value for v in fresh])


def test_a_broken_layer_spoils_no_other_pair() -> None:
    a, b = layers(1), layers(2)
    broken = a[1].x.copy()
    broken[5, 2] = np.nan
    a[1] = Representation(broken, a[1].labels)
    for i, j, pair in compare(a, b):
        for measure in PAIRS:
            values = measure(pair)
            if i == 1:
                assert "NaN" in values[0].why
            else:
                single = measure(Pair(a[i], b[j]))
                assert values[0].value == pytest.approx(single[0].value, abs=1e-8)


def test_permuted_rows_keep_the_spectrum_and_lose_the_similarity() -> None:
    layer = layers(1)[0]
    floor = layer.permuted(seed=0)
    np.testing.assert_allclose(floor.eigenvalues, layer.eigenvalues)
    np.testing.assert_allclose(
        floor.components[0] * floor.components[1],
        Representation(floor.x).components[0]
        * floor.components[1]
        * np.sign((floor.components[0] * Representation(floor.x).components[0]).sum(axis=0)),
        atol=1e-6,
    )
    cka = next(measure for measure in PAIRS if measure.name == "linear_cka")
    assert abs(cka(Pair(layer, floor))[0].value or 0) < 0.1
