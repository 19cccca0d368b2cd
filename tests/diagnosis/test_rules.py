"""Every rule over curves: a record that shows the cause, and a near miss that does not."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from math import log
from pathlib import Path
from typing import Any

import pytest

from fake_cases import DONE, FALLING, RISING, among, case, causes, config, records, shifted, taught
from stillhouse.diagnosis import case as case_module
from stillhouse.diagnosis import comparisons
from stillhouse.diagnosis.case import Case, Peers
from stillhouse.diagnosis.codes import OF_ROUNDS, OF_RUNS, Code
from stillhouse.diagnosis.diagnose import diagnose
from stillhouse.diagnosis.observations.validity import ASKED, ASKED_RULES
from stillhouse.diagnosis.report import verdict
from stillhouse.runs.own_loss import OwnLoss
from stillhouse.runs.state import RunState

GUESS = (10.0,) * 10
UNIFORM = (log(10),) * 10
PURE = case()
TEACHER = case(config=config(model="ResNet112"), records=records(shifted(-3)))
RUNNING = RunState("running", "process 1", epoch=3)


def student(own: tuple[Any, ...], **changes: Any) -> Case:
    return case("logit", records=own, peers=(PURE,), teacher=TEACHER, **changes)


def early(accuracy: tuple[float, ...], **recipe: Any) -> Case:
    """A run whose first epochs are given, beside a usual one."""
    whole = records((*accuracy, *RISING)[:10])
    return case(records=whole, config=config(**recipe), peers=(case(config=config(seed=1)),))


def weak(points: float, **changes: Any) -> Case:
    """A good student of a teacher that ends, cut short, some points below pure students."""
    late = [value + LESS - points for value in LATE]
    teacher = replace(TEACHER, records=records(late, lr=(0.1,) * 10))
    return replace(student(taught(2.0)), teacher=replace(teacher, **changes))


def spread(own: Case) -> Case:
    """A student beside pure runs whose seeds are far apart."""
    seeds = [replace(PURE, config=config(seed=n)) for n in range(3)]
    far = [replace(one, records=records(shifted(5 * n))) for n, one in enumerate(seeds)]
    return among(own, *far)


def sweep(*points: float, tests: float = 5.0) -> Case:
    """The student of the largest alpha; each fits its training images some points worse."""
    arms = [
        case(
            "logit",
            config=config("logit").model_copy(update={"axes": {"alpha": (n + 1) / 4}}),
            records=records(shifted(tests + n / 9), train__accuracy=shifted(lost)),
            peers=(PURE,),
            teacher=TEACHER,
        )
        for n, lost in enumerate(points)
    ]
    return among(arms[-1], PURE, *arms[:-1])


BEHIND: dict[str, Any] = {"train__accuracy": shifted(12), "test__accuracy": shifted(12)}
TRAINS_WORSE: dict[str, Any] = {"train__accuracy": shifted(12)}
LOST: dict[str, Any] = {"train__accuracy": GUESS, "test__accuracy": GUESS, "test__ce": UNIFORM}
LESS = 0.3  # how much lower LATE ends than RISING, as means of two epochs
LATE = (*RISING[:5], 77.0, 79.5, 80.0, 82.0, 84.5)
CASES: list[tuple[str, Case, str | None]] = [
    ("healthy", PURE, None),
    ("healthy student", student(taught(2.0)), None),
    ("bare healthy records", case(records=records(bare=True)), None),
    # The weights stand still.
    (
        "still",
        case(records=records(GUESS, update_ratio=(0.0,) * 10)),
        "optimizer-never-stepped",
    ),
    ("hardly moves", case(records=records(update_ratio=(1e-5,) * 10)), None),
    (
        "skipped",
        case(records=records(GUESS, scaler__skipped=(300,) * 10)),
        "optimizer-never-stepped",
    ),
    ("skipped while the scale settles", case(records=records(scaler__skipped=(16,) * 10)), None),
    (
        "flat loss, test loss not ln C",
        case(records=records(GUESS, bare=True, train__total=(5.3,) * 10, test__ce=(5.4,) * 10)),
        "optimizer-never-stepped",
    ),
    (
        "flat loss, test loss ln C",
        case(records=records(GUESS, bare=True, train__total=(5.3,) * 10, test__ce=UNIFORM)),
        "collapse",
    ),
    # A constant answer.
    (
        "one class",
        case(records=records(GUESS, test__classes_predicted=(1,) * 10, test__ce=(3.0,) * 10)),
        "collapse",
    ),
    (
        "one class at first",
        case(records=records(test__classes_predicted=(1, *(10,) * 9))),
        None,
    ),
    (
        "still at chance in epoch 3",
        case(state=RUNNING, records=records(GUESS, test__ce=UNIFORM)[:3]),
        None,
    ),
    # What was learned is lost.
    ("lost", case(records=records((*RISING[:8], 60.0, 60.0))), "divergence"),
    ("dipped", case(records=records((*RISING[:8], 66.0, 66.0))), None),
    ("exploded", case(records=records(GUESS, test__ce=(1500.0,) * 10)), "divergence"),
    # Labels that do not belong to the images.
    (
        "fits the training images only",
        case(records=records(GUESS, train__accuracy=RISING, test__ce=(4.0,) * 10)),
        "bad-data",
    ),
    (
        "at chance for no known reason",
        case(records=records(GUESS, test__ce=(4.0,) * 10)),
        "nothing-learned",
    ),
    ("hard labels", case(records=records((25.0,) * 10, test__ce=(2.2,) * 10)), None),
    # The method's own loss, as `terms` recorded it.
    (
        "own loss higher",
        student(taught(2.0), own_loss=OwnLoss((2.0,), (1.0,))),
        "own-loss-not-lower",
    ),
    ("own loss lower", student(taught(2.0), own_loss=OwnLoss((1.0,), (2.0,))), None),
    # The distillation term.
    ("drowned", student(taught(20.0, train__ce=(2.0,) * 10, **BEHIND)), "kd-dominates"),
    ("drowned at chance", student(taught(20.0, train__ce=(2.3,) * 10, **LOST)), "kd-dominates"),
    ("opposed", student(taught(20.0, -0.3, **BEHIND)), "kd-dominates"),
    ("opposed, behind in training only", student(taught(20.0, -0.3, **TRAINS_WORSE)), None),
    ("strong but agreeing", student(taught(20.0)), None),
    ("opposed, yet as good as pure", student(taught(20.0, -0.3)), None),
    ("inert", student(taught(0.005)), "kd-inert"),
    (
        "without a coefficient",
        student(records(weights__ce=(1.0,) * 10, weights__kd=(0.0,) * 10)),
        "kd-inert",
    ),
    (
        "from the second half on",
        student(records(weights__ce=(1.0,) * 10, weights__kd=(0.0,) * 5 + (1.0,) * 5)),
        None,
    ),
    ("weak but there", student(taught(0.02)), None),
    ("held back for no known reason", student(records(**BEHIND)), None),
    ("held back the more, the larger alpha", sweep(5.0, 9.0, 12.0), "over-regularised"),
    ("held back, but not by alpha", sweep(5.0, 4.0, 12.0), None),
    ("held back by alpha, two values only", sweep(5.0, 12.0), None),
    ("trains worse with alpha, tests as well", sweep(5.0, 9.0, 12.0, tests=-1.0), None),
    (
        "held back by a recipe with more regularisation",
        student(records(**BEHIND), config=config("logit", label_smoothing=0.9)),
        "over-regularised",
    ),
    (
        "held back with another recipe",
        student(records(**BEHIND), config=config("logit", batch_size=8)),
        "confounded",
    ),
    (
        "opposed, but behind as pure seeds are behind each other",
        spread(student(taught(20.0, -0.3, **BEHIND))),
        None,
    ),
    # The length of the training.
    ("cut short", case(records=records(LATE, lr=(0.1,) * 10)), "under-trained"),
    ("at rest at a high rate", case(records=records(lr=(0.1,) * 10)), None),
    ("gains at its floor", case(records=records(LATE)), None),
    (
        "overfit",
        case(
            records=records(
                test__ce=(*FALLING[:5], 1.0, 1.1, 1.2, 1.3, 1.4),
                train__accuracy=(*RISING[:5], 85.0, 90.0, 95.0, 97.0, 99.0),
            )
        ),
        "overfit",
    ),
    (
        "test loss up, no gap",
        case(records=records(test__ce=(*FALLING[:5], 1.0, 1.1, 1.2, 1.3, 1.4))),
        None,
    ),
    ("slow start", early((10.0, 10.0, 12.0, 15.0, 20.0)), "slow-start"),
    ("slow start by warm-up", early((10.0, 10.0, 12.0, 15.0, 20.0), warmup_epochs=5), None),
    ("one bad epoch", early((10.0,)), None),
    # The teacher.
    ("weak teacher", weak(4.0), "half-trained-teacher"),
    ("slightly worse teacher", weak(0.5), None),
    ("weak teacher, trained to its end", weak(0.0, records=records(shifted(4))), None),
    (
        "teacher of few epochs",
        weak(0.0, records=records(shifted(4)), config=config(model="ResNet112", epochs=4)),
        "half-trained-teacher",
    ),
    ("teacher still training", weak(-3.0, state=RUNNING), "half-trained-teacher"),
    ("teacher at chance", weak(0.0, records=records(GUESS)), "half-trained-teacher"),
    # Other runs.
    (
        "smoothing in one arm",
        case("logit", config=config("logit", label_smoothing=0.1), peers=(PURE,)),
        "confounded",
    ),
    (
        "smoothing in the teacher",
        among(PURE, replace(TEACHER, config=config(model="ResNet112", label_smoothing=0.1))),
        None,
    ),
]


@pytest.mark.parametrize(("name", "found", "code"), CASES, ids=[name for name, *_ in CASES])
def test_the_first_cause(name: str, found: Case, code: str | None) -> None:
    assert causes(found)[:1] == ([code] if code else [])


ENDS = [replace(PURE, state=RunState("failed", "x", code=code)) for code in ASKED]


def test_observe_asks_the_rules_that_find_its_causes() -> None:
    found = [found for _, found, _ in CASES] + ENDS
    asked = [[one for one in diagnose(each, ASKED_RULES) if one.code in ASKED] for each in found]
    assert asked == [[one for one in diagnose(each) if one.code in ASKED] for each in found]
    assert {one.code for each in asked for one in each} == {*ASKED}


def test_every_rule_over_curves_has_a_case() -> None:
    by_text = {"missing-module", "oom-gpu", "oom-limit", "oom-host", "disk", "walltime", "killed"}
    others = {
        "crash",
        "unfinished",
        "stale-heartbeat",
        "blocked",
        "wrong-teacher",
        "changed-teacher",
    }
    shown = {code for _, _, code in CASES} | {"identical-curves"}
    assert {code.name for code in OF_RUNS} - by_text - others - shown == set()


def test_teachers_that_are_not_the_recorded_ones() -> None:
    result = {"weights": {"final": "aa"}, "final": {"test": {"accuracy": 80.0}}}
    teacher = replace(TEACHER, state=replace(DONE, result=result))
    used = {"model": "ResNet112", "seed": 0, "weights": "final", "sha256": "aa", "accuracy": 80.1}

    def first(**changes: Any) -> list[str]:
        facts = {"teacher": used | changes}
        return causes(replace(student(taught(2.0)), teacher=teacher, facts=facts))

    assert first() == []
    assert first(sha256="bb") == ["changed-teacher"]
    assert first(seed=1) == ["wrong-teacher"]
    assert first(accuracy=79.7) == ["wrong-teacher"]
    assert first(finished_before=False, epoch_at_start=7) == ["half-trained-teacher"]


def test_images_that_others_did_not_see() -> None:
    peers = tuple(case(config=config(seed=n), facts={"data": "aa"}) for n in (1, 2))
    assert causes(case(peers=peers, facts={"data": "aa"})) == []
    assert causes(case(peers=peers, facts={"data": "bb"})) == ["bad-data"]
    assert causes(case(peers=peers[:1], facts={"data": "bb"})) == []


def test_identical_curves_of_unlike_runs() -> None:
    peer = case("logit", config=config("logit", seed=3), records=records())
    own = case("logit", records=records())
    assert causes(among(own, peer)) == ["identical-curves"]
    other = replace(peer, records=records((*RISING[:9], 83.7)))
    assert causes(among(own, other)) == []
    assert causes(among(own, replace(peer, config=own.config))) == []


def test_identical_curves_of_two_seeds() -> None:
    own, peer = (case(config=config(seed=n), records=records()) for n in (0, 1))
    assert causes(among(own, peer)) == ["identical-curves"]


def test_null_is_pure_by_another_name() -> None:
    """Unless its weight is not 1, or its seed another."""
    null = config("ce_scaled")
    own = case("ce_scaled", config=null, records=records(), facts={"coefficients": {"ce": 1.0}})
    assert causes(among(own, replace(own, config=config()))) == []
    assert causes(among(own, replace(own, config=config(seed=1)))) != []
    other = replace(own, facts={"coefficients": {"ce": 0.1}})
    assert causes(among(other, replace(own, config=config()))) == ["identical-curves"]


@pytest.mark.parametrize(
    ("found", "word"),
    [
        (weak(-3.0, state=RUNNING), "invalid"),
        (case(records=records((*RISING[:8], 60.0, 60.0))), "invalid"),
        (case(records=records(GUESS, test__ce=UNIFORM)), "at chance"),
        (student(taught(20.0, train__ce=(2.3,) * 10, **LOST)), "at chance"),
        (student(taught(0.005)), "caution"),
        (case(state=RunState("failed", "chance"), records=records(GUESS)), "failed"),
        (replace(PURE, state=RunState("lost", "cut off", code="walltime")), "stuck"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_cause_makes_of_a_run(found: Case, word: str) -> None:
    """Unsound is what `status` calls so: a result at chance."""
    assert verdict(found, diagnose(found)[0]) == word


def test_several_causes_stand_in_order() -> None:
    """What ended the run, then what makes it invalid, then cautions."""
    both = replace(
        student(taught(0.001)),
        state=RunState("lost", "cut off", epoch=10, code="walltime"),
        teacher=replace(TEACHER, state=RUNNING),
    )
    assert causes(both) == ["walltime", "half-trained-teacher", "kd-inert"]
    ranks = [finding.rank for finding in diagnose(both)]
    assert ranks == sorted(ranks)


def test_evidence_names_the_epochs_line() -> None:
    (finding,) = diagnose(case(records=records((*RISING[:8], 60.0, 60.0))))
    assert [line.number for line in finding.evidence] == [8, 10]


def test_the_work_grows_with_the_number_of_runs_and_not_with_its_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Counted: how often a rule looks at a run's settings or at its records."""
    calls = 0

    def counting(function: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any) -> Any:
            nonlocal calls
            calls += 1
            return function(*arguments)

        return counted

    for module, name in (
        (case_module, "_column"),
        (case_module, "_recipe"),
        (comparisons, "counted"),
    ):
        monkeypatch.setattr(module, name, counting(getattr(module, name)))

    def work(runs: int) -> int:
        nonlocal calls
        calls = 0
        bare = [
            case(method, config=config(method, seed=seed), facts={"data": "aa"})
            for seed in range(runs // 2)
            for method in ("pure", "logit")
        ]
        shared = Peers(tuple(bare))
        for one in bare:
            diagnose(replace(one, peers=shared))
        return calls

    assert work(80) < 2.2 * work(40)


@pytest.mark.parametrize(
    ("page", "codes"), [("doctor.md", OF_RUNS), ("statistics.md", OF_ROUNDS)], ids=str
)
def test_the_pages_list_every_code(page: str, codes: tuple[Code, ...]) -> None:
    text = (Path(__file__).parents[2] / "docs" / page).read_text()
    rows = "\n".join(line.split("|")[1] for line in text.splitlines() if line.startswith("|"))
    assert {code.name for code in codes} - set(re.findall(r"[a-z]+(?:-[a-z]+)*", rows)) == set()


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([{"a": {"b": 1}}, {"a": {"b": 2.5}}], [1.0, 2.5]),
        ([{"a": {"b": 1}}, {"a": {}}], []),
        ([{"a": {"b": 1}}, {"a": {"b": "2"}}], []),
        ([{"a": {"b": 1}}, {"a": 3}], []),
        ([{"a": {"b": {"c": 1}}}], []),
    ],
)
def test_a_series_is_empty_unless_every_epoch_has_its_number(
    fields: list[dict[str, Any]], expected: list[float]
) -> None:
    assert case(records=tuple(fields)).series("a.b") == expected
