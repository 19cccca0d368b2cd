"""Records in the earlier scripts' layout, written by hand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stillhouse.config.load import load_round
from stillhouse.exchange.scripts.summary import import_table
from stillhouse.exchange.scripts.write import Import, import_round
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.status import status_table
from stillhouse.tables import render

SOUND = ("Cifar10/pure/ResNet112/0", "Cifar10/pure/ResNet56/0", "Cifar10/pure/ResNet56/1")
"""Runs that `sound_rounds` completes."""
MODULES = "INFO: modules loaded\n"
TRACEBACK = """Traceback (most recent call last):
  File "/home/someone/train.py", line 109, in <module>
    Data = DATASETS[DATASET](BATCH_SIZE, seed=seed)
ModuleNotFoundError: No module named 'scipy'
"""
WALLTIME = "=>> PBS: job killed: walltime 7238 exceeded limit 7200\n"


class ScriptRounds:
    """A folder of script records; `run` adds one run's files."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def run(
        self,
        path: str,
        accuracies: list[float] | None = None,
        status: dict[str, Any] | None = None,
        log: str = "",
        errors: str = MODULES,
        config: dict[str, Any] | None = None,
        losses: list[float] | None = None,
    ) -> Path:
        """`accuracies` (one per epoch) make a completed run unless `status` says otherwise."""
        folder = self.root / "experiments" / path
        folder.mkdir(parents=True)
        told = self.config(path) | (config or {})
        if accuracies is not None:
            losses = losses or [2.0 - 0.1 * epoch for epoch in range(len(accuracies))]
            series = {"train_loss": losses, "train_acc": accuracies, "test_loss": losses}
            metrics = {**series, "test_acc": accuracies, "config": told}
            (folder / "metrics.json").write_text(json.dumps(metrics))
            done = {"status": "completed", "epoch": len(accuracies), "max_acc": max(accuracies)}
            status = done if status is None else status
        if status is not None:
            (folder / "status.json").write_text(json.dumps({**status, "config": told}))
        (folder / "logs").write_text(log)
        (folder / "errors").write_text(errors)
        return folder

    @staticmethod
    def config(path: str) -> dict[str, Any]:
        """What the scripts noted of a run with this path."""
        dataset, method, *_, networks, seed = path.split("/")
        teacher, _, model = networks.rpartition("_to_")
        weights = f"experiments/{dataset}/pure/{teacher}/{seed}/best.pth" if teacher else None
        return {
            "model": model,
            "dataset": dataset,
            "seed": int(seed),
            "distillation": "none" if method == "pure" else method,
            "teacher_model": teacher or None,
            "teacher_weights": weights,
            "alpha": 0.5,
            "temperature": 4.0,
            "force_restart": False,
        }


def log(first: int, *epochs: tuple[float, float], end: str = "", seconds: int | None = None) -> str:
    """A log whose epochs (train and test accuracy) begin at `first`, counted from 0."""
    lines = ["Fri Feb 20 14:24:15 SAST 2026", "Running python train.py --seed 0", ""]
    if first:
        lines += [f"Resuming from epoch {first}, max_acc=31.00%"]
    for epoch, (train, test) in enumerate(epochs, start=first):
        lines += [f"Epoch {epoch}", f"TRAIN | Loss: 1.500 | Acc: {train:.2f} |"]
        lines += [f"TEST | Loss: 1.250 | Acc: {test:.3f} |", "Saved best model to best.pth"]
    lines += [end] if end else []
    lines += [f"Total execution time: {seconds} seconds"] if seconds is not None else []
    return "\n".join(lines) + "\n"


def sound_rounds(root: Path) -> ScriptRounds:
    """Records of three completed runs, 60, 61 and 62 % at best."""
    found = ScriptRounds(root)
    for seed, path in enumerate(SOUND):
        found.run(path, [50.0 + seed, 60.0 + seed])
    return found


def bring_in(scripts: ScriptRounds) -> Import:
    return import_round(scripts.root, "earlier", scripts.root.parent / "earlier")


def printed(done: Import) -> str:
    return render(import_table(done), "rich")


def look(done: Import) -> Survey:
    return survey_round(Workspace(done.file.parent), load_round(done.file))


def sound_runs_are_whole(done: Import) -> None:
    """The sound runs have their results, the workspace can be looked at, all is printable."""
    survey = look(done)
    best = {
        cell.config.path: cell.state.result["best"]["accuracy"]
        for cell in survey.cells
        if cell.state.result and cell.config.path in SOUND
    }
    assert best == {path: 60.0 + seed for seed, path in enumerate(SOUND)}
    assert not [cell.config.path for cell in survey.cells if cell.state.name == "unreadable"]
    text = printed(done) + render(status_table(survey), "rich")
    assert all(line.isprintable() for line in text.splitlines())
