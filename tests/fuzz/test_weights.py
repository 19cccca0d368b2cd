"""Damage to what tensors are loaded from: checkpoints, weights, pretrained parts."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from safetensors.torch import load, save

from damaged_files import VALUES, Content, another_kind, clear, damaged, fuzz, replaced
from small_runs import Lab
from stillhouse.config.schema import RunConfig
from stillhouse.errors import RunError
from stillhouse.runs.folder import RunFolder
from stillhouse.training import checkpoint
from stillhouse.training.pretrain import pretrain
from stillhouse.training.recorder import load_weights

DIGEST = checkpoint.DIGEST_BYTES


@dataclass(frozen=True)
class Stopped:
    """A run that was stopped with two checkpoints, and how it ends when left alone."""

    lab: Lab
    config: RunConfig
    mark: str
    outcome: dict[str, Any]

    @property
    def folder(self) -> RunFolder:
        return self.lab.folder(self.config)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory, teachers: Path) -> Stopped:
    root = tmp_path_factory.mktemp("stopped")
    lab, other = (Lab(root / name, teachers, root) for name in ("lab", "whole"))
    config = lab.run("logit")
    other.train(config)
    lab.train(config, steps=5)
    started = lab.folder(config).started()
    assert started is not None
    return Stopped(lab, config, checkpoint.mark(dict(started)), other.outcome(config))


def dumped(value: Any) -> bytes:
    """A checkpoint's bytes with a digest that is right."""
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return sealed(buffer.getvalue())


