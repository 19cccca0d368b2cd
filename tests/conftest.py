from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from fake_rounds import Bench
from represented import CHANGES, EXAMPLES, WIDENED, train
from small_runs import Lab
from stillhouse.data import specs
from stillhouse.exchange.scripts.write import Import, import_round

Shrink = Callable[[str, int, int], specs.DatasetSpec]


@pytest.fixture(scope="session", autouse=True)
def cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Commands, those in processes of their own too, keep nothing in the user's cache folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STILLHOUSE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def teachers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An experiments folder that holds one trained teacher."""
    folder = tmp_path_factory.mktemp("teachers")
    lab = Lab(folder, folder, folder)
    lab.train(lab.run("pure", seed=7))
    return folder


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A round on paper: no run has started."""
    return Bench(tmp_path / "bench")


@pytest.fixture(scope="session")
def trained_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained round with custom components."""
    root = tmp_path_factory.mktemp("trained") / "once"
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


@pytest.fixture
def make_lab(tmp_path: Path, teachers: Path) -> Callable[[str], Lab]:
    """Fresh labs by name."""
    return lambda name: Lab(tmp_path / name, teachers, tmp_path / "data")


@pytest.fixture
def lab(make_lab: Callable[[str], Lab]) -> Lab:
    return make_lab("lab")


@pytest.fixture(scope="session")
def alpha_records() -> Path:
    """The folder of round alpha's records; tests that read them skip where they are not."""
    beside = Path(__file__).parents[2] / "shared" / "alpha-records"
    folder = Path(os.environ.get("STILLHOUSE_ALPHA_RECORDS", beside))
    if not folder.is_dir():
        pytest.skip(f"round alpha's records are not in {folder} ($STILLHOUSE_ALPHA_RECORDS)")
    return folder


@pytest.fixture(scope="session")
def alpha(alpha_records: Path, tmp_path_factory: pytest.TempPathFactory) -> Import:
    """Round alpha, imported."""
    recipe = Path(__file__).parents[1] / "rounds" / "alpha.yaml"
    return import_round(alpha_records, "alpha", tmp_path_factory.mktemp("alpha"), recipe)


@pytest.fixture
def shrink(monkeypatch: pytest.MonkeyPatch) -> Shrink:
    """Let a dataset's spec promise fewer images, so that a test can write all of them."""

    def shrink_spec(name: str, train: int, test: int) -> specs.DatasetSpec:
        spec = replace(specs.SPECS[name], train_images=train, test_images=test)
        monkeypatch.setitem(specs.SPECS, name, spec)
        return spec

    return shrink_spec
