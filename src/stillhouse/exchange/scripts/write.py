"""Write an imported round: a workspace with a round file and one folder per run."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import yaml

from stillhouse.config.expand import expand
from stillhouse.config.load import load_round
from stillhouse.config.schema import Round, RunConfig
from stillhouse.errors import ConfigError, RunError
from stillhouse.exchange.published import results_file
from stillhouse.exchange.scripts.records import (
    attempt_status,
    epoch_records,
    result_facts,
    run_facts,
)
from stillhouse.exchange.scripts.round_file import make_round
from stillhouse.exchange.scripts.scan import WEIGHTS, Entry, scan
from stillhouse.exchange.scripts.script_run import Outcome, ScriptRun, outcome, read_run
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.files import sweep, temporary, write_atomic
from stillhouse.runs.folder import Attempt
from stillhouse.runs.records import dump, dump_sealed

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
VERBATIM = "imported"
"""The folder, in a run's folder and in the workspace, that holds the source's files unchanged."""


@dataclass(frozen=True)
class Import:
    """The result of an import.

    `runs` gives each run's outcome by its path; `notes` are (path, remark) pairs; `unmapped` are
    (path in the source, reason) of everything without a record, kept unchanged in `kept`.
    """

    round: Round
    file: Path
    runs: dict[str, Outcome]
    notes: tuple[tuple[str, str], ...]
    unmapped: tuple[tuple[str, str], ...]
    kept: Path


def import_round(source: Path, name: str, root: Path, recipe: Path | None = None) -> Import:
    """Read `source` and write it as round `name` into the workspace `root`, completely or not at
    all.

    The round file `recipe` supplies what the records lack; tables of published results beside it
    are copied too. The source is only read. Raises RunError if `root` is not empty or is inside the
    records, DataError if the source holds no runs, ConfigError for an invalid name.
    """
    if not NAME.fullmatch(name):
        hint = "at most 100 letters, digits, '.', '_' and '-', as in --as alpha"
        raise ConfigError(f"--as {name}", hint)
    if not source.is_dir():
        raise RunError(f"{source} is not a folder", "give the folder above experiments/")
    scanned = scan(source)
    target = _target(root, scanned.base)
    runs = [read_run(found) for found in scanned.runs]
    unfit = [run for run in runs if _unfit(run)]
    runs = [run for run in runs if not _unfit(run)]
    described = load_round(recipe) if recipe else None
    source_name = os.fsencode(source).decode(errors="replace")
    round_, remarks = make_round(runs, name, source_name, described)
    matched, left = _match(runs, round_)
    assert round_.imported is not None
    imported = round_.imported.model_copy(update={"runs": tuple(matched)})
    round_ = round_.model_copy(update={"imported": imported})
    unmapped = [(entry.relative, why) for entry, why in scanned.strays]
    unmapped += [(run.found.relative, _unfit(run)) for run in unfit]
    unmapped += [(run.found.relative, _why(run, round_, matched)) for run in left]
    with _staged(target) as staged:
        round_, outcomes, notes = _write(staged, round_, recipe, matched)
        for entry, _ in scanned.strays:
            _copy(entry, staged / VERBATIM / entry.relative)
        for run in [*unfit, *left]:
            for entry in run.found.entries:
                _copy(entry, staged / VERBATIM / run.found.relative / entry.relative)
    notes = [*((name, remark) for remark in remarks), *notes]
    file = root / f"{round_.round}.yaml"
    return Import(round_, file, outcomes, tuple(notes), tuple(unmapped), root / VERBATIM)


def _target(root: Path, base: Path) -> Path:
    """Return the new workspace. Raises RunError unless it is free and outside the records."""
    target, cure = root.resolve(), "give a folder that does not exist yet with --root"
    if target.exists() and not target.is_dir():
        raise RunError(f"{root} is a file", cure)
    if target.exists() and any(target.iterdir()):
        raise RunError(f"{root} is not empty", cure)
    if target == Path.cwd():
        raise RunError(f"{root} is the current folder, which the import would replace", cure)
    if target.is_relative_to(base.resolve()):
        raise RunError(f"{root} is inside {base}, which the import only reads", cure)
    return target


@contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Yield a folder beside `target` that replaces it on success and is removed otherwise."""
    target.parent.mkdir(parents=True, exist_ok=True)
    sweep(target.parent)
    staged = temporary(target)
    try:
        staged.mkdir()
        yield staged
        staged.rename(target)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _write(
    staged: Path, round_: Round, recipe: Path | None, matched: dict[str, ScriptRun]
) -> tuple[Round, dict[str, Outcome], list[tuple[str, str]]]:
    """Write the round file and every run; return the round as read back, outcomes, remarks."""
    file = _write_round(round_, staged)
    round_ = load_round(file)
    workspace = Workspace(staged)
    workspace.activate(round_, file)
    if recipe:
        _copy_published(recipe, file)
    unknown = round_.imported.unknown if round_.imported else ()
    outcomes, notes = {}, []
    for config in expand(round_):
        path = config.path
        outcomes[path], found = _write_run(workspace, config, matched[path], matched, unknown)
        notes += [(path, note) for note in found]
    return round_, outcomes, notes


