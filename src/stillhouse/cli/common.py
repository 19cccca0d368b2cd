"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from stillhouse.errors import ConfigError


def _known_device(name: str) -> str:
    """Raise ConfigError unless torch knows the device and, for CUDA, finds one."""
    if name in ("auto", "cpu"):
        return name
    import torch

    hint = "expected auto, cpu, cuda, cuda:0 or another torch device"
    try:
        kind = torch.device(name).type
    except RuntimeError as error:
        raise ConfigError(f"--device {name}: torch knows no such device", hint) from error
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(f"--device {name}: torch finds no CUDA device here", hint)
    return name


RoundArgument = Annotated[
    str,
    typer.Argument(metavar="ROUND", help="A round file, or the name of a round in the workspace."),
]
RootOption = Annotated[Path, typer.Option("--root", help="The workspace; experiments/ lies in it.")]
DataRootOption = Annotated[
    Path | None,
    typer.Option(help="Where datasets lie (default: $STILLHOUSE_DATA or the user's cache folder)."),
]
DeviceOption = Annotated[
    str, typer.Option(callback=_known_device, help="auto, cpu, cuda or any torch device.")
]
OnlyOption = Annotated[
    str | None,
    typer.Option(help="A part of the matrix, as in dataset=SVHN,method=rkd,method=nst,seed=0."),
]
KeepGoingOption = Annotated[
    bool, typer.Option("--keep-going", help="Train on where a run is seen to learn nothing.")
]
HERE = Path()


def again(command: str, round_: str, root: Path) -> str:
    """The command line of another command for the same round and workspace."""
    return f"stillhouse {command} {round_}" + (f" --root {root}" if root != HERE else "")