def sealed(payload: bytes) -> bytes:
    return sha256(payload).digest() + payload


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return list(a) == list(b) and all(same(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def forged(random: Random, mark: str, content: bytes) -> bytes:
    """A checkpoint whose digest is right and whose content is not this run's."""
    good = torch.load(io.BytesIO(content[DIGEST:]), weights_only=True)
    match random.choice(("bytes", "run", "later", "value", "state", "keys")):
        case "bytes":
            return sealed(damaged(random, content[DIGEST:]))
        case "run":
            return dumped(good | {"run": random.choice((mark[:-1], mark[::-1], *VALUES))})
        case "later":
            return dumped(good | {"format": random.choice((2, 10**6))})
        case "value":
            return dumped(random.choice(VALUES))
        case "state":
            return dumped(good | {"state": random.choice((None, 1, [], "x"))})
        case _:
            return dumped({key: good[key] for key in good if key != random.choice([*good])})


def test_checkpoints(stopped: Stopped, pytestconfig: pytest.Config) -> None:
    """The newest intact one is found, every one passed over is told."""
    attempt = stopped.folder.attempts()[-1]
    paths = (attempt.checkpoint, attempt.previous)
    contents = [path.read_bytes() for path in paths]
    good = [torch.load(io.BytesIO(c[DIGEST:]), weights_only=True)["state"] for c in contents]

    def case(random: Random) -> str:
        hit = random.choice(((0,), (0,), (1,), (0, 1)))
        kinds = [random.choice(("damaged", "forged", "forged", "kind")) for _ in hit]
        with ExitStack() as stack:
            for index, kind in zip(hit, kinds, strict=True):
                content: Content = damaged(random, contents[index], contents[1 - index])
                if kind == "forged":
                    content = forged(random, stopped.mark, contents[index])
                elif kind == "kind":
                    content = another_kind(random, (paths[1 - index],))
                stack.enter_context(replaced(paths[index], content))
            try:
                found, warnings = checkpoint.load_newest(stopped.folder, stopped.mark)
            except RunError as error:
                return clear(error, *paths)
        if found is None:
            assert "starting from the beginning" in warnings[-1]
            return "begins anew"
        which = next((i for i, state in enumerate(good) if same(state, found.state)), None)
        if which is None:
            assert "forged" in kinds, "neither the newest state nor the one before"
            return "forged tensors"
        assert which == 0 or warnings or not hit[0]
        assert all(any(str(path) in warning for path in paths) for warning in warnings)
        return ("newest", "the one before")[which]

    fuzz(pytestconfig, "checkpoints", 150, case)


def test_another_runs_checkpoint_is_passed_over(stopped: Stopped, make_lab: Any) -> None:
    """Of the same method and networks, but another seed."""
    lab = make_lab("another")
    other = lab.run("logit", seed=1)
    lab.train(other, steps=5)
    attempt = stopped.folder.attempts()[-1]
    foreign = lab.folder(other).attempts()[-1].checkpoint.read_bytes()
    with replaced(attempt.checkpoint, foreign):
        found, (warning,) = checkpoint.load_newest(stopped.folder, stopped.mark)
    assert found is not None and found.path == attempt.previous
    assert warning.startswith(f"{attempt.checkpoint} belongs to another run")


def test_a_run_goes_on_from_torn_checkpoints(
    stopped: Stopped, pytestconfig: pytest.Config, tmp_path: Path
) -> None:
    """Trained to its end, bit for bit as if nothing had happened; or it says what to remove."""

    def case(random: Random) -> str:
        root = tmp_path / str(random.random())
        shutil.copytree(stopped.lab.experiments, root)
        lab = Lab(root, stopped.lab.teachers, stopped.lab.data_root)
        attempt = lab.folder(stopped.config).attempts()[-1]
        for path in random.choice(((attempt.checkpoint,), (attempt.checkpoint, attempt.previous))):
            content = path.read_bytes()
            if random.random() < 0.3:
                good = torch.load(io.BytesIO(content[DIGEST:]), weights_only=True)
                holder = good["state"]
                holder[random.choice([*holder])] = random.choice(VALUES)
                path.write_bytes(dumped(good))
            else:
                path.write_bytes(damaged(random, content))
        complaints: list[str] = []
        lab.train(stopped.config, complaints=complaints)
        shutil.rmtree(attempt.path)
        if lab.folder(stopped.config).completed():
            assert lab.outcome(stopped.config) == stopped.outcome
            return f"same bits after {len(complaints)} warnings"
        assert any(str(attempt.path) in line and "hint: remove it" in line for line in complaints)
        return "refused"

    fuzz(pytestconfig, "resumed runs", 6, case)


def wrong_weights(random: Random, content: bytes) -> Content:
    """Bytes that are damaged, or sound weights that are not these."""
    if random.random() < 0.7:
        return damaged(random, content, b"\x80\x04N.")
    tensors = load(content)
    name = random.choice([*tensors])
    match random.choice(("value", "gone", "shape", "type", "more")):
        case "value":
            tensors[name] = tensors[name] + 1
        case "gone":
            del tensors[name]
        case "shape":
            tensors[name] = tensors[name].flatten()[:1]
        case "type":
            tensors[name] = tensors[name].double()
        case _:
            tensors["more"] = torch.zeros(1)
    return save(tensors, {"sha256": "0" * 64})


def test_weights(stopped: Stopped, pytestconfig: pytest.Config, teachers: Path) -> None:
    """They are the recorded ones to the last bit, or they are not loaded."""
    folder = RunFolder(teachers / "Digits/pure/ResNetBaby/7")
    result = folder.completed()
    assert result is not None
    content, digest = folder.final.read_bytes(), result["weights"]["final"]

    def case(random: Random) -> str:
        other = wrong_weights(random, content)
        if random.random() < 0.1:
            other = another_kind(random, (folder.result,))
        with replaced(folder.final, other):
            try:
                found = load_weights(folder.final, digest)
            except RunError as error:
                return clear(error, folder.final)
        assert same(found, load(content))
        return "correct"

    fuzz(pytestconfig, "weights", 60, case)


def test_pretrained_parts(
    stopped: Stopped, pytestconfig: pytest.Config, make_lab: Callable[[str], Lab]
) -> None:
    """A paraphraser from the cache is the one that was trained, to the last bit."""
    lab = make_lab("pretrained")
    cohort = lab.open(lab.run("factor_transfer"))
    method, cache = cohort.members[0].trainer.method, lab.experiments / "pretrained"
    (path,) = cache.glob("*.safetensors")
    content, good = path.read_bytes(), method.state_dict()
    good = {name: value.clone() for name, value in good.items()}

    def case(random: Random) -> str:
        other = wrong_weights(random, content)
        if random.random() < 0.1:
            other = another_kind(random, (lab.data_root,))
        with replaced(path, other):
            if not path.exists():
                return "not there"
            try:
                teacher, batches = cohort.shared.teacher, cohort.shared.batches
                assert teacher is not None
                pretrain(method, "factor_transfer", teacher, batches, cache, lambda share: None)
            except RunError as error:
                return clear(error, path)
        assert same(method.state_dict(), good)
        return "correct"

    fuzz(pytestconfig, "pretrained parts", 40, case)
