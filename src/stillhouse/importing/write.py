"""Writing an imported round: a workspace with a round file and one record folder per run."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from stillhouse.config.expand import expand
from stillhouse.config.load import load_round
from stillhouse.config.schema import Round, RunConfig
from stillhouse.errors import ConfigError, RunError
from stillhouse.importing.records import attempt_status, epoch_records, result_facts, run_facts
from stillhouse.importing.round_file import make_round
from stillhouse.importing.scan import WEIGHTS, scan
from stillhouse.importing.script_run import Outcome, ScriptRun, outcome, read_run
from stillhouse.published import results_file
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.files import file_hash, write_atomic
from stillhouse.runs.folder import Attempt
from stillhouse.runs.records import dump, dump_sealed

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
VERBATIM = "imported"
"""The folder, in a run's folder and in the workspace, that holds the source's files unchanged."""


@dataclass(frozen=True)
class Import:
    """What an import wrote.

    `runs` gives each run's outcome by its path; `notes` are (path, remark) pairs; `unmapped` are
    (path in the source, why) of everything that became no record, kept unchanged in `kept`.
    """

    round: Round
    file: Path
    runs: dict[str, Outcome]
    notes: tuple[tuple[str, str], ...]
    unmapped: tuple[tuple[str, str], ...]
    kept: Path


def import_round(source: Path, name: str, root: Path, recipe: Path | None = None) -> Import:
    """Read `source` and write it as round `name` into the workspace `root`.

    The round file `recipe` gives what the records lack; tables of published results that lie
    beside it come along. The source is only read. Raises RunError if the workspace already holds
    runs, DataError if the source holds none, ConfigError for a name that is none.
    """
    if not NAME.fullmatch(name):
        raise ConfigError(f"--as {name}", "letters, digits, '.', '_' and '-', as in --as alpha")
    workspace = Workspace(root)
    if workspace.experiments.exists() and any(workspace.experiments.iterdir()):
        raise RunError(f"{workspace.experiments} is not empty", "give another folder with --root")
    if not source.is_dir():
        raise RunError(f"{source} is not a folder", "give the folder above experiments/")
    seen = scan(source)
    runs = [read_run(found) for found in seen.runs]
    described = load_round(recipe) if recipe else None
    round_, remarks = make_round(runs, name, str(source), described)
    matched, left = _match(runs, round_)
    assert round_.imported is not None
    imported = round_.imported.model_copy(update={"runs": tuple(matched)})
    file = _write_round(round_.model_copy(update={"imported": imported}), root)
    round_ = load_round(file)
    workspace.activate(round_, file)
    if recipe:
        _copy_published(recipe, file)
    configs = {config.path: config for config in expand(round_)}
    outcomes, notes = {}, [(name, remark) for remark in remarks]
    for path, config in configs.items():
        outcomes[path], found = _write_run(
            workspace, config, matched[path], matched, imported.unknown
        )
        notes += [(path, note) for note in found]
    unmapped = [*seen.strays, *((run.found.relative, _why(run, round_, matched)) for run in left)]
    for relative, _ in unmapped:
        _copy(seen.base / relative, root / VERBATIM / relative)
    return Import(round_, file, outcomes, tuple(notes), tuple(unmapped), root / VERBATIM)


def path_of(run: ScriptRun, round_: Round) -> str:
    """The path that a run has in the round: in a sweep every distilled run has its alpha level."""
    place = run.found.place
    networks = f"{place.teacher}_to_{place.model}" if place.teacher else place.model
    level = ""
    if round_.sweep and place.teacher:
        alpha = run.config.get("alpha") if place.alpha is None else place.alpha
        level = f"alpha_{alpha:g}/" if alpha is not None else ""
    return f"{place.dataset}/{place.method}/{level}{networks}/{place.seed}"


def _copy_published(recipe: Path, file: Path) -> None:
    """Copy the table of published results that lies beside a round file beside another."""
    if results_file(recipe).exists():
        shutil.copyfile(results_file(recipe), results_file(file))


def _match(runs: list[ScriptRun], round_: Round) -> tuple[dict[str, ScriptRun], list[ScriptRun]]:
    """Each run of the round's matrix with its files, and the folders that are left over."""
    matrix = {config.path for config in expand(round_.model_copy(update={"imported": None}))}
    matched: dict[str, ScriptRun] = {}
    left = []
    for run in runs:
        path = path_of(run, round_)
        if path in matched or path not in matrix:
            left.append(run)
        else:
            matched[path] = run
    return matched, left


