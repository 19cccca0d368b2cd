"""Opening a cohort: data, teacher, and one claimed, resumed, recorded member per run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from stillhouse import data, methods, models
from stillhouse.config import renamed
from stillhouse.config.identity import counted, difference, identity
from stillhouse.config.recorded import recorded
from stillhouse.config.renamed import folder_of
from stillhouse.config.schema import RunConfig
from stillhouse.data.base import Dataset, Split
from stillhouse.data.loader import TrainBatches
from stillhouse.data.split import hold_out, stratified
from stillhouse.errors import RunError, describe, one_line
from stillhouse.methods.base import TrainingImages
from stillhouse.methods.objective import effective_ratio
from stillhouse.own import versioned
from stillhouse.runs import environment
from stillhouse.runs.claim import Claim, Superseded
from stillhouse.runs.files import write_once
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.own_files import keep
from stillhouse.runs.records import Run, dump_sealed
from stillhouse.runs.soundness import chance_bound
from stillhouse.seeding import reseed
from stillhouse.training import checkpoint
from stillhouse.training.graphs import Inputs, graphed
from stillhouse.training.loop import Cohort, Member
from stillhouse.training.precision import configure, settle
from stillhouse.training.pretrain import pretrain
from stillhouse.training.recorder import Recorder
from stillhouse.training.teacher import TrainedTeacher, hand_over
from stillhouse.training.trainee import Trainee

SPLIT_SEED = 0
OTHER_IMAGES = (
    "it was started on other images, or on the same in another order, which decides what a step "
    "and a subset hold: name the folder of those images with --data-root (`stillhouse data check` "
    "says what a folder holds), or move the run's folder away to train it anew"
)


@dataclass(frozen=True)
class Place:
    """Where a cohort trains: `experiments` takes the runs, `teachers` holds borrowed teachers.

    With `keep_going` a run that is seen to learn nothing is trained on all the same.
    """

    experiments: Path
    teachers: Path
    data_root: Path
    device: torch.device
    keep_going: bool = False


@dataclass(frozen=True)
class Prepared:
    """The images of a recipe on the device: `data.train` is what is trained on."""

    data: Dataset
    validation: Split | None
    content: str


def open_cohort(configs: list[RunConfig], place: Place, complain: Callable[[str], None]) -> Cohort:
    """Claim, build and resume every run; those that cannot be are told to `complain`.

    `configs` are resolved and agree in everything a cohort shares. Raises StillhouseError if
    what they share, data or teacher, is not there.
    """
    first = configs[0]
    configure(first.training)
    prepared = prepare_data(first, place.data_root, place.device)
    if prepared.data.note:
        complain(prepared.data.note)
    spec = prepared.data.spec
    taught = next((config for config in configs if config.teacher), None)
    teacher = find_teacher(taught, place, prepared.data) if taught else None
    cohort = Cohort(
        members=[],
        batches=train_batches(prepared.data, first),
        data=prepared.data,
        validation=prepared.validation,
        teacher=teacher,
        chance=chance_bound(spec.test_images, spec.commonest),
        complain=complain,
        inputs=Inputs(teacher, graphed(first.training, place.device)),
    )
    for config in configs:
        try:
            if member := _open_member(config, place, cohort, prepared.content, complain):
                cohort.members.append(member)
        except Exception as error:  # noqa: BLE001 - a method is foreign code; the others go on
            complain(f"{config.path}: {describe(error) or f'{type(error).__name__}: {error}'}")
            cohort.failures += 1
    return cohort


def prepare_data(config: RunConfig, root: Path, device: torch.device) -> Prepared:
    """Load a dataset, hold validation images out, then take `train_images` of the rest.

    Both splits are stratified and the same for every seed.
    """
    dataset, recipe = data.load(config.dataset, root, config.files), config.training
    train, validation = dataset.train, None
    if recipe.validation:
        train, validation = hold_out(train, recipe.validation, SPLIT_SEED)
        validation = validation.to(device)
    if recipe.train_images:
        _, train = stratified(train, recipe.train_images, SPLIT_SEED)
    moved = Dataset(dataset.spec, train.to(device), dataset.test.to(device), dataset.note)
    return Prepared(moved, validation, dataset.content_hash())


def train_batches(dataset: Dataset, config: RunConfig) -> TrainBatches:
    """The batches that every run of this dataset, seed and recipe sees, in the same order."""
    recipe = config.training
    return TrainBatches(
        dataset.train,
        dataset.spec,
        seed=config.seed,
        batch_size=recipe.batch_size,
        augmentation=recipe.augmentation,
        padding=recipe.crop_padding,
    )


def make_trainee(
    config: RunConfig,
    dataset: Dataset,
    steps: int,
    teacher: TrainedTeacher | None,
    place: Place,
    draw: str = "method",
) -> Trainee:
    """A trainee at its first step; its initial weights depend on seed and architecture only.

    `draw` names the stream from which the method's own modules draw theirs.
    """
    spec = dataset.spec
    reseed("init", config.seed, renamed.first("model", config.model))
    network = models.build(config.model, spec, config.files)
    kind = methods.load(config.method, config.files)
    names = renamed.first("method", config.method), renamed.first("model", config.model)
    reseed(draw, config.seed, *names)
    taught = teacher.network if teacher and config.teacher else None
    images = TrainingImages(dataset.train.ids.cpu(), dataset.train.labels.cpu(), spec.train_images)
    method = methods.make(kind, config.parameters, network, taught, spec, images)
    settle(network, place.device)
    method.to(place.device)
    return Trainee(config, network, method, steps, place.device, place.keep_going)


def find_teacher(config: RunConfig, place: Place, dataset: Dataset) -> TrainedTeacher:
    """The finished teacher of a distillation run (see `hand_over`)."""
    assert config.teacher is not None
    path = f"{config.dataset}/pure/{config.teacher.model}/{config.teacher.seed}"
    home = place.teachers if config.teacher.source else place.experiments
    folder = folder_of(home, path)
    precision = config.training.precision
    return hand_over(config.teacher, folder, dataset, precision, place.device, config.files)


def _open_member(
    config: RunConfig,
    place: Place,
    cohort: Cohort,
    content: str,
    complain: Callable[[str], None],
) -> Member | None:
    """The run as a member, or None if it is completed or another attempt has taken over.

    `complain` hears what was lost of it.
    """
    folder = folder_of(place.experiments, config.path)
    teacher = cohort.teacher if config.teacher else None
    facts = {
        "identity": identity(config),
        "teacher": teacher.facts if teacher else None,
        "data": content,
    }
    folder.path.mkdir(parents=True, exist_ok=True)
    check_same(folder, config, facts)
    if started := folder.started():
        facts["identity"] = started["identity"]  # another version may hash it otherwise
    if folder.completed():
        return None
    recorder = Recorder(folder, Claim.take(folder), checkpoint.mark(facts))
    if folder.completed():  # by the holder of the attempt before, since the last look
        recorder.leave()
        return None
    try:
        trainee = make_trainee(config, cohort.data, cohort.batches.steps, teacher, place)
        _write_run(folder, place, facts, trainee)
        for warning in _resume(trainee, folder, recorder, teacher, cohort, place):
            recorder.log.warning("%s", warning)
            complain(f"{config.path}: {warning}")
    except Superseded as error:
        recorder.give_way(error)
        return None
    except Exception as error:
        recorder.fail(error)
        raise
    recorder.start(trainee)
    return Member(trainee, recorder, {**facts, "cost": _cost(trainee)})


def check_same(folder: RunFolder, config: RunConfig, facts: dict[str, Any]) -> None:
    """Raise RunError, showing the difference, if the folder holds another configuration."""
    run, was = folder.started(), recorded(folder)
    if run is None or was is None:
        return
    changed = difference(counted(was), counted(config))
    changed += difference({"data": run["data"]}, {"data": facts["data"]})
    changed += difference(_taught_by(run), _taught_by(facts))
    if changed:
        lines = [f"{field}: {was!r} -> {now!r}" for field, was, now in changed]
        raise RunError(
            f"{folder.path} was started with another configuration:\n    " + "\n    ".join(lines),
            OTHER_IMAGES
            if run["data"] != facts["data"]
            else "restore the configuration, or move the folder away to train it anew",
        )


def _taught_by(facts: Run | dict[str, Any]) -> dict[str, Any]:
    """Which weights teach; a teacher's measured accuracy may differ between machines."""
    return {"teacher": {"sha256": facts["teacher"]["sha256"] if facts["teacher"] else None}}


