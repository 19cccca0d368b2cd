"""Expand a round to its runs. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from itertools import product
from typing import Any

from stillhouse import data, methods
from stillhouse.config.renamed import current_path
from stillhouse.config.schema import PURE, Distillation, Round, RunConfig, Teacher, Training
from stillhouse.config.teacher_file import FROZEN


def expand(round_: Round) -> list[RunConfig]:
    """Return every run of a round: by dataset, teachers first, then by seed and method.

    With `teachers_from` the teachers belong to another round and are not listed. A student with the
    teacher's architecture shares its pure run with the teacher. Pure students that teach are listed
    with the teachers. An imported round has the runs that were found.
    """
    runs = [run for dataset in round_.datasets for run in _of_dataset(round_, dataset)]
    if round_.imported is not None:
        found = set(map(current_path, round_.imported.runs))
        runs = [run for run in runs if run.path in found]
    return [_with_parts(run, round_) for run in runs] if round_.files or round_.networks else runs


def teacher_seed(round_: Round, seed: int) -> int:
    """Return the seed of the teacher of students with `seed`."""
    if round_.teacher_seeds is None:
        return seed
    if len(round_.teacher_seeds) == 1:
        return round_.teacher_seeds[0]
    return round_.teacher_seeds[round_.seeds.index(seed)]


def one_of_several(round_: Round, run: RunConfig) -> str:
    """Return the network of a run's teacher if the round compares several; empty otherwise."""
    if len(round_.all_teachers) < 2 or run.teacher is None:
        return ""
    by = methods.declared(run.method, round_.files).taught_by
    return run.teacher.model if by == "teacher" else ""


def label(round_: Round, run: RunConfig) -> str:
    """Return the method of a run as lists have it: `logit alpha=0.5`, `logit from ResNet56`."""
    teacher = one_of_several(round_, run)
    return f"{run.label} from {teacher}" if teacher else run.label


def settings(
    round_: Round, dataset: str, model: str, method: str
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Return training, distillation and method parameters after the overrides, not yet validated.

    Later overrides take precedence: dataset, then model, then method. Validation images of the
    dataset's own are used unless the round says otherwise.
    """
    training = dict(round_.training)
    if "validation" not in round_.training.model_fields_set and dataset in data.names(round_.files):
        training["validation"] = data.spec(dataset, round_.files).validation_images
    distillation = dict(round_.distillation)
    parameters: dict[str, Any] = {}
    sections = (
        round_.overrides.datasets.get(dataset, {}),
        round_.overrides.models.get(model, {}),
        round_.overrides.methods.get(method, {}),
    )
    for key, value in ((k, v) for section in sections for k, v in section.items()):
        home = (
            training
            if key in Training.model_fields
            else distillation
            if key in Distillation.model_fields
            else parameters
        )
        home[key] = value
    return training, distillation, parameters


def sweep_points(round_: Round, method: str) -> Iterator[dict[str, float]]:
    """Return the combinations of the sweep axes that apply to a method; one empty point if none do.

    `alpha` applies to every distillation method, a parameter to the methods that have it.
    """
    own = () if method == PURE else ("alpha", *methods.declared(method, round_.files).parameters)
    axes = {name: values for name, values in round_.sweep.items() if name in own}
    for point in product(*axes.values()):
        yield dict(zip(axes, point, strict=True))


def _of_dataset(round_: Round, dataset: str) -> Iterator[RunConfig]:
    recipe = cache(partial(_recipe, round_, dataset))
    listed: set[tuple[str, int]] = set()
    for model in round_.own_teachers:
        for seed in dict.fromkeys(teacher_seed(round_, seed) for seed in round_.seeds):
            listed.add((model, seed))
            yield _pure(recipe(model, PURE), seed)
    everyone = list(product(round_.seeds, round_.methods, round_.students))
    taught = [_teachers(round_, method, student, seed) for seed, method, student in everyone]
    for teacher in (one for several in taught for one in several):
        if teacher and teacher.source is None and (teacher.model, teacher.seed) not in listed:
            listed.add((teacher.model, teacher.seed))
            yield _pure(recipe(teacher.model, PURE), teacher.seed)
    for (seed, method, student), teachers in zip(everyone, taught, strict=True):
        base = recipe(student, method)
        if method != PURE:
            for teacher, point in product(teachers, sweep_points(round_, method)):
                yield _student(base, seed, teacher, point)
        elif (student, seed) not in listed:
            yield _pure(base, seed)


def _teachers(round_: Round, method: str, student: str, seed: int) -> list[Teacher | None]:
    """Return the teachers of a student; a pure run is borrowed only if not trained here.

    A teacher from one weight file is the same for all seeds: its seed is 0.
    """
    match methods.declared(method, round_.files).taught_by:
        case "nobody":
            return [None]
        case "student":
            source = None if PURE in round_.methods else round_.teachers_from
            return [Teacher(model=student, seed=seed, source=source)]
    sources = ((model, round_.source_of(model)) for model in round_.all_teachers)
    own = teacher_seed(round_, seed)
    return [
        Teacher(model=model, seed=0 if source == FROZEN else own, source=source)
        for model, source in sources
    ]


def _with_parts(run: RunConfig, round_: Round) -> RunConfig:
    """Return the run with the custom components and the networks with options that it uses."""
    used = {run.dataset, run.method, run.model, run.teacher.model if run.teacher else None}
    networks = tuple(one for one in round_.networks if one.label in used)
    used |= {network.name for network in networks}
    files = tuple(file for file in round_.files if file.name in used)
    return run.model_copy(update={"files": files, "networks": networks})


@dataclass(frozen=True)
class _Recipe:
    """Settings shared by the runs of one dataset, model and method."""

    dataset: str
    model: str
    method: str
    training: Training
    distillation: dict[str, Any]
    parameters: dict[str, Any]


def _recipe(round_: Round, dataset: str, model: str, method: str) -> _Recipe:
    training, distillation, parameters = settings(round_, dataset, model, method)
    return _Recipe(dataset, model, method, Training(**training), distillation, parameters)


def _pure(recipe: _Recipe, seed: int) -> RunConfig:
    return RunConfig(
        dataset=recipe.dataset,
        method=PURE,
        model=recipe.model,
        seed=seed,
        training=recipe.training,
    )


def _student(
    recipe: _Recipe, seed: int, teacher: Teacher | None, point: dict[str, float]
) -> RunConfig:
    parameters = {axis: value for axis, value in point.items() if axis != "alpha"}
    alpha = point.get("alpha", recipe.distillation["alpha"])
    total = recipe.distillation["total"]
    return RunConfig(
        dataset=recipe.dataset,
        method=recipe.method,
        model=recipe.model,
        seed=seed,
        teacher=teacher,
        axes=point,
        training=recipe.training,
        distillation=Distillation(total=total, alpha=None if total == "reference" else alpha),
        parameters=recipe.parameters | parameters,
    )
