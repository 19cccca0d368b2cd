"""Short runs through the loop: in a cohort or alone, stopped or not, they are bit-identical."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stillhouse import methods
from stillhouse.config.identity import difference
from stillhouse.config.schema import RunConfig, Teacher, Training
from stillhouse.plugin import Files
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.state import state_of
from stillhouse.training.cohort import open_cohort
from stillhouse.training.contract.setup import CPU, DATASET, MethodCase
from stillhouse.training.contract.verdict import CheckFailed
from stillhouse.training.loop import train
from stillhouse.training.reopen import Place
from stillhouse.training.stop import Stop

TEACHER_SEED = 7
RECIPE = Training(
    epochs=2,
    batch_size=8,
    learning_rate=0.02,
    augmentation=("pad_crop",),
    crop_padding=1,
    train_images=24,
)
Outcome = dict[str, Any]


class StopAfter(Stop):
    """Request a stop after some steps."""

    def __init__(self, steps: int | None) -> None:
        super().__init__()
        self.left = steps

    def reason(self) -> str | None:
        """Count one step; return a reason at the last one."""
        if self.left is None:
            return None
        self.left -= 1
        return "enough" if self.left < 0 else None


@dataclass(frozen=True)
class ShortRuns:
    """The folders of short runs of one pair of networks: each `into` is a folder of experiments.

    `files` are the custom components that the pair and the dataset need.
    """

    root: Path
    teacher: str = "ResNetBaby"
    student: str = "ResNetBaby"
    dataset: str = DATASET
    recipe: Training = RECIPE
    files: Files = ()

    def outcomes(
        self, into: str, cases: Sequence[MethodCase], stops: Sequence[int] = ()
    ) -> list[Outcome]:
        """Train the cases as one cohort, stopped after so many steps each time; return the results.

        Those with another teacher (the student's own kind) are a separate cohort. Raises
        CheckFailed with the reason if one fails.
        """
        configs = [self._config(case, number) for number, case in enumerate(cases)]
        for teacher in dict.fromkeys(config.teacher for config in configs):
            cohort = [config for config in configs if config.teacher == teacher]
            for steps in (*stops, None):
                self._train(into, cohort, steps)
        return [_outcome(self._folder(into, config)) for config in configs]

    def train_teachers(self) -> None:
        """Train the networks that teach; they are shared by all folders."""
        for model in {self.teacher, self.student}:
            self._train("teachers", [self._pure(model)], None)

    def _train(self, into: str, configs: list[RunConfig], steps: int | None) -> None:
        folder, teachers = self.root / into, self.root / "teachers"
        place = Place(folder, teachers, self.root, CPU, keep_going=True)
        complaints: list[str] = []
        cohort = open_cohort(configs, place, complaints.append)
        if complaints:
            raise CheckFailed("; ".join(complaints))
        train(cohort, StopAfter(steps), lambda trainer, record: None)
        if cohort.failures:
            states = [state_of(self._folder(into, config)) for config in configs]
            raise CheckFailed("; ".join(state.reason for state in states if state.name == "failed"))

    def _folder(self, into: str, config: RunConfig) -> RunFolder:
        return RunFolder(self.root / into / config.path)

    def _pure(self, model: str) -> RunConfig:
        return RunConfig(
            dataset=self.dataset,
            method="pure",
            model=model,
            seed=TEACHER_SEED,
            training=self.recipe.model_copy(update={"precision": "fp32"}),
            files=self.files,
        )

    def _config(self, case: MethodCase, number: int) -> RunConfig:
        """Return the run of a case; `axes` give two cases of a method separate folders."""
        by = {"teacher": self.teacher, "student": self.student}
        teacher = by.get(methods.declared(case.name, case.files).taught_by)
        return RunConfig(
            dataset=self.dataset,
            method=case.name,
            model=self.student,
            seed=0,
            teacher=Teacher(model=teacher, seed=TEACHER_SEED, source="here") if teacher else None,
            axes={"case": number},
            training=self.recipe,
            parameters=case.kind.Config(**case.options).model_dump(mode="json"),
            files=(*case.files, *self.files),
        )


def require_same(first: Outcome, second: Outcome, what: str) -> None:
    """Raise CheckFailed with the first difference unless two runs are bit-identical."""
    for field, was, now in difference(first, second):
        raise CheckFailed(
            f"{what}: {field} is {was} and {now}",
            "what a method remembers is in its parameters or buffers, what it draws comes from "
            "torch's global generator, and it keeps nothing outside of itself",
        )


def a_run_in_a_cohort_is_the_run_alone(case: MethodCase) -> None:
    """A run is the same beside a pure student and a distilled one."""
    with TemporaryDirectory() as folder:
        runs = ShortRuns(Path(folder))
        runs.train_teachers()
        company = [case, MethodCase("pure"), MethodCase("logit")]
        together = runs.outcomes("together", company)[0]
        require_same(together, runs.outcomes("alone", [case])[0], "in a cohort and alone")


def a_resumed_run_is_the_uninterrupted_one(case: MethodCase) -> None:
    """A run is the same if stopped in the middle of its first and second epoch."""
    with TemporaryDirectory() as folder:
        runs = ShortRuns(Path(folder))
        runs.train_teachers()
        whole = runs.outcomes("whole", [case])[0]
        resumed = runs.outcomes("resumed", [case], stops=(1, 3))[0]
        require_same(whole, resumed, "uninterrupted and resumed")


def _outcome(folder: RunFolder) -> Outcome:
    """Return everything of a completed run that must be bit-identical when repeated."""
    result = folder.completed()
    if result is None:
        raise CheckFailed(f"the run is {state_of(folder).name}: {state_of(folder).reason}")
    lines = (folder.path / "metrics.jsonl").read_text().splitlines()
    records = {str(number): json.loads(line) for number, line in enumerate(lines, start=1)}
    for record in records.values():
        del record["time"]
    return {"records": records, "best": result["best"], "weights": result["weights"]}


CHECKS: dict[str, Callable[[MethodCase], None]] = {
    "a run in a cohort is the run alone": a_run_in_a_cohort_is_the_run_alone,
    "a resumed run is the uninterrupted one": a_resumed_run_is_the_uninterrupted_one,
}
