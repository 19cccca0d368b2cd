"""The command `stillhouse`. Each command imports what it needs when it is called."""

from __future__ import annotations

import sys
import warnings
from typing import Annotated, Any

import typer

from stillhouse.cli import cluster, data, explain, look, site, train
from stillhouse.cli.check import check
from stillhouse.cli.compare import compare
from stillhouse.cli.diff import diff
from stillhouse.cli.doctor import doctor
from stillhouse.cli.figure import figure
from stillhouse.cli.importing import import_
from stillhouse.cli.observe import observe
from stillhouse.cli.output import open_streams, say
from stillhouse.cli.power import power
from stillhouse.cli.preflight import preflight
from stillhouse.cli.reset import reset
from stillhouse.cli.unlock import unlock
from stillhouse.cli.verify import verify
from stillhouse.cli.version import print_versions
from stillhouse.errors import Notice, StillhouseError, describe

app = typer.Typer(
    help="Knowledge-distillation rounds: one round file in, trained networks and tables out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=print_versions, help="Print versions and device."
        ),
    ] = False,
) -> None:
    """Read the options that stand before a command."""


app.command()(look.plan)
app.command()(preflight)
app.command()(train.run)
app.command()(look.status)
app.command()(doctor)
app.command()(look.table)
app.command()(observe)
app.command()(power)
app.command()(look.terms)
app.command()(figure)
app.command()(diff)
app.command()(compare)
app.command("import")(import_)
app.command()(train.train)
app.command()(cluster.submit)
app.command()(cluster.jobs)
app.command()(cluster.logs)
app.command()(cluster.cancel)
app.command()(cluster.retry)
app.command()(reset)
app.command()(unlock)
app.command()(verify)
app.command()(explain.methods)
app.command()(explain.models)
app.command()(explain.datasets)
app.command()(explain.explain)
app.command()(check)
app.add_typer(data.app, name="data")
app.add_typer(site.app, name="site")


def main() -> None:
    """Run the command line; a known error is one message and its exit code, not a traceback.

    Known are also a full disk, a missing permission, a vanished folder, and too little memory.
    """
    warnings.showwarning = print_notice
    open_streams()
    try:
        app()
    except StillhouseError as error:
        say(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        if (reason := describe(error)) is None:
            raise
        say(f"error: {reason}", err=True)
        sys.exit(1)


def print_notice(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Print a notice of stillhouse in one line; other warnings as Python prints them."""
    if issubclass(category, Notice):
        say(f"note: {message}", err=True)
    else:
        say(warnings.formatwarning(message, category, *where[:2]).rstrip(), err=True)
