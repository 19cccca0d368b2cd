"""Results of a round: `table`, `observe`, `compare`, `doctor` and `verify`."""

from __future__ import annotations

from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from stillhouse.cli.options import (
    HERE,
    AccuracyOption,
    DataRootOption,
    DeviceOption,
    FormatOption,
    OnlyOption,
    RootOption,
    RoundArgument,
    again,
)
from stillhouse.cli.output import Format, say, show

if TYPE_CHECKING:
    from stillhouse.rounds.survey import Survey
    from stillhouse.tables import Table

SHOWN_DIGITS = 16


class Style(StrEnum):
    """What a table shows of every arm."""

    seeds = "seeds"
    stats = "stats"
    cost = "cost"


StyleOption = Annotated[
    Style | None,
    typer.Option(
        help="seeds: every seed and the mean (default); stats: differences to pure with "
        "intervals and a verdict (default of csv and json); cost: what each method costs."
    ),
]
AgainstOption = Annotated[
    str | None, typer.Option(help="Published results to compare with: a round's name, or a file.")
]
MarginOption = Annotated[
    float, typer.Option(min=0, max=100, help="Points within which a difference counts as none.")
]


def table(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    style: StyleOption = None,
    accuracy: AccuracyOption = None,
    against: AgainstOption = None,
    margin: MarginOption = 0.2,
    notes: Annotated[bool, typer.Option("--notes", help="Explain every column.")] = False,
    format: FormatOption = Format.rich,
) -> None:
    """Show test accuracies: of every seed, as differences to the pure student, or their cost.

    Example: stillhouse table rounds/digits.yaml --style stats --format latex
    """
    from stillhouse.cluster.store import Store
    from stillhouse.rounds.edited import disagreements
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.memo import borrowed, remembered
    from stillhouse.rounds.survey import part, survey_round
    from stillhouse.show.cluster import copy_note
    from stillhouse.tables import Table

    workspace, loaded, file = open_round(root, round_)
    made, age = copy_note(Store(workspace.jobs))
    survey = part(survey_round(workspace, loaded, now=made), only)
    data = format.for_programs
    style = style or (Style.stats if data else Style.seeds)

    def compute() -> list[Table]:
        return _tables(survey, workspace.pretrained, style, accuracy, margin, (data, notes))

    if against and style is not Style.cost:
        tables = _against(survey, against, file.parent, accuracy, (data, notes))
    else:
        given = (style, accuracy, margin, data, notes)
        beside = [*sorted(workspace.pretrained.glob("*.json")), *borrowed(workspace, survey)]
        tables = remembered("table", survey, list[Table], compute, given, beside)
    reset = again("reset --changed", round_, root)
    whole = replace(survey, round=loaded)  # of which `survey` may show a part
    differing = disagreements(workspace, whole, reset, fields=style is Style.cost)
    last = replace(tables[-1], notes=(*tables[-1].notes, *([age] if age else []), *differing))
    show([*tables[:-1], last], format, again("status", round_, root))


def _tables(
    survey: Survey,
    pretrained: Path,
    style: Style,
    accuracy: str | None,
    margin: float,
    how: tuple[bool, bool],
) -> list[Table]:
    """The tables of a style; `how` says whether they are for programs, and with all notes."""
    from stillhouse.show.results import join, once, seed_tables
    from stillhouse.show.table import statistics_numbers, statistics_table
    from stillhouse.stats.cost import cost_table, network_table
    from stillhouse.stats.frame import frame
    from stillhouse.stats.summary import which_epoch

    data, notes = how
    tables: list[Table] = []
    if style is Style.cost:
        for dataset in survey.round.datasets:
            tables += [] if data else [network_table(survey, dataset)]
            tables.append(cost_table(survey, dataset, pretrained, data))
    elif style is Style.seeds:
        tables = seed_tables(survey, accuracy, data)
    else:
        which = which_epoch(accuracy)
        frames = [frame(survey, dataset, which, margin) for dataset in survey.round.datasets]
        write = statistics_numbers if data else statistics_table
        tables = [write(survey, one) for one in frames]
    return [join(tables, survey.round.datasets)] if data else once(tables, notes)


def _against(
    survey: Survey, against: str, folder: Path, accuracy: str | None, how: tuple[bool, bool]
) -> list[Table]:
    from stillhouse.show.against import against_tables
    from stillhouse.show.results import join, once

    data, notes = how
    tables = against_tables(survey, against, folder, accuracy, data)
    return [join(tables, survey.round.datasets)] if data else once(tables, notes)


