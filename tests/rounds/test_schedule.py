"""Scheduling as pure functions on cells that were never on disk."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fake_rounds import ROUND
from stillhouse.config.expand import expand
from stillhouse.config.schema import Round
from stillhouse.rounds.schedule import cohorts, divide, ready_groups
from stillhouse.rounds.survey import Cell
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.state import RunState

DONE, MISSING = RunState("done"), RunState("missing")
Rounds = dict[str, object]


def cells_of(done: set[str] = frozenset(), **changes: object) -> list[Cell]:
    """The cells of a round in which the runs at the paths `done` are done."""
    found = []
    for run in expand(Round.model_validate(ROUND | changes)):
        taught_by = run.teacher_path
        teacher = None if taught_by is None else DONE if taught_by in done else MISSING
        state = DONE if run.path in done else MISSING
        found.append(Cell(run, RunFolder(Path(run.path)), state, teacher))
    return found


def batches_of(cell: Cell) -> tuple[object, ...]:
    """What decides the batches and how the teacher sees them."""
    run, recipe = cell.config, cell.config.training
    kind = (recipe.batch_size, recipe.augmentation, recipe.train_images, recipe.precision)
    return (run.dataset, run.seed, *kind)


def paths(groups: list[list[Cell]]) -> list[list[str]]:
    return [[cell.config.path for cell in group] for group in groups]


rounds = st.fixed_dictionaries(
    {
        "datasets": st.sampled_from([["Digits"], ["Digits", "SVHN"]]),
        "students": st.sampled_from([["ResNetBaby"], ["ResNet20", "ResNetBaby"]]),
        "methods": st.lists(st.sampled_from(["pure", "logit", "rkd", "nst"]), min_size=1, unique=1),
        "seeds": st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True),
        "overrides": st.sampled_from(
            [
                {},
                {"methods": {"pure": {"batch_size": 32}}},
                {"models": {"ResNetBaby": {"precision": "bf16"}}},
                {"methods": {"rkd": {"augmentation": ["pad_crop"]}}},
            ]
        ),
    }
)


@settings(deadline=None, max_examples=60)
@given(rounds)
def test_a_cohort_shares_what_it_must_and_no_run_is_left_out(changes: Rounds) -> None:
    cells = cells_of(**changes)
    groups = cohorts(cells)
    together = [path for group in paths(groups) for path in group]
    assert sorted(together) == sorted(cell.config.path for cell in cells)
    for group in groups:
        assert len({batches_of(cell) for cell in group}) == 1
        assert len({cell.config.teacher for cell in group if cell.config.teacher}) <= 1


@settings(deadline=None, max_examples=60)
@given(rounds, st.integers(1, 5))
def test_nothing_starts_before_its_teacher_is_done_and_every_round_ends(
    changes: Rounds, jobs: int
) -> None:
    done: set[str] = set()
    cells = cells_of(**changes)
    while len(done) < len(cells):
        left = [cell for cell in cells_of(done, **changes) if cell.config.path not in done]
        started = [cell for part in divide(ready_groups(left), jobs) for cell in part][:jobs]
        assert started, f"stuck after {done}"
        assert all(cell.config.teacher_path in done | {None} for cell in started)
        new = {cell.config.path for cell in started}
        assert len(new) == len(started)
        assert not new & done
        done |= new


def test_teachers_come_first_and_alone_then_students_by_teacher() -> None:
    assert paths(cohorts(reversed(cells_of()))) == [
        ["Digits/pure/ResNet20/1"],
        ["Digits/pure/ResNet20/0"],
        *(
            [
                f"Digits/rkd/ResNet20_to_ResNetBaby/{seed}",
                f"Digits/logit/ResNet20_to_ResNetBaby/{seed}",
                f"Digits/pure/ResNetBaby/{seed}",
            ]
            for seed in (1, 0)
        ),
    ]


def test_one_teacher_for_all_seeds_does_not_mix_the_seeds() -> None:
    groups = cohorts(cells_of(teacher_seeds=[7]))
    assert [{cell.config.seed for cell in group} for group in groups] == [{7}, {0}, {1}]


def test_a_student_with_a_recipe_of_its_own_trains_alone_after_larger_groups() -> None:
    cells = cells_of(seeds=[0], overrides={"methods": {"logit": {"batch_size": 32}}})
    assert [len(group) for group in cohorts(cells)] == [1, 2, 1]
    assert [cell.config.method for cell in cohorts(cells)[2]] == ["logit"]


def test_a_pure_student_waits_for_its_group_but_is_offered_last() -> None:
    """While one teacher is missing, its pure student may only fill a worker that would idle."""
    ready = paths(ready_groups(cells_of({"Digits/pure/ResNet20/1"})[1:]))
    assert ready == [
        ["Digits/pure/ResNet20/1"],
        [
            "Digits/logit/ResNet20_to_ResNetBaby/1",
            "Digits/rkd/ResNet20_to_ResNetBaby/1",
            "Digits/pure/ResNetBaby/1",
        ],
        ["Digits/pure/ResNetBaby/0"],
    ]


@settings(deadline=None)
@given(st.lists(st.integers(1, 20), max_size=8), st.integers(1, 6))
def test_divide_keeps_every_cell_and_no_part_is_larger_than_a_worker_s_share(
    lengths: list[int], jobs: int
) -> None:
    groups = [cells_of(seeds=list(range(10)))[:length] for length in lengths]
    parts = divide(groups, jobs)
    assert sorted(id(cell) for part in parts for cell in part) == sorted(
        id(cell) for group in groups for cell in group
    )
    ends = [0] * jobs
    for part in parts:
        ends[ends.index(min(ends))] += len(part)
    share, largest = ceil(sum(lengths) / jobs), max(map(len, parts), default=0)
    assert largest <= share
    assert max(ends) <= sum(lengths) / jobs + largest  # Graham's bound


@pytest.mark.parametrize(
    ("lengths", "jobs", "parts"),
    [
        ([7, 7, 7], 1, [7, 7, 7]),  # one worker takes group after group
        ([7], 2, [4, 3]),
        ([7, 7], 2, [7, 7]),
        ([7, 7, 7], 2, [7, 7, 4, 3]),  # the third would leave one worker alone
        ([7, 7, 7], 3, [7, 7, 7]),
        ([7, 7], 4, [4, 3, 4, 3]),
        ([8] * 12, 3, [8] * 12),
        ([1, 1, 1, 9, 9, 9, 1, 1, 1], 2, [1, 1, 1, 9, 9, 5, 4, 1, 1, 1]),
        ([], 2, []),
    ],
)
def test_divide_splits_only_the_groups_that_would_keep_a_worker_at_the_end(
    lengths: list[int], jobs: int, parts: list[int]
) -> None:
    groups = [cells_of(seeds=list(range(10)))[:length] for length in lengths]
    assert [len(part) for part in divide(groups, jobs)] == parts
