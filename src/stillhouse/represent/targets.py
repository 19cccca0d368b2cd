"""Which networks of a round are extracted, from which weights, into which file. Imports no torch.

A run's representations lie in its folder. A teacher that was borrowed from another workspace has
them there, if they were extracted there, else in `experiments/borrowed/` of this one: extracting
writes into no other workspace.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from stillhouse.config.recorded import recorded
from stillhouse.config.renamed import folder_of
from stillhouse.config.schema import RunConfig
from stillhouse.config.teacher_file import check_fields, from_file, is_pattern
from stillhouse.errors import ConfigError, RunError
from stillhouse.plugin import versioned
from stillhouse.represent.facts import FACTS
from stillhouse.represent.facts import FILE as FACTS_FILE
from stillhouse.represent.store import FILE, Header, Which, read_header
from stillhouse.rounds.survey import Cell, Survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.files import file_hash
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import Result

BORROWED = "borrowed"
UNTRAINED = "untrained"
STORED = "stored"
FIELDS = ("run", "dataset", "method", "model", "seed")
NO_WEIGHTS = "imported without its weights"


@dataclass(frozen=True)
class Target:
    """A completed run: `weights` says which file of weights `file` is, `home` takes the results.

    An untrained network has no result, and no file.

    `name` is its path below `experiments/`; `kept` the experiments folder with the copies of the
    custom components that it was trained with.
    """

    name: str
    config: RunConfig
    folder: RunFolder
    home: Path
    kept: Path
    weights: Which
    file: Path
    sha256: str
    result: Result | None

    @property
    def store(self) -> Path:
        """The file of representations."""
        return self.home / FILE

    @property
    def facts(self) -> Path:
        """The file of what else was measured."""
        return self.home / FACTS_FILE

    @cached_property
    def data(self) -> str | None:
        """The content hash of the images that it was trained on; None for an imported run."""
        run = self.folder.started()
        return run.get("data") if run else None

    @property
    def epoch(self) -> int:
        """The epoch after which the weights were written."""
        if self.result is None:
            return 0
        part = self.result["best"] if self.weights == "best" else self.result["final"]
        return part["epoch"]

    @property
    def size(self) -> int:
        """The number of parameters, which orders networks by cost; 0 if unknown."""
        return self.result.get("cost", {}).get("parameters", 0) if self.result else 0

    def stored(self) -> Header | None:
        """The header of the file of representations, if it is of these weights.

        Raises RunError if there is a file that is damaged or foreign.
        """
        if not (self.store.exists() and self.facts.exists()):
            return None
        header = read_header(self.store)
        current = header.sha256 == self.sha256 == FACTS.read(self.facts)["weights_sha256"]
        same = current and header.data == (self.data or header.data)
        return header if same else None


@dataclass(frozen=True)
class Skipped:
    """A run that cannot be extracted, and why."""

    name: str
    reason: str


def targets(workspace: Workspace, survey: Survey, weights: str) -> list[Target | Skipped]:
    """The runs of a survey and their borrowed teachers, in the order of the matrix.

    `weights` is `final`, `best` or, for an imported round, a pattern of files relative to the
    workspace with the fields of `FIELDS`. Raises ConfigError for anything else.
    """
    _check_weights(weights, survey.round.imported is not None)
    found: dict[str, Target | Skipped] = {}
    for cell in survey.cells:
        for name, one in _borrowed(workspace, cell, weights):
            found.setdefault(name, one)
        found[cell.config.path] = own_target(workspace, cell, weights)
    for cell in survey.cells:
        if cell.config.teacher and not isinstance(found[cell.config.path], Skipped):
            one = _untrained(workspace, cell.config)
            found.setdefault(one.name, one)
    return [*found.values()]


def teacher_name(run: RunConfig) -> str | None:
    """The name of the target that teaches a run; None without a teacher."""
    if run.teacher is None or run.teacher_path is None:
        return None
    source = run.teacher.source
    if source is None:
        return run.teacher_path
    return f"{'adopted' if from_file(source) else BORROWED}/{run.teacher_path}"


def untrained_name(run: RunConfig) -> str | None:
    """The name of the untrained network of the kind of a run's teacher; None without a teacher."""
    return f"{UNTRAINED}/{run.dataset}/{run.teacher.model}/0" if run.teacher else None


def _untrained(workspace: Workspace, run: RunConfig) -> Target:
    """The network of a run's teacher as training with seed 0 would begin with it."""
    name = untrained_name(run)
    assert name is not None and run.teacher is not None
    model, home = run.teacher.model, workspace.experiments / name
    files = tuple(file for file in run.files if file.name in (run.dataset, model))
    config = RunConfig(
        dataset=run.dataset,
        method="pure",
        model=model,
        seed=0,
        training=run.training,
        files=files,
        networks=tuple(one for one in run.networks if one.label == model),
    )
    options = "".join(f" {json.dumps(one.counted())}" for one in config.networks)
    identity = f"untrained {versioned('model', model, files)}{options}"
    sha256 = hashlib.sha256(identity.encode()).hexdigest()
    folder, kept = RunFolder(home), workspace.experiments
    return Target(name, config, folder, home, kept, "untrained", home, sha256, None)