def observe(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    accuracy: AccuracyOption = None,
    format: FormatOption = Format.rich,
) -> None:
    """List what the numbers say and what they do not, each with its rule and its runs.

    Example: stillhouse observe rounds/digits.yaml
    """
    from stillhouse import data
    from stillhouse.diagnosis.finding import Finding
    from stillhouse.diagnosis.read import read_cases
    from stillhouse.diagnosis.report import observation_list, observation_records
    from stillhouse.exchange.archive import archive_of
    from stillhouse.exchange.published import results_file
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.memo import borrowed, remembered
    from stillhouse.rounds.survey import part, survey_round
    from stillhouse.stats.summary import which_epoch

    workspace, loaded, file = open_round(root, round_)
    survey = part(survey_round(workspace, loaded), only)
    which = which_epoch(accuracy)
    tables = archive_of(workspace, loaded.round).path / "tables"

    def compute() -> list[Finding]:
        from stillhouse.diagnosis.observations.rules import observe as find

        cases = read_cases(survey, workspace.teachers_of)
        return find(survey, which, cases, tables, file)

    beside = [
        *borrowed(workspace, survey),
        results_file(file.with_name(f"{loaded.compares_to}.yaml")),
        tables / "transfer.csv",
    ]
    found = remembered("observe", survey, list[Finding], compute, [which], beside)
    next_command = again("table", round_, root)
    if format.for_programs:
        show(observation_records(loaded.round, found), format, next_command)
        return
    listings = []
    for name in survey.round.datasets:
        own = [one for one in found if one.scope == name]
        label = data.spec(name, loaded.files).label
        listings.append(observation_list(loaded.round, label, own))
    show(listings, format, next_command)


def compare(
    a: Annotated[
        str,
        typer.Argument(
            metavar="ROUND",
            help="The earlier round: a file, a name, a workspace, or a packed archive (.tar.zst).",
        ),
    ],
    b: Annotated[str, typer.Argument(metavar="ROUND", help="The later round, named the same way.")],
    root: RootOption = HERE,
    only: OnlyOption = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="The settings alone, with the later round's reasons.")
    ] = False,
    accuracy: AccuracyOption = None,
    format: FormatOption = Format.rich,
) -> None:
    """Compare two rounds: changed settings, results cell by cell, what was fixed or got worse.

    Against a packed archive it says per arm whether the round was reproduced. For csv and json
    only the results are written, with --settings only the settings.

    Example: stillhouse compare rounds/alpha.yaml rounds/beta.yaml --settings
    """
    from stillhouse.config.diff import diff_rounds
    from stillhouse.config.load import check_parameters
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import part, survey_round
    from stillhouse.show.compare import results_numbers, results_table, settings_table
    from stillhouse.stats.summary import which_epoch

    if a.endswith(".tar.zst"):
        _compare_rerun(Path(a), b, root, only, format)
    (first, earlier, old), (second, later, file) = open_round(root, a), open_round(root, b)
    if settings:
        check_parameters(earlier, old)
        check_parameters(later, file)
        show(diff_rounds(earlier, later), format, again("plan", b, root))
        return
    both = part(survey_round(first, earlier), only), part(survey_round(second, later), only)
    which, following = which_epoch(accuracy), again("observe", b, root)
    if format.for_programs:
        show(results_numbers(*both, which), format, following)
    else:
        tables = [settings_table(earlier, later), results_table(*both, which)]
        show(tables, format, following)


def _compare_rerun(
    packed: Path, name: str, root: Path, only: str | None, format: Format
) -> NoReturn:
    from stillhouse.exchange.pack import results_in
    from stillhouse.rounds.find import open_survey
    from stillhouse.rounds.survey import part
    from stillhouse.show.rerun import rerun_table

    _, survey, _ = open_survey(root, name)
    table, same = rerun_table(results_in(packed), part(survey, only), packed.name)
    show(table, format, again("table", name, root))
    raise typer.Exit(0 if same else 1)


