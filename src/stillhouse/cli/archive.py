"""`archive`: close a round for good, and open it again."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.cli.options import (
    HERE,
    DataRootOption,
    DeviceOption,
    JobsOption,
    RootOption,
    RoundArgument,
    again,
)
from stillhouse.cli.output import follow, say
from stillhouse.errors import ConfigError

if TYPE_CHECKING:
    from stillhouse.exchange.archive import Archive


def archive(
    round_: RoundArgument,
    root: RootOption = HERE,
    partial_: Annotated[
        bool, typer.Option("--partial", help="Archive a round whose runs are not all finished.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Compare every file with the manifest.")
    ] = False,
    restore: Annotated[
        bool,
        typer.Option(
            "--restore", help="Move the runs back into experiments/; ROUND may be a packed file."
        ),
    ] = False,
    pack: Annotated[
        Path | None, typer.Option("--pack", help="Write the archive into this one file, .tar.zst.")
    ] = None,
    no_weights: Annotated[
        bool, typer.Option("--no-weights", help="With --pack: leave weights out.")
    ] = False,
    no_analysis: Annotated[
        bool,
        typer.Option(
            "--no-analysis", help="Leave out extract and analyze; the checklist shows it."
        ),
    ] = False,
    jobs: JobsOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
) -> None:
    """Close a round: extract, analyze, report; experiments/ moved; a manifest of all files.

    Beside them lie the round file, custom components, commands and package versions. Each step is
    verified before the next. Repeat a command that was interrupted: it goes on.

    Example: stillhouse archive rounds/digits.yaml
    """
    if sum((partial_, verify, restore, pack is not None)) > 1:
        raise ConfigError("choose one of --partial, --verify, --restore and --pack")
    if no_weights and pack is None:
        raise ConfigError("--no-weights belongs to --pack")
    if restore:
        _restore(round_, root)
    elif verify or pack is not None:
        _packed(_known(round_, root), pack, not no_weights)
    else:
        analysis = None if no_analysis else (data_root, device, jobs)
        _close(round_, root, partial_, analysis)


def _close(
    name: str, root: Path, partial_: bool, analysis: tuple[Path | None, str, int | None] | None
) -> None:
    os.environ["MPLBACKEND"] = "agg"  # with an unknown one matplotlib is not even imported
    from stillhouse import data
    from stillhouse.exchange.archive import archive_of, refuse_unfinished
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import survey_round
    from stillhouse.show.archive import analyze_round, close_round, extract_round

    workspace, loaded, file = open_round(root, name)
    if not archive_of(workspace, loaded.round).experiments.exists():
        survey, log = survey_round(workspace, loaded), partial(say, err=True)
        for path in refuse_unfinished(survey, partial_):
            say(f"not finished: {path}")
        if analysis is not None:
            data_root, device, jobs = analysis
            extract_round(workspace, survey, data.data_root(data_root), device, jobs, log)
            analyze_round(workspace, survey, jobs, log)
    for line in close_round(workspace, loaded, file):
        say(line)
    follow(f"{again('archive', loaded.round, root)} --verify")


def _known(name: str, root: Path) -> Archive:
    from stillhouse.exchange.archive import archive_of
    from stillhouse.rounds.find import open_round

    workspace, loaded, _ = open_round(root, name)
    return archive_of(workspace, loaded.round)


def _packed(found: Archive, target: Path | None, weights: bool) -> None:
    from stillhouse.exchange.archive import check

    if target is None:
        say(f"{found.path}: all {check(found).files} files are as the manifest says")
        return
    from stillhouse.exchange.pack import pack

    count = pack(found, target, weights)
    say(f"{target}: {count} files, {target.stat().st_size:,} bytes")
    follow(f"stillhouse archive {target} --restore --root FOLDER")


def _restore(name: str, root: Path) -> None:
    from stillhouse.exchange.archive import restore
    from stillhouse.exchange.pack import SUFFIX, unpack
    from stillhouse.rounds.workspace import Workspace

    found = unpack(Path(name), Workspace(root)) if name.endswith(SUFFIX) else _known(name, root)
    restore(found)
    say(f"the runs of round '{found.name}' are in {found.workspace.experiments} again")
    follow(again("status", found.name, root))
