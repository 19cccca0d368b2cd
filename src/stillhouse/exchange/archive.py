"""Close a round for good: everything of it in `analysis/experiment_NAME/`, and back.

The folder's state is read from what lies there, so that a command that was killed is repeated:
`experiments/` is there or not, and `archive.json` is written before the first and after the last
step.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import yaml

from stillhouse.config.load import load_round
from stillhouse.data import own_images
from stillhouse.errors import ConfigError, RunError
from stillhouse.exchange import manifest
from stillhouse.exchange.move import move_folder
from stillhouse.exchange.published import results_file
from stillhouse.plugin import Plugin
from stillhouse.rounds.survey import Survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.environment import code
from stillhouse.runs.files import dump_json, read_json, sweep, write_atomic
from stillhouse.runs.records import dump

FORMAT = 1
UNFINISHED = ("running", "missing", "stopped", "lost")


@dataclass(frozen=True)
class Archive:
    """The folder of everything that was written about a round."""

    workspace: Workspace
    name: str

    @property
    def path(self) -> Path:
        """`analysis/experiment_NAME`."""
        return self.workspace.analysis(self.name)

    @property
    def experiments(self) -> Path:
        """Where the runs lie once the round is archived."""
        return self.path / "experiments"

    @property
    def record(self) -> dict[str, Any]:
        """`archive.json`: the dates on which the round was archived and restored."""
        file = self.path / "archive.json"
        return read_json(file) if file.exists() else {"format": FORMAT, "events": []}

    @property
    def complete(self) -> bool:
        """Whether the runs lie here and the manifest of all files was written."""
        return self.experiments.is_dir() and (self.path / manifest.NAME).is_file()

    def note(self, event: str) -> None:
        """Add an event with its time and the version of the code to `archive.json`."""
        record = self.record
        if record["events"] and record["events"][-1]["event"] == event:
            return  # a repeated command
        entry = {"event": event, "time": time.time(), "code": code()["version"]}
        write_atomic(
            self.path / "archive.json",
            dump_json({**record, "round": self.name, "events": [*record["events"], entry]}),
        )


def archive_of(workspace: Workspace, name: str) -> Archive:
    """The archive of a round whose workspace is given; an archive's own folder is one too."""
    # As it was named first: `analysis` may be a link to another disk.
    for root in (Path(os.path.abspath(workspace.root)), workspace.root.resolve()):
        if root.name == f"experiment_{name}" and root.parent.name == "analysis":
            return Archive(Workspace(root.parents[1]), name)
    return Archive(workspace, name)


def refuse_unfinished(survey: Survey, partial: bool) -> list[str]:
    """The runs that are not finished. Raises RunError for them unless `partial`.

    A run that is being trained is refused in any case.
    """
    running = [cell.config.path for cell in survey.cells if cell.state.name == "running"]
    if running:
        raise RunError(
            f"{len(running)} runs are being trained, first {running[0]}",
            "wait for them, or end the processes that train them",
        )
    missing = [cell.config.path for cell in survey.cells if cell.state.name in UNFINISHED]
    if missing and not partial:
        raise RunError(
            f"{len(missing)} of {len(survey.cells)} runs are not finished, first {missing[0]}",
            "train them, or archive what is there with --partial",
        )
    return missing


def write_material(archive: Archive, file: Path, files: Iterable[Plugin]) -> None:
    """Write what stands for a study's scripts.

    The round file as `round.yaml`, which names the copies of the custom components in
    `components/` (those of measured images are found there), the commands in their order, and the
    exact packages. Beside it are the file and the results of the earlier round that it names: what
    changed, and how the results compare, is said of an archive too.
    """
    archive.path.mkdir(parents=True, exist_ok=True)
    components = {one: f"components/{one.path.name}" for one in files}
    for one, copy in components.items():
        target = archive.path / copy
        target.parent.mkdir(exist_ok=True)
        write_atomic(target, one.path.read_bytes())
    listed = [copy for one, copy in components.items() if not own_images.is_facts(one)]
    text = rename_files(file.read_text(encoding="utf-8"), listed)
    write_atomic(archive.path / "round.yaml", text.encode())
    _write_earlier(archive.path, file)
    write_atomic(archive.path / "commands.txt", _commands(archive.name).encode())
    write_atomic(archive.path / "environment.txt", _environment().encode())


