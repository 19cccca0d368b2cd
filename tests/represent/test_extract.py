from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.numpy import load_file, save_file

from represented import LOGIT, PURE, TEACHER, WIDE, train
from stillhouse import data, models
from stillhouse.data.loader import normalise
from stillhouse.errors import ConfigError, RunError
from stillhouse.models.base import Network, Outputs
from stillhouse.represent import claim, extract, recorded
from stillhouse.represent.facts import FACTS
from stillhouse.represent.facts import FILE as FACTS_FILE
from stillhouse.represent.store import FILE, read
from stillhouse.runs.files import file_hash
from stillhouse.runs.process import Process, process_started
from stillhouse.seeding import reseed
from stillhouse.show.extract import extract_table
from stillhouse.tables import Table
from workbench import Bench, edit


def extracted(bench: Bench, weights: str = "final", **options: Any) -> tuple[Table, bool]:
    workspace = bench.workspace
    only = options.pop("only", None)
    given = {"data_root": workspace.root, "device": "cpu", "jobs": 1, "log": lambda text: None}
    return extract_table(workspace, bench.look(only), weights, **(given | options))


def counts(table: Table) -> dict[str, Any]:
    (row,) = table.rows
    return dict(zip(table.columns, row, strict=True))


def store(bench: Bench, path: str) -> Path:
    return bench.folder(path).path / FILE


def test_every_run_is_extracted_once_and_predicts_what_it_recorded(trained: Bench) -> None:
    table, sound = extracted(trained)
    assert sound
    found = counts(table)
    assert (found["Networks"], found["Extracted"], found["Predicted otherwise"]) == (5, 5, 0)
    for path in trained.runs:
        result = trained.folder(path).completed()
        assert result is not None
        kept = read(store(trained, path))
        right = kept.test.logits.argmax(axis=1) == kept.test.labels
        assert 100 * right.sum() / len(right) == pytest.approx(result["final"]["test"]["accuracy"])
        assert kept.header.sha256 == result["weights"]["final"]
        assert (kept.run, kept.header.weights, kept.header.epoch) == (path, "final", 2)
    before = {path: store(trained, path).stat() for path in trained.runs}
    again, sound = extracted(trained)
    assert sound
    assert counts(again)["There before"] == 5
    assert {path: store(trained, path).stat() for path in trained.runs} == before


def test_features_are_means_over_positions_in_eval_mode(trained: Bench) -> None:
    extracted(trained, only="model=ResNetBaby")
    kept = read(store(trained, TEACHER))
    digits = data.load("Digits", trained.workspace.root)
    network = models.build("ResNetBaby", digits.spec)
    network.load_state_dict(safetensors.torch.load_file(trained.folder(TEACHER).final))
    network.eval()
    for split, ids in ((digits.test, kept.test.ids), (digits.train, kept.train.ids)):
        part = split.rows(torch.tensor(ids[:50]))
        with torch.no_grad():
            outputs: Outputs = network(normalise(part.images, digits.spec))
        ours = (kept.test if split is digits.test else kept.train).layers
        for name in network.groups:
            expected = outputs.features[name].mean(dim=(2, 3)).numpy()
            np.testing.assert_allclose(ours[name][:50], expected, rtol=1e-4, atol=1e-5)