def _why(run: ScriptRun, round_: Round, matched: dict[str, ScriptRun]) -> str:
    path = path_of(run, round_)
    why = f"the round made of all has no run {path}"
    if path in matched:
        why = f"{matched[path].found.relative} is the same run, {path}"
    return "; ".join([why, *run.problems])


def _write_round(round_: Round, root: Path) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    fields = round_.model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump(fields, sort_keys=False, allow_unicode=True, width=100)
    file = root / f"{round_.round}.yaml"
    write_atomic(file, f"# As it was found; written by `stillhouse import`.\n{text}".encode())
    return file


def _write_run(
    workspace: Workspace,
    config: RunConfig,
    run: ScriptRun,
    runs: dict[str, ScriptRun],
    untold: tuple[str, ...],
) -> tuple[Outcome, list[str]]:
    """Write a run's folder; return its outcome and what deserves a remark."""
    folder, found = workspace.folder(config), outcome(run)
    folder.path.mkdir(parents=True)
    facts = run_facts(run, config, found, runs, untold)
    facts["imported"]["files"] = _keep(run.found.folder, folder.path / VERBATIM)
    records = epoch_records(run, config)
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records).encode()
    if found.earlier:
        _write_attempt(folder.attempt(1), attempt_status(found.earlier))
    if found.state != "missing":
        newest = folder.attempt(2 if found.earlier else 1)
        _write_attempt(newest, attempt_status(found))
        if (run.found.folder / "logs").exists():
            shutil.copyfile(run.found.folder / "logs", newest.log)
        if records and found.state != "finished":
            write_atomic(newest.metrics, lines)
    if found.state == "finished":
        write_atomic(folder.path / "metrics.jsonl", lines)
        result = result_facts(run, config, len(folder.attempts()), sha256(lines).hexdigest())
        write_atomic(folder.result, dump_sealed(result))
    write_atomic(folder.run, dump_sealed(facts))
    notes = [f"in conflict: {conflict}" for conflict in found.conflicts]
    taught = facts["teacher"]
    if taught and taught.get("finished_before") is False:
        notes.append(_unfinished(taught, config.training.epochs))
    return found, [*notes, *facts["imported"]["problems"]]


def _unfinished(taught: dict[str, Any], epochs: int) -> str:
    """Say that a run's teacher was still in training when the run started."""
    epoch, accuracy = taught.get("epoch_at_start"), taught.get("accuracy_at_start")
    if epoch is None or accuracy is None:
        return "it started before its teacher was finished"
    return (
        f"it started before its teacher was finished: at about epoch {epoch} of {epochs}, "
        f"when the teacher's best accuracy was {accuracy:.2f} %"
    )


def _write_attempt(attempt: Attempt, status: dict[str, Any]) -> None:
    attempt.path.mkdir(parents=True)
    write_atomic(attempt.status, dump(status))


def _keep(source: Path, target: Path) -> dict[str, Any]:
    """Copy a run's files unchanged; weights stay where they are, with their hash noted."""
    kept: dict[str, Any] = {}
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        relative = path.relative_to(source).as_posix()
        copied = path.suffix not in WEIGHTS
        if copied:
            _copy(path, target / relative)
        size = path.stat().st_size
        kept[relative] = {"sha256": file_hash(path), "bytes": size, "copied": copied}
    return kept


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a folder's files, weights left out."""
    for path in [source] if source.is_file() else sorted(source.rglob("*")):
        if path.is_file() and path.suffix not in WEIGHTS:
            to = target if path == source else target / path.relative_to(source)
            to.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, to)
