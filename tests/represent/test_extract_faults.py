from __future__ import annotations

import errno
import os
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

from fake_rounds import Bench, edit
from represented import LOGIT, PURE, TEACHER, counts, extracted, store
from stillhouse.errors import ConfigError, DataError, RunError
from stillhouse.models.base import Network, Outputs
from stillhouse.represent import claim, extract, recorded
from stillhouse.represent.facts import FACTS
from stillhouse.represent.facts import FILE as FACTS_FILE
from stillhouse.represent.store import FILE, read
from stillhouse.runs.files import file_hash
from stillhouse.runs.process import Process, process_started


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
    with pytest.raises(RunError, match="imported without its weights"):
        extracted(bench)


@pytest.mark.parametrize("weights", ["last", "old/{run}/best.pth"])
def test_weights_that_a_trained_round_does_not_have_are_refused(
    trained: Bench, weights: str
) -> None:
    with pytest.raises(ConfigError) as error:
        extracted(trained, weights)
    assert error.value.hint


def test_a_dataset_that_is_not_there_fails_its_own_runs_alone(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*given: Any) -> Any:
        raise DataError("Digits is not in the data folder", "stillhouse data fetch Digits")

    monkeypatch.setattr(extract.data, "load", missing)
    table, sound = extracted(trained)
    assert not sound
    assert counts(table)["Failed"] == 5
    assert any("data fetch" in note for note in table.notes)