def test_all_runs_hold_the_same_training_rows_whatever_they_were_trained_on(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "TRAIN_ROWS", 205)
    extracted(trained)
    kept = [read(store(trained, path)) for path in trained.runs]
    digits = data.load("Digits", trained.workspace.root)
    labels = digits.train.labels.numpy()
    for one in kept:
        ids = one.train.ids
        assert len(ids) == 205
        assert (np.diff(ids) > 0).all()
        np.testing.assert_array_equal(one.train.labels, labels[ids])
        np.testing.assert_array_equal(ids, kept[0].train.ids)
        np.testing.assert_array_equal(one.test.ids, np.arange(len(digits.test)))
        shares = np.bincount(one.train.labels) / 205
        assert np.abs(shares - np.bincount(labels) / len(labels)).max() < 1 / 205
    zeros = np.flatnonzero(labels == 0)
    share = int((kept[0].train.labels == 0).sum())
    expected = zeros[np.arange(share) * len(zeros) // share]
    np.testing.assert_array_equal(kept[0].train.ids[kept[0].train.labels == 0], expected)


def test_the_saved_inference_model_is_extracted_not_the_student(trained: Bench) -> None:
    extracted(trained)
    kept, facts = read(store(trained, WIDE)), FACTS.read(trained.folder(WIDE).path / FACTS_FILE)
    assert kept.layers == ("first", "second")
    scale = load_file(trained.folder(WIDE).final)["scale"]
    assert scale != 0.5
    state = safetensors.torch.load_file(trained.folder(WIDE).final)
    head = {name: state[f"student.head.{name}"] for name in ("weight", "bias")}
    pooled = torch.tensor(kept.test.layers["second"].copy())
    logits = (pooled @ head["weight"].T + head["bias"]) * float(np.exp(scale))
    np.testing.assert_allclose(kept.test.logits, logits.numpy(), rtol=1e-3, atol=1e-4)
    pure = FACTS.read(trained.folder(PURE).path / FACTS_FILE)
    assert facts["parameters"] == pure["parameters"] + 1


def test_an_untrained_network_of_the_teachers_kind_is_extracted(trained: Bench) -> None:
    extracted(trained)
    kept = read(trained.workspace.experiments / "untrained" / "Digits" / "ResNetBaby" / "0" / FILE)
    assert (kept.header.weights, kept.header.epoch) == ("untrained", 0)
    digits = data.load("Digits", trained.workspace.root)
    reseed("init", 0, "ResNetBaby")
    network = models.build("ResNetBaby", digits.spec).eval()
    with torch.no_grad():
        images = normalise(digits.test.rows(slice(0, 20)).images, digits.spec)
        logits = network(images).logits
    np.testing.assert_allclose(kept.test.logits[:20], logits.numpy(), rtol=1e-4, atol=1e-5)


def test_changed_weights_and_the_best_ones_are_extracted_anew(trained: Bench) -> None:
    extracted(trained)
    folder = trained.folder(PURE)
    weights = safetensors.torch.load_file(folder.final)
    weights["head.bias"] *= 1.0001
    folder.best.write_bytes(safetensors.torch.save(weights))
    accuracy = FACTS.read(folder.path / FACTS_FILE)["accuracy"]
    best = {"epoch": 1, "test_accuracy": accuracy}
    edit(folder.result, lambda content: content["best"].update(best))
    edit(folder.result, lambda content: content["weights"].update(best=file_hash(folder.best)))
    final = read(store(trained, PURE))
    _, sound = extracted(trained, "best")
    assert sound
    found = read(store(trained, PURE))
    assert (found.header.weights, found.header.epoch) == ("best", 1)
    assert found.header.sha256 == file_hash(folder.best)
    assert not np.array_equal(found.test.logits, final.test.logits)
    _, sound = extracted(trained)
    assert sound
    assert read(store(trained, PURE)).header == final.header


def test_a_borrowed_teacher_is_extracted_once_and_its_workspace_is_left_alone(
    trained: Bench, tmp_path: Path
) -> None:
    lent = trained.workspace.experiments
    files = sorted(lent.rglob("*"))
    changes = {"methods": ["pure", "logit"], "teacher": "ResNetBaby", "seeds": [0]}
    bench = Bench(tmp_path / "next", teachers_from=str(lent), **changes)
    train(bench)
    table, sound = extracted(bench)
    assert sound
    home = bench.workspace.experiments / "borrowed" / TEACHER
    assert read(home / FILE).run == TEACHER
    assert counts(table)["Extracted"] == 4
    assert sorted(lent.rglob("*")) == files
    shutil.rmtree(home.parents[3])
    extracted(trained)
    table, _ = extracted(bench)
    assert counts(table)["There before"] == 4
    assert not home.exists()


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        (lambda file: file.write_bytes(file.read_bytes()[:-5]), "not a whole safetensors file"),
        (lambda file: save_file({"x": np.zeros(3)}, file), "not written by"),
    ],
)
def test_a_damaged_or_foreign_file_is_named_and_the_others_go_on(
    trained: Bench, fault: Any, named: str
) -> None:
    extracted(trained)
    fault(store(trained, PURE))
    store(trained, LOGIT).unlink()
    table, sound = extracted(trained)
    assert not sound
    assert (counts(table)["Failed"], counts(table)["Extracted"]) == (1, 1)
    assert any(PURE in note and named in note and "hint:" in note for note in table.notes)


