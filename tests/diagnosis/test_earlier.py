"""A round beside the earlier one that it names."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from script_records import ScriptRounds
from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.observations.earlier import beside_earlier
from stillhouse.diagnosis.observations.rules import observe
from stillhouse.exchange.scripts.write import import_round
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace

T, P = "Cifar10/pure/ResNet112", "Cifar10/pure/ResNet56"
L, R = "Cifar10/logit/ResNet112_to_ResNet56", "Cifar10/rkd/ResNet112_to_ResNet56"
HEAD = "dataset,method,model,seed,accuracy,kind,status,epoch\n"
CLOSE = {"pure": (70.0, 70.4, 70.8), "logit": (70.2, 70.6, 71.0), "rkd": (70.1, 70.5, 70.9)}


@pytest.fixture
def survey(tmp_path: Path) -> Survey:
    source = ScriptRounds(tmp_path / "source")
    runs = {T: (94.0, 94.2, 94.1), P: (80.0, 80.3, 80.1), L: (84.0, 84.6, 84.8), R: (88.0, 88.4)}
    for path, values in runs.items():
        for seed, accuracy in enumerate(values):
            source.run(f"{path}/{seed}", [50.0 + seed, accuracy])
    done = import_round(source.root, "later", tmp_path / "later")
    found = survey_round(Workspace(done.file.parent), done.round)
    return replace(found, round=done.round.model_copy(update={"compares_to": "before"}))


def results(folder: Path, arms: dict[str, tuple[float, ...]], status: str = "completed") -> Path:
    rows = [
        f"Cifar10,{method},ResNet56,{seed},{accuracy},best_epoch,{status},150\n"
        for method, values in arms.items()
        for seed, accuracy in enumerate(values)
    ]
    teacher = "Cifar10,pure,ResNet112,0,20.0,best_epoch,completed,150\n"
    (folder / "before_results.csv").write_text(HEAD + teacher + "".join(rows))
    return folder / "later.yaml"


def say(survey: Survey, file: Path) -> list[Finding]:
    return list(beside_earlier(survey, file, "final"))


def test_arms_that_differ_more_than_before_are_told_with_both_spreads(
    survey: Survey, tmp_path: Path
) -> None:
    (found,) = say(survey, results(tmp_path, CLOSE))
    assert found.text.startswith("More differentiated than round before")
    assert "3 arms spread by 4.04" in found.text  # sd of 80.13, 84.47 and 88.20
    assert "in before 0.10 and 0.40, a ratio of 0.2" in found.text  # no teacher among the arms
    assert f"{R}/1" in found.runs
    assert f"{T}/0" not in found.runs


def test_arms_that_differ_less_than_before_are_told(survey: Survey, tmp_path: Path) -> None:
    far = {"pure": (10.0, 10.1, 10.2), "logit": (50.0, 50.1, 50.2), "rkd": (90.0, 90.1, 90.2)}
    (found,) = say(survey, results(tmp_path, far))
    assert found.text.startswith("Not more differentiated")


def test_only_completed_arms_of_both_rounds_are_compared(survey: Survey, tmp_path: Path) -> None:
    two = {"pure": CLOSE["pure"], "nst": (10.0, 20.0, 30.0), "logit": CLOSE["logit"]}
    (found,) = say(survey, results(tmp_path, two))
    assert "2 arms" in found.text
    assert say(survey, results(tmp_path, CLOSE, status="failed")) == []


def test_without_the_earlier_results_nothing_is_said(survey: Survey, tmp_path: Path) -> None:
    assert say(survey, tmp_path / "later.yaml") == []
    alone = replace(survey, round=survey.round.model_copy(update={"compares_to": None}))
    assert say(alone, results(tmp_path, CLOSE)) == []


def test_arms_of_several_published_teachers_stay_apart(survey: Survey, tmp_path: Path) -> None:
    """Pooled, the two arms of logit would have one mean and a spread of seeds of 20 points."""
    rows = [
        f"Cifar10,{method},ResNet56,{seed},{accuracy},final_epoch,completed,150,,,{teacher},\n"
        for method, teacher, start in (("pure", "", 50), ("logit", "A", 40), ("logit", "B", 80))
        for seed, accuracy in enumerate((start, start + 1, start + 2))
    ]
    head = HEAD.replace("epoch\n", "epoch,n,sd,teacher,source\n")
    (tmp_path / "before_results.csv").write_text(head + "".join(rows))
    (found,) = say(survey, tmp_path / "later.yaml")
    assert "in before 20.82 and 1.00" in found.text


def test_the_answer_stands_before_the_other_findings(survey: Survey, tmp_path: Path) -> None:
    found = observe(survey, file=results(tmp_path, CLOSE))
    of_results = [one.code for one in found if one.level == "finding"]
    assert of_results[0] == "more-differentiated" and len(of_results) > 1
