"""Teachers from a user's files: measured before they teach, and nothing in them is executed."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from fake_rounds import Bench
from small_runs import Lab
from stillhouse import models
from stillhouse.cluster.open import open_submitter
from stillhouse.config.load import load_round
from stillhouse.config.resolve import resolve
from stillhouse.data.specs import SPECS
from stillhouse.errors import ConfigError, RunError
from stillhouse.rounds.teacher_files import import_teachers
from stillhouse.runs.folder import RunFolder
from stillhouse.training.reopen import Place, reopen

PATTERN = "weights/{dataset}/{model}/{seed}/best.pth"
RECORD = "Digits/pure/ResNetBaby/0"
EARLIER = {"conv.": "conv1.", "bn.": "bn1.", "head.": "linear."}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A trained network that is better than a guess."""
    folder = tmp_path_factory.mktemp("original")
    lab = Lab(folder, folder, folder)
    config = lab.run("pure", train_images=1000)
    lab.train(config)
    return lab.folder(config)


@pytest.fixture
def trained(original: RunFolder) -> dict[str, torch.Tensor]:
    weights: dict[str, torch.Tensor] = safetensors.torch.load_file(original.final)
    return weights


def earlier_names(weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The names of the field's scripts, as in `conv1.weight` and `linear.bias`."""
    spelt = {}
    for name, value in weights.items():
        first = name.partition(".")[0] + "."
        spelt[name.replace(first, EARLIER.get(first, first), 1)] = value
    return spelt


class Shelf:
    """A round whose teacher is a file, and that file."""

    def __init__(self, root: Path, pattern: str = PATTERN, **changes: Any) -> None:
        settings = {"teacher": "ResNetBaby", "methods": ["logit"], "seeds": [0]} | changes
        self.bench = Bench(root, teachers_from=pattern, **settings)
        self.file = root / pattern.format(dataset="Digits", model="ResNetBaby", seed=0)
        self.file.parent.mkdir(parents=True, exist_ok=True)
        self.said: list[str] = []

    @property
    def record(self) -> RunFolder:
        return RunFolder(self.bench.workspace.experiments / "adopted" / RECORD)

    def adopt(self) -> None:
        runs = self.bench.runs.values()
        import_teachers(
            self.bench.workspace, runs, self.bench.workspace.root, "cpu", self.said.append
        )


@pytest.mark.parametrize("container", [None, "weights", "state_dict"])
def test_the_layout_of_earlier_scripts_is_read_and_measured(
    tmp_path: Path, trained: dict[str, torch.Tensor], original: RunFolder, container: str | None
) -> None:
    shelf = Shelf(tmp_path)
    weights = earlier_names(trained)
    torch.save({container: weights} if container else weights, shelf.file)
    before = shelf.bench.look().cells[0]
    shelf.adopt()
    after = shelf.bench.look().cells[0]
    assert (before.shown, after.shown) == ("waiting", "queued")
    trained_here, result = original.completed(), shelf.record.completed()
    assert trained_here is not None and result is not None
    accuracy = trained_here["final"]["test"]["accuracy"]
    assert result["final"]["test"]["accuracy"] == accuracy
    assert result["adopted"]["file"] == str(shelf.file)
    assert shelf.said == [f"teacher from {shelf.file}: {accuracy:.2f} % on the test images"]


def test_safetensors_teach_and_the_students_record_says_so(
    tmp_path: Path, trained: dict[str, torch.Tensor]
) -> None:
    shelf = Shelf(tmp_path, "teacher-{seed}.safetensors")
    safetensors.torch.save_file(trained, shelf.file)
    shelf.adopt()
    shelf.adopt()
    assert len(shelf.said) == 1
    workspace = shelf.bench.workspace
    (run,) = map(resolve, shelf.bench.runs.values())
    home = workspace.teachers(shelf.bench.round)
    place = Place(workspace.experiments, home, tmp_path, torch.device("cpu"))
    Lab(workspace.experiments, home, tmp_path).train(run)
    teacher = reopen([run], place).teacher
    assert teacher is not None and teacher.facts["adopted"] == str(shelf.file)
    assert shelf.bench.look().cells[0].state.name == "done"


def test_submit_takes_it_over_before_the_first_job(
    tmp_path: Path, trained: dict[str, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No job is listed or submitted here: `squeue` only has to be there."""
    listing = tmp_path / "bin" / "squeue"
    listing.parent.mkdir()
    listing.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(listing.parent), prepend=os.pathsep)
    shelf = Shelf(tmp_path)
    site = tmp_path / "site.toml"
    site.write_text('scheduler = "slurm"\ncap = 3\n[resources]\nwalltime = "1:00:00"\n')
    words = (tmp_path, str(shelf.bench.file), str(site), False, 1)
    with pytest.raises(RunError, match="is not there"):
        open_submitter(*words, False, shelf.said.append)
    torch.save(trained, shelf.file)
    open_submitter(*words, True, shelf.said.append)
    assert not shelf.record.result.exists()
    submitter = open_submitter(*words, False, shelf.said.append)
    open_submitter(*words, False, shelf.said.append)
    assert len(shelf.said) == 1
    assert submitter.look().cells[0].shown == "queued"


def test_a_file_that_changed_since_is_refused(
    tmp_path: Path, trained: dict[str, torch.Tensor]
) -> None:
    shelf = Shelf(tmp_path)
    torch.save(trained, shelf.file)
    shelf.adopt()
    torch.save({name: value + 1 for name, value in trained.items()}, shelf.file)
    with pytest.raises(RunError, match="has changed since it was taken over"):
        shelf.adopt()


def test_an_untrained_network_may_not_teach(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    torch.manual_seed(0)
    torch.save(models.build("ResNetBaby", SPECS["Digits"]).state_dict(), shelf.file)
    with pytest.raises(RunError, match="at chance level"):
        shelf.adopt()
    assert not shelf.record.result.exists()


class Payload:
    """Would create a file if it were unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


def test_nothing_in_a_file_is_executed(tmp_path: Path) -> None:
    shelf, mark = Shelf(tmp_path), tmp_path / "executed"
    torch.save({"weights": Payload(mark)}, shelf.file)
    with pytest.raises(RunError, match="not readable as weights"):
        shelf.adopt()
    shelf.file.write_bytes(pickle.dumps(Payload(mark)))
    with pytest.raises(RunError, match="not readable as weights"):
        shelf.adopt()
    assert not mark.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x80\x02}", b"text"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    shelf = Shelf(tmp_path)
    shelf.file.write_bytes(content)
    with pytest.raises(RunError, match=r"best\.pth: "):
        shelf.adopt()


def test_weights_of_another_network_are_named(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path)
    torch.save(models.build("ResNet20", SPECS["Digits"]).state_dict(), shelf.file)
    with pytest.raises(RunError, match=r"not of this network: layer1\.1\.conv1\.weight.* more"):
        shelf.adopt()
    torch.save(
        models.build("ResNetBaby", replace(SPECS["Digits"], classes=100)).state_dict(), shelf.file
    )
    with pytest.raises(RunError, match=r"of another shape: head\.weight, head\.bias"):
        shelf.adopt()
    torch.save({"epoch": 3}, shelf.file)
    with pytest.raises(RunError, match="expected a state dict"):
        shelf.adopt()


def test_a_missing_file_is_named_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"best\.pth is not there"):
        Shelf(tmp_path).adopt()


def test_an_unknown_field_of_the_pattern_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    text = bench.file.read_text() + "teachers_from: 'weights/{method}.pth'\n"
    bench.file.write_text(text)
    with pytest.raises(ConfigError, match=r"\{method\}: expected \{dataset\}, \{model\}"):
        load_round(bench.file)


def test_a_teacher_with_weights_and_options_teaches_untrained(
    tmp_path: Path, trained: dict[str, torch.Tensor]
) -> None:
    spec = SPECS["Digits"]
    plain = {"name": "ResNetBaby", "as": "theirs", "weights": "theirs.pth", "train": False}
    both = {f"module.student.{name}": value for name, value in trained.items()}
    (tmp_path / "rounds").mkdir()
    torch.save({"model": both, "best_acc": 71.0}, tmp_path / "rounds" / "theirs.pth")
    network = plain | {"key": "module.student", "normalise": [list(spec.mean), list(spec.std)]}
    bench = Bench(tmp_path, teacher=network, methods=["logit"], seeds=[0, 1])
    said: list[str] = []
    import_teachers(bench.workspace, bench.runs.values(), tmp_path, "cpu", said.append)
    (record,) = (bench.workspace.experiments / "adopted").rglob("result.json")
    result = RunFolder(record.parent).completed()
    assert result is not None and len(said) == 1
    assert result["adopted"]["normalised"] == [list(spec.mean), list(spec.std)]
    assert [cell.shown for cell in bench.look().cells] == ["queued", "queued"]
    bench = Bench(tmp_path, teacher=network | {"normalise": [[0.9], [0.1]]}, methods=["logit"])
    with pytest.raises(RunError, match="other options"):
        import_teachers(bench.workspace, bench.runs.values(), tmp_path, "cpu", said.append)


def test_at_chance_the_normalisation_and_the_order_of_the_classes_are_suspected(
    tmp_path: Path,
) -> None:
    torch.manual_seed(0)
    shelf = Shelf(tmp_path)
    torch.save(models.build("ResNetBaby", SPECS["Digits"]).state_dict(), shelf.file)
    with pytest.raises(RunError) as caught:
        shelf.adopt()
    assert "0.3052" in caught.value.message
    assert "normalise:" in caught.value.hint and "order" in caught.value.hint
