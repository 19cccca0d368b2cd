"""Analysis of a round: `extract`, `report` and `archive`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.cli.options import (
    HERE,
    DataRootOption,
    DeviceOption,
    FormatOption,
    JobsOption,
    OnlyOption,
    RootOption,
    RoundArgument,
    again,
)
from stillhouse.cli.output import Format, follow, say, show
from stillhouse.errors import ConfigError

if TYPE_CHECKING:
    from stillhouse.exchange.archive import Archive


def extract(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    weights: Annotated[
        str,
        typer.Option(
            help="final or best; for an imported round the files, as in 'old/{run}/best.pth'."
        ),
    ] = "final",
    jobs: JobsOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    format: FormatOption = Format.rich,
) -> None:
    """Record what every trained network computes for the test images and 10,000 training images.

    Writes representations.safetensors and extracted.json into each run's folder; what is there
    already is kept. The exit code is 1 if a run failed.

    Example: stillhouse extract rounds/digits.yaml --jobs 2
    """
    from stillhouse import data
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import survey
    from stillhouse.show.extract import extract_table

    workspace, loaded, _ = open_round(root, round_)
    workspace.refuse_archived()
    table, sound = extract_table(
        workspace,
        survey(workspace, loaded, only),
        weights,
        data.data_root(data_root),
        device,
        jobs,
        partial(say, err=True),
    )
    show(table, format, again("analyze", round_, root))
    raise typer.Exit(0 if sound else 1)


def report(
    round_: RoundArgument,
    root: RootOption = HERE,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into", help="Fill the marked places of this Markdown file, and write nothing else."
        ),
    ] = None,
) -> None:
    """Write the report of a round: one page (report.html) and its Markdown twin (README.md).

    Example: stillhouse report rounds/digits.yaml
    """
    from stillhouse.exchange.archive import archive_of
    from stillhouse.rounds.find import open_round
    from stillhouse.show.report.build import fill_file, read_material, write_report
    from stillhouse.show.report.content import document

    workspace, loaded, file = open_round(root, round_)
    if into is None:
        workspace.refuse_archived()
    found = document(read_material(workspace, loaded, file))
    if into is not None:
        fill_file(found, into)
        say(f"filled {into}")
    else:
        html, text = write_report(found, archive_of(workspace, loaded.round).path)
        say(f"wrote {text}")
        say(f"wrote {html}")
    follow(again("archive", round_, root))


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
) -> None:
    """Close a round: report, round file, components and packages; experiments/ moved; a manifest.

    Each step is verified before the next, and a command that was interrupted is repeated.

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
        _close(round_, root, partial_)


def _close(name: str, root: Path, partial_: bool) -> None:
    from stillhouse.exchange.archive import (
        archive_of,
        move_in,
        refuse_unfinished,
        seal,
        write_material,
    )
    from stillhouse.exchange.manifest import NAME
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import survey
    from stillhouse.show.report.build import read_material, write_report
    from stillhouse.show.report.content import document

    workspace, loaded, file = open_round(root, name)
    found = archive_of(workspace, loaded.round)
    if not found.experiments.exists():
        missing = refuse_unfinished(survey(workspace, loaded), partial_)
        for path in missing:
            say(f"not finished: {path}")
        write_material(found, file, loaded.files)
    move_in(found)
    workspace, loaded, file = open_round(found.workspace.root, str(found.path))
    html, _ = write_report(document(read_material(workspace, loaded, file)), found.path)
    say(f"{found.path}: {seal(found).files} files, each with its SHA-256 in {NAME}")
    say(f"the page is {html}")
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