def _check_weights(weights: str, imported: bool) -> None:
    if weights in ("final", "best", STORED):
        return
    if not is_pattern(weights):
        raise ConfigError(
            f"--weights {weights}: expected final, best or a pattern of files",
            "a pattern ends in .safetensors, .pth, .pt or .tar, as in old/{run}/best.pth",
        )
    if not imported:
        raise ConfigError(
            f"--weights {weights}: this round was trained here, and its weights are known",
            "give --weights final or --weights best",
        )
    try:
        check_fields(weights, FIELDS)
    except ValueError as error:
        raise ConfigError(f"--weights: {error}") from error


def own_target(workspace: Workspace, cell: Cell, weights: str) -> Target | Skipped:
    """Return a run of a round with its weights: `final`, `best` or a pattern of files."""
    path, folder = cell.config.path, cell.folder
    if cell.state.result is None:
        return Skipped(path, f"not completed ({cell.shown})")
    return _target(path, folder, folder.path, workspace.experiments, weights, workspace.root)


def _borrowed(
    workspace: Workspace, cell: Cell, weights: str
) -> Iterator[tuple[str, Target | Skipped]]:
    """The teacher of a run, if it is of no run of the round; from its final or best weights."""
    run, name = cell.config, teacher_name(cell.config)
    if run.teacher is None or name is None or name == run.teacher_path:
        return
    experiments = workspace.teachers_of(run.teacher.source)
    folder = folder_of(experiments, name.partition("/")[2])
    which = "best" if weights == "best" else "final"
    try:
        there = _target(name, folder, folder.path, experiments, which, workspace.root)
    except RunError as error:
        yield name, Skipped(name, error.message)
        return
    if isinstance(there, Target) and there.result and "adopted" in there.result:
        files = tuple(file for file in run.files if file.name in (run.dataset, run.teacher.model))
        config = there.config.model_copy(update={"files": files})
        yield name, replace(there, config=config, kept=workspace.experiments)
    elif isinstance(there, Target) and not _extracted_there(there):
        yield name, replace(there, home=workspace.experiments / name)
    else:
        yield name, there


def _extracted_there(target: Target) -> bool:
    """Whether another workspace has the representations; a damaged file there is of no use."""
    try:
        return target.stored() is not None
    except RunError:
        return False


def as_stored(workspace: Workspace, survey: Survey) -> list[tuple[Target, Header] | Skipped]:
    """The networks of a survey whose representations are there, from whatever weights.

    One whose weights have changed since, or whose file is damaged, is left out with the reason.
    Raises RunError if some were extracted from final weights and some from best ones.
    """
    found = [_as_stored(one) for one in targets(workspace, survey, STORED)]
    trained = [one for one in found if not isinstance(one, Skipped) and one[0].result]
    final = [target.name for target, header in trained if not _is("best", target, header)]
    best = [target.name for target, header in trained if not _is("final", target, header)]
    if final and best:
        raise RunError(
            f"{final[0]} was extracted from its final weights, {best[0]} from its best ones",
            "repeat `stillhouse extract`",
        )
    return found


def _as_stored(one: Target | Skipped) -> tuple[Target, Header] | Skipped:
    if isinstance(one, Skipped):
        return one
    if not one.store.exists():
        return Skipped(one.name, "not extracted")
    try:
        header = read_header(one.store)
    except RunError as error:
        return Skipped(one.name, error.message)
    if one.result and not (_is("final", one, header) or _is("best", one, header)):
        return Skipped(one.name, "its weights have changed since it was extracted")
    return one, header


def _is(which: str, target: Target, header: Header) -> bool:
    """Whether a file is of a run's final or best weights; a user's file counts as final."""
    if header.weights == "file":
        return which == "final"
    assert target.result is not None
    return dict(target.result["weights"]).get(which) == header.sha256


def _target(
    name: str, folder: RunFolder, home: Path, experiments: Path, weights: str, root: Path
) -> Target | Skipped:
    config, result = recorded(folder), folder.completed()
    if config is None or result is None:
        return Skipped(name, "not completed")
    if is_pattern(weights):
        values = {field: getattr(config, field) for field in FIELDS if field != "run"}
        file = root / weights.format(run=config.path, **values)
        if not file.is_file():
            return Skipped(name, f"no file of weights by the pattern {weights}")
        return Target(
            name, config, folder, home, experiments, "file", file, file_hash(file), result
        )
    which: Literal["final", "best"] = "best" if weights == "best" else "final"
    if weights == STORED and which not in result["weights"]:
        return Target(name, config, folder, home, experiments, "file", folder.final, "", result)
    if which not in result["weights"]:
        return Skipped(name, NO_WEIGHTS)
    file = {"final": folder.final, "best": folder.best}[which]
    sha256 = result["weights"][which]
    return Target(name, config, folder, home, experiments, which, file, sha256, result)
