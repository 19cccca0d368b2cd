from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from stillhouse import data
from stillhouse.data.base import Dataset, Split
from stillhouse.data.specs import SPECS
from stillhouse.errors import ConfigError


def test_importing_needs_no_torch() -> None:
    code = "import sys, stillhouse.data, stillhouse.cli.material; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_six_datasets() -> None:
    assert set(data.names()) == set(data.FAMILIES) == set(data.PACKAGES)
    assert data.names()[:4] == ["Cifar10", "Cifar100", "SVHN", "TinyImageNet"]
    assert data.spec("Digits") is SPECS["Digits"]


def test_an_unknown_dataset_names_the_nearest() -> None:
    for use in (data.spec, lambda name: data.load(name, Path())):
        with pytest.raises(ConfigError, match="unknown dataset 'Cifar11'") as caught:
            use("Cifar11")
        assert "did you mean 'Cifar10" in caught.value.hint


def test_the_data_root(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("STILLHOUSE_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/newcomer")
    assert data.data_root(None) == Path("/home/newcomer/.cache/stillhouse/data")
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    assert data.data_root(None) == Path("/cache/stillhouse/data")
    monkeypatch.setenv("STILLHOUSE_DATA", "/named")
    assert data.data_root(None) == Path("/named")
    assert data.data_root(Path("/option")) == Path("/option")


def test_content_hash_covers_images_and_labels_of_both_splits() -> None:
    def split(pixel: int, label: int) -> Split:
        image = torch.full((1, 1, 8, 8), pixel, dtype=torch.uint8)
        return Split(image, torch.tensor([label]), torch.tensor([0]))

    spec = SPECS["Digits"]
    hashes = {
        Dataset(spec, split(*train), split(*test)).content_hash()
        for train in ((0, 0), (1, 0), (0, 1))
        for test in ((0, 0), (1, 0), (0, 1))
    }
    assert len(hashes) == 9
