from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from represented import CHANGES, EXAMPLES, WIDENED, train
from workbench import Bench


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("represent") / "once"
    (root / "own").mkdir(parents=True)
    shutil.copy(EXAMPLES / "own_model.py", root / "own" / "own_model.py")
    (root / "own" / "widened.py").write_text(WIDENED)
    train(Bench(root, **CHANGES))
    return root


@pytest.fixture
def trained(trained_once: Path, tmp_path: Path) -> Bench:
    """A copy of the trained round, free to be changed."""
    shutil.copytree(trained_once, tmp_path / "round")
    return Bench(tmp_path / "round", **CHANGES)
