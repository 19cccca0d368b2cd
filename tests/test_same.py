"""What `make same` trains and how it compares."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
import yaml

import same
from stillhouse import methods
from stillhouse.config.load import load_round


def test_a_changed_and_a_missing_file_are_differences(tmp_path: Path) -> None:
    found = []
    for name, files in (("a", {"x": b"1", "y": b"2", "z": b"3"}), ("b", {"x": b"1", "y": b"9"})):
        for file, content in files.items():
            path = tmp_path / name / "pure" / f"{file}.safetensors"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        found.append(same.weights(tmp_path / name))
    assert [line.split(":")[0] for line in same.differences(*found)] == [
        "pure/y.safetensors",
        "pure/z.safetensors",
    ]
    assert same.differences(found[0], found[0]) == []


def test_the_small_round_has_every_method_and_is_small(tmp_path: Path) -> None:
    file = tmp_path / "digits.yaml"
    file.write_text(same.round_text(methods.names(), True))
    found = load_round(file)
    assert set(found.methods) == set(methods.names())
    assert (found.seeds, found.training.epochs, found.training.train_images) == ((0,), 1, 256)
    assert yaml.safe_load(same.round_text(["pure"], False))["seeds"] == [0, 1, 2]


def test_a_round_that_ends_at_chance_level_is_compared_and_another_failure_is_not() -> None:
    root = same.ROOT
    assert same.call(root, "-c", "print('weights'); raise SystemExit(1)", most=1) == "weights\n"
    for code, more in ((1, {}), (2, {"most": 1})):
        with pytest.raises(subprocess.CalledProcessError):
            same.call(root, "-c", f"raise SystemExit({code})", **more)
