"""The interface to PBS and Slurm: qtoolkit builds the commands and parses their output.

Only the list of the user's jobs is requested. Requests for one job are not reliable: qtoolkit reads
a failed `qstat` as "no such job", and finished PBS jobs are not listed.
"""

from __future__ import annotations

import os
import pwd
import re
import shlex
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stillhouse.cluster.site import Resources, Site
from stillhouse.errors import ConfigError, RunError

COMMAND_SECONDS = 60
LISTING = {"pbs": "qstat", "slurm": "squeue"}
SAFE_PATH = "/usr/local/bin:/usr/bin:/bin"
FULL = re.compile(
    r"exceed.*per-user limit|would exceed .*limit|maximum number of jobs already in queue"
    r"|MaxSubmitJob|QOSMaxSubmit|AssocMaxSubmit",
    re.IGNORECASE | re.DOTALL,
)
PBS_FULL_CODE = 38


class QueueError(RunError):
    """The scheduler did not answer, or its answer cannot be trusted."""


class QueueFull(QueueError):
    """The scheduler accepts no more jobs of this user now; nothing was submitted."""


@dataclass(frozen=True)
class QueuedJob:
    """An unfinished job of the user."""

    id: str
    name: str
    state: Literal["queued", "running"]


@dataclass(frozen=True)
class Header:
    """The resources of a job; the output goes to a file in the submitting folder."""

    name: str
    resources: Resources
    output: str


def no_listing(site: Site) -> str:
    """Why the queue is not known here: the command that lists it is missing; empty if it is not."""
    command = LISTING[site.scheduler]
    if shutil.which(command, path=search_path(site)) is not None:
        return ""
    return f"the queue is not known here: there is no command {command}"


class Scheduler:
    """PBS or Slurm, as `site` says. Raises ConfigError without the extra `cluster`."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self._io = _io(site.scheduler)

    def jobs(self) -> list[QueuedJob]:
        """List all of the user's jobs, in one call. Raises QueueError if the answer is unclear."""
        user = pwd.getpwuid(os.getuid()).pw_name
        code, out, err = self._call(self._io.get_jobs_list_cmd(None, user))
        if code != 0:
            raise QueueError(f"the queue could not be listed: {err.strip() or out.strip()}")
        return parse_jobs(self._io, out, err)

    def script(self, header: Header, lines: list[str]) -> str:
        """Return a job script: the directives, then the lines."""
        options = {"pbs": _pbs_options, "slurm": _slurm_options}[self.site.scheduler]
        text: str = self._io.get_submission_script(lines, options(self.site, header))
        return text + "\n"

    def submit(self, script: Path) -> str:
        """Submit a script from its own folder; return the job's id.

        Raises QueueFull if the scheduler reported that no more jobs are accepted. Raises QueueError
        for anything else; the job may or may not be in the queue then.
        """
        command = self._io.get_submit_cmd(shlex.quote(script.name))
        code, out, err = self._call(command, script.parent)
        if code != 0:
            full = FULL.search(err) or (self.site.scheduler == "pbs" and code == PBS_FULL_CODE)
            raise (QueueFull if full else QueueError)(f"{err.strip() or out.strip()} (code {code})")
        id = self._io.parse_submit_output(code, out, err).job_id
        if not id:
            raise QueueError(f"no job id in the scheduler's answer {out.strip()!r}")
        return str(id)

    def cancel(self, id: str) -> None:
        """Cancel a job. Raises QueueError if the scheduler refuses."""
        code, out, err = self._call(self._io.get_cancel_cmd(id))
        if code != 0:
            raise QueueError(f"job {id} could not be cancelled: {err.strip() or out.strip()}")

    def _call(self, command: str, folder: Path | None = None) -> tuple[int, str, str]:
        """Run a command in an environment that is the same from a terminal and from cron."""
        entry = pwd.getpwuid(os.getuid())
        environment = {
            "HOME": entry.pw_dir,
            "USER": entry.pw_name,
            "LOGNAME": entry.pw_name,
            "PATH": search_path(self.site),
            "LC_ALL": "C",
        }
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMMAND_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise QueueError(f"no answer in {COMMAND_SECONDS} s from: {command}") from error
        return (
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )


def search_path(site: Site) -> str:
    """Return the search path of the scheduler's commands."""
    path = os.environ.get("PATH", SAFE_PATH)
    return f"{site.commands}:{path}" if site.commands else path


def parse_jobs(io: Any, out: str, err: str) -> list[QueuedJob]:
    """Return the unfinished jobs in a listing. Raises QueueError if it cannot be parsed."""
    from qtoolkit.core.data_objects import QState
    from qtoolkit.core.exceptions import OutputParsingError

    try:
        listed = io.parse_jobs_list_output(0, out, err)
    except (OutputParsingError, ValueError, KeyError, TypeError) as error:
        raise QueueError(f"the queue's listing cannot be parsed: {error}") from error
    over = (QState.DONE, QState.FAILED)
    return [
        QueuedJob(
            str(job.job_id),
            str(job.name),
            "running" if job.state in (QState.RUNNING, QState.SUSPENDED) else "queued",
        )
        for job in listed
        if job.state not in over
    ]


def _io(kind: str) -> Any:
    try:
        from qtoolkit.io.pbs import PBSIO
        from qtoolkit.io.slurm import SlurmIO
    except ImportError as error:
        raise ConfigError(
            "the commands for clusters need the package qtoolkit", "pip install stillhouse[cluster]"
        ) from error
    return {"pbs": PBSIO, "slurm": SlurmIO}[kind]()


def _pbs_options(site: Site, header: Header) -> dict[str, str]:
    asked = header.resources
    gpus = f":ngpus={asked.gpus}" if asked.gpus else ""
    verbatim = ["-j oe", *([f"-P {site.project}"] if site.project else []), *site.directives]
    options = {
        "job_name": header.name,
        "select": f"select=1:ncpus={asked.cpus}:mem={asked.memory_gb}gb{gpus}",
        "walltime": clock(asked.walltime),
        "qout_path": header.output,
        "rerunnable": "n",
        "qverbatim": "\n".join(f"#PBS {line}" for line in verbatim),
    }
    if site.queue:
        options["queue"] = site.queue
    if site.mail:
        options |= {"mail_user": site.mail, "mail_type": "a"}
    return options


def _slurm_options(site: Site, header: Header) -> dict[str, str]:
    asked = header.resources
    options = {
        "job_name": header.name,
        "nodes": "1",
        "ntasks": "1",
        "cpus_per_task": str(asked.cpus),
        "mem": f"{asked.memory_gb}G",
        "time": clock(asked.walltime),
        "qout_path": header.output,
        "qverbatim": "\n".join(f"#SBATCH {line}" for line in ("--no-requeue", *site.directives)),
    }
    if asked.gpus:
        options["gres"] = f"gpu:{asked.gpus}"
    if site.queue:
        options["partition"] = site.queue
    if site.project:
        options["account"] = site.project
    if site.mail:
        options |= {"mail_user": site.mail, "mail_type": "FAIL"}
    return options


def clock(seconds: int) -> str:
    """Return seconds as h:mm:ss."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
