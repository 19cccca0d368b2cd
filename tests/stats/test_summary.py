from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillhouse.stats.summary import Summary, summarise


@settings(deadline=None)
@given(st.lists(st.floats(0, 100), min_size=3, max_size=10))
def test_mean_and_sample_deviation_are_numpys(values: list[float]) -> None:
    found = summarise(values)
    assert found.n == len(values)
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert found.std == pytest.approx(np.std(values, ddof=1), abs=1e-9)


@pytest.mark.parametrize("values", [[93.2], [93.1, 93.3]])
def test_fewer_than_three_values_have_no_deviation(values: list[float]) -> None:
    assert summarise(values) == Summary(len(values), pytest.approx(93.2), None)
    assert summarise(values).text() == "93.20"


def test_of_nothing_there_is_no_summary() -> None:
    assert summarise([]) == Summary(0, None, None)
    assert summarise([]).text() is None


def test_text() -> None:
    assert summarise([1, 2, 3, 4, 5]).text() == "3.00 ± 1.58"
    assert summarise([1, 2, 3, 4, 5]).text(decimals=1) == "3.0 ± 1.6"
    assert summarise([5.0, 5.0, 5.0]).text() == "5.00 ± 0.00"