def _unfit(run: ScriptRun) -> str:
    """Return why a run fits no round; empty if it does."""
    alpha = run.config.get("alpha", 0)
    if run.found.place.teacher and run.found.place.alpha is None and alpha >= 1:
        return f"recorded alpha {alpha:g}, a round file accepts 0 <= alpha < 1"
    return ""


def path_of(run: ScriptRun, round_: Round) -> str:
    """Return a run's path in the round: in a sweep every distilled run has an alpha level."""
    place = run.found.place
    networks = f"{place.teacher}_to_{place.model}" if place.teacher else place.model
    level = ""
    if round_.sweep and place.teacher:
        alpha = run.config.get("alpha") if place.alpha is None else place.alpha
        level = f"alpha_{alpha:g}/" if alpha is not None else ""
    return f"{place.dataset}/{place.method}/{level}{networks}/{place.seed}"


def _copy_published(recipe: Path, file: Path) -> None:
    """Copy the table of published results from beside one round file to beside another."""
    if results_file(recipe).exists():
        shutil.copyfile(results_file(recipe), results_file(file))


def _match(runs: list[ScriptRun], round_: Round) -> tuple[dict[str, ScriptRun], list[ScriptRun]]:
    """Return each run of the matrix with its files, and the folders that are left over."""
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
    why = f"the imported round has no run {path}"
    if run.found.place.teacher not in (None, round_.teacher):
        why += f": its teacher is {round_.teacher}; import such folders alone"
    if path in matched:
        why = f"{matched[path].found.relative} is the same run, {path}"
    return "; ".join([why, *run.problems])


def _write_round(round_: Round, root: Path) -> Path:
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
    unrecorded: tuple[str, ...],
) -> tuple[Outcome, list[str]]:
    """Write a run's folder; return its outcome and remarks."""
    folder, found = workspace.folder(config), outcome(run)
    folder.path.mkdir(parents=True)
    facts = run_facts(run, config, found, runs, unrecorded)
    facts["imported"]["files"] = _keep(run.found.entries, folder.path / VERBATIM)
    records = epoch_records(run, config)
    lines = "".join(json.dumps(record, allow_nan=False) + "\n" for record in records).encode()
    if found.earlier:
        _write_attempt(folder.attempt(1), attempt_status(found.earlier))
    if found.state != "missing":
        newest = folder.attempt(2 if found.earlier else 1)
        _write_attempt(newest, attempt_status(found))
        if (log := folder.path / VERBATIM / "logs").is_file():
            shutil.copyfile(log, newest.log)
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
    """Return a remark if a run's teacher was still in training when the run started."""
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


def _keep(entries: tuple[Entry, ...], target: Path) -> dict[str, Any]:
    """Copy a run's files unchanged; weights are not copied, but their hash is recorded."""
    kept: dict[str, Any] = {}
    for entry in entries:
        if not entry.folder:
            kept[entry.relative] = {"bytes": entry.size, "copied": False}
        if (content := _copy(entry, target / entry.relative)) is not None:
            digest, copied = sha256(content).hexdigest(), entry.path.suffix not in WEIGHTS
            kept[entry.relative] = {"sha256": digest, "bytes": len(content), "copied": copied}
    return kept


def _copy(entry: Entry, target: Path) -> bytes | None:
    """Copy a file unless it holds weights; return its content, or None if unreadable."""
    try:
        content = entry.read()
    except RunError:
        return None
    if entry.path.suffix not in WEIGHTS:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return content
