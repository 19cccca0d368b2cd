"""A user's own method and network keep the loop's promises as the built-in ones do."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest
import torch

from small_runs import Lab
from stillhouse.config.schema import RunConfig
from stillhouse.plugin import Plugin, kept, read_plugin
from stillhouse.training.cohort import open_cohort
from stillhouse.training.replay import verify

EXAMPLES = Path(__file__).parents[2] / "examples"
TRANSLATED = '''"""Matched embeddings, through a translator that is fitted to the teacher first."""

import torch
from torch import nn

from stillhouse.methods.base import Card, Method, MethodConfig, Pretraining, Reference


class Translated(Method):
    """The student's embedding is drawn to a code of the teacher's."""

    label = "Translated"
    card = Card("code = |f_s - code(f_t)|^2", "pooled", ())

    def __init__(self, config, student, teacher):
        super().__init__(config, student, teacher)
        width = student.features["pooled"][0]
        self.code = nn.Linear(teacher.features["pooled"][0], width).requires_grad_(False)

    @classmethod
    def reference(cls, config):
        return Reference(ce=1.0, weights={"code": 1.0})

    def terms(self, student, teacher, batch):
        aim = self.code(teacher.features["pooled"])
        return {"code": (student.features["pooled"] - aim).square().mean()}

    def pretraining(self):
        return Pretraining({"epochs": 1}, self.code, self.fit)

    def fit(self, teacher, epochs):
        with torch.no_grad():
            self.code.weight.fill_(FILL)
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Copies of the examples, free to be changed."""
    shutil.copytree(EXAMPLES, tmp_path / "own")
    return tmp_path / "own"


def own_run(lab: Lab, folder: Path, method: str = "own_method") -> RunConfig:
    """A run of an own method and an own network; for a built-in method, of the network alone."""
    network = read_plugin(folder / "own_model.py")
    built_in = method in ("pure", "logit")
    files: tuple[Plugin, ...] = (network,)
    if not built_in:
        files += (read_plugin(folder / f"{method}.py"),)
    return lab.run(method, model="own_model", files=files)


def complaint(lab: Lab, config: RunConfig) -> str:
    """Why a run cannot be opened."""
    complaints: list[str] = []
    assert open_cohort([config], lab.place, complaints.append).members == []
    return complaints[0]


def test_cohort_alone_and_stopped_twice_come_to_the_same(
    lab: Lab, folder: Path, teachers: Path, tmp_path: Path
) -> None:
    configs = [own_run(lab, folder, method) for method in ("pure", "logit", "own_method")]
    lab.train(*configs)
    alone = Lab(tmp_path / "alone", teachers, tmp_path)
    stopped = Lab(tmp_path / "stopped", teachers, tmp_path)
    for config in configs:
        alone.train(config)
        assert alone.outcome(config) == lab.outcome(config), config.method
    assert stopped.train(configs[-1], steps=1) == "enough"
    assert stopped.train(configs[-1], steps=3) == "enough"
    assert stopped.train(configs[-1]) is None
    assert stopped.outcome(configs[-1]) == lab.outcome(configs[-1])
    last = lab.outcome(configs[-1])["records"][-1]
    assert set(last["train"]) == {"ce", "match", "total", "accuracy"}


def test_the_record_says_which_content_trained_a_run_and_keeps_it(
    lab: Lab, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = own_run(lab, folder)
    text = (folder / "own_method.py").read_bytes()
    lab.train(config)
    run = json.loads(lab.folder(config).run.read_text())
    assert {f["path"]: f["sha256"] for f in run["config"]["files"]} == {
        str(file.path): file.sha256 for file in config.files
    }
    (folder / "own_method.py").write_text("changed beyond recognition")
    copies = {file.name: file.path.read_bytes() for file in kept(config.files, lab.experiments)}
    assert copies["own_method"] == text
    for name in [name for name in sys.modules if name.startswith("stillhouse_own_")]:
        monkeypatch.delitem(sys.modules, name)  # as in a process that has not run the file yet
    found = verify(lab.folder(config), lab.place, steps=2)
    assert all(recorded == now for _, recorded, now in found.checks)
    assert len(found.checks) > 2


def test_a_changed_file_refuses_to_resume_and_is_named(lab: Lab, folder: Path) -> None:
    before = own_run(lab, folder)
    lab.train(before, steps=1)
    with (folder / "own_method.py").open("a") as file:
        file.write("# changed\n")
    told = complaint(lab, own_run(lab, folder))
    old, new = (f.files[1].sha256[:16] for f in (before, own_run(lab, folder)))
    assert f"files.own_method: {old} -> {new}" in told
    assert len(lab.folder(before).attempts()) == 1


def test_a_file_that_changes_between_reading_and_running_is_refused(lab: Lab, folder: Path) -> None:
    path = folder / "own_model.py"
    path.write_text(path.read_text() + "# content that no other test has loaded\n")
    config = own_run(lab, folder, "pure")
    path.write_text(path.read_text() + "# another\n")
    assert "own_model.py has changed: SHA-256" in complaint(lab, config)


def test_a_network_that_cannot_be_built_fails_alone_with_its_line(lab: Lab, folder: Path) -> None:
    path = folder / "own_model.py"
    path.write_text(path.read_text().replace("return Small(", "return Smaller("))
    complaints: list[str] = []
    cohort = open_cohort(
        [own_run(lab, folder, "pure"), lab.run("pure")], lab.place, complaints.append
    )
    assert "own_model.py:30: NameError: name 'Smaller' is not defined" in complaints[0]
    assert [member.trainer.config.model for member in cohort.members] == ["ResNetBaby"]


def test_a_network_that_returns_no_outputs_is_told_so(lab: Lab, folder: Path) -> None:
    path = folder / "own_model.py"
    path.write_text(path.read_text().replace("return Outputs(self.head(pooled), {", "return ({"))
    told = complaint(lab, own_run(lab, folder, "pure"))
    assert "the network Small does not return" in told
    assert "features first, pooled, second" in told


def test_what_an_own_method_pretrains_is_kept_by_the_files_content(lab: Lab, folder: Path) -> None:
    """Its key need not name the code that it ran: another content is trained anew."""
    path = folder / "translated.py"
    codes = []
    for value in ("1.0", "2.0"):
        path.write_text(TRANSLATED.replace("FILL", value))
        run = own_run(lab, folder, "translated").model_copy(update={"seed": int(float(value))})
        codes.append(lab.open(run).members[0].trainer.method.state_dict()["code.weight"])
    assert torch.equal(codes[0] * 2, codes[1])
    assert len([*lab.experiments.glob("pretrained/translated-*.safetensors")]) == 2


def test_a_run_whose_file_is_gone_says_where_it_was(lab: Lab, folder: Path) -> None:
    config = own_run(lab, folder)
    lost = Plugin(folder / "lost.py", "0" * 64, "method")
    files = (config.files[0], lost)
    told = complaint(lab, config.model_copy(update={"method": "lost", "files": files}))
    assert f"cannot read {lost.path}: No such file" in told
