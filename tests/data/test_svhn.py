from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from small_datasets import write_svhn
from stillhouse import data
from stillhouse.errors import DataError


@pytest.fixture
def written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shrink: Callable[..., Any]
) -> dict[str, tuple[NDArray[np.uint8], list[int]]]:
    return write_svhn(tmp_path, monkeypatch, shrink)


def test_loads_files_in_the_published_format(written: Any, tmp_path: Path) -> None:
    dataset = data.load("SVHN", tmp_path)
    for split, part in (("train", dataset.train), ("test", dataset.test)):
        images, labels = written[split]
        for row in range(len(part)):
            assert np.array_equal(part.images[row].numpy(), images[..., row].transpose(2, 0, 1))
        assert part.labels.tolist() == [label % 10 for label in labels]
    assert 0 in dataset.train.labels


def test_a_missing_package_is_found_by_check(
    written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data.check("SVHN", tmp_path)
    monkeypatch.setitem(sys.modules, "scipy.io", None)
    with pytest.raises(DataError, match="SVHN: needs the package scipy") as caught:
        data.check("SVHN", tmp_path)
    assert caught.value.hint == "pip install scipy"


@pytest.mark.parametrize("name", ["train_32x32.mat", "test_32x32.mat"])
def test_check_finds_missing_and_damaged_files(written: Any, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataError, match=f"{name} is damaged"):
        data.check("SVHN", tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=f"{name} is missing"):
        data.check("SVHN", tmp_path)


def test_fetch_needs_no_network_for_files_that_are_here(
    written: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr("torch.hub.download_url_to_file", lambda url, *_: asked.append(url))
    monkeypatch.setattr("urllib.request.urlopen", lambda url, *_: asked.append(str(url)))
    data.fetch("SVHN", tmp_path)
    assert asked == []


def test_a_failed_download_is_a_data_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.svhn.download_url", refuse)
    with pytest.raises(DataError, match=r"could not be fetched .*no route to host"):
        data.fetch("SVHN", tmp_path)
