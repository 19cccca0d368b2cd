"""Which representations of a round are compared with which, and as what. Imports no torch.

The kinds of pairs (column `kind` of `pairs.csv`), run a being compared with run b:

    own_teacher      a student, its teacher
    other_teacher    a student, a teacher of the same kind that another seed trained
    pure_teacher     a network that nobody has_teacher, the teacher of its seed's students
    pure_other_teacher    the same network, a teacher of that kind that another seed trained
    student_pure     a student, the pure student of its seed
    teacher_teacher, pure_pure, student_student    two seeds of one arm
    untrained        a student or pure student, an untrained network of its teacher's kind
    permuted         the same as own_teacher or pure_teacher, the teacher's rows permuted
    cross_layer      the same as own_teacher or pure_teacher, all pairs of different layers
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from stillhouse.config.schema import PURE, RunConfig
from stillhouse.represent.store import Header
from stillhouse.represent.targets import UNTRAINED, Target, teacher_name

Kind = Literal[
    "own_teacher",
    "other_teacher",
    "pure_teacher",
    "pure_other_teacher",
    "student_pure",
    "teacher_teacher",
    "pure_pure",
    "student_student",
    "untrained",
    "permuted",
    "cross_layer",
]
AMONG: dict[str, Kind] = {
    "teacher": "teacher_teacher",
    "pure": "pure_pure",
    "student": "student_student",
}


@dataclass(frozen=True)
class Network:
    """An extracted network: `name` is its key in the tables, `target` and `header` where it is.

    `teachers` are those it is compared with: its own, or of a network without a teacher, those of
    its seed's students but the pure student, which teaches the control `self`.
    """

    name: str
    target: Target
    header: Header
    teachers: tuple[str, ...]
    pure: str | None

    @property
    def config(self) -> RunConfig:
        """The run's configuration."""
        return self.target.config

    @property
    def has_teacher(self) -> bool:
        """Whether it was distilled."""
        return self.config.method != PURE and self.config.teacher is not None


@dataclass(frozen=True)
class Comparison:
    """Run b beside run a, as one kind of pair."""

    kind: Kind
    other: str


@dataclass(frozen=True)
class Unit:
    """The seeds of one arm and what each of them is compared with; the piece of work."""

    members: tuple[str, ...]
    comparisons: dict[str, tuple[Comparison, ...]]

    @property
    def others(self) -> list[str]:
        """All networks that a member is compared with."""
        found = dict.fromkeys(one.other for many in self.comparisons.values() for one in many)
        return [*found]


def networks(stored: Iterable[tuple[Target, Header]]) -> dict[str, Network]:
    """The extracted networks by name, each with its references among them."""
    stored = list(stored)
    there = {target.name for target, _ in stored}
    taught_by: dict[tuple[str, str, int], dict[str, None]] = {}
    for target, _ in stored:
        run, name = target.config, teacher_name(target.config)
        if name in there:
            taught_by.setdefault((run.dataset, run.model, run.seed), {})[name] = None
    found = {}
    for target, header in stored:
        run, own = target.config, teacher_name(target.config)
        taught = taught_by.get((run.dataset, run.model, run.seed), {})
        teachers = (own,) if own else tuple(name for name in taught if name != run.pure_path)
        plain = target.name == run.path
        found[target.name] = Network(
            target.name,
            target,
            header,
            tuple(name for name in teachers if plain and name in there and name != target.name),
            run.pure_path if plain and run.method != PURE and run.pure_path in there else None,
        )
    return found


def units(found: dict[str, Network]) -> list[Unit]:
    """The arms of all networks, with what each seed is compared with.

    A pure student that teaches the control `self` counts as a pure student, beside other teachers.
    """
    taught = [(one, name) for one in found.values() if one.has_teacher for name in one.teachers]
    teachers = {name for _, name in taught}
    leading = {name for one, name in taught if name != one.config.pure_path} or teachers
    arms: dict[object, list[Network]] = {}
    for one in found.values():
        if not one.name.startswith(f"{UNTRAINED}/"):
            run = one.config
            prefix = one.name.removesuffix(run.path)
            arms.setdefault((prefix, run.path.rsplit("/", 1)[0]), []).append(one)
    return [
        Unit(
            tuple(one.name for one in arm),
            {one.name: _comparisons(one, arm, found, teachers, leading) for one in arm},
        )
        for arm in arms.values()
    ]


def _comparisons(
    one: Network,
    arm: Sequence[Network],
    found: dict[str, Network],
    teachers: set[str],
    leading: set[str],
) -> tuple[Comparison, ...]:
    pairs: list[Comparison] = []
    for teacher in one.teachers:
        pairs.append(Comparison("own_teacher" if one.has_teacher else "pure_teacher", teacher))
        pairs += [Comparison("permuted", teacher), Comparison("cross_layer", teacher)]
        untrained = untrained_name_of(found[teacher])
        if untrained in found:
            pairs.append(Comparison("untrained", untrained))
    if one.name not in leading:
        kind: Kind = "other_teacher" if one.has_teacher else "pure_other_teacher"
        own = [found[name].config for name in one.teachers]
        for name in sorted(teachers - set(one.teachers)):
            run = found[name].config
            if any((run.dataset, run.model) == (t.dataset, t.model) for t in own):
                pairs.append(Comparison(kind, name))
    if one.has_teacher and one.pure and one.pure not in one.teachers:
        pairs.append(Comparison("student_pure", one.pure))
    role = "student" if one.has_teacher or one.config.method != PURE else "pure"
    among = AMONG["teacher" if one.name in leading else role]
    earlier = [other for other in arm if other.config.seed < one.config.seed]
    pairs += [Comparison(among, other.name) for other in earlier]
    return tuple(dict.fromkeys(pairs))


def untrained_name_of(teacher: Network) -> str:
    """The name of the untrained network of a teacher's kind."""
    return f"{UNTRAINED}/{teacher.config.dataset}/{teacher.config.model}/0"


def same_layers(a: Sequence[str], b: Sequence[str]) -> dict[str, str]:
    """Which layer of b is at the same depth as one of a.

    The one of the same number from the input if both have equally many, else the one of the same
    name.
    """
    if len(a) == len(b):
        return dict(zip(a, b, strict=True))
    return {name: name for name in a if name in b}
