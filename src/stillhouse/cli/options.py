"""The arguments and options that several commands share, and the hint after a command."""

from __future__ import annotations

import os
import re
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stillhouse.errors import ConfigError, command_line
from stillhouse.tables import Format

if TYPE_CHECKING:
    from stillhouse.config.schema import Round


def _known_device(name: str) -> str:
    """Raise ConfigError unless a round can be trained on the device here.

    Other devices of torch's lack float64, which the loops sum in, or hold no numbers at all.
    """
    hint = "expected auto, cpu, cuda, or cuda:0 and so on for one of several GPUs"
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", name, re.ASCII):
        raise ConfigError(f"--device {name}: stillhouse trains on a CPU or a CUDA GPU", hint)
    if name.startswith("cuda"):
        import torch

        count = torch.cuda.device_count()
        if count <= int(name.partition(":")[2] or 0):
            raise ConfigError(
                f"--device {name}: torch finds {count or 'no'} CUDA devices here", hint
            )
    return name


HERE = Path()
RoundArgument = Annotated[
    str,
    typer.Argument(
        metavar="ROUND",
        help="A round file, the name of a round in the workspace, or a folder that holds a round.",
    ),
]
TargetArgument = Annotated[
    str,
    typer.Argument(metavar="RUN|ROUND", help="A round, or one run's folder below experiments/."),
]
RunArgument = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's folder below experiments/.")
]
RootOption = Annotated[Path, typer.Option("--root", help="The workspace; experiments/ lies in it.")]
DataRootOption = Annotated[
    Path | None,
    typer.Option(help="Where datasets lie (default: $STILLHOUSE_DATA or the user's cache folder)."),
]
DeviceOption = Annotated[
    str, typer.Option(callback=_known_device, help="auto, cpu, cuda, or cuda:N of several GPUs.")
]
OnlyOption = Annotated[
    str | None,
    typer.Option(
        "--only", help="A part of the matrix: dataset=SVHN,seed=0 (one key twice: either of them)."
    ),
]
FormatOption = Annotated[Format, typer.Option(help="How tables are written.")]
AccuracyOption = Annotated[
    str | None, typer.Option(help="final (default) or best epoch, or ema: the averaged weights.")
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done; do nothing.")
]
KeepGoingOption = Annotated[
    bool, typer.Option("--keep-going", help="Keep training runs that learn nothing.")
]
JobsOption = Annotated[
    int | None, typer.Option(min=1, help="Processes at once (default: one per GPU, or core).")
]
SiteOption = Annotated[
    str, typer.Option("--site", help="A site profile: a path, or NAME of sites/NAME.toml.")
]
FilesOption = Annotated[
    str | None, typer.Option("--round", help="A round: include the custom components it names.")
]


again = command_line


def workers(round_: Round, device: str, jobs: int | None) -> int:
    """How many processes train a round at once: those asked for, else one per GPU, or core."""
    alone = max(1, (os.cpu_count() or 1) // round_.training.threads)
    return jobs or cuda_devices(device) or alone


def workers_per_gpu(jobs: int, device: str) -> int:
    """How many of `jobs` workers share a GPU, at most; 1 on a CPU."""
    return ceil(jobs / (cuda_devices(device) or jobs))


def cuda_devices(device: str) -> int:
    """How many GPUs a device option gives to workers; 0 on a CPU."""
    if device.partition(":")[0] not in ("auto", "cuda"):
        return 0
    import torch

    return min(1, torch.cuda.device_count()) if ":" in device else torch.cuda.device_count()
