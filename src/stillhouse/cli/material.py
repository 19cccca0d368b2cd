"""What rounds are made of: `list`, `check`, `data` and `import`."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.cli.options import (
    HERE,
    DataRootOption,
    FilesOption,
    FormatOption,
    OnlyOption,
    RootOption,
    RoundArgument,
    again,
)
from stillhouse.cli.output import Format, follow, say, show
from stillhouse.errors import ConfigError, DataError
from stillhouse.tables import Table

if TYPE_CHECKING:
    import pandas as pd

    from stillhouse.plugin import Files
    from stillhouse.training.contract.verdict import Bug


def list_methods(
    name: Annotated[
        str, typer.Argument(metavar="[NAME]", help="A method to explain (default: list all).")
    ] = "",
    round_: FilesOption = None,
    root: RootOption = HERE,
    format: FormatOption = Format.rich,
) -> None:
    """List the methods a round may name, or explain one of them.

    An explanation has formula, source, layers, weights, extra parameters, cost and hazards; with
    --round the weights, networks and sweeps are those of the round.

    Example: stillhouse list methods rkd
    """
    if name:
        _explain(name, round_, root, format)
        return
    from stillhouse import methods

    files = _files(round_, root)
    rows = tuple(
        (
            name,
            methods.declared(name, files).label,
            methods.declared(name, files).summary,
            ", ".join(methods.declared(name, files).parameters) or None,
        )
        for name in methods.names(files)
    )
    columns = ("Name", "In tables", "What it is", "Parameters")
    table = Table("Methods", columns, rows, stacked=True)
    show(table, format, _next("list methods logit", round_, root))


def _explain(method: str, round_: str | None, root: Path, format: Format) -> None:
    from stillhouse.config.load import check_parameters
    from stillhouse.rounds.find import open_round
    from stillhouse.show.explain import explain

    loaded = None
    if round_ is not None:
        _, loaded, file = open_round(root, round_)
        check_parameters(loaded, file)
    show(explain(method, loaded), format, _next("list methods", round_, root))


def list_models(
    round_: FilesOption = None, root: RootOption = HERE, format: FormatOption = Format.rich
) -> None:
    """List the networks a round may name, with their size and feature maps.

    Example: stillhouse list models --format csv
    """
    import torch

    from stillhouse import models as networks
    from stillhouse.data.specs import SPECS

    files, rows, spec = _files(round_, root), [], SPECS["Cifar100"]
    aliases = {name: alias for alias, name in networks.ALIASES.items()}
    for name in networks.names(files):
        with torch.device("meta" if name in networks.NETWORKS else "cpu"):  # sizes need no values
            network = networks.build(name, spec, files)
        shapes = networks.shapes(network, spec)
        features = ", ".join(
            f"{layer} {'x'.join(map(str, shape))}" for layer, shape in shapes.features.items()
        )
        parameters = sum(p.numel() for p in network.parameters())
        rows.append((name, parameters, aliases.get(name), features))
    notes = (
        f"Parameters and features: with {spec.classes} classes, for {spec.size} x {spec.size} "
        "colour images.",
        f"Besides these a round may name {networks.BY_LIBRARY} (docs/networks.md).",
    )
    table = Table("Models", ("Name", "Parameters", "Also called", "Features"), tuple(rows), notes)
    show(table, format, _next("list datasets", round_, root))


def list_datasets(
    round_: FilesOption = None, root: RootOption = HERE, format: FormatOption = Format.rich
) -> None:
    """List the datasets a round may name.

    Example: stillhouse list datasets
    """
    from stillhouse import data as sets

    files = _files(round_, root)
    specs = (sets.spec(name, files) for name in sets.names(files))
    rows = tuple(
        (s.name, s.label, s.classes, s.channels, s.size, s.train_images, s.test_images)
        for s in specs
    )
    columns = ("Name", "In tables", "Classes", "Channels", "Pixels", "Training", "Test")
    show(Table("Datasets", columns, rows), format, _next("data check", round_, root))


class RunsFormat(StrEnum):
    """How the list of runs is written."""

    rich = "rich"
    md = "md"
    csv = "csv"
    latex = "latex"
    json = "json"
    parquet = "parquet"


def list_runs(
    round_: RoundArgument,
    root: RootOption = HERE,
    only: OnlyOption = None,
    columns: Annotated[
        str | None,
        typer.Option(
            help="Which columns, in this order: run,accuracy,why (docs/tables.md lists them)."
        ),
    ] = None,
    format: Annotated[RunsFormat, typer.Option(help="How tables are written.")] = RunsFormat.rich,
) -> None:
    """List a round's runs, one row per run: its settings, its state and its accuracies.

    Parquet is binary: write it into a file (> runs.parquet).

    Example: stillhouse list runs rounds/digits.yaml --columns run,accuracy
    """
    from stillhouse.rounds.find import open_survey
    from stillhouse.rounds.survey import choose_cells
    from stillhouse.show.runs import chosen_runs, runs_table

    _, survey, _ = open_survey(root, round_)
    cells = choose_cells(survey, only)
    if format is RunsFormat.parquet:
        _write_parquet(chosen_runs(survey, cells, columns))
        return
    written = Format(format)
    show(
        runs_table(survey, cells, written.for_programs, columns),
        written,
        again("status", round_, root),
    )


def _write_parquet(table: pd.DataFrame) -> None:
    from stillhouse.stats.written import parquet

    if sys.stdout.isatty():
        raise ConfigError("parquet is no text", "write it into a file: ... > runs.parquet")
    sys.stdout.buffer.write(parquet(table))
    sys.stdout.buffer.flush()


def _files(round_: str | None, root: Path) -> Files:
    from stillhouse.rounds.find import open_round

    return open_round(root, round_)[1].files if round_ else ()


def _next(command: str, round_: str | None, root: Path) -> str:
    return again("plan", round_, root) if round_ else f"stillhouse {command}"


def check(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A method, a model or a dataset.")],
    images: Annotated[
        str, typer.Option(help="The dataset for whose images a model is checked.")
    ] = "Cifar10",
    data_root: DataRootOption = None,
    format: FormatOption = Format.rich,
) -> None:
    """Check a custom component by running it: a method, a model or a dataset in a file.

    The exit code is 1 if a check fails.

    Example: stillhouse check examples/own_method.py
    """
    from stillhouse import data as sets
    from stillhouse.plugin import read_plugin
    from stillhouse.training.contract.file import check_file
    from stillhouse.training.contract.verdict import bugs

    own = read_plugin(file)
    verdicts = list(check_file(own, sets.data_root(data_root), images))
    found = {bug.checks[0]: bug for bug in bugs(verdicts)}
    rows = tuple(
        _broken(found[verdict.check], own.path)
        if verdict.reason
        else (verdict.check, "passed", None)
        for verdict in verdicts
        if not verdict.reason or verdict.check in found
    )
    failed = sum(bool(verdict.reason) for verdict in verdicts)
    title = f"{own.kind} {own.name}: {len(verdicts) - failed} of {len(verdicts)} checks passed"
    again = f"stillhouse check {file}" if failed else "stillhouse plan ROUND"
    show(Table(title, ("Check", "Result", "Reason"), rows), format, again)
    raise typer.Exit(1 if failed else 0)


def _broken(bug: Bug, path: Path) -> tuple[str, str, str]:
    """The row of a bug: the first check that it breaks and how many more, where it is and what."""
    more = len(bug.checks) - 1
    check = bug.checks[0] + (f" and {more} more" if more else "")
    where = "" if bug.reason.startswith(str(path)) else f"{bug.line or path}: "
    return check, "FAILED", where + bug.reason


def data_fetch(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Which datasets.")],
    data_root: DataRootOption = None,
) -> None:
    """Download datasets, unless already present.

    Example: stillhouse data fetch Cifar10
    """
    from stillhouse import data as sets

    root = sets.data_root(data_root)
    for name in names:
        sets.spec(name)
    for name in names:
        sets.fetch(name, root)
        say(f"{name}: ready")
    follow("stillhouse plan ROUND")


def data_check(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Which datasets (default: all).")
    ] = None,
    data_root: DataRootOption = None,
    format: FormatOption = Format.rich,
) -> None:
    """Show which datasets are ready, and what to type for those that are not.

    Example: stillhouse data check Cifar10 SVHN
    """
    from stillhouse import data as sets

    root = sets.data_root(data_root)
    found: dict[str, str] = {}
    problems: dict[str, DataError] = {}
    names = names or sets.names()
    for name in names:
        try:
            found[name] = sets.check(name, root)
        except DataError as error:
            problems[name] = error
    rows = tuple(
        (name, "not ready", problems[name].message, problems[name].hint)
        if name in problems
        else (name, "ready", found[name], "")
        for name in names
    )
    table = Table(f"Datasets in {root}", ("Dataset", "State", "What is there", "Cure"), rows)
    show(table, format, "" if problems else "stillhouse plan ROUND")
    if problems:
        first = next(iter(problems.values()))
        raise DataError(f"{len(problems)} of {len(names)} datasets are not ready", first.hint)


def import_(
    source: Annotated[
        Path, typer.Argument(metavar="PATH", help="The folder above the earlier experiments/.")
    ],
    name: Annotated[str, typer.Option("--as", help="The round's name.")],
    root: Annotated[
        Path | None, typer.Option(help="The new workspace (default: a folder of the round's name).")
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            help="A round file with the recipe and legacy notes, which the records lack "
            "(default: rounds/NAME.yaml if it is there)."
        ),
    ] = None,
    format: FormatOption = Format.rich,
) -> None:
    """Read what earlier scripts left, unfinished runs included; the source stays as it is.

    Example: stillhouse import earlier --as alpha --root study
    """
    from stillhouse.exchange.scripts.summary import import_table
    from stillhouse.exchange.scripts.write import import_round

    shipped = Path("rounds") / f"{name}.yaml"
    recipe = recipe or (shipped if shipped.is_file() else None)
    home = root or Path(name)
    done = import_round(source, name, home, recipe)
    if recipe:
        say(f"recipe and legacy notes: {recipe}", err=True)
    show(import_table(done), format, again("status", name, home))
