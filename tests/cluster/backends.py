"""The real schedulers of the end-to-end test: how to bring one up, list, cancel and disturb it."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


def call(*words: str, check: bool = True) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


@dataclass
class Slurm:
    """One node, brought up by `slurm.sh`. Slurm kills a job at whole minutes."""

    name = "slurm"
    queue = "gpu_1"
    shortest_walltime = 60

    def start(self) -> None:
        call(str(HERE / "slurm.sh"), "start")

    def stop(self) -> None:
        call(str(HERE / "slurm.sh"), "stop")

    def listing(self) -> dict[str, str] | None:
        """Ids and names of all jobs that are not over; None while nobody answers."""
        done = subprocess.run(
            ["squeue", "-h", "-o", "%i %j"], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            return None
        return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())

    def cancel(self, id: str) -> None:
        call("scancel", id, check=False)

    def requeue(self, id: str) -> None:
        call("scontrol", "update", f"JobId={id}", "Requeue=1", check=False)
        call("scontrol", "requeue", id, check=False)

    def restart(self) -> None:
        call(str(HERE / "slurm.sh"), "restart-controller", "6")


@dataclass
class OpenPBS:
    """A server that is already up, with a queue `gpu_1`; jobs run as the calling user."""

    name = "pbs"
    queue = "gpu_1"
    shortest_walltime = 40

    def start(self) -> None:
        call("qstat", "-B")

    def stop(self) -> None:
        """It was not started here."""

    def listing(self) -> dict[str, str] | None:
        done = subprocess.run(["qstat", "-f"], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            return None
        lines = done.stdout.splitlines()
        ids = [line.removeprefix("Job Id: ") for line in lines if line.startswith("Job Id: ")]
        names = [line.split(" = ")[1] for line in lines if line.startswith("    Job_Name = ")]
        return dict(zip(ids, names, strict=True))

    def cancel(self, id: str) -> None:
        call("qdel", id, check=False)

    def requeue(self, id: str) -> None:
        call("qalter", "-r", "y", id, check=False)
        call("qrerun", id, check=False)

    def restart(self) -> None:
        call("qterm", "-t", "quick", check=False)
        call("sleep", "6")
        call("pbs_server")


BACKENDS = {"slurm": Slurm, "pbs": OpenPBS}
