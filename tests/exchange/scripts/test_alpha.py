"""Round alpha's own records, where they are at hand."""

from __future__ import annotations

from collections import Counter

from stillhouse.exchange.published import read_results
from stillhouse.exchange.scripts.write import Import
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.files import read_json
from test_rounds_shipped import ROUNDS


def look(alpha: Import) -> Survey:
    return survey_round(Workspace(alpha.file.parent), alpha.round)


def test_states_are_those_of_the_records(alpha: Import) -> None:
    cells = look(alpha).cells
    assert Counter(outcome.state for outcome in alpha.runs.values()) == {
        "finished": 33,
        "failed": 8,
        "lost": 2,
    }
    failed = [cell for cell in cells if cell.state.name == "failed"]
    assert {cell.config.dataset for cell in failed} == {"SVHN"}
    assert all("No module named 'scipy'" in cell.state.reason for cell in failed)
    lost = {cell.config.path: cell.state for cell in cells if cell.state.name == "lost"}
    assert {path: state.epoch for path, state in lost.items()} == {
        "TinyImageNet/pure/ResNet112/0": 128,
        "TinyImageNet/logit/ResNet112_to_ResNet56/0": 59,
    }
    assert all("walltime" in state.reason for state in lost.values())
    assert alpha.unmapped == ()


def test_what_contradicts_itself_is_shown(alpha: Import) -> None:
    conflicts = {path: note for path, note in alpha.notes if note.startswith("in conflict")}
    assert set(conflicts) == {"SVHN/pure/ResNet112/0", "SVHN/pure/ResNet56/0"}
    assert "epoch 60" in conflicts["SVHN/pure/ResNet112/0"]
    assert "epoch 64" in conflicts["SVHN/pure/ResNet56/0"]


def test_teachers_were_used_while_in_training(alpha: Import) -> None:
    """Every teacher but one of the logit arm, by start times and durations in the logs."""
    early = {
        cell.config.path.replace("logit/ResNet112_to_ResNet56/", ""): (
            taught["epoch_at_start"],
            taught["accuracy_at_start"],
        )
        for cell in look(alpha).cells
        if (taught := read_json(cell.folder.run)["teacher"])
        and taught.get("finished_before") is False
    }
    assert early == {
        "Cifar10/0": (76, 82.66),
        "Cifar10/1": (122, 91.43),
        "Cifar10/2": (119, 91.7),
        "Cifar100/0": (35, 43.17),
        "Cifar100/2": (129, 69.01),
        "TinyImageNet/0": (85, 38.12),
    }


def test_accuracies_are_those_that_were_published(alpha: Import) -> None:
    published = {
        (row.dataset, row.method, row.model, row.seed): row.accuracy
        for row in read_results(ROUNDS / "alpha_results.csv")
        if row.status == "completed"
    }
    found = {
        (c.config.dataset, c.config.method, c.config.model, c.config.seed): round(
            c.state.result["best"]["test_accuracy"], 2
        )
        for c in look(alpha).cells
        if c.state.result and c.config.method != "rkd"
    }
    assert found == published


def test_every_byte_is_kept(alpha: Import) -> None:
    for cell in look(alpha).cells:
        files = read_json(cell.folder.run)["imported"]["files"]
        assert set(files) >= {"logs", "errors"}
        assert all(file["copied"] for file in files.values())
