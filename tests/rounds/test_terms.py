"""`terms` on a round: what it says first, what it keeps, and that the doctor says the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from fake_rounds import Bench, edit
from stillhouse.config.resolve import resolve
from stillhouse.diagnosis.read import read_round
from stillhouse.diagnosis.report import report
from stillhouse.errors import RunError
from stillhouse.runs.own_loss import OwnLoss, read, write
from stillhouse.show import own_loss as terms
from stillhouse.show.own_loss import terms_table
from stillhouse.training.cohort import open_cohort
from stillhouse.training.loop import train
from stillhouse.training.reopen import Place

METHODS = ["pure", "logit", "fitnets", "self"]
PURE, FITNETS = "Digits/pure/ResNetBaby/0", "Digits/fitnets/ResNetBaby_to_ResNetBaby/0"
LOGIT = "Digits/logit/ResNetBaby_to_ResNetBaby/0"


class NeverStop:
    def reason(self) -> str | None:
        return None


@pytest.fixture
def trained(tmp_path: Path) -> Bench:
    """A finished round whose teacher is a network of the student's kind, of another seed."""
    recipe = {"epochs": 2, "batch_size": 64, "learning_rate": 0.02, "train_images": 200}
    bench = Bench(
        tmp_path,
        teacher="ResNetBaby",
        seeds=[0],
        teacher_seeds=[1],
        methods=METHODS,
        training=recipe,
    )
    place = here(bench)
    runs = [resolve(run) for run in bench.runs.values()]
    for some in ([run for run in runs if not run.teacher], runs[2:-1], runs[-1:]):
        for one in some:
            cohort = open_cohort([one], place, pytest.fail)
            train(cohort, NeverStop(), lambda trainer, record: None)
    return bench


def here(bench: Bench) -> Place:
    home = bench.workspace.experiments
    return Place(home, home, home, torch.device("cpu"))


def call(bench: Bench, fit_epochs: int | None = None) -> tuple[dict[str, list[object]], list[str]]:
    """The rows of `terms` by method, and what it said."""
    said: list[str] = []
    found, _ = terms_table(bench.look(), here(bench), fit_epochs, said.append)
    return {str(row[1]): list(row[3:]) for row in found.rows}, said


def test_it_says_first_what_it_will_train_and_then_uses_what_it_recorded(
    trained: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, said = call(trained)
    assert said[0].startswith(
        "measuring 2 runs on the test images; training modules of fitnets for 1 pure student, "
        "5 fits of 2 epochs: about 0:00:0"
    )
    assert rows["self"] == [None] * 5 + ["n/a: its pure student is its teacher"]
    monkeypatch.setattr(terms, "FITS", 0)  # nothing is fitted, so that a second fit would differ
    again, said = call(trained)
    assert said == ["recorded already: 2 comparisons; nothing to measure or to train"]
    assert again == rows
    assert call(trained, fit_epochs=1)[1][0].startswith("measuring 1 run")


def test_where_nothing_may_be_written_only_what_is_recorded_is_shown(trained: Bench) -> None:
    """As in an archive."""

    def refuse() -> None:
        raise RunError("archived")

    words = trained.look(), here(trained), None, print, refuse
    with pytest.raises(RunError, match="archived"):
        terms_table(*words)
    write(trained.folder(FITNETS), trained.folder(PURE), OwnLoss((1.0,), (2.0,), 2))
    write(trained.folder(LOGIT), trained.folder(PURE), OwnLoss((1.0,), (2.0,)))
    found, kept = terms_table(*words)
    assert kept and [row[-1] for row in found.rows[:2]] == ["yes", "yes"]


def test_recorded_losses_of_other_weights_are_not_used(trained: Bench) -> None:
    call(trained)
    own, pure = trained.folder(FITNETS), trained.folder(PURE)
    assert read(own, pure) is not None
    edit(own.own_loss, lambda content: content["measured_with"].update(pure="0" * 64))
    assert read(own, pure) is None
    assert call(trained)[1][0].startswith("measuring 1 run on the test images; training")


@pytest.mark.parametrize(
    ("losses", "word", "kept", "confidence"),
    [
        (OwnLoss((3.0, 4.0, 7.0), (4.5, 5.0, 6.0), 2), "no difference", True, "possible"),
        (OwnLoss((7.0, 8.0, 9.0), (4.5, 5.0, 6.0), 2), "NO", False, "certain"),
        (OwnLoss((1.0,), (4.5, 5.0, 6.0), 2), "yes", True, None),
    ],
)
def test_the_doctor_says_what_terms_says(
    trained: Bench, losses: OwnLoss, word: str, kept: bool, confidence: str | None
) -> None:
    cases = read_round(trained.workspace, trained.round)
    before, _, _ = report("round tiny", cases, trained.workspace.root)
    assert before.notes == (
        "Whether the method's own loss became lower is not checked for 2 distilled runs: "
        "`stillhouse verify --losses` does.",
    )
    write(trained.folder(FITNETS), trained.folder(PURE), losses)
    found, good = terms_table(trained.look("method=fitnets"), here(trained), None, print)
    assert (found.rows[0][-1], good) == (word, kept)
    assert "in 2 epochs each" in found.notes[1]
    shorter = replace(losses, fit_epochs=1)
    write(trained.folder(FITNETS), trained.folder(PURE), shorter)
    found, _ = terms_table(trained.look("method=fitnets"), here(trained), 1, print)
    assert "in 1 epoch each" in found.notes[1]
    told, _, _ = report(
        "round tiny", read_round(trained.workspace, trained.round), trained.workspace.root
    )
    rows = {row[0]: row[2:4] for row in told.rows if row[2] == "own-loss-not-lower"}
    assert rows == ({FITNETS: ("own-loss-not-lower", confidence)} if confidence else {})
