from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from lab import Lab


@pytest.fixture(scope="session")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiments folder that holds one trained teacher."""
    folder = tmp_path_factory.mktemp("teachers")
    lab = Lab(folder, folder, folder)
    lab.train(lab.run("pure", seed=7))
    return folder


@pytest.fixture
def make_lab(tmp_path: Path, teachers: Path) -> Callable[[str], Lab]:
    """Fresh labs by name."""
    return lambda name: Lab(tmp_path / name, teachers, tmp_path / "data")


@pytest.fixture
def lab(make_lab: Callable[[str], Lab]) -> Lab:
    return make_lab("lab")
