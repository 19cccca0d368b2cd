"""Runs for TensorBoard: one folder of event files per run."""

from __future__ import annotations

import json
from pathlib import Path

from tensorboardX import SummaryWriter

from stillhouse.exchange.trackers import Tracked, scalars


def write(run: Tracked, folder: Path) -> None:
    """Write every scalar of a run, at the time at which its epoch ended."""
    with SummaryWriter(str(folder)) as writer:
        writer.add_text("settings", f"```\n{json.dumps(run.settings, indent=2)}\n```")
        for epoch in run.epochs:
            ended = epoch.get("time", {}).get("ended")
            for name, value in scalars(epoch).items():
                writer.add_scalar(name, value, epoch["epoch"], walltime=ended)
