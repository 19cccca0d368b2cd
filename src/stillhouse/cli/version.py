"""`stillhouse --version`."""

from __future__ import annotations

import typer

import stillhouse
from stillhouse.cli.output import say


def print_versions(wanted: bool) -> None:
    """Print the versions of stillhouse, torch and CUDA and the device that `auto` picks."""
    if not wanted:
        return
    import torch

    from stillhouse.training.precision import pick_device

    device = pick_device("auto")
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "no GPU is used"
    say(f"stillhouse {stillhouse.__version__}")
    say(f"torch {torch.__version__}, CUDA {torch.version.cuda or 'not in this build'}")
    say(f"device {device} ({name})")
    raise typer.Exit
