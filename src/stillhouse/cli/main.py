"""The command `stillhouse`. Each command imports what it needs when it is called."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stillhouse.cli import analysis, cluster, material, report, reset, results, study
from stillhouse.cli.old import current_words, meant
from stillhouse.cli.output import open_streams, say
from stillhouse.errors import Notice, StillhouseError, describe

VERBS: dict[str, dict[str, Callable[..., None] | typer.Typer]] = {
    "Train": {
        "plan": study.plan,
        "run": study.run,
        "status": study.status,
        "reset": reset.reset,
    },
    "Results": {
        "table": results.table,
        "observe": results.observe,
        "compare": results.compare,
        "doctor": results.doctor,
        "verify": results.verify,
    },
    "Analysis": {
        "extract": analysis.extract,
        "analyze": results.analyze,
        "report": report.report,
    },
    "Material": {
        "list": material.list_,
        "check": material.check,
        "data": material.data,
        "import": material.import_,
    },
    "Cluster": {"cluster": cluster.app},
}


class Verbs(TyperGroup):
    """The verbs in the order of `VERBS`; a mistyped one is answered with what may be meant."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order in which `--help` shows them."""
        return [*(name for group in VERBS.values() for name in group), "train"]

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the first word names. Fails with a suggestion if there is none."""
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            found = " or ".join(f"'stillhouse {one}'" for one in meant(name, self.commands))
            ctx.fail(
                f"No such command '{name}'. "
                + (f"Did you mean {found}?" if found else "'stillhouse --help' lists all.")
            )
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=Verbs,
    help="Knowledge-distillation rounds: one round file in, trained networks and tables out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def print_versions(wanted: bool) -> None:
    """Print the versions of stillhouse, torch and CUDA and the device that `auto` picks."""
    if not wanted:
        return
    import torch

    import stillhouse
    from stillhouse.training.precision import pick_device

    device = pick_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU is used"
    say(f"stillhouse {stillhouse.__version__}")
    say(f"torch {torch.__version__}, CUDA {torch.version.cuda or 'not in this build'}")
    say(f"device {device} ({name})")
    raise typer.Exit


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


for panel, verbs in VERBS.items():
    for verb, command in verbs.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=verb, rich_help_panel=panel)
        else:
            app.command(verb, rich_help_panel=panel)(command)
app.command("train", hidden=True)(study.train)


def main() -> None:
    """Run the command line; a known error is one message and its exit code, not a traceback.

    Known are also a full disk, a missing permission, a vanished folder, and too little memory.
    """
    warnings.showwarning = print_notice
    open_streams()
    words, notice = current_words(sys.argv[1:])
    if notice:
        say(f"note: {notice}", err=True)
    try:
        app(words)
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
