"""Facts of a custom dataset that are measured, and the memory that mapped images need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from own_pictures import load, npz
from stillhouse import data
from stillhouse.errors import DataError
from stillhouse.plugin import Plugin, read_plugin

pytestmark = pytest.mark.filterwarnings("ignore::stillhouse.errors.Notice")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data" / "folders"


OWN = """
import torch
from stillhouse import data
from stillhouse.data.base import make_dataset

SPEC = data.DatasetSpec(name="own", label="Own"{facts})


def load(spec, root):
    images = torch.arange(4 * 3 * 64).reshape(4, 3, 8, 8).to(torch.uint8)
    labels = torch.tensor([0, 1, 2, 2])
    return make_dataset(spec, (images, labels), (images[1:], labels[1:]))
"""


class TestOwnFile:
    def own(self, folder: Path, facts: str = "") -> Plugin:
        folder.mkdir(exist_ok=True)
        (folder / "own.py").write_text(OWN.replace("{facts}", facts))
        return read_plugin(folder / "own.py")

    def test_facts_that_it_leaves_out_are_measured_once(self, tmp_path: Path, home: Path) -> None:
        home.mkdir(parents=True)
        found = data.spec("own", (self.own(tmp_path),))
        assert (found.classes, found.channels, found.size) == (3, 3, 8)
        assert (found.train_images, found.test_images, found.commonest) == (4, 3, 2)
        images = data.load("own", home, (self.own(tmp_path),)).train.images / 255
        assert found.mean == pytest.approx(images.mean(dim=(0, 2, 3)).tolist(), abs=1e-4)
        again = f"from pathlib import Path; from stillhouse import data, plugin; import sys; \
file = plugin.read_plugin(Path({str(tmp_path / 'own.py')!r})); \
print(data.spec('own', (file,)).commonest, 'torch' in sys.modules)"
        done = subprocess.run(
            [sys.executable, "-c", again], capture_output=True, text=True, check=True
        )
        assert done.stdout.split() == ["2", "False"]

    def test_a_stated_fact_is_checked(self, tmp_path: Path, home: Path) -> None:
        home.mkdir(parents=True)
        with pytest.raises(DataError, match="training images"):
            data.spec("own", (self.own(tmp_path, ", train_images=5"),))

    def test_a_changed_file_is_measured_again(self, tmp_path: Path, home: Path) -> None:
        home.mkdir(parents=True)
        first = data.spec("own", (self.own(tmp_path),))
        text = (tmp_path / "own.py").read_text().replace("[0, 1, 2, 2]", "[0, 1, 2, 3]")
        (tmp_path / "own.py").write_text(text)
        second = data.spec("own", (read_plugin(tmp_path / "own.py"),))
        assert (first.classes, second.classes) == (3, 4)


EPOCH = """
import sys
from pathlib import Path
from stillhouse import data
from stillhouse.config.load import load_round
from stillhouse.data.loader import TrainBatches

def private():
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))

dataset = data.load("flowers", Path("nowhere"), load_round(Path(sys.argv[1])).files)
batches = TrainBatches(dataset.train, dataset.spec, 0, 50)
batches.batch(0, 0)
before = private()
for step in range(batches.steps):
    batches.batch(0, step)
print(dataset.train.pixels.nbytes // 1024, private() - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux")
def test_an_epoch_needs_no_private_memory_for_the_images(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (4000, 64, 64, 3), np.uint8)
    labels = np.arange(4000) % 2
    few = {"images": pixels[:10], "labels": labels[:10]}
    arrays = {f"{part}_{name}": few[name] for part in ("val", "test") for name in few}
    npz(tmp_path, **arrays, train_images=pixels, train_labels=labels)
    load(tmp_path, "npz: ./flowers.npz")
    done = subprocess.run(
        [sys.executable, "-c", EPOCH, str(tmp_path / "own.yaml")],
        capture_output=True,
        text=True,
        check=True,
    )
    images, growth = map(int, done.stdout.split())
    assert images > 40_000 > 4 * growth
