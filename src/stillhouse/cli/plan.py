"""`plan`: the matrix of a round, what it costs, and what it needs; a first round file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
    again,
    workers,
)
from stillhouse.cli.output import Format, follow, say, show
from stillhouse.errors import ConfigError

if TYPE_CHECKING:
    from stillhouse.rounds.survey import Survey
    from stillhouse.rounds.workspace import Workspace
    from stillhouse.show.power import Design

POWER = "Number of seeds (with --power)"
DifferenceOption = Annotated[
    float, typer.Option(min=0.01, max=100, help="The difference in points.", rich_help_panel=POWER)
]
SdOption = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=100,
        help="Standard deviation in points instead of a round's: of one arm, or of the pairs.",
        rich_help_panel=POWER,
    ),
]
PairedOption = Annotated[
    bool,
    typer.Option("--paired", help="--sd is that of the paired differences.", rich_help_panel=POWER),
]

NewOption = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Write a first round file NAME.yaml, which can be run."),
]
FolderOption = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="With --new: a folder of images, or an .npz file, as its dataset."
    ),
]


ChooseOption = Annotated[
    bool,
    typer.Option(
        "--choose",
        help="Of a round with a sweep and validation images, write ROUND_final.yaml: the best "
        "value of each method, all training images, other seeds.",
    ),
]


def plan(
    round_: Annotated[
        str,
        typer.Argument(
            metavar="ROUND",
            help="A round file, the name of a round in the workspace, or a folder that holds a "
            "round. None with --new, or --power --sd.",
        ),
    ] = "",
    root: RootOption = HERE,
    only: OnlyOption = None,
    data_root: DataRootOption = None,
    device: DeviceOption = "auto",
    new: NewOption = None,
    folder: FolderOption = None,
    try_: Annotated[
        bool, typer.Option("--try", help="Train two batches of every distinct cell here.")
    ] = False,
    time: Annotated[
        bool, typer.Option("--time", help="Time a training step of every network and method here.")
    ] = False,
    jobs: JobsOption = None,
    choose: ChooseOption = False,
    power: Annotated[
        bool, typer.Option("--power", help="Show how many seeds a difference needs.")
    ] = False,
    difference: DifferenceOption = 0.5,
    sd: SdOption = None,
    paired: PairedOption = False,
    format: FormatOption = Format.rich,
) -> None:
    """Show a round's matrix: what is done, what waits for which teacher, cost and power.

    With --try the exit code is 1 if a cell cannot be trained on this machine.

    Example: stillhouse plan --new mine --folder ./flowers

    Example: stillhouse plan rounds/digits.yaml
    """
    if sum((new is not None, try_, time, power, choose)) > 1:
        raise ConfigError("choose one of --new, --try, --time, --choose and --power")
    if folder is not None and new is None:
        raise ConfigError(
            "--folder needs --new", f"as in: stillhouse plan --new mine --folder {folder}"
        )
    if new is not None:
        _plan_new(new, round_, folder)
    elif power:
        _plan_power(round_, root, only, (difference, sd, paired), format)
    elif not round_:
        raise ConfigError("Missing argument 'ROUND'", "as in: stillhouse plan rounds/digits.yaml")
    elif choose:
        _plan_choose(round_, root, only, format)
    elif try_:
        _plan_try(round_, root, only, data_root, device, format)
    else:
        _plan(round_, root, only, device, format, jobs, time)


def _plan(
    round_: str,
    root: Path,
    only: str | None,
    device: str,
    format: Format,
    jobs: int | None,
    timed: bool,
) -> None:
    from stillhouse.cluster.site import has_sites
    from stillhouse.config.load import check_parameters
    from stillhouse.rounds.cost import processes, recorded_costs, timed_costs
    from stillhouse.rounds.disk import predicted
    from stillhouse.rounds.edited import disagreements
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.memo import borrowed, remembered
    from stillhouse.rounds.survey import survey_round
    from stillhouse.rounds.timings import Timings
    from stillhouse.show.cost import site_note
    from stillhouse.show.plan import plan as make_plan
    from stillhouse.show.plan import plan_numbers
    from stillhouse.show.power import plan_notes

    workspace, loaded, file = open_round(root, round_)
    check_parameters(loaded, file)
    survey = survey_round(workspace, loaded, only)
    log = partial(say, err=True) if timed else None
    costs = timed_costs(survey, device, recorded_costs(survey), Timings(), log)
    jobs = workers(loaded, device if timed else "cpu", jobs)
    sizes = {} if loaded.imported else predicted((c.config for c in survey.cells), loaded.keep)
    found = processes(survey, costs, jobs, sizes)
    reset = again("reset --changed", round_, root)
    differing = disagreements(workspace, survey, reset)
    following = "status" if loaded.imported else "table" if survey.trained else "run"
    next_command = again(following, round_, root)
    if format.for_programs:
        numbers = plan_numbers(survey, found)
        show(replace(numbers, notes=(*numbers.notes, *differing)), format, next_command)
        return
    *tables, last = make_plan(survey, found, jobs, again("plan", round_, root))
    *notes, summary = last.notes
    if not loaded.imported:
        notes.append(_disk(workspace, survey, sizes))
        if has_sites(root):
            whole = processes(survey, costs, 1, sizes) if costs else []
            notes += [note] if (note := site_note(whole)) else []
    beside = borrowed(workspace, survey)
    power = remembered("power", survey, list[str], lambda: [*plan_notes(survey)], beside=beside)
    notes += [*power, *differing, summary]
    show([*tables, replace(last, notes=tuple(notes))], format, next_command)


def _disk(workspace: Workspace, survey: Survey, sizes: Mapping[str, Mapping[str, int]]) -> str:
    from stillhouse.rounds.schedule import cohorts
    from stillhouse.runs.disk import free
    from stillhouse.show.disk import disk_note

    left = [cell for cell in survey.cells if cell.state.name != "done"]
    groups = [[cell.config.path for cell in group] for group in cohorts(left)]
    return disk_note(sizes, groups, free(workspace.root))


def _plan_new(name: str, round_: str, folder: Path | None) -> None:
    from stillhouse.rounds.new import new_round

    if round_:
        raise ConfigError(
            f"--new writes a first round file and takes no ROUND, given {round_}",
            f"to copy a round: stillhouse reset {round_} --as {name}",
        )
    file = new_round(name, folder)
    say(f"{file} can be run as it stands; its comments say what to change")
    follow(again("run" if folder else "plan", str(file), HERE))


def _plan_choose(round_: str, root: Path, only: str | None, format: Format) -> None:
    from stillhouse.rounds.choose import trials, write_final
    from stillhouse.rounds.find import open_survey
    from stillhouse.show.choose import choice_table

    if only:
        raise ConfigError("--choose chooses for the whole round", "leave out --only")
    _, survey, file = open_survey(root, round_)
    found = trials(survey)
    new = write_final(survey, file, found)
    show(choice_table(survey.round, found), format)
    say(f"{new} trains them on all training images; it needs a workspace of its own", err=True)
    follow(again("run", str(new), root / new.stem), format)


def _plan_try(
    round_: str, root: Path, only: str | None, data_root: Path | None, device: str, format: Format
) -> None:
    from stillhouse import data
    from stillhouse.config.expand import expand
    from stillhouse.rounds.check import check_round
    from stillhouse.rounds.find import open_round
    from stillhouse.rounds.survey import select, survey_round
    from stillhouse.rounds.teacher_files import import_teachers
    from stillhouse.rounds.trial import rehearse

    workspace, loaded, file = open_round(root, round_)
    images = data.data_root(data_root)
    check_round(workspace, loaded, file, only, images)
    complain = partial(say, err=True)
    import_teachers(workspace, select(expand(loaded), only), images, device, say=complain)
    place = workspace.place(loaded.teachers_from, images, device)
    survey = survey_round(workspace, loaded, only)
    table, able = rehearse(survey, workspace, place, say=complain)
    show(table, format, again("run" if able else "plan", round_, root))
    raise typer.Exit(0 if able else 1)


def _plan_power(
    round_: str,
    root: Path,
    only: str | None,
    asked: tuple[float, float | None, bool],
    format: Format,
) -> None:
    from stillhouse.show.power import Design, power_records, power_table

    difference, sd, paired = asked
    if (sd is None) == (not round_):
        raise ConfigError(
            "give a round whose spread is used, or --sd", "as in: stillhouse plan --power --sd 0.3"
        )
    if sd is not None:
        found = [Design("planned", sd, "paired" if paired else "welch", 1, "given")]
    else:
        found = _designs(round_, root, only)
    tables = [power_table(one, difference) for one in found]
    if format.for_programs:
        tables = [power_records(found, difference)]
    for one in tables[:-1]:
        show(one, format)
    show(tables[-1], format, again("plan", round_ or "ROUND", root))


def _designs(name: str, root: Path, only: str | None) -> list[Design]:
    from stillhouse.rounds.find import open_survey
    from stillhouse.rounds.survey import part
    from stillhouse.show.power import designs

    _, survey, _ = open_survey(root, name)
    found = designs(part(survey, only))
    if not found:
        raise ConfigError(
            f"round '{survey.round.round}' shows no spread yet: it takes three completed and valid "
            "seeds of a method, which differ from the pure student's by more than one test image",
            "assume one: stillhouse plan --power --sd 0.3",
        )
    return found