def _write_run(folder: RunFolder, place: Place, facts: dict[str, Any], t: Trainee) -> None:
    machine = {**environment.machine(), "device": str(t.device), "threads": torch.get_num_threads()}
    if t.device.type == "cuda":
        machine["gpu"] = torch.cuda.get_device_name(t.device)
    run = {
        "config": t.config.model_dump(mode="json"),
        **facts,
        "coefficients": t.coefficients,
        "effective_ratio": effective_ratio(t.coefficients),
        "code": environment.code(),
        "machine": machine,
    }
    keep(t.config.files, place.experiments)
    write_once(folder.run, dump_sealed(run))


def _resume(
    trainee: Trainee,
    folder: RunFolder,
    recorder: Recorder,
    teacher: TrainedTeacher | None,
    cohort: Cohort,
    place: Place,
) -> list[str]:
    """Bring a trainee to where its run was left; returns warnings."""
    found, warnings = checkpoint.load_newest(folder, recorder.run)
    if found is not None:
        _load(trainee, found)
    elif teacher is not None:
        pretrain(
            trainee.method,
            versioned("method", trainee.config.method, trainee.config.files),
            teacher,
            cohort.batches,
            place.experiments / "pretrained",
            lambda: recorder.beat(trainee),
        )
    return warnings


def _load(trainee: Trainee, found: checkpoint.Found) -> None:
    try:
        trainee.load(found.state)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise RunError(
            f"{found.path}: not a state of this run ({one_line(error)})", checkpoint.CURE
        ) from error


def _cost(trainee: Trainee) -> dict[str, int]:
    """Parameter counts: of the student, and of the method's own modules, trained and frozen."""
    own = list(trainee.method.parameters())
    return {
        "parameters": sum(p.numel() for p in trainee.network.parameters()),
        "method_parameters": sum(p.numel() for p in own if p.requires_grad),
        "method_frozen_parameters": sum(p.numel() for p in own if not p.requires_grad),
    }
