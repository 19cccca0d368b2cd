from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from stillhouse.data import specs

Shrink = Callable[[str, int, int], specs.DatasetSpec]


@pytest.fixture
def shrink(monkeypatch: pytest.MonkeyPatch) -> Shrink:
    """Let a dataset's spec promise fewer images, so that a test can write all of them."""

    def shrink_spec(name: str, train: int, test: int) -> specs.DatasetSpec:
        spec = replace(specs.SPECS[name], train_images=train, test_images=test)
        monkeypatch.setitem(specs.SPECS, name, spec)
        return spec

    return shrink_spec
