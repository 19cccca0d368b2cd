"""Files that would run a command, did anything unpickle or construct what they name."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from hashlib import md5, sha256
from pathlib import Path
from typing import Any

import pytest
import torch

from fake_rounds import write_round
from small_datasets import CIFAR, write_cifar
from small_runs import Lab
from stillhouse import data
from stillhouse.config.load import load_round
from stillhouse.errors import ConfigError, DataError, RunError
from stillhouse.training import checkpoint
from stillhouse.training.recorder import load_weights

MARK = "run"


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.sprung}",)


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    """A trap that is known to work."""
    known = Trap(tmp_path / "known")
    pickle.loads(pickle.dumps(known))
    assert known.sprung.exists()
    return Trap(tmp_path / "sprung")


def payloads(trap: Trap) -> list[bytes]:
    """The trap as a bare pickle, as old and new torch files, and inside a sound checkpoint."""
    found = [pickle.dumps(trap, protocol) for protocol in range(6)]
    for value in (trap, {"format": 1, "run": MARK, "state": {"position": [0, 0], "network": trap}}):
        for new in (True, False):
            buffer = io.BytesIO()
            torch.save(value, buffer, _use_new_zipfile_serialization=new)
            found.append(buffer.getvalue())
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # as TorchScript keeps its code
        archive.writestr("a/data.pkl", pickle.dumps(trap))
        archive.writestr("a/constants.pkl", pickle.dumps(trap))
        archive.writestr("a/version", "3\n")
    return [*found, buffer.getvalue()]


def test_checkpoints(lab: Lab, trap: Trap) -> None:
    """Also with a digest that is right."""
    config = lab.run("pure")
    lab.train(config, steps=2)
    folder = lab.folder(config)
    for payload in payloads(trap):
        path = folder.attempts()[-1].checkpoint
        path.write_bytes(sha256(payload).digest() + payload)
        found, warnings = checkpoint.load_newest(folder, MARK)
        assert found is None and str(path) in warnings[0]
        assert not trap.sprung.exists()


def test_weights(tmp_path: Path, trap: Trap) -> None:
    path = tmp_path / "final.safetensors"
    for payload in payloads(trap):
        path.write_bytes(payload)
        with pytest.raises(RunError, match="not a weight file"):
            load_weights(path, sha256(payload).hexdigest())
        assert not trap.sprung.exists()


@pytest.mark.parametrize("name", ["Cifar10", "Cifar100"])
def test_cifar_batches(
    name: str,
    tmp_path: Path,
    trap: Trap,
    monkeypatch: pytest.MonkeyPatch,
    shrink: Callable[..., Any],
) -> None:
    """Neither before the checksum is compared nor, were it the published one, after."""
    write_cifar(name, tmp_path, monkeypatch, shrink)
    reader = CIFAR[name]
    file, _ = reader.test_list[0]
    path = tmp_path / reader.base_folder / file
    for payload in payloads(trap)[:6]:
        path.write_bytes(payload)
        with pytest.raises(DataError, match="is damaged"):
            data.load(name, tmp_path)
        with monkeypatch.context() as patch:
            patch.setattr(reader, "test_list", [[file, md5(payload).hexdigest()]])
            with pytest.raises(DataError, match=r"not loaded.*system"):
                data.load(name, tmp_path)
        assert not trap.sprung.exists()


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch {}']",
        "!!python/object/new:os.system ['touch {}']",
        "!!python/object/apply:subprocess.check_call [[touch, '{}']]",
        "!!python/name:os.system",
        "!!python/module:os",
        "!<tag:yaml.org,2002:python/object/apply:os.system> ['touch {}']",
    ],
)
def test_round_files(tag: str, tmp_path: Path) -> None:
    path, sprung = write_round(tmp_path / "round.yaml"), tmp_path / "sprung"
    path.write_text(path.read_text() + f"motivation: {tag.format(sprung)}\n")
    with pytest.raises(ConfigError, match=r"round\.yaml:\d+: tag '.*python"):
        load_round(path)
    assert not sprung.exists()
