"""Read a round for its report, and write the page and its Markdown twin."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

from stillhouse.config.load import load_round
from stillhouse.config.schema import Round
from stillhouse.diagnosis.observations.rules import observe
from stillhouse.diagnosis.read import read_round
from stillhouse.errors import ConfigError
from stillhouse.exchange.archive import archive_of
from stillhouse.rounds.cost import processes, recorded_costs
from stillhouse.rounds.survey import Survey, survey_round
from stillhouse.rounds.workspace import Workspace
from stillhouse.runs.files import write_atomic
from stillhouse.show.report.content import document
from stillhouse.show.report.document import Document
from stillhouse.show.report.html import page
from stillhouse.show.report.markdown import fill, markdown
from stillhouse.show.report.material import Material
from stillhouse.show.report.serve import PageServer
from stillhouse.stats.frame import frame

MINUTE = 60
EVERY = 2.0  # seconds between two looks, at least
SHARE = 20  # of a look's own duration
IDLE = 60.0


def read_material(workspace: Workspace, round_: Round, file: Path) -> Material:
    """Everything that a report says, from the round's folders."""
    survey = survey_round(workspace, round_)
    cases = tuple(read_round(workspace, round_))
    tables = archive_of(workspace, round_.round).path / "tables"
    return Material(
        workspace,
        survey,
        frames=tuple(frame(survey, dataset) for dataset in round_.datasets),
        cases=cases,
        observations=tuple(observe(survey, cases=cases, tables=tables, file=file)),
        earlier=_earlier(round_, file),
        left=_left(survey),
    )


def write_report(found: Document, folder: Path) -> tuple[Path, Path]:
    """Write `report.html` and `README.md` into a folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    html, text = folder / "report.html", folder / "README.md"
    write_atomic(html, page(found).encode())
    write_atomic(text, markdown(found).encode())
    return html, text


def serve_report(
    workspace: Workspace, round_: Round, file: Path, port: int, log: Callable[[str], None]
) -> None:
    """Serve the page on 127.0.0.1 and write it anew when a run gets on, while runs train.

    Ends when no run has trained for `IDLE` seconds, at once if the round is trained, and at Ctrl-C;
    the files are then those of the last look. At most a twentieth of a core is used.
    """
    home = archive_of(workspace, round_.round).path
    shown: list[tuple[str, int]] = []
    alive = time.monotonic()
    with suppress(KeyboardInterrupt), PageServer(port) as server:
        log(f"the page is at {server.address} while runs train; Ctrl-C leaves")
        while True:
            survey = survey_round(workspace, round_)
            began = time.monotonic()
            if survey.count("running"):
                alive = began
            now = [(cell.shown, cell.state.epoch) for cell in survey.cells]
            if now != shown:
                html, _ = write_report(document(read_material(workspace, round_, file)), home)
                server.show(html.read_text(encoding="utf-8"))
                shown = now
            if survey.trained or time.monotonic() - alive > IDLE:
                break
            time.sleep(max(EVERY, SHARE * (time.monotonic() - began)))


def fill_file(found: Document, file: Path, home: Path) -> None:
    """Fill the marked places of an author's document, whose report's folder is `home`.

    Raises ConfigError if it cannot be read.
    """
    try:
        text = file.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {file}: {error}", "expected a Markdown file") from None
    beside = Path(os.path.relpath(home.resolve(), file.resolve().parent)).as_posix()
    filled = fill(text, found, str(file), beside).encode()
    if filled != text.encode():
        write_atomic(file, filled)


def _earlier(round_: Round, file: Path) -> Round | None:
    """The round that this one names in `compares_to`, if its file lies beside."""
    path = file.with_name(f"{round_.compares_to}.yaml")
    return load_round(path) if round_.compares_to and path.is_file() else None


def _left(survey: Survey) -> str:
    """How long the rest will take by the recorded times; empty if that is not known of all."""
    if survey.round.imported:
        return ""
    found = processes(survey, recorded_costs(survey))
    if not found or any(run.cost is None for one in found for run in one.runs):
        return ""
    seconds = sum(one.seconds for one in found)
    return str(timedelta(minutes=max(1, round(seconds / MINUTE)))) + " h"
