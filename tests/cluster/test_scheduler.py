"""The adapter: recorded answers of real schedulers, and commands that replay real exit codes."""

from __future__ import annotations

import os
import pwd
import sys
from pathlib import Path
from typing import Any

import pytest

from fake_scheduler import make_site
from stillhouse.cluster import scheduler as adapter
from stillhouse.cluster.scheduler import QueuedJob, QueueError, QueueFull, Scheduler
from stillhouse.errors import ConfigError

RECORDED = Path(__file__).parent / "recorded"
OPENPBS = (RECORDED / "openpbs_list.txt").read_text()


def install(folder: Path, command: str, out: str = "", err: str = "", code: int = 0) -> None:
    """A command that notes its words and environment, and answers so."""
    folder.mkdir(exist_ok=True)
    (folder / f"{command}.out").write_text(out)
    (folder / f"{command}.err").write_text(err)
    path = folder / command
    path.write_text(
        f'#!/bin/sh\necho "$@" >> {folder}/{command}.words\nenv > {folder}/{command}.env\n'
        f"cat {folder}/{command}.out\ncat {folder}/{command}.err >&2\nexit {code}\n"
    )
    path.chmod(0o755)


@pytest.fixture
def pbs(tmp_path: Path) -> Scheduler:
    return Scheduler(make_site(scheduler="pbs", commands=str(tmp_path / "bin")))


@pytest.fixture
def slurm(tmp_path: Path) -> Scheduler:
    return Scheduler(make_site(scheduler="slurm", commands=str(tmp_path / "bin")))


def test_a_real_openpbs_listing(pbs: Scheduler, tmp_path: Path) -> None:
    install(tmp_path / "bin", "qstat", OPENPBS)
    assert pbs.jobs() == [
        QueuedJob("1.pbsbox", "other", "running"),
        QueuedJob("13.pbsbox", "kd00001-1f3a9c", "queued"),
        QueuedJob("14.pbsbox", "other", "queued"),
        QueuedJob("15.pbsbox", "kd00002-1f3a9c", "queued"),
    ]
    user = pwd.getpwuid(os.getuid()).pw_name
    assert (tmp_path / "bin" / "qstat.words").read_text() == f"-f -w -u {user}\n"


def test_finished_jobs_are_not_in_the_queue(pbs: Scheduler, tmp_path: Path) -> None:
    install(tmp_path / "bin", "qstat", OPENPBS.replace("job_state = Q", "job_state = F"))
    assert [job.id for job in pbs.jobs()] == ["1.pbsbox", "15.pbsbox"]


@pytest.mark.parametrize(
    ("out", "err", "code"),
    [
        ("", "Connection refused\nqstat: cannot connect to server pbsbox (errno=15010)", 15),
        ("", "qstat: Unknown Job Id 999.pbsbox", 153),
        ("Job Id: 1.x\n    Job_Name = a\n    job_state = R\n", "", 0),
        # The wrapper of slurm-wlm-torque: no `-w`, and another form of the listing.
        ("", "Unknown option: w", 2),
    ],
)
def test_no_answer_is_never_read_as_an_empty_queue(
    pbs: Scheduler, tmp_path: Path, out: str, err: str, code: int
) -> None:
    install(tmp_path / "bin", "qstat", out, err, code)
    with pytest.raises(QueueError):
        pbs.jobs()


def test_a_missing_or_silent_command_is_an_error(
    pbs: Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    with pytest.raises(QueueError, match="could not be listed"):
        pbs.jobs()
    install(tmp_path / "bin", "qstat")
    (tmp_path / "bin" / "qstat").write_text("#!/bin/sh\nexec sleep 10\n")
    monkeypatch.setattr(adapter, "COMMAND_SECONDS", 0.2)
    with pytest.raises(QueueError, match="no answer"):
        pbs.jobs()


def test_a_submission_runs_in_its_folder_with_a_clean_environment(
    pbs: Scheduler, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path / "bin", "qsub", "42.pbsbox\n")
    monkeypatch.setenv("SECRET", "x")
    script = tmp_path / "a folder" / "script.sh"
    script.parent.mkdir()
    script.touch()
    assert pbs.submit(script) == "42.pbsbox"
    environment = (tmp_path / "bin" / "qsub.env").read_text()
    assert f"PWD={script.parent}" in environment and "SECRET" not in environment
    for name in ("PATH", "HOME", "LOGNAME"):
        monkeypatch.delenv(name, raising=False)
    assert pbs.submit(script) == "42.pbsbox"


@pytest.mark.parametrize(
    ("kind", "err", "code", "expected"),
    [
        ("pbs", "qsub: would exceed queue generic's per-user limit", 38, QueueFull),
        ("pbs", "qsub: illegal -N value", 2, QueueError),
        ("pbs", "pbs_iff: cannot connect", 162, QueueError),
        ("slurm", "sbatch: error: QOSMaxSubmitJobPerUserLimit", 1, QueueFull),
        ("slurm", "sbatch: error: Batch job submission failed: Socket timed out", 1, QueueError),
    ],
)
def test_a_full_queue_is_told_from_a_failure(
    tmp_path: Path, kind: str, err: str, code: int, expected: type[Exception]
) -> None:
    command = {"pbs": "qsub", "slurm": "sbatch"}[kind]
    install(tmp_path / "bin", command, err=err, code=code)
    with pytest.raises(QueueError) as raised:
        Scheduler(make_site(scheduler=kind, commands=str(tmp_path / "bin"))).submit(
            tmp_path / "bin" / "script.sh"
        )
    assert type(raised.value) is expected
    assert f"code {code}" in raised.value.message


def test_an_answer_without_an_id_is_an_error(slurm: Scheduler, tmp_path: Path) -> None:
    install(tmp_path / "bin", "sbatch", "sbatch: something else")
    with pytest.raises(QueueError, match="no job id"):
        slurm.submit(tmp_path / "bin" / "script.sh")


def test_cancelling(slurm: Scheduler, tmp_path: Path) -> None:
    install(tmp_path / "bin", "scancel")
    slurm.cancel("17")
    assert "17" in (tmp_path / "bin" / "scancel.words").read_text()
    install(tmp_path / "bin", "scancel", err="Invalid job id specified", code=1)
    with pytest.raises(QueueError, match="job 17 could not be cancelled: Invalid job id"):
        slurm.cancel("17")


def test_without_the_extra_its_name_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    gone: Any = None
    monkeypatch.setitem(sys.modules, "qtoolkit.io.pbs", gone)
    with pytest.raises(ConfigError, match="need the package qtoolkit") as raised:
        Scheduler(make_site())
    assert "pip install stillhouse[cluster]" in str(raised.value)
