"""Two worlds of small real images: rules were made on the first and are judged on the second."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F

from stillhouse import data
from stillhouse.config.expand import expand
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import Round, RunConfig
from stillhouse.data import fashion_mnist, specs
from stillhouse.data.base import Dataset, Split, make_dataset
from stillhouse.data.split import stratified
from stillhouse.errors import StillhouseError
from stillhouse.rounds.schedule import cohorts
from stillhouse.rounds.survey import survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.training.reopen import Place
from stillhouse.training.worker import work

Fault = Callable[[], AbstractContextManager[Any]]
After = Callable[[Workspace, RunConfig], None]
SMALL = replace(
    specs.SPECS["FashionMNIST"], size=7, train_images=2000, test_images=500, commonest=50
)


@dataclass(frozen=True)
class World:
    """A dataset, its seeds, and the recipe of its healthy runs."""

    name: str
    dataset: str
    seeds: tuple[int, ...]
    recipe: dict[str, Any]

    def round(self, **changes: Any) -> Round:
        """A round of this world: pure students and a method, with some fields changed."""
        fields: dict[str, Any] = {
            "round": "bench",
            "datasets": [self.dataset],
            "teacher": "ResNet20",
            "students": ["ResNetBaby"],
            "methods": ["pure", "logit"],
            "seeds": list(self.seeds[:1]),
            "overrides": {"methods": {"attention_transfer": FEW_PIXELS}},
        }
        training = self.recipe | changes.pop("training", {})
        return Round(**fields | changes, training=training)


RECIPE = {
    "epochs": 10,
    "batch_size": 16,
    "learning_rate": 0.05,
    "train_images": 400,
    "augmentation": ["pad_crop"],
    "crop_padding": 1,
}
FEW_PIXELS = {"weight": 62.5}  # attention transfer's 1000 is for maps with 16 times as many
MADE = World("made on: Digits", "Digits", (0, 1, 2), RECIPE)
JUDGED = World("judged on: Fashion-MNIST", "FashionMNIST", (400, 401, 402, 403, 404), RECIPE)


@dataclass(frozen=True)
class Scene:
    """A round in which one run, or none, is made ill.

    `code` is the cause that must be named first (None: every run is healthy). The fault holds
    while the run of `method` and `seed` trains, `shared` while any does; `after` changes files
    then. Teachers are those of the healthy base round unless the scene has its `own_teacher`.
    """

    name: str
    code: str | None
    method: str = "pure"
    round: dict[str, Any] = field(default_factory=dict)
    fault: Fault = nullcontext
    after: After | None = None
    shared: Fault = nullcontext
    seed: int = 0
    train: Callable[[list[RunConfig], Place], object] | None = None
    own_teacher: bool = False
    keep_going: bool = True

    def target(self, world: World, run: RunConfig) -> bool:
        """Whether a run is the one that is made ill."""
        where = (run.method, run.seed, run.model)
        return where == (self.method, world.seeds[self.seed], "ResNetBaby")


def stage(scene: Scene, world: World, base: Path) -> tuple[Workspace, Round, list[str]]:
    """A scene's workspace and round, and the paths of the runs to be judged."""
    workspace = Workspace(base.parent / scene.name)
    changes = {"methods": list(dict.fromkeys(["pure", scene.method]))} | scene.round
    if not scene.own_teacher:
        changes["teachers_from"] = str(base.resolve())
    round_ = world.round(**changes)
    runs = expand(round_)
    paths = [run.path for run in runs if scene.code is None or scene.target(world, run)]
    assert paths, (scene.name, [run.path for run in runs])
    return workspace, round_, paths


def play(scene: Scene, world: World, base: Path) -> None:
    """Train a scene's round and make its run ill.

    Runs that the healthy base round has trained with the same configuration are copied from it.
    """
    workspace, round_, paths = stage(scene, world, base)
    teachers = workspace.teachers(round_)
    place = Place(
        workspace.experiments, teachers, data.data_root(), torch.device("cpu"), scene.keep_going
    )
    if scene.code is None:
        for group in cohorts(survey_round(workspace, round_).cells):
            with scene.shared():
                _train([resolve(cell.config) for cell in group], place, None)
        return
    for run in map(resolve, expand(round_)):
        ill = run.path in paths
        if not ill:
            _reuse(run, workspace, base)
        with scene.shared(), scene.fault() if ill else nullcontext():
            _train([run], place, scene.train if ill else None)
        if ill and scene.after:
            scene.after(workspace, run)


def _train(runs: list[RunConfig], place: Place, train: Callable[..., object] | None) -> None:
    try:
        if train:
            train(runs, place)
        else:
            work(runs, place, None, None, log=lambda text: None, on_error=lambda text: None)
    except (StillhouseError, ImportError):
        pass  # it is in the run's folder


def _reuse(run: RunConfig, workspace: Workspace, base: Path) -> None:
    """Copy a run that the base has, if it was trained with this configuration."""
    from stillhouse.config.identity import identity
    from stillhouse.runs.folder import RunFolder

    source, target = RunFolder(base / "experiments" / run.path), workspace.folder(run)
    started = source.started() if source.result.exists() else None
    if started and started["identity"] == identity(run) and not target.path.exists():
        shutil.copytree(source.path, target.path)


@contextmanager
def small_images() -> Iterator[None]:
    """Fashion-MNIST as 2000 training and 500 test images of 7 x 7 pixels, evenly over classes."""
    load, whole = fashion_mnist.load, specs.SPECS["FashionMNIST"]
    kept: list[Dataset] = []

    def shrunk(spec: specs.DatasetSpec, root: Path) -> Dataset:
        if not kept:
            full = load(whole, root)
            parts = (_part(full.train, spec.train_images), _part(full.test, spec.test_images))
            kept.append(make_dataset(spec, *parts))
        return kept[0]

    with patch.dict(specs.SPECS, FashionMNIST=SMALL), patch.object(fashion_mnist, "load", shrunk):
        yield


def _part(split: Split, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    _, rows = stratified(split, count, 0)
    smaller = F.avg_pool2d(rows.images.float(), 4).round().to(torch.uint8)
    return smaller, rows.labels
