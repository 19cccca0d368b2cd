from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from stillhouse.config.schema import RunConfig, Teacher
from stillhouse.represent.analyse import tasks
from stillhouse.represent.matrix import Network, networks, same_layers, units
from stillhouse.represent.store import Header
from stillhouse.represent.targets import Target
from stillhouse.runs.folder import RunFolder


def target(
    method: str, model: str, seed: int, teacher: int | None = None, **more: Any
) -> tuple[Target, Header]:
    taught = None if teacher is None else Teacher(model="ResNet20", seed=teacher, **more)
    run = RunConfig(dataset="Digits", method=method, model=model, seed=seed, teacher=taught)
    return named(run.path, run)


def named(name: str, run: RunConfig) -> tuple[Target, Header]:
    place = Path(name)
    sha = "0" * 64
    one = Target(name, run, RunFolder(place), place, place, "final", place, sha, None)
    return one, Header(run.path, "Digits", sha, sha, "final", 1, sha, "1", "cpu")


def untrained() -> tuple[Target, Header]:
    run = RunConfig(dataset="Digits", method="pure", model="ResNet20", seed=0)
    return named("untrained/Digits/ResNet20/0", run)


def found() -> dict[str, Network]:
    stored = [target("pure", "ResNet20", seed) for seed in (0, 1)]
    for seed in (0, 1):
        stored.append(target("pure", "ResNetBaby", seed))
        stored.append(target("logit", "ResNetBaby", seed, seed))
        stored.append(target("label_smoothing", "ResNetBaby", seed))
        itself = Teacher(model="ResNetBaby", seed=seed)
        run = RunConfig(
            dataset="Digits", method="self", model="ResNetBaby", seed=seed, teacher=itself
        )
        stored.append(named(run.path, run))
    return networks([*stored, untrained()])


def kinds(name: str, known: dict[str, Network]) -> set[tuple[str, str]]:
    unit = next(unit for unit in units(known) if name in unit.members)
    return {(one.kind, one.other) for one in unit.comparisons[name]}


LOGIT = "Digits/logit/ResNet20_to_ResNetBaby"
TEACHER = "Digits/pure/ResNet20"
PURE = "Digits/pure/ResNetBaby"


def test_a_student_is_compared_with_every_reference() -> None:
    assert kinds(f"{LOGIT}/1", found()) == {
        ("own_teacher", f"{TEACHER}/1"),
        ("permuted", f"{TEACHER}/1"),
        ("cross_layer", f"{TEACHER}/1"),
        ("untrained", "untrained/Digits/ResNet20/0"),
        ("other_teacher", f"{TEACHER}/0"),
        ("student_pure", f"{PURE}/1"),
        ("student_student", f"{LOGIT}/0"),
    }


def test_pure_and_other_untaught_students_are_controls_with_their_seeds_teacher() -> None:
    for name in (PURE, "Digits/label_smoothing/ResNetBaby"):
        control = kinds(f"{name}/0", found())
        assert control == {
            ("pure_teacher", f"{TEACHER}/0"),
            ("pure_other_teacher", f"{TEACHER}/1"),
            ("permuted", f"{TEACHER}/0"),
            ("cross_layer", f"{TEACHER}/0"),
            ("untrained", "untrained/Digits/ResNet20/0"),
        }
    assert ("pure_pure", f"{PURE}/0") in kinds(f"{PURE}/1", found())


def test_a_pure_student_that_teaches_itself_is_one_of_the_pure_students() -> None:
    """The other tests hold beside it; its own student is compared with it."""
    own = "Digits/self/ResNetBaby_to_ResNetBaby"
    assert kinds(f"{own}/1", found()) == {
        ("own_teacher", f"{PURE}/1"),
        ("permuted", f"{PURE}/1"),
        ("cross_layer", f"{PURE}/1"),
        ("other_teacher", f"{PURE}/0"),
        ("student_student", f"{own}/0"),
    }


def test_teachers_are_compared_among_themselves() -> None:
    assert kinds(f"{TEACHER}/1", found()) == {("teacher_teacher", f"{TEACHER}/0")}
    assert kinds(f"{TEACHER}/0", found()) == set()


def test_a_task_has_every_network_that_it_reads() -> None:
    """Also the pure student of a control without a teacher, whose predictions are compared."""
    made = tasks(found(), ["agreement"])
    control = next(task for task in made if "Digits/label_smoothing/ResNetBaby/0" in task.pure)
    assert control.pure["Digits/label_smoothing/ResNetBaby/0"] == f"{PURE}/0"
    for task in made:
        read = {other for many in task.teachers.values() for _, other in many}
        read |= {*task.unit.members, *task.unit.others, *task.pure.values()}
        assert {*task.stores} == read


def test_a_pair_is_listed_once() -> None:
    known = found()
    listed = [
        (one.kind, *sorted((name, one.other)))
        for unit in units(known)
        for name, many in unit.comparisons.items()
        for one in many
    ]
    assert len(listed) == len(set(listed))


def test_a_borrowed_teacher_is_no_run_of_the_round() -> None:
    source = "elsewhere"
    student = target("logit", "ResNet20", 0, 0, source=source)
    pure = target("pure", "ResNet20", 0)
    run = RunConfig(dataset="Digits", method="pure", model="ResNet20", seed=0)
    borrowed = named(f"borrowed/{TEACHER}/0", run)
    known = networks([borrowed, pure, student])
    name = student[0].name
    assert ("own_teacher", f"borrowed/{TEACHER}/0") in kinds(name, known)
    assert ("student_pure", f"{TEACHER}/0") in kinds(name, known)
    assert ("pure_teacher", f"borrowed/{TEACHER}/0") in kinds(f"{TEACHER}/0", known)


def test_a_missing_network_is_in_no_pair() -> None:
    stored = [target("logit", "ResNetBaby", 0, 0), target("pure", "ResNetBaby", 0)]
    known = networks(stored)
    assert kinds(f"{LOGIT}/0", known) == {("student_pure", f"{PURE}/0")}


def test_layers_of_equal_depth() -> None:
    assert same_layers(("layer1", "layer2"), ("first", "second")) == {
        "layer1": "first",
        "layer2": "second",
    }
    assert same_layers(("layer1", "layer2"), ("layer2",)) == {"layer2": "layer2"}
    assert cast(dict[str, str], same_layers(("a",), ("b", "c"))) == {}
