"""A small laboratory for tests: real images, real folders, a few steps."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from real_rounds import outcome
from stillhouse import methods
from stillhouse.config.resolve import resolve
from stillhouse.config.schema import RunConfig, Teacher, Training
from stillhouse.plugin import Files
from stillhouse.runs.folder import RunFolder
from stillhouse.training.cohort import open_cohort
from stillhouse.training.contract.runs import StopAfter
from stillhouse.training.loop import Cohort, train
from stillhouse.training.reopen import Place

RECIPE = Training(
    epochs=2,
    batch_size=64,
    learning_rate=0.02,
    augmentation=("pad_crop",),
    crop_padding=1,
    train_images=200,
)


@dataclass
class Lab:
    """A folder of experiments on scikit-learn's digits, with a trained teacher."""

    experiments: Path
    teachers: Path
    data_root: Path

    @property
    def place(self) -> Place:
        return Place(self.experiments, self.teachers, self.data_root, torch.device("cpu"))

    def run(
        self,
        method: str,
        seed: int = 0,
        model: str = "ResNetBaby",
        files: Files = (),
        **recipe: Any,
    ) -> RunConfig:
        training = RECIPE.model_copy(update=recipe)
        taught = methods.declared(method, files).taught_by != "nobody"
        teacher = Teacher(model="ResNetBaby", seed=7, source="lab") if taught else None
        config = RunConfig(
            dataset="Digits",
            method=method,
            model=model,
            seed=seed,
            teacher=teacher,
            training=training,
            files=files,
        )
        return resolve(config)

    def open(self, *configs: RunConfig, complaints: list[str] | None = None) -> Cohort:
        """A cohort; there must be no complaints, unless they are asked for."""
        heard: list[str] = []
        cohort = open_cohort(list(configs), self.place, heard.append)
        assert complaints is not None or heard == []
        if complaints is not None:
            complaints += heard
        return cohort

    def train(
        self, *configs: RunConfig, steps: int | None = None, complaints: list[str] | None = None
    ) -> str | None:
        cohort = self.open(*configs, complaints=complaints)
        return train(cohort, StopAfter(steps), lambda trainer, record: None)

    def folder(self, config: RunConfig) -> RunFolder:
        return RunFolder(self.experiments / config.path)

    def outcome(self, config: RunConfig) -> dict[str, Any]:
        """Everything of a completed run that must be bit-identical when repeated."""
        return outcome(self.folder(config))


ALL_METHODS = methods.names()
