"""What is known of methods without torch agrees with their classes."""

from __future__ import annotations

import pytest

from stillhouse import methods
from stillhouse.config.expand import expand
from stillhouse.config.schema import Round


@pytest.mark.parametrize("method", methods.names())
def test_what_is_read_from_the_source_is_what_the_class_says(method: str) -> None:
    kind = methods.load(method)
    assert methods.declared(method).label == kind.label
    assert methods.declared(method).taught_by == kind.taught_by
    assert methods.declared(method).parameters == tuple(kind.Config.model_fields)
    assert ("teacher" in kind.needs) == (kind.taught_by != "nobody")


def trial(**fields: object) -> Round:
    base = {
        "round": "trial",
        "datasets": ["Digits"],
        "teacher": "ResNet20",
        "students": ["ResNetBaby"],
        "methods": ["self"],
        "seeds": [0, 1],
        "teacher_seeds": [7],
    }
    return Round.model_validate(base | fields)


def test_a_method_taught_by_the_students_kind_trains_it_first_at_the_students_seed() -> None:
    runs = expand(trial())
    assert [run.path for run in runs] == [
        "Digits/pure/ResNet20/7",
        "Digits/pure/ResNetBaby/0",
        "Digits/pure/ResNetBaby/1",
        "Digits/self/ResNetBaby_to_ResNetBaby/0",
        "Digits/self/ResNetBaby_to_ResNetBaby/1",
    ]
    assert runs[-1].teacher_path == runs[2].path == runs[-1].pure_path
    assert expand(trial(methods=["pure", "self"])) == runs
    assert expand(trial(methods=["self", "pure"])) == runs


def test_with_borrowed_teachers_the_own_kind_is_borrowed_unless_trained_here() -> None:
    borrowed = expand(trial(teachers_from="beta", teacher_seeds=None))
    assert {run.method for run in borrowed} == {"self"}
    assert {run.teacher.source for run in borrowed if run.teacher} == {"beta"}
    here = expand(trial(teachers_from="beta", teacher_seeds=None, methods=["pure", "self"]))
    assert [run.teacher.source for run in here if run.teacher] == [None, None]


def test_a_sweep_of_a_method_without_a_teacher_keeps_its_runs_apart() -> None:
    swept = trial(
        methods=["ce_scaled"],
        seeds=[0],
        distillation={"total": "convex"},
        sweep={"alpha": [0.25, 0.5]},
    )
    assert [run.path for run in expand(swept)][1:] == [
        "Digits/ce_scaled/alpha_0.25/ResNetBaby/0",
        "Digits/ce_scaled/alpha_0.5/ResNetBaby/0",
    ]


def test_defaults_and_pretraining_are_read_without_torch() -> None:
    expected = {"temperature": 4.0, "standardise": False}
    assert methods.declared("logit").defaults == methods.declared("self").defaults == expected
    assert methods.declared("pure").defaults == {}
    assert [name for name in methods.names() if methods.declared(name).pretrains] == [
        "factor_transfer"
    ]


def test_methods_are_listed_by_family_and_then_by_year() -> None:
    listed = methods.names()
    assert listed[:2] == ["pure", "logit"]
    families = [methods.load(name).family for name in listed]
    assert families == sorted(families, key=methods.FAMILIES.index)
    assert "custom" not in families
    assert listed.index("fitnets") < listed.index("attention_transfer") < listed.index("vid")