def doctor(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN|ROUND]",
            help="A round (default: the active one), or one run's folder below experiments/.",
        ),
    ] = None,
    root: RootOption = HERE,
    only: OnlyOption = None,
    format: FormatOption = Format.rich,
) -> None:
    """Name the cause of every failed, stuck, at chance or invalid run, with evidence and cure.

    The exit code is 1 if there is one.

    Example: stillhouse doctor rounds/digits.yaml
    """
    from stillhouse.diagnosis.read import read_cases
    from stillhouse.diagnosis.report import report
    from stillhouse.rounds.find import open_target
    from stillhouse.rounds.memo import borrowed, remembered
    from stillhouse.rounds.survey import choose_cells, survey_round
    from stillhouse.tables import Listing, Table

    workspace, round_, file, run = open_target(root, target)
    survey = survey_round(workspace, round_)
    paths = {run} if run else {cell.config.path for cell in choose_cells(survey, only)}

    def compute() -> tuple[Table, Listing, bool, bool]:
        every = read_cases(survey, workspace.teachers_of)
        cases = [case for case in every if case.path in paths]
        found = report(run or f"round {round_.round}", cases, workspace.root)
        bad = any(
            case.state.name in ("failed", "unreadable") or case.learned_nothing for case in cases
        )
        return (*found, bad)

    kind = tuple[Table, Listing, bool, bool]
    given, teachers = (run, only, workspace.root), borrowed(workspace, survey)
    table, listing, wrong, bad = remembered("doctor", survey, kind, compute, given, teachers)
    following = "reset" if bad and not round_.imported else "status"
    shown = run if run and bad else file if target is None or run else Path(target)
    show(table if format.for_programs else listing, format, again(following, str(shown), root))
    raise typer.Exit(1 if wrong else 0)


def verify(
    target: Annotated[
        str,
        typer.Argument(
            metavar="RUN", help="A run's folder below experiments/; a ROUND with --losses."
        ),
    ],
    root: RootOption = HERE,
    steps: Annotated[int, typer.Option(min=0, help="Train at most so many steps again.")] = 10,
    losses: Annotated[
        bool,
        typer.Option("--losses", help="Check each method's own loss in a ROUND instead."),
    ] = False,
    only: OnlyOption = None,
    fit_epochs: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="--losses: epochs for modules fitted to a pure student (default: the run's).",
        ),
    ] = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    format: FormatOption = Format.rich,
) -> None:
    """Train a run's first steps again in this process and compare the weights bit for bit.

    With --losses: check that each method of a round did what it claims, by its own loss of its
    student and of a pure one; what is measured, and how far it is, is printed to stderr. The exit
    code is 1 if anything differs or a loss is not lower.

    Example: stillhouse verify Digits/logit/ResNet112_to_ResNet56/0 --steps 5
    """
    if losses:
        _verify_losses(target, root, only, fit_epochs, data_root, device, format)
    else:
        _verify_steps(target, root, steps, data_root, device, format)


def _verify_steps(
    run: str, root: Path, steps: int, data_root: Path | None, device: str, format: Format
) -> None:
    from stillhouse.config.identity import as_written
    from stillhouse.config.recorded import recorded
    from stillhouse.rounds.find import open_workspace
    from stillhouse.tables import Table
    from stillhouse.training.replay import verify as repeat

    workspace = open_workspace(root)
    folder = workspace.run(run)
    config = recorded(folder)
    source = config.teacher.source if config and config.teacher else None
    place = workspace.place(source, data_root, device)
    found = repeat(folder, place, steps)
    rows = tuple(
        (what, then[:SHOWN_DIGITS], now[:SHOWN_DIGITS], "yes" if then == now else "NO")
        for what, then, now in found.checks
    )
    notes = tuple(
        f"differs from when it was trained: {field}: {was[:SHOWN_DIGITS]} -> {now[:SHOWN_DIGITS]}"
        for field, *values in found.changed
        for was, now in [map(as_written, values)]
    )
    same = all(then == now for _, then, now in found.checks)
    title = f"{run}: {'every bit is the same' if same else 'NOT the same'}"
    columns = ("SHA-256 (its start) of", "Recorded", "Now", "Same")
    active = workspace.active()
    show(
        Table(title, columns, rows, notes),
        format,
        again("table", active["round"], root) if active else "",
    )
    raise typer.Exit(0 if same else 1)


def _verify_losses(
    round_: str,
    root: Path,
    only: str | None,
    fit_epochs: int | None,
    data_root: Path | None,
    device: str,
    format: Format,
) -> None:
    from stillhouse.rounds.find import open_survey
    from stillhouse.show.own_loss import terms_table

    workspace, survey, _ = open_survey(root, round_, only)
    place = workspace.place(survey.round.teachers_from, data_root, device)
    log = partial(say, err=True)
    found, kept = terms_table(survey, place, fit_epochs, log, workspace.refuse_archived)
    show(found, format, again("table", round_, root))
    raise typer.Exit(0 if kept else 1)
