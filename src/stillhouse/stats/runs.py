"""A round's runs and epochs as long tables: the one source of results, cost and comparisons."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from stillhouse import methods
from stillhouse.config.expand import one_of_several
from stillhouse.config.schema import PURE, Round, RunConfig
from stillhouse.errors import RunError, unknown_name
from stillhouse.exchange.archive import archive_of
from stillhouse.represent.classes import worst_class
from stillhouse.represent.facts import FACTS, FILE
from stillhouse.rounds.find import open_round
from stillhouse.rounds.survey import Cell, Survey, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import Epoch, Result
from stillhouse.stats.columns import AXIS, EPOCHS, RUNS, flag, frame
from stillhouse.stats.written import read_table

if TYPE_CHECKING:
    import pandas as pd

    from stillhouse.represent.trained import TrainedNetwork

Role = Literal["teacher", "pure", "method"]


@dataclass(frozen=True)
class LoadedRun:
    """One run of a loaded round."""

    cell: Cell
    workspace: Workspace

    def __repr__(self) -> str:
        """One line: the run's path and its state."""
        return f"<run {self.path}: {self.cell.shown}>"

    @property
    def path(self) -> str:
        """The run's path, by which the tables name it."""
        return self.cell.config.path

    @property
    def config(self) -> RunConfig:
        """The run's settings."""
        return self.cell.config

    def network(
        self, weights: str = "final", device: str = "cpu", data_root: Path | str | None = None
    ) -> TrainedNetwork:
        """Open the trained network, in eval mode with its normalisation. Imports torch.

        `weights` are `final` or `best`. `data_root` is needed only for a method whose inference
        model holds a part of the teacher (simkd). Raises RunError if the run is not completed.
        """
        from stillhouse.represent.trained import open_trained

        source = self.config.teacher.source if self.config.teacher else None
        root = Path(data_root) if data_root is not None else None
        return open_trained(self.workspace, self.cell, source, weights, device, root)


@dataclass(frozen=True)
class LoadedRound:
    """The tables of a round (see `stats.columns` for their columns), and its runs.

    Reading them reads the run folders as they are at that time; later calls return the same table.
    """

    survey: Survey
    workspace: Workspace

    def __repr__(self) -> str:
        """One line: the round's name, and how many of its runs count."""
        done, of = self.survey.count("done"), len(self.survey.cells)
        return f"<round {self.round.round}: {done} of {of} runs complete and valid>"

    @property
    def round(self) -> Round:
        """The round file."""
        return self.survey.round

    def run(self, path: str) -> LoadedRun:
        """Return the run of a path, as in the column `run`. Raises ConfigError for another one."""
        cells = {cell.config.path: cell for cell in self.survey.cells}
        if path not in cells:
            raise unknown_name("run", path, cells)
        return LoadedRun(cells[path], self.workspace)

    @cached_property
    def runs(self) -> pd.DataFrame:
        """One row per run, in the order of the round's matrix."""
        return runs_frame(self.survey)

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """One row per run and finished epoch. Raises RunError if a run's records are damaged."""
        found, damaged = epochs_frame(self.survey.cells)
        if damaged:
            run, why = next(iter(damaged.items()))
            raise RunError(f"{run}: {why}", "see: stillhouse doctor")
        return found

    @cached_property
    def measures(self) -> pd.DataFrame:
        """One row per run, layer and measure. Raises RunError before `stillhouse analyze`."""
        return self._written("measures")

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """One row per pair of layers and measure. Raises RunError before `stillhouse analyze`."""
        return self._written("pairs")

    @cached_property
    def transfer(self) -> pd.DataFrame:
        """Excess and specificity per arm and layer. Raises RunError before `stillhouse analyze`."""
        return self._written("transfer")

    def _written(self, name: str) -> pd.DataFrame:
        folder = archive_of(self.workspace, self.round.round).path / "tables"
        if not (folder / f"{name}.csv").is_file():
            raise RunError(
                f"{folder / name}.csv is not there",
                f"stillhouse extract {self.round.round}, then stillhouse analyze",
            )
        return read_table(folder, name, self.round.round)


def load_round(path: Path | str, root: Path | str = ".") -> LoadedRound:
    """Open a round by its file, its name in the workspace `root`, or a folder that holds one.

    Raises ConfigError if there is no such round or its file is not valid.
    """
    workspace, round_, _ = open_round(Path(root), str(path))
    return LoadedRound(survey_round(workspace, round_), workspace)


def runs_frame(survey: Survey) -> pd.DataFrame:
    """Return one row per run of a survey, with the columns `RUNS`.

    Each axis that the round sweeps has a column `axis_NAME` after them.
    """
    return frame([_run(survey.round, cell) for cell in survey.cells], RUNS)


def run_records(survey: Survey) -> list[dict[str, Any]]:
    """Return `records(runs_frame(survey))`, without the frame: most commands need no pandas."""
    missing = dict.fromkeys(column.name for column in RUNS)
    rows = [_run(survey.round, cell) for cell in survey.cells]
    return [{**missing, **row, "valid": flag(row["valid"])} for row in rows]


