"""The folder a round lives in: `experiments/` below a root, one active round at a time."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from stillhouse.config.expand import expand
from stillhouse.config.renamed import folder_of
from stillhouse.config.schema import Round, RunConfig
from stillhouse.config.teacher_file import ADOPTED, from_file
from stillhouse.errors import ConfigError, RunError, unknown_name
from stillhouse.runs.complete import tidy
from stillhouse.runs.files import sweep, write_atomic, write_once
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import ACTIVE, Active, dump

if TYPE_CHECKING:
    from stillhouse.training.reopen import Place

TRASH = ".trash"


@dataclass(frozen=True)
class Workspace:
    """All paths of a workspace; only `activate` and `tidy` write.

    `beside` is the folder of the round file, to which its `teachers_from` is relative.
    """

    root: Path
    beside: Path | None = field(default=None, compare=False)

    @property
    def experiments(self) -> Path:
        """Where the active round's runs are."""
        return self.root / "experiments"

    @property
    def pretrained(self) -> Path:
        """Return the folder of parts that methods train once per teacher."""
        return self.experiments / "pretrained"

    @property
    def jobs(self) -> Path:
        """What is known of the jobs of a scheduler."""
        return self.experiments / "jobs"

    @property
    def marker(self) -> Path:
        """Which round is active here."""
        return self.experiments / "round.json"

    def analysis(self, name: str) -> Path:
        """The folder of everything that is written about a round."""
        return self.root / "analysis" / f"experiment_{name}"

    def folder(self, run: RunConfig) -> RunFolder:
        """A run's folder."""
        return folder_of(self.experiments, run.path)

    def run(self, name: str) -> RunFolder:
        """The folder of a run that was started, named below `experiments/` or by any path.

        Raises ConfigError with the nearest match.
        """
        for path in (folder_of(self.experiments, name).path, Path(name)):
            if (path / "run.json").is_file():
                return RunFolder(path)
        known = [
            file.parent for file in self.experiments.rglob("run.json") if TRASH not in file.parts
        ]
        raise unknown_name("run", name, [str(one.relative_to(self.experiments)) for one in known])

    def active(self) -> Active | None:
        """The active round's name and file, or None. Raises RunError if they are damaged."""
        return ACTIVE.read(self.marker) if self.marker.exists() else None

    def activate(self, round_: Round, file: Path) -> None:
        """Make a round the active one. Raises RunError if another one is, or if it is archived."""
        self.refuse_archived()
        self.experiments.mkdir(parents=True, exist_ok=True)
        relative = os.path.relpath(file.resolve(), self.root.resolve())
        marker = dump({"round": round_.round, "file": relative})
        if write_once(self.marker, marker):
            return
        self.refuse_second(round_)
        write_atomic(self.marker, marker)

    def refuse_archived(self) -> None:
        """Raise RunError if the runs lie in an archive, whose files must not change."""
        if (self.root / "archive.json").is_file():
            name = self.root.resolve().name.removeprefix("experiment_")
            raise RunError(
                f"round '{name}' is archived in {self.root}",
                f"open it first: stillhouse archive {name} --restore",
            )

    @contextmanager
    def activated(self, round_: Round, file: Path) -> Iterator[None]:
        """Make a round the active one; where it was not and none of its runs has begun at the end,
        as after a failed start, it is not any more.
        """
        new = not self.marker.exists()
        self.activate(round_, file)
        try:
            yield
        finally:
            if new and not any(self.folder(run).path.exists() for run in expand(round_)):
                self.marker.unlink(missing_ok=True)

    def refuse_vanished(self) -> None:
        """Raise RunError if the marker of the round that is being trained is gone."""
        if not self.marker.exists():
            raise RunError(
                f"{self.marker} vanished while the round was being trained",
                f"put {self.experiments} back, or mount it again, and repeat the command",
            )

    def tidy(self, runs: Iterable[RunFolder]) -> None:
        """Carry on where processes that are gone left off, and remove what they left behind."""
        sweep(self.experiments, self.pretrained)
        for folder in runs:
            with suppress(RunError):  # an unreadable run is shown by `status`
                tidy(folder)

    def refuse_second(self, round_: Round) -> None:
        """Raise RunError if another round than this one is active."""
        if (active := self.active()) and active["round"] != round_.round:
            raise RunError(
                f"round '{active['round']}' is active in {self.root.resolve()}, "
                f"so round '{round_.round}' cannot start there",
                "give it a workspace of its own with --root",
            )

    def place(
        self, source: str | None, data_root: Path | None, device: str, keep_going: bool = False
    ) -> Place:
        """Where runs train whose teachers are those of `source`. Imports torch."""
        from stillhouse.data import data_root as chosen
        from stillhouse.training.precision import pick_device
        from stillhouse.training.reopen import Place

        teachers, images = self.teachers_of(source), chosen(data_root)
        return Place(self.experiments, teachers, images, pick_device(device), keep_going)

    def teachers(self, round_: Round) -> Path:
        """The experiments folder that holds the round's teachers.

        `teachers_from` names a workspace, an experiments folder, a round whose archive is in
        `analysis/experiment_NAME/`, or files, which are taken over into a folder here. Raises
        ConfigError if there is none of these.
        """
        return self.teachers_of(round_.teachers_from)

    def near(self, path: str) -> list[Path]:
        """Where a path of the round file may lead: from that file, else from the workspace."""
        homes = [self.beside, self.root] if self.beside else [self.root]
        return [Path(os.path.normpath(home / path)) for home in homes]

    def teachers_of(self, source: str | None) -> Path:
        """The same for a `teachers_from`, as runs record it."""
        if source is None:
            return self.experiments
        if from_file(source):
            return self.experiments / ADOPTED
        archive = f"analysis/experiment_{source}/experiments"
        tried = [*self.near(f"{source}/experiments"), *self.near(source), *self.near(archive)]
        for path in tried:
            if path.is_dir():
                return path
        looked = ", ".join(str(path) for path in tried)
        raise ConfigError(f"teachers_from: no round '{source}' found", f"looked for {looked}")
