"""The command `stillhouse`. Each command imports what it needs when it is called."""

from __future__ import annotations

import inspect
import sys
import warnings
from collections.abc import Callable
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from stillhouse.cli import analysis, archive, cluster, material, plan, reset, results, study, watch
from stillhouse.cli.old import current_words, meant
from stillhouse.cli.output import open_streams, say, say_prose, styled
from stillhouse.collector import without_collector
from stillhouse.errors import Notice, StillhouseError, describe

Command = Callable[..., None]
VERBS: dict[str, dict[str, Command | dict[str, Command]]] = {
    "Train": {
        "plan": plan.plan,
        "run": study.run,
        "watch": watch.watch,
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
        "analyze": analysis.analyze,
        "report": analysis.report,
        "archive": archive.archive,
    },
    "Material": {
        "list": {
            "methods": material.list_methods,
            "models": material.list_models,
            "datasets": material.list_datasets,
            "runs": material.list_runs,
        },
        "check": material.check,
        "data": {"fetch": material.data_fetch, "check": material.data_check},
        "import": material.import_,
    },
    "Cluster": {
        "cluster": {
            "submit": cluster.submit,
            "jobs": cluster.jobs,
            "logs": cluster.logs,
            "cancel": cluster.cancel,
            "retry": cluster.retry,
            "check": cluster.check,
        }
    },
}
READERS = (plan.plan, study.status, results.table, results.observe, results.doctor)
GROUPS = {
    "list": "List methods, models and datasets, or a round's runs.",
    "data": "Fetch datasets, and check that they are ready.",
    "cluster": "Train rounds as jobs on a cluster.",
}


class Group(TyperGroup):
    """Commands in the order in which they were added; a mistyped one is answered with others."""

    def list_commands(self, ctx: Any) -> list[str]:
        """The names in the order in which `--help` shows them."""
        return list(self.commands)

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        """The command that the first word names. Fails with a suggestion if there is none."""
        name = args[0]
        if name not in self.commands and not name.startswith("-"):
            top = ctx.find_root().command.commands
            found = meant(name, top, "" if self.commands is top else str(self.name))
            listed = " or ".join(f"'stillhouse {one}'" for one in found)
            hint = f"Did you mean {listed}?" if found else f"'{ctx.command_path} --help' lists all."
            ctx.fail(f"No such command '{name}'. {hint}")
        return super().resolve_command(ctx, args)


def new_group(help: str, completion: bool = False) -> typer.Typer:
    """A group of commands without any yet; `completion` adds options that install it in a shell."""
    return typer.Typer(
        cls=Group,
        help=help,
        no_args_is_help=True,
        add_completion=completion,
        pretty_exceptions_enable=False,
    )


app = new_group(
    "Knowledge-distillation rounds: one round file in, trained networks and tables out.",
    completion=True,
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


def add(group: typer.Typer, name: str, command: Command, **how: Any) -> None:
    """Add a command; its help is its docstring, each paragraph in one line."""
    paragraphs = inspect.cleandoc(command.__doc__ or "").split("\n\n")
    text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    called = without_collector()(command) if command in READERS else command
    group.command(name, help=text, **how)(called)


for panel, verbs in VERBS.items():
    for verb, command in verbs.items():
        if callable(command):
            add(app, verb, command, rich_help_panel=panel)
            continue
        app.add_typer(group := new_group(GROUPS[verb]), name=verb, rich_help_panel=panel)
        for name, one in command.items():
            add(group, name, one)
add(app, "train", study.train, hidden=True)


def main() -> None:
    """Run the command line; a known error is one message and its exit code, not a traceback.

    Known are also a full disk, a missing permission, a vanished folder, and too little memory.
    """
    warnings.showwarning = print_notice
    open_streams()
    if not styled():
        from typer import rich_utils

        rich_utils.FORCE_TERMINAL = False  # help without bold and faint text
    words, notice = current_words(sys.argv[1:])
    if notice:
        say_prose(f"note: {notice}")
    try:
        app(words, prog_name="stillhouse")
    except StillhouseError as error:
        say_prose(f"error: {error}")
        sys.exit(error.exit_code)
    except (OSError, MemoryError, RuntimeError, ImportError) as error:
        if (reason := describe(error)) is None:
            raise
        say_prose(f"error: {reason}")
        sys.exit(1)


def print_notice(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
    """Print a notice of stillhouse in one line; other warnings as Python prints them."""
    if issubclass(category, Notice):
        say_prose(f"note: {message}")
    else:
        say(warnings.formatwarning(message, category, *where[:2]).rstrip(), err=True)
