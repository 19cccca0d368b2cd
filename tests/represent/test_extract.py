from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from safetensors.numpy import load_file

from fake_rounds import Bench, edit
from represented import PURE, TEACHER, WIDE, counts, extracted, store, train
from stillhouse import data, models
from stillhouse.data.base import Dataset, Split
from stillhouse.data.loader import normalise
from stillhouse.errors import RunError
from stillhouse.models.base import Outputs
from stillhouse.represent import extract
from stillhouse.represent.facts import FACTS
from stillhouse.represent.facts import FILE as FACTS_FILE
from stillhouse.represent.store import FILE, read
from stillhouse.rounds.survey import survey_round
from stillhouse.runs.files import file_hash
from stillhouse.seeding import reseed
from stillhouse.show.extract import extract_table


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
    wide = trained.round.model_copy(update={"datasets": ("Digits", "Cifar10")})
    part = survey_round(trained.workspace, wide, "dataset=Digits")
    arguments = ("final", Path(), "cpu", 1, lambda _: None)
    rows = extract_table(trained.workspace, part, *arguments)[0].rows
    assert [row[0] for row in rows] == ["Digits"]
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


def test_the_training_subset_has_10000_rows_where_there_are_more() -> None:
    spec = data.spec("Digits")

    def split(count: int) -> Split:
        ids = torch.arange(count)
        return Split(torch.zeros(count, 1, 1, 1, dtype=torch.uint8), ids % 10, ids)

    for count, expected in ((12_000, 10_000), (500, 500)):
        images = extract.Images.of(Dataset(spec, split(count), split(10)), torch.device("cpu"))
        assert len(images.splits["train"]) == expected


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


def test_networks_at_once_give_the_same_bits(trained: Bench) -> None:
    extracted(trained)
    before = {path: store(trained, path).read_bytes() for path in trained.runs}
    for path in trained.runs:
        store(trained, path).unlink()
    extracted(trained, jobs=3)
    assert {path: store(trained, path).read_bytes() for path in trained.runs} == before
