"""Runs for Weights & Biases, offline: one folder per run, for `wandb sync`."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import wandb

from stillhouse.exchange.trackers import Tracked, scalars

QUIET = {
    "console": "off",
    "silent": True,
    "disable_git": True,
    "disable_code": True,
    "x_disable_stats": True,
    "x_disable_meta": True,
}


def write(run: Tracked, folder: Path) -> None:
    """Write a run without network and key. Its id follows from round and path: the same run is
    one run there, however often it is written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    known = sha256(f"{run.round}/{run.path}".encode()).hexdigest()[:16]
    with wandb.init(
        project=f"stillhouse-{run.round}",
        name=run.path,
        id=known,
        group=run.path.rpartition("/")[0],
        config=run.settings,
        dir=str(folder),
        mode="offline",
        reinit="create_new",
        settings=wandb.Settings(**QUIET),
    ) as written:
        for epoch in run.epochs:
            written.log(scalars(epoch), step=epoch["epoch"])
    wandb.teardown()  # returns when the file is written; `finish` does not wait for it
