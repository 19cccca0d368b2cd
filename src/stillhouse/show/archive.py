"""`archive`: extract, analyze and report a round, then move it; each step before the next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from stillhouse.config.load import load_round
from stillhouse.config.schema import Round
from stillhouse.errors import RunError
from stillhouse.exchange.archive import Archive, archive_of, move_in, seal, write_material
from stillhouse.exchange.manifest import NAME
from stillhouse.represent.targets import Skipped, as_stored, targets
from stillhouse.rounds.find import open_round
from stillhouse.rounds.survey import Survey
from stillhouse.rounds.workspace import Workspace
from stillhouse.show.analyze import analyze_table
from stillhouse.show.extract import extract_table, reasons
from stillhouse.show.figures import FIGURES
from stillhouse.show.figures.from_tables import read_tables, write_figures
from stillhouse.show.report.build import read_material, write_report
from stillhouse.show.report.content import document

Log = Callable[[str], None]


def extract_round(
    workspace: Workspace,
    survey: Survey,
    data_root: Path,
    device: str,
    jobs: int | None,
    log: Log,
) -> None:
    """Extract what is not extracted yet, from the weights from which other runs were.

    Raises RunError if a completed run with weights cannot be extracted.
    """
    found = as_stored(workspace, survey)
    weights = {one[1].weights for one in found if not isinstance(one, Skipped)}
    which = "best" if "best" in weights else "final"
    wanted = targets(workspace, survey, which)
    skipped = {one.name: one.reason for one in wanted if isinstance(one, Skipped)}
    if len(skipped) == len(wanted):
        log(f"not extracted: {reasons(skipped)}")
        return
    table, sound = extract_table(workspace, survey, which, data_root, device, jobs, log)
    if not sound:
        raise RunError(
            f"not every run could be extracted: {table.notes[0]}",
            "mend it, or archive without representations with --no-analysis",
        )


def analyze_round(workspace: Workspace, survey: Survey, jobs: int | None, log: Log) -> None:
    """Write the tables and all figures of a round, and read the tables back.

    Raises RunError if a table cannot be read, or a picture is empty.
    """
    _, files = analyze_table(workspace, survey, jobs, log)
    home = archive_of(workspace, survey.round.round).path
    tables = read_tables(home / "tables", workspace, survey, [*FIGURES])
    (home / "figures").mkdir(parents=True, exist_ok=True)
    pictures: list[Path] = []
    for one in write_figures(tables, survey.round.datasets, [*FIGURES], home / "figures"):
        if isinstance(one, Path):
            pictures.append(one)
        else:
            log(one)
    if empty := [path for path in (*files, *pictures) if not path.stat().st_size]:
        raise RunError(f"{empty[0]} is empty", "check the disk, and repeat the command")
    log(f"written: {len(files)} tables and {len(pictures)} files of figures")


def close_round(workspace: Workspace, round_: Round, file: Path) -> Iterator[str]:
    """Report a round, write what stands for its scripts, move it and list it in a manifest.

    Yields what was done. Repeat it after a crash: it goes on.
    """
    found = archive_of(workspace, round_.round)
    if not found.experiments.exists():
        # A report that cannot be written is found before anything is moved.
        write_report(document(read_material(workspace, round_, file)), found.path)
        write_material(found, file, round_.files)
        load_round(found.path / "round.yaml")
    move_in(found)
    html = _report_archived(found)
    yield f"{found.path}: {seal(found).files} files, each with its SHA-256 in {NAME}"
    yield f"the page is {html}"


def _report_archived(found: Archive) -> Path:
    """Write the report again from the archive itself, for its checklist says where all is now."""
    workspace, round_, file = open_round(found.workspace.root, str(found.path))
    html, _ = write_report(document(read_material(workspace, round_, file)), found.path)
    return html