def epochs_frame(cells: Iterable[Cell]) -> tuple[pd.DataFrame, dict[str, str]]:
    """Return one row per finished epoch of some runs, with the columns `EPOCHS`.

    The second value says by run what is wrong with records that cannot be read.
    """
    rows, damaged = [], {}
    for cell in cells:
        try:
            rows += [_epoch(cell.config.path, record) for record in cell.folder.records()]
        except RunError as error:
            damaged[cell.config.path] = error.message
    return frame(rows, EPOCHS), damaged


def role(round_: Round, run: RunConfig) -> Role:
    """Return what a run is in its round."""
    if run.method != PURE:
        return "method"
    if len(round_.all_teachers) > 1 and run.model in round_.students:
        return "pure"  # a student's network that also teaches is the baseline of its students
    return "teacher" if run.model in round_.own_teachers else "pure"


def label(round_: Round, run: RunConfig) -> str:
    """Return the name of a run's arm in tables: `Student pure (ResNet56)`, `Logit KD alpha=0.5`."""
    if run.method == PURE:
        what = "Teacher" if role(round_, run) == "teacher" else "Student pure"
        return f"{what} ({run.model})"
    several = f" ({run.model})" if len(round_.students) > 1 else ""
    teacher = one_of_several(round_, run)
    several += f" from {teacher}" if teacher else ""
    return f"{methods.declared(run.method, round_.files).label}{several} {run.axis_values}".strip()


def _run(round_: Round, cell: Cell) -> dict[str, Any]:
    run, state = cell.config, cell.state
    values = list(run.axes.values())
    return {
        "run": run.path,
        "dataset": run.dataset,
        "method": run.method,
        "axis": " ".join(run.axes) or None,
        "value": values[0] if len(values) == 1 else None,
        "student": run.model,
        "teacher": run.teacher.model if run.teacher else None,
        "seed": run.seed,
        "state": "done" if state.name == "done" else cell.shown,
        "valid": None if state.result is None else not cell.learned_nothing,
        "role": role(round_, run),
        "arm": label(round_, run),
        "teacher_run": run.teacher_path,
        "epochs": state.epoch,
        "planned_epochs": run.training.epochs,
        "why": cell.why or None,
        **_measured(cell),
        **{f"{AXIS}{name}": run.axes.get(name) for name in round_.sweep},
    }


def _measured(cell: Cell) -> dict[str, Any]:
    """What a completed run recorded."""
    result = cell.state.result
    if result is None:
        return {}
    test, best, cost = result["final"]["test"], result["best"], result.get("cost", {})
    started = cell.started if cell.config.teacher else None
    taught = {**((started and started["teacher"]) or {}), **(result.get("teacher") or {})}
    return {
        "accuracy": test["accuracy"],
        "best_accuracy": best["test_accuracy"],
        "best_epoch": best["epoch"],
        "ema_accuracy": _averaged(result["final"]),
        "chosen_on": best["chosen_on"],
        "loss": test.get("ce"),
        "ece": test.get("ece"),
        "agreement": test.get("agreement"),
        "teacher_accuracy": taught.get("accuracy"),
        "teacher_sha256": taught.get("sha256"),
        "parameters": cost.get("parameters"),
        "method_parameters": cost.get("method_parameters"),
        "method_frozen_parameters": cost.get("method_frozen_parameters"),
        **_extracted(cell.folder, result),
    }


def _averaged(record: Epoch) -> float | None:
    """The test accuracy (%) of the averaged weights, where the recipe has them."""
    return record["ema"]["test"]["accuracy"] if "ema" in record else None


def _extracted(folder: RunFolder, result: Result) -> dict[str, Any]:
    """What `extract` measured of these weights; a damaged file, which it names, counts as none."""
    path = folder.path / FILE
    try:
        facts = FACTS.read(path) if path.exists() else None
    except RunError:
        return {}
    if facts is None or facts["weights_sha256"] not in result["weights"].values():
        return {}
    worst, accuracy = worst_class(facts["class_accuracies"])
    jobs = facts["jobs"]
    return {
        "multiply_adds": facts["multiply_adds"],
        "milliseconds_per_image": 1000 * facts["seconds_per_image"],
        "top5": facts.get("top5"),
        "worst_class": worst,
        "worst_class_accuracy": accuracy,
        "timed_on": f"{facts['device']}, threads: {facts['threads']}, networks at once: {jobs}, "
        f"batch: {facts['batch_size']}",
    }


def _epoch(path: str, record: Epoch) -> dict[str, Any]:
    train, test = record.get("train", {}), record["test"]
    validation, time = record.get("validation"), record.get("time")
    return {
        "run": path,
        "epoch": record["epoch"],
        "lr": record.get("lr"),
        "train_loss": train.get("total"),
        "train_accuracy": train.get("accuracy"),
        "test_loss": test.get("ce"),
        "test_accuracy": test["accuracy"],
        "validation_loss": validation.get("ce") if validation else None,
        "validation_accuracy": validation["accuracy"] if validation else None,
        "ema_accuracy": _averaged(record),
        "train_ce": train.get("ce"),
        "ece": test.get("ece"),
        "agreement": test.get("agreement"),
        "gradient_norm": record.get("gradients", {}).get("norm"),
        "update_ratio": record.get("update_ratio"),
        "images_per_second": time.get("images_per_second") if time else None,
        "seconds": time["seconds"] if time else None,
        "loading_seconds": time.get("loading") if time else None,
        "teacher_seconds": time.get("teacher") if time else None,
    }
