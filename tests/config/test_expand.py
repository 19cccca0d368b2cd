from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillhouse import methods
from stillhouse.config.expand import expand
from stillhouse.config.schema import Round

BASE: dict[str, Any] = {
    "round": "trial",
    "datasets": ["Cifar10"],
    "teacher": "ResNet112",
    "students": ["ResNet56"],
    "methods": ["pure", "logit", "rkd"],
    "seeds": [0, 1],
}


def make(**fields: Any) -> Round:
    return Round.model_validate(BASE | fields)


def test_the_order_and_the_paths() -> None:
    assert [run.path for run in expand(make())] == [
        "Cifar10/pure/ResNet112/0",
        "Cifar10/pure/ResNet112/1",
        "Cifar10/pure/ResNet56/0",
        "Cifar10/logit/ResNet112_to_ResNet56/0",
        "Cifar10/rkd/ResNet112_to_ResNet56/0",
        "Cifar10/pure/ResNet56/1",
        "Cifar10/logit/ResNet112_to_ResNet56/1",
        "Cifar10/rkd/ResNet112_to_ResNet56/1",
    ]


def some(names: list[str]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(names), min_size=1, unique=True)


@settings(deadline=None, max_examples=50)
@given(
    datasets=some(["Cifar10", "SVHN", "Digits"]),
    students=some(["ResNet112", "ResNet56", "ResNet20"]),
    kinds=some(methods.names()),
    seeds=st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True),
    teacher_seeds=st.none() | st.lists(st.integers(0, 99), min_size=1, max_size=1),
    borrowed=st.booleans(),
    alphas=st.lists(st.sampled_from([0.1, 0.25, 0.5]), unique=True),
)
def test_counts(
    datasets: list[str],
    students: list[str],
    kinds: list[str],
    seeds: list[int],
    teacher_seeds: list[int] | None,
    borrowed: bool,
    alphas: list[float],
) -> None:
    round_ = make(
        datasets=datasets,
        students=students,
        methods=kinds,
        seeds=seeds,
        teacher_seeds=teacher_seeds,
        teachers_from="other" if borrowed else None,
        distillation={"total": "convex"},
        sweep={"alpha": alphas} if alphas else {},
    )
    runs = expand(round_)
    taught = [run for run in runs if run.method != "pure"]
    own_kind = "self" in kinds and not borrowed
    pure = {(s, seed) for s in students for seed in seeds} if own_kind or "pure" in kinds else set()
    if not borrowed:
        pure |= {("ResNet112", seed) for seed in teacher_seeds or seeds}
    distilling = len(set(kinds) - {"pure"})
    expected = distilling * len(students) * len(seeds) * max(1, len(alphas))
    assert len(taught) == expected * len(datasets)
    assert len(runs) - len(taught) == len(pure) * len(datasets)
    paths = [run.path for run in runs]
    assert len(set(paths)) == len(paths)
    for run in taught:
        here = run.method == "self" and (not borrowed or "pure" in kinds)
        alone = run.method in ("ce_scaled", "label_smoothing")
        assert (run.teacher is None) == alone
        source = None if here or not borrowed else "other"
        assert run.teacher is None or run.teacher.source == source
        if run.teacher_path is not None and source is None:
            assert paths.index(run.teacher_path) < paths.index(run.path)


def test_pure_students_only_where_listed() -> None:
    runs = expand(make(methods=["logit"]))
    assert {run.model for run in runs if run.method == "pure"} == {"ResNet112"}


def test_a_student_like_the_teacher_is_trained_once() -> None:
    paths = [run.path for run in expand(make(students=["ResNet112"], methods=["pure"]))]
    assert paths == ["Cifar10/pure/ResNet112/0", "Cifar10/pure/ResNet112/1"]
    other = expand(make(students=["ResNet112"], methods=["pure"], teacher_seeds=[7]))
    assert [run.seed for run in other] == [7, 0, 1]


@pytest.mark.parametrize(
    ("given_seeds", "taught_by"), [(None, [3, 5]), ([9], [9, 9]), ([8, 9], [8, 9])]
)
def test_teacher_seeds(given_seeds: list[int] | None, taught_by: list[int]) -> None:
    runs = expand(make(seeds=[3, 5], teacher_seeds=given_seeds, methods=["logit"]))
    taught = [run for run in runs if run.teacher is not None]
    assert [run.teacher.seed for run in taught if run.teacher] == taught_by
    assert [run.seed for run in taught] == [3, 5]


def test_borrowed_teachers_are_named_and_not_trained() -> None:
    runs = expand(make(teachers_from="beta"))
    assert all(run.model == "ResNet56" for run in runs)
    sources = {run.teacher.source for run in runs if run.teacher is not None}
    assert sources == {"beta"}
    assert runs[1].teacher_path == "Cifar10/pure/ResNet112/0"
    assert "Cifar10/pure/ResNet112/0" not in {run.path for run in runs}


def test_overrides_apply_in_the_order_dataset_model_method() -> None:
    overrides = {
        "datasets": {"Cifar10": {"epochs": 10, "batch_size": 10, "crop_padding": 10}},
        "models": {"ResNet56": {"epochs": 20, "batch_size": 20}},
        "methods": {"logit": {"epochs": 30, "total": "convex", "temperature": 2.0}},
    }
    found = {run.path: run for run in expand(make(overrides=overrides, seeds=[0]))}
    logit = found["Cifar10/logit/ResNet112_to_ResNet56/0"]
    recipe = logit.training
    assert (recipe.epochs, recipe.batch_size, recipe.crop_padding) == (30, 20, 10)
    assert logit.distillation.total == "convex"
    assert logit.parameters == {"temperature": 2.0}
    rkd = found["Cifar10/rkd/ResNet112_to_ResNet56/0"]
    assert (rkd.training.epochs, rkd.distillation.total, rkd.parameters) == (20, "reference", {})
    assert found["Cifar10/pure/ResNet112/0"].training.epochs == 10


def test_sweeps_reach_the_methods_that_have_the_axis() -> None:
    runs = expand(
        make(
            seeds=[0],
            distillation={"total": "convex"},
            sweep={"alpha": [0.25, 0.5], "temperature": [2, 4]},
        )
    )
    logit = [run for run in runs if run.method == "logit"]
    assert [run.path.split("/")[2:4] for run in logit] == [
        ["alpha_0.25", "temperature_2"],
        ["alpha_0.25", "temperature_4"],
        ["alpha_0.5", "temperature_2"],
        ["alpha_0.5", "temperature_4"],
    ]
    assert [run.parameters["temperature"] for run in logit] == [2, 4, 2, 4]
    assert [run.distillation.alpha for run in runs if run.method == "rkd"] == [0.25, 0.5]
    assert all(not run.axes and run.distillation.alpha is None for run in runs[:2])


def test_a_label_has_the_values_of_swept_axes() -> None:
    runs = expand(make(methods=["pure", "logit"], sweep={"alpha": [0.5], "temperature": [4.0]}))
    assert list(dict.fromkeys(run.label for run in runs)) == [
        "pure",
        "logit alpha=0.5 temperature=4",
    ]
