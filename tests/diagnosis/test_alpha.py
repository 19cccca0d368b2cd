"""Round alpha's real records: what went wrong with them is known."""

from __future__ import annotations

import pytest

from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.diagnose import diagnose
from stillhouse.diagnosis.read import read_round
from stillhouse.diagnosis.report import report, verdict
from stillhouse.exchange.scripts.write import Import
from stillhouse.rounds.workspace import Workspace

STUDENT = "ResNet112_to_ResNet56"
# Students that were started while their teacher was still in training, by the times in the logs.
EARLY = {
    *(f"Cifar10/logit/{STUDENT}/{seed}" for seed in (0, 1, 2)),
    *(f"Cifar100/logit/{STUDENT}/{seed}" for seed in (0, 2)),
}


@pytest.fixture(scope="module")
def cases(alpha: Import) -> list[Case]:
    return read_round(Workspace(alpha.file.parent), alpha.round)


def test_every_failure_is_named_and_nothing_else(cases: list[Case]) -> None:
    first = {case.path: found[0].code for case in cases if (found := diagnose(case))}
    expected = {case.path: "missing-module" for case in cases if case.path.startswith("SVHN/")}
    expected |= {f"{name}/rkd/{STUDENT}/0": "collapse" for name in ("Cifar10", "Cifar100")}
    expected |= {
        "TinyImageNet/pure/ResNet112/0": "walltime",
        f"TinyImageNet/logit/{STUDENT}/0": "walltime",
        "Cifar10/pure/ResNet112/0": "slow-start",
    }
    expected |= dict.fromkeys(EARLY, "half-trained-teacher")
    assert first == expected
    assert len(cases) == 43


def test_both_things_that_are_wrong_with_the_tiny_student(cases: list[Case]) -> None:
    (student,) = (c for c in cases if c.path == f"TinyImageNet/logit/{STUDENT}/0")
    assert [finding.code for finding in diagnose(student)] == ["walltime", "half-trained-teacher"]


def test_completed_runs_that_learned_nothing_are_at_chance(cases: list[Case]) -> None:
    found = [case for case in cases if case.done and case.learned_nothing]
    assert [case.path for case in found] == [
        f"Cifar10/rkd/{STUDENT}/0",
        f"Cifar100/rkd/{STUDENT}/0",
    ]
    assert {verdict(case, diagnose(case)[0]) for case in found} == {"at chance"}


def test_a_teacher_in_training_makes_a_number_invalid_and_is_an_estimate(cases: list[Case]) -> None:
    early = [(case, diagnose(case)[0]) for case in cases if case.path in EARLY]
    assert {(verdict(*one), one[1].confidence) for one in early} == {("invalid", "likely")}


def test_evidence_is_the_line_of_the_file(cases: list[Case], alpha: Import) -> None:
    table, _, wrong = report("alpha", cases, alpha.file.parent)
    evidence = {row[0]: row[4] for row in table.rows}
    assert wrong
    assert evidence["SVHN/pure/ResNet112/0"] == (
        "experiments/SVHN/pure/ResNet112/0/imported/errors:17: "
        "ModuleNotFoundError: No module named 'scipy'"
    )
    cures = {row[2]: row[5] for row in table.rows}
    assert "continue it where it was trained" in str(cures["walltime"])
    collapsed = evidence[f"Cifar10/rkd/{STUDENT}/0"]
    assert "metrics.jsonl:150: test loss 2.3026 (ln C = 2.3026)" in str(collapsed)