def test_weights_that_predict_otherwise_than_recorded_are_refused(trained: Bench) -> None:
    folder = trained.folder(PURE)
    weights = safetensors.torch.load_file(folder.final)
    weights["head.bias"] = weights["head.bias"].flip(0) + torch.arange(10.0)
    folder.final.write_bytes(safetensors.torch.save(weights))
    digest = file_hash(folder.final)
    edit(folder.result, lambda content: content["weights"].update(final=digest))
    table, sound = extracted(trained)
    assert not sound
    assert any(PURE in note and "was recorded" in note for note in table.notes)
    assert not store(trained, PURE).exists()
    assert store(trained, LOGIT).exists()


def test_rows_that_differ_by_rounding_alone_are_counted(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted(trained)
    kept = read(store(trained, PURE))
    order = np.argsort(kept.test.logits, axis=1)
    row = int(np.argmax(order[:, -1]))
    folder = trained.folder(PURE)
    before = load_file(folder.predictions)
    before["predictions"][row] = order[row, -2]
    save_file(before, folder.predictions)
    digest = file_hash(folder.predictions)
    edit(folder.result, lambda content: content.update(predictions=digest))
    store(trained, PURE).unlink()
    monkeypatch.setattr(recorded, "ROUNDING", 1.0)
    table, sound = extracted(trained)
    assert sound
    assert counts(table)["Predicted otherwise"] == 1
    facts = FACTS.read(folder.path / FACTS_FILE)
    assert facts["differing"] == 1
    assert facts["largest_margin"] > 0


def test_a_run_trained_on_other_images_is_refused(trained: Bench) -> None:
    folder = trained.folder(PURE)
    edit(folder.run, lambda content: content.update(data="0" * 64))
    table, sound = extracted(trained)
    assert not sound
    assert any(PURE in note and "other images" in note for note in table.notes)
    assert counts(table)["Extracted"] == 4


def test_files_whose_rows_differ_are_refused(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted(trained)
    store(trained, PURE).unlink()
    monkeypatch.setattr(extract, "TRAIN_ROWS", 100)
    table, sound = extracted(trained)
    assert not sound
    assert any(PURE in note and "other rows" in note for note in table.notes)


class Failing(Network):
    groups = ("first",)

    def forward(self, images: torch.Tensor) -> Outputs:
        raise RuntimeError("Expected all tensors to be on the same device, but found cuda:0")


def test_a_custom_network_that_fails_is_named_and_the_others_go_on(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = extract.open_network

    def opened(target: Any, *rest: Any) -> Any:
        found = real(target, *rest)
        if target.name == PURE:
            monkeypatch.setattr(found.network, "forward", Failing().forward)
        return found

    monkeypatch.setattr(extract, "open_network", opened)
    table, sound = extracted(trained, jobs=2)
    assert not sound
    assert (counts(table)["Extracted"], counts(table)["Failed"]) == (4, 1)
    assert any(PURE in note and "same device" in note for note in table.notes)


def test_a_full_disk_is_named_and_what_was_written_stays(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    extracted(trained, only="model=ResNetBaby")
    before = store(trained, TEACHER).read_bytes()

    def full(*given: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(store(trained, PURE)))

    monkeypatch.setattr(extract, "write", full)
    with pytest.raises(OSError, match=r"No space left") as error:
        extracted(trained)
    assert error.value.filename == str(store(trained, PURE))
    assert store(trained, TEACHER).read_bytes() == before
    assert not [*trained.workspace.experiments.rglob(claim.FILE)]
    monkeypatch.undo()
    assert extracted(trained)[1]


def test_two_processes_divide_the_runs(trained: Bench) -> None:
    other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        folder = trained.folder(PURE).path
        me = Process.me()
        started = process_started(other.pid)
        text = str(Process(me.host, me.space, other.pid, str(started)))
        (folder / claim.FILE).write_text(text)
        table, sound = extracted(trained)
        assert sound
        assert (counts(table)["Extracted"], counts(table)["Not extracted"]) == (4, 1)
        assert any(PURE in note and str(other.pid) in note for note in table.notes)
    finally:
        other.kill()
        other.wait()
    assert counts(extracted(trained)[0])["Extracted"] == 1
    assert not (folder / claim.FILE).exists()


def test_a_claim_of_another_machine_expires(tmp_path: Path) -> None:
    (tmp_path / claim.FILE).write_text("elsewhere-4-12-99")
    assert claim.Claim.take(tmp_path) is None
    old = time.time() - claim.EXPIRY_SECONDS - 1
    os.utime(tmp_path / claim.FILE, (old, old))
    taken = claim.Claim.take(tmp_path)
    assert taken is not None
    taken.release()
    assert [*tmp_path.iterdir()] == []


def test_what_a_killed_process_left_is_taken_over(trained: Bench) -> None:
    root = trained.workspace.root
    command = [sys.executable, "-m", "stillhouse", "extract", str(trained.file)]
    command += ["--root", str(root), "--data-root", str(root), "--jobs", "1"]
    extracted(trained)
    whole = {path: read(store(trained, path)) for path in trained.runs}
    for path in trained.runs:
        for file in (store(trained, path), trained.folder(path).path / FACTS_FILE):
            file.unlink()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not [*trained.workspace.experiments.rglob(claim.FILE)]:
        assert process.poll() is None
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    left = [path for path in trained.runs if not store(trained, path).exists()]
    assert left
    assert extracted(trained)[1]
    assert not [*trained.workspace.experiments.rglob(claim.FILE)]
    for path, before in whole.items():
        np.testing.assert_array_equal(read(store(trained, path)).test.logits, before.test.logits)


def test_being_asked_to_stop_keeps_what_is_extracted(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(extract, "TOGETHER", 1)
    asked: list[str] = []

    def reason(stop: Any) -> str | None:
        return "received SIGTERM" if [*trained.workspace.experiments.rglob(FILE)] else None

    monkeypatch.setattr(extract.Stop, "reason", reason)
    monkeypatch.setattr(extract.Stop, "listen", lambda stop: asked.append("listens"))
    with pytest.raises(RunError, match="received SIGTERM"):
        extracted(trained)
    assert asked == ["listens"]
    monkeypatch.undo()
    assert counts(extracted(trained)[0])["There before"] == 1


def test_unfinished_and_imported_runs_are_left_out_with_the_reason(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(RunError, match="not completed"):
        extracted(bench)
    for path in bench.runs:
        bench.finish(path, 50.0)
        edit(bench.folder(path).result, lambda content: content.update(weights={}))
    with pytest.raises(RunError, match="imported without weights"):
        extracted(bench)


@pytest.mark.parametrize("weights", ["last", "old/{run}/best.pth"])
def test_weights_that_a_trained_round_does_not_have_are_refused(
    trained: Bench, weights: str
) -> None:
    with pytest.raises(ConfigError) as error:
        extracted(trained, weights)
    assert error.value.hint


def test_facts_are_sealed_json_with_a_format(trained: Bench) -> None:
    extracted(trained)
    file = trained.folder(TEACHER).path / FACTS_FILE
    content = json.loads(file.read_text())
    assert content["format"] == 1
    kept = read(store(trained, TEACHER))
    right = kept.test.logits.argmax(axis=1) == kept.test.labels
    assert content["accuracy"] == pytest.approx(100 * right.mean())
    worst = [100 * right[kept.test.labels == label].mean() for label in range(10)]
    assert content["class_accuracies"] == pytest.approx(worst)
    assert "top5" not in content
    assert content["parameters"] == 77_754
    assert content["seconds_per_image"] > 0
    file.write_text(file.read_text().replace('"threads": 1', '"threads": 2'))
    with pytest.raises(RunError, match="checksum"):
        FACTS.read(file)
