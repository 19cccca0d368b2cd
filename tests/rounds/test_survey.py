from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from fake_rounds import LOGIT, PURE, RKD, TEACHER, Bench
from stillhouse.errors import ConfigError
from stillhouse.rounds.survey import failures, select
from stillhouse.show.status import status_table, summary


@pytest.fixture
def mixed(bench: Bench) -> Bench:
    """A round with a run in every state."""
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.end(f"{TEACHER}/1", "failed", "the loss term 'ce' is not finite")
    bench.begin(f"{LOGIT}/0")
    bench.end(f"{RKD}/0", "stopped", "received SIGTERM")
    bench.end(f"{PURE}/0", "lost")
    bench.finish(f"{PURE}/1", 80.0)
    bench.folder(f"{PURE}/1").result.write_text("{")
    return bench


def test_every_state_is_read_from_the_files(mixed: Bench) -> None:
    survey = mixed.look()
    assert {cell.config.path: cell.shown for cell in survey.cells} == {
        f"{TEACHER}/0": "done",
        f"{TEACHER}/1": "failed",
        f"{PURE}/0": "lost",
        f"{LOGIT}/0": "running",
        f"{RKD}/0": "stopped",
        f"{PURE}/1": "unreadable",
        f"{LOGIT}/1": "waiting",
        f"{RKD}/1": "waiting",
    }
    assert survey.count("waiting") == 2


def test_a_completed_run_that_learned_nothing_is_at_chance(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 90.0)
    bench.finish(f"{PURE}/0", 10.0)
    survey = bench.look()
    shown = {cell.config.path: cell.shown for cell in survey.cells}
    assert (shown[f"{TEACHER}/0"], shown[f"{PURE}/0"]) == ("done", "at chance")
    assert (survey.count("done"), survey.count("at chance")) == (1, 1)
    assert [cell.config.path for cell in failures(survey.cells)] == [f"{PURE}/0"]
    notes = status_table(survey).notes
    assert notes == (f"{PURE}/0: at chance: {failures(survey.cells)[0].learned_nothing}",)
    assert "10.00 %" in notes[0]


def test_a_round_at_chance_is_trained_and_says_what_to_change(bench: Bench) -> None:
    assert summary(bench.look(), Path("there")) == "0 of 8 runs done; they are in there"
    for cell in bench.look().cells:
        bench.finish(cell.config.path, 90.0 if cell.config.path.startswith(TEACHER) else 10.0)
    survey = bench.look()
    assert survey.trained
    first, count, reason, cure = summary(survey, Path("there")).splitlines()
    assert first == "8 of 8 runs trained to the end; they are in there"
    assert count == "6 of them are not above chance and count in no table:"
    assert reason.startswith(f"    {PURE}/0: after ")
    assert "10.00 %" in reason
    assert "more epochs or train_images" in cure


def test_a_student_is_queued_once_its_teacher_is_done(bench: Bench) -> None:
    before = Counter(cell.shown for cell in bench.look().cells)
    bench.finish(f"{TEACHER}/1", 90.0)
    after = {cell.config.path: cell.shown for cell in bench.look().cells}
    assert before == {"queued": 4, "waiting": 4}
    assert (after[f"{LOGIT}/1"], after[f"{LOGIT}/0"]) == ("queued", "waiting")


def test_what_needs_attention_has_a_reason(mixed: Bench) -> None:
    reasons = {cell.config.path: cell.state.reason for cell in failures(mixed.look().cells)}
    assert reasons[f"{TEACHER}/1"] == "the loss term 'ce' is not finite"
    assert "process" in reasons[f"{PURE}/0"]
    assert "result.json: not readable as JSON" in reasons[f"{PURE}/1"]
    assert len(reasons) == 3


@pytest.mark.parametrize(
    ("only", "expected"),
    [
        ("seed=1", {f"{TEACHER}/1", f"{PURE}/1", f"{LOGIT}/1", f"{RKD}/1"}),
        ("method=rkd,seed=0", {f"{TEACHER}/0", f"{RKD}/0"}),
        ("method=rkd,method=logit,seed=0", {f"{TEACHER}/0", f"{RKD}/0", f"{LOGIT}/0"}),
        ("model=ResNet20", {f"{TEACHER}/0", f"{TEACHER}/1"}),
        ("method=pure,model=ResNetBaby,dataset=Digits", {f"{PURE}/0", f"{PURE}/1"}),
    ],
)
def test_only_selects_runs_and_their_teachers(bench: Bench, only: str, expected: set[str]) -> None:
    assert {cell.config.path for cell in bench.look(only).cells} == expected
    assert {run.path for run in select(list(bench.runs.values()), only)} == expected


@pytest.mark.parametrize(
    ("only", "message", "hint"),
    [
        ("method=pure,method=lgoit", "method 'lgoit'", "did you mean 'logit'? known: logit, pure"),
        ("seed=0,dataset=SVHN", "dataset 'SVHN'", "known: Digits"),
        ("method=logit,model=ResNet20", "selects no run", "stillhouse plan"),
        ("color=red", "'color=red' is not key=value", "dataset, method, model, teacher, seed"),
        ("seed", "'seed' is not key=value", "dataset, method, model, teacher, seed"),
        ("", "'' is not key=value", "dataset, method, model, teacher, seed"),
    ],
)
def test_a_wrong_filter_is_refused(bench: Bench, only: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        bench.look(only)
    assert message in caught.value.message
    assert hint in caught.value.hint


def test_anothers_teacher_is_not_taken_for_the_own_pure_run_of_its_name(tmp_path: Path) -> None:
    """Teacher and student share architecture and seed, but lie in two workspaces."""
    Bench(tmp_path / "first").finish(f"{TEACHER}/0", 90.0)
    later = Bench(tmp_path / "later", teachers_from="../first", students=["ResNet20"], seeds=[0])
    assert {cell.config.path: cell.shown for cell in later.look().cells} == {
        f"{TEACHER}/0": "queued",
        "Digits/logit/ResNet20_to_ResNet20/0": "queued",
        "Digits/rkd/ResNet20_to_ResNet20/0": "queued",
    }
    later.finish(f"{TEACHER}/0", 50.0)
    assert later.look().cells[0].state.result["final"]["test"]["accuracy"] == 50.0
    chosen = {cell.config.path for cell in later.look("method=rkd").cells}
    assert chosen == {"Digits/rkd/ResNet20_to_ResNet20/0"}