def _write_earlier(place: Path, file: Path) -> None:
    """Copy what is read of the round in `compares_to`, unless components belong to its file."""
    earlier = load_round(file).compares_to
    if earlier is None:
        return
    source = file.with_name(f"{earlier}.yaml")
    found = [results_file(source)]
    if source.is_file() and not load_round(source).files:
        found.append(source)
    for one in found:
        if one.is_file():
            write_atomic(place / one.name, one.read_bytes())


def move_in(archive: Archive) -> None:
    """Move `experiments/` into the archive and leave a blank one.

    Raises RunError if the round was archived already and another one has begun.
    """
    source = archive.workspace.experiments
    if not archive.experiments.exists():
        archive.note("archived")
    elif source.is_dir() and any(source.iterdir()) and archive.complete:
        raise RunError(
            f"round '{archive.name}' is archived already in {archive.path}",
            f"restore it first; {source} holds other runs",
        )
    move_folder(source, archive.experiments)
    source.mkdir(exist_ok=True)


def seal(archive: Archive) -> manifest.Check:
    """Write the manifest of all files, and read every file back.

    Temporary files of a command that was killed are removed first.
    """
    beside = [path for path in archive.path.iterdir() if path.is_dir()]
    sweep(archive.path, *beside)
    manifest.write(archive.path)
    return check(archive)


def check(archive: Archive) -> manifest.Check:
    """Compare every file with the manifest. Raises RunError naming the first difference."""
    found = manifest.verify(archive.path)
    for what, names in (
        ("missing", found.missing),
        ("changed", found.changed),
        ("not in the manifest", found.unlisted),
    ):
        if names:
            raise RunError(
                f"{archive.path}: {len(names)} files are {what}, first {names[0]}",
                "restore them from a copy of the archive",
            )
    return found


def restore(archive: Archive) -> None:
    """Move the runs of an archived round back into the workspace, whose folder must be blank.

    Raises RunError if the archive differs from its manifest, or if the workspace holds runs.
    """
    target = archive.workspace.experiments
    if archive.complete:
        check(archive)
        _refuse_runs(target)
        # First: with another archive.json the manifest would refuse a repeated command.
        (archive.path / manifest.NAME).unlink()
    elif not archive.experiments.exists():
        raise ConfigError(f"round '{archive.name}' is not archived in {archive.path}")
    archive.note("restored")
    if target.exists() and not any(target.iterdir()):
        target.rmdir()
    move_folder(archive.experiments, target)
    _point_to_round_file(archive)


def rename_files(text: str, names: list[str]) -> str:
    """A round file's text with other paths in its list `files`, in the same order."""
    node = yaml.compose(text, Loader=yaml.SafeLoader)
    spans: list[tuple[int, int]] = []
    for key, value in node.value if isinstance(node, yaml.MappingNode) else []:
        if key.value == "files":
            spans = [(one.start_mark.index, one.end_mark.index) for one in value.value]
    for (start, end), name in reversed(list(zip(spans, names, strict=True))):
        text = f'{text[:start]}"{name}"{text[end:]}'
    return text


def _point_to_round_file(archive: Archive) -> None:
    """Let the workspace name the archive's copy of the round file where the original is gone."""
    active = archive.workspace.active()
    if active and not (archive.workspace.root / active["file"]).is_file():
        copy = (archive.path / "round.yaml").relative_to(archive.workspace.root)
        marker = dump({"round": active["round"], "file": copy.as_posix()})
        write_atomic(archive.workspace.marker, marker)


def _refuse_runs(experiments: Path) -> None:
    if experiments.is_dir() and any(experiments.iterdir()):
        raise RunError(
            f"{experiments} is not empty: another round is in this workspace",
            "archive it first, or restore into another workspace with --root",
        )


def _commands(name: str) -> str:
    """The commands that make the archive from its round file."""
    verbs = ("run", "extract", "analyze", "report", "archive")
    return "".join(f"stillhouse {verb} round.yaml\n" for verb in verbs) + (
        f"# then compare with this archive: stillhouse compare experiment_{name} {name}\n"
    )


def _environment() -> str:
    """Python, the code, and every installed package with its exact version."""
    here = code()
    packages = sorted({f"{one.name}=={one.version}" for one in distributions()}, key=str.lower)
    return "\n".join(
        [
            f"# Python {sys.version.split()[0]}",
            f"# stillhouse {here['version']}, source SHA-256 {here['source']}",
            *([f"# commit {here['commit']}"] if here["commit"] else []),
            *packages,
            "",
        ]
    )
