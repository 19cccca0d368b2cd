from __future__ import annotations

import gc

import pytest

from stillhouse.collector import without_collector


@pytest.mark.parametrize("before", [True, False])
def test_the_collector_is_paused_and_then_as_it_was(before: bool) -> None:
    (gc.enable if before else gc.disable)()
    try:
        with pytest.raises(ValueError, match="inside"), without_collector():
            assert not gc.isenabled()
            raise ValueError("inside")
        assert gc.isenabled() is before
    finally:
        gc.enable()
