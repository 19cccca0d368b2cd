from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from fake_rounds import Bench, edit
from represented import PURE, TEACHER, counts, extracted, train
from stillhouse.represent.store import FILE, read
from stillhouse.rounds.survey import Survey
from stillhouse.rounds.teacher_files import import_teachers
from stillhouse.show.extract import extract_table
from stillhouse.tables import Table

PATTERN = "old/{run}/best.pth"


@pytest.fixture
def imported(trained: Bench) -> Bench:
    """A round whose records have no weights; the files of weights of two runs lie in `old/`."""
    for path in (PURE, TEACHER):
        folder = trained.folder(path)
        file = trained.workspace.root / PATTERN.format(run=path)
        file.parent.mkdir(parents=True)
        torch.save(safetensors.torch.load_file(folder.final), file)
    for path in trained.runs:
        folder = trained.folder(path)
        edit(folder.result, lambda content: content.update(weights={}))
        folder.final.unlink()
        folder.best.unlink()
    return trained


def of_imported(bench: Bench, weights: str) -> tuple[Table, bool]:
    """Extract as if the round file said that the round was imported."""
    survey = bench.look()
    found = {"source": "old", "runs": tuple(bench.runs)}
    round_ = survey.round.model_copy(update={"imported": type("Imported", (), found)()})
    workspace = bench.workspace
    what: Any = (weights, workspace.root, "cpu", 1, lambda text: None)
    return extract_table(workspace, Survey(round_, survey.cells), *what)


def test_an_imported_round_is_extracted_from_named_files(imported: Bench) -> None:
    table, sound = of_imported(imported, PATTERN)
    assert sound
    assert (counts(table)["Extracted"], counts(table)["Not extracted"]) == (2, 2)
    assert any(PATTERN in note for note in table.notes)
    kept = read(imported.folder(PURE).path / FILE)
    assert (kept.run, kept.header.weights) == (PURE, "file")
    again, _ = of_imported(imported, PATTERN)
    assert counts(again)["There before"] == 2


def test_a_file_that_is_not_of_the_run_is_refused(imported: Bench) -> None:
    file = imported.workspace.root / PATTERN.format(run=PURE)
    weights = torch.load(file)
    weights["head.bias"] = torch.arange(10.0) * 100
    torch.save(weights, file)
    table, sound = of_imported(imported, PATTERN)
    assert not sound
    assert any("best.pth" in note and "recorded" in note for note in table.notes)
    assert not (imported.folder(PURE).path / FILE).exists()


def test_a_teacher_from_a_file_is_extracted_where_it_was_taken_over(
    trained: Bench, tmp_path: Path
) -> None:
    root = tmp_path / "next"
    file = root / "weights" / "Digits-0.safetensors"
    file.parent.mkdir(parents=True)
    shutil.copy(trained.folder(TEACHER).final, file)
    changes = {"methods": ["logit"], "teacher": "ResNetBaby", "seeds": [0]}
    bench = Bench(root, teachers_from="weights/{dataset}-{seed}.safetensors", **changes)
    import_teachers(bench.workspace, bench.runs.values(), root, "cpu", lambda text: None)
    train(bench)
    _, sound = extracted(bench)
    assert sound
    kept = read(bench.workspace.experiments / "adopted" / TEACHER / FILE)
    assert kept.run == TEACHER
