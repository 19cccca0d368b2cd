"""Open the inputs of runs as at their first step: images, batches, teacher, network, method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from stillhouse import data, methods, models
from stillhouse.config import renamed
from stillhouse.config.renamed import folder_of
from stillhouse.config.schema import KEEP_ALL, Keep, RunConfig, Training
from stillhouse.config.teacher_file import ADOPTED, FROZEN
from stillhouse.data.augmentation import SETTINGS, Augmentation
from stillhouse.data.base import Dataset, Split
from stillhouse.data.loader import TrainBatches
from stillhouse.data.split import hold_out, stratified
from stillhouse.methods.base import Method, TrainingImages
from stillhouse.models import named
from stillhouse.models.base import Network
from stillhouse.plugin import versioned
from stillhouse.runs.folder import RunFolder
from stillhouse.seeding import reseed
from stillhouse.training.graphs import Inputs, graphed
from stillhouse.training.precision import configure, to_device
from stillhouse.training.pretrain import pretrain
from stillhouse.training.teacher import TrainedTeacher, load_teacher, untrained_teacher
from stillhouse.training.trainer import Trainer
from stillhouse.training.weight_files import start_from

SPLIT_SEED = 0


@dataclass(frozen=True)
class Place:
    """The folders of training: `experiments` takes the runs, `teachers` holds borrowed teachers.

    With `keep_going` a run at chance level is trained further. `keep` says which weights stay.
    """

    experiments: Path
    teachers: Path
    data_root: Path
    device: torch.device
    keep_going: bool = False
    keep: Keep = KEEP_ALL

    @property
    def pretrained(self) -> Path:
        """Return the folder of parts that methods train once per teacher."""
        return self.experiments / "pretrained"

    def folder(self, path: str) -> RunFolder:
        """Return the folder of a run by its path below `experiments`."""
        return folder_of(self.experiments, path)

    def teacher(self, run: RunConfig) -> RunFolder:
        """Return the folder of the teacher of a run that has one."""
        assert run.teacher is not None and run.teacher_path is not None
        homes = {None: self.experiments, FROZEN: self.experiments / ADOPTED}
        return folder_of(homes.get(run.teacher.source, self.teachers), run.teacher_path)


@dataclass(frozen=True)
class Shared:
    """The shared inputs of runs of one dataset, seed, recipe and teacher; images are on the device.

    `data.train` are the training images, `validation` is held out of them, `content` is the hash of
    the whole dataset. `inputs` are the inputs of a step, `notes` by network what was changed in the
    weights from which it starts.
    """

    place: Place
    data: Dataset
    validation: Split | None
    content: str
    batches: TrainBatches
    teacher: TrainedTeacher | None
    inputs: Inputs
    notes: dict[str, list[str]] = field(default_factory=dict)

    def trainer(self, config: RunConfig, draw: str = "method") -> Trainer:
        """Return a run at its first step; its initial weights depend only on seed and architecture.

        `draw` names the stream of random numbers for the method's own modules.
        """
        spec, train, device = self.data.spec, self.data.train, self.place.device
        reseed("init", config.seed, renamed.first("model", config.model))
        network = models.build(config.model, spec, config.files, config.networks)
        options = named.find(config.model, config.networks)
        if options and options.weights:
            self.notes[config.model] = start_from(network, options)
        kind = methods.load(config.method, config.files)
        names = renamed.first("method", config.method), renamed.first("model", config.model)
        taught = self.teacher.network if self.teacher and config.teacher else None
        images = TrainingImages(train.ids.cpu(), train.labels.cpu(), spec.train_images)
        reseed(draw, config.seed, *names)
        method = methods.make(kind, config.parameters, network, taught, spec, images)
        to_device(network, device)
        method.to(device)
        return Trainer(config, network, method, self.batches.steps, device, self.place.keep_going)

    def pretrain(
        self, trainer: Trainer, beat: Callable[[float], None] = lambda share: None
    ) -> None:
        """Load or train a method's part that is trained once per teacher, if it has one."""
        run = trainer.config
        if self.teacher and run.teacher:
            name = versioned("method", run.method, run.files)
            cache = self.place.pretrained
            pretrain(trainer.method, name, self.teacher, self.batches, cache, beat)


def reopen(runs: Sequence[RunConfig], place: Place, untrained: bool = False) -> Shared:
    """Open the shared inputs of resolved runs of one dataset, seed, recipe and teacher.

    Sets this process's threads and precision switches according to the recipe. With `untrained` a
    new network replaces the teacher. Raises StillhouseError if data or teacher are missing.
    """
    first = runs[0]
    configure(first.training)
    dataset, validation, content = prepare_data(first, place.data_root, place.device)
    taught = next((run for run in runs if run.teacher), None)
    teacher = None
    if taught and taught.teacher:
        what = taught, dataset, place.device
        teacher = (
            untrained_teacher(*what) if untrained else load_teacher(place.teacher(taught), *what)
        )
    inputs = Inputs(teacher, graphed(first.training, place.device))
    batches = train_batches(dataset, first)
    return Shared(place, dataset, validation, content, batches, teacher, inputs)


def untrained_method(run: RunConfig, student: Network, teacher: Network | None) -> Method:
    """Return a resolved run's method between two new networks; its dataset need not be present."""
    spec = data.spec(run.dataset, run.files)
    labels = torch.arange(run.training.train_images or spec.train_images) % spec.classes
    images = TrainingImages(torch.arange(len(labels)), labels, spec.train_images)
    kind = methods.load(run.method, run.files)
    return methods.make(kind, run.parameters, student, teacher, spec, images)


def prepare_data(
    config: RunConfig, root: Path, device: torch.device
) -> tuple[Dataset, Split | None, str]:
    """Return a recipe's dataset on the device, its validation images, and the hash of the whole
    dataset.

    Holds validation images out of the training images, then takes `train_images` of the rest. Both
    splits are stratified and the same for every seed; a dataset with validation images of its own
    has those held out.
    """
    dataset, recipe = data.load(config.dataset, root, config.files), config.training
    train, validation = dataset.train, None
    if recipe.validation:
        train, validation = held_out(dataset, recipe.validation)
        validation = validation.to(device)
    if recipe.train_images:
        _, train = stratified(train, recipe.train_images, SPLIT_SEED)
    moved = Dataset(dataset.spec, train.to(device), dataset.test.to(device), dataset.note)
    return moved, validation, dataset.content_hash()


def held_out(dataset: Dataset, count: int) -> tuple[Split, Split]:
    """Return training images and `count` validation images: the dataset's own, or drawn."""
    train, own = dataset.train, dataset.spec.validation_images
    if count != own:
        return hold_out(train, count, SPLIT_SEED)
    rows = torch.arange(len(train))
    return train.subset(rows[:-own]), train.subset(rows[-own:])


def train_batches(dataset: Dataset, config: RunConfig) -> TrainBatches:
    """Return the batches of every run of this dataset, seed and recipe, in the same order."""
    recipe = config.training
    return TrainBatches(
        dataset.train,
        dataset.spec,
        seed=config.seed,
        batch_size=recipe.batch_size,
        augmentation=augmentation(recipe),
    )


def augmentation(recipe: Training) -> Augmentation:
    """Return the augmentation of a recipe."""
    given = {name: getattr(recipe, name) for names in SETTINGS.values() for name in names}
    return Augmentation(recipe.augmentation, **given)
