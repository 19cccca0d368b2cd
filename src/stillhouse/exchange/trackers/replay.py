"""Write the runs of a round for a tracker, each again when it has more epochs than before."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from stillhouse.errors import RunError, one_line
from stillhouse.exchange.trackers import Tracked, Tracker, tracker
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.runs.files import sweep, temporary


class Replay:
    """Follows a round; a tracker that fails is reported once and left out from then on."""

    def __init__(self, name: str, folder: Path, log: Callable[[str], None]) -> None:
        self.name, self.folder, self.log = name, folder, log
        self._write: Tracker | None = tracker(name)
        self._epochs: dict[str, int] = {}

    def update(self, survey: Survey) -> None:
        """Write what has more epochs than at the last call."""
        for cell in survey.cells:
            if self._write is None:
                return
            try:
                self._replay(cell, survey, self._write)
            except RunError as error:
                self.log(f"{cell.config.path}: not written for {self.name}: {error.message}")
            except (OSError, ValueError, RuntimeError) as error:
                self.log(f"{self.name} failed and gets nothing more: {one_line(error)}")
                self._write = None

    def _replay(self, cell: Cell, survey: Survey, write: Tracker) -> None:
        """A whole run into a new folder, which then takes the place of the old one."""
        epochs = cell.folder.records() if cell.state.epoch else []
        path = cell.config.path
        if len(epochs) <= self._epochs.get(path, 0):
            return
        settings = cell.config.model_dump(mode="json")
        run = Tracked(path, survey.round.round, settings, epochs)
        target = self.folder / run.name
        self.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.folder)
        new = temporary(target)
        try:
            write(run, new)
            shutil.rmtree(target, ignore_errors=True)
            os.rename(new, target)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        self._epochs[path] = len(epochs)
