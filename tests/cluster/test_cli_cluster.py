"""The commands, as they are typed or called from cron."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from fake_rounds import PURE, TEACHER, Bench, edit
from stillhouse.cli.main import main
from stillhouse.cluster import scheduler
from stillhouse.cluster.store import Store

SOURCE = Path(__file__).parents[2] / "src"
SITE = 'scheduler = "slurm"\ncap = 3\n[resources]\nwalltime = "1:00:00"\n'
SQUEUE = "#!/bin/sh\n[ -e {down} ] && {{ echo 'Connection refused' >&2; exit 1; }}\ncat {queue}\n"
SBATCH = """#!/bin/sh
id=$(($(wc -l < {queue}) + 100))
name=$(sed -n 's/^#SBATCH --job-name=//p' "$1")
printf '%s<><> PD<><> None<><> %s<><> me<><> q<><> 1:00<><> 1<><> 1<><> 0:00<><> 4G\\n' \\
    "$id" "$name" >> {queue}
echo "Submitted batch job $id"
"""


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A workspace with commands that keep a queue in a file, as Slurm's would print it."""
    bench = Bench(tmp_path / "w")
    commands = tmp_path / "bin"
    commands.mkdir()
    queue = tmp_path / "queue"
    queue.touch()
    site = SITE.replace("cap", f'commands = "{commands}"\ncap')
    (tmp_path / "w" / "site.toml").write_text(site)
    for name, text in {"squeue": SQUEUE, "sbatch": SBATCH, "scancel": "#!/bin/sh\n"}.items():
        (commands / name).write_text(text.format(queue=queue, down=tmp_path / "down"))
        (commands / name).chmod(0o755)
    bench.end(f"{PURE}/0", "stopped", "over")
    return bench


def words(bench: Bench, command: str, *more: str) -> list[str]:
    root = bench.workspace.root
    site = ["--site", str(root / "site.toml")] if command == "submit" else []
    verb = [command] if command in ("status", "table") else ["cluster", command]
    return [*verb, str(bench.file), *more, *site, "--root", str(root)]


def typed(
    bench: Bench, capsys: pytest.CaptureFixture[str], *command: str
) -> tuple[int | str | None, str, str]:
    sys.argv = ["stillhouse", *words(bench, *command)]
    try:
        main()
        code: int | str | None = 0
    except SystemExit as exited:
        code = exited.code or 0
    out, err = capsys.readouterr()
    return code, out, err


PASSES = 6


def test_passes_at_once_under_an_empty_environment_submit_once(
    bench: Bench, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "stillhouse", *words(bench, "submit")]
    passes = [
        subprocess.Popen(
            ["env", "-i", f"PYTHONPATH={SOURCE}", *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        for _ in range(PASSES)
    ]  # fmt: skip
    said = [one.communicate()[0].decode() for one in passes]
    assert [one.returncode for one in passes] == [0] * PASSES, said
    names = [line.split("<><> ")[3] for line in (tmp_path / "queue").read_text().splitlines()]
    assert len(names) == len(set(names)) == 3


def test_submit_says_what_it_did_and_left_and_is_idempotent(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = typed(bench, capsys, "submit")
    assert code == 0
    assert f": {TEACHER}/0\n" in out and "3 jobs submitted; 3 of yours in the queue, cap 3" in out
    assert "left: 4 runs: waits for its teacher" in out
    code, out, _ = typed(bench, capsys, "submit")
    assert (code, "0 jobs submitted; 3 of yours in the queue" in out) == (0, True)


def test_what_the_networks_cost_is_counted_once(
    bench: Bench, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for a workspace that was submitted before it was counted."""
    typed(bench, capsys, "submit")
    noted = bench.workspace.jobs / "site.json"
    kept = json.loads(noted.read_text())
    assert kept["operations"]["Digits"]["ResNet20"] > kept["operations"]["Digits"]["ResNetBaby"] > 0
    noted.write_text(json.dumps({key: kept[key] for key in kept if key != "operations"}))
    typed(bench, capsys, "submit")
    assert json.loads(noted.read_text())["operations"] == kept["operations"]
    monkeypatch.delattr("stillhouse.rounds.cost.forward_operations")
    assert typed(bench, capsys, "submit")[0] == 0


def test_a_scheduler_that_does_not_answer_is_1_and_nothing_is_submitted(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "down").touch()
    code, out, err = typed(bench, capsys, "submit")
    assert (code, out) == (1, "")
    assert "the queue could not be listed: Connection refused" in err
    assert (tmp_path / "queue").read_text() == ""


def test_escape_sequences_of_the_scheduler_and_of_logs_are_not_printed(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    typed(bench, capsys, "submit")
    bench.folder(f"{PURE}/0").attempts()[-1].log.write_text("\x1b]0;title\x07epoch\t1\n")
    _, out, _ = typed(bench, capsys, "logs", f"{PURE}/0")
    assert "  ?]0;title?epoch\t1\n" in out
    squeue = tmp_path / "bin" / "squeue"
    squeue.write_text("#!/bin/sh\nprintf '\\033[2Jslurm_load_jobs\\n\\033[31merror' >&2; exit 1\n")
    code, _, err = typed(bench, capsys, "submit")
    assert code == 1 and "?[2Jslurm_load_jobs\n?[31merror" in err


def test_dry_run_prints_scripts_only(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code, out, _ = typed(bench, capsys, "submit", "--dry-run")
    assert (code, out.count("#!/bin/bash"), out.count("#SBATCH --job-name=kd")) == (0, 3, 3)
    assert (tmp_path / "queue").read_text() == ""
    assert not (bench.workspace.jobs).exists()


def test_a_dry_run_needs_neither_data_nor_a_scheduler_and_a_submission_both(
    bench: Bench,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    laptop = Bench(tmp_path / "laptop", datasets=["SVHN"])
    (tmp_path / "laptop" / "site.toml").write_text((bench.workspace.root / "site.toml").read_text())
    monkeypatch.setenv("STILLHOUSE_DATA", str(tmp_path / "no-data"))
    code, out, err = typed(laptop, capsys, "submit")
    assert code == 1 and "data fetch SVHN" in err
    monkeypatch.setitem(scheduler.LISTING, "slurm", "no-such-command")
    code, out, err = typed(laptop, capsys, "submit", "--dry-run")
    assert (code, out.count("#SBATCH --job-name=kd")) == (0, 1)
    assert "there is no command no-such-command" in err
    code, out, err = typed(bench, capsys, "submit")
    assert code == 1 and "there is no command no-such-command" in err
    assert laptop.workspace.active() is bench.workspace.active() is None


def test_only_submits_shows_cancels_and_retries_a_part(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    typed(bench, capsys, "submit", "--only", "seed=1")
    names = [line.split("<><> ")[3] for line in (tmp_path / "queue").read_text().splitlines()]
    store = Store(bench.workspace.jobs)
    sent = [store.job(number).request.paths for number in store.numbers()]
    assert len(names) == 2 and sorted(sent) == [(f"{TEACHER}/1",), (f"{PURE}/1",)]
    _, out, _ = typed(bench, capsys, "jobs", "--only", "model=ResNet20", "--format", "json")
    assert [row[2] for row in json.loads(out)["rows"]] == [f"{TEACHER}/1"]
    code, out, _ = typed(bench, capsys, "cancel", "--only", "model=ResNetBaby,method=pure")
    assert code == 0 and "cancelled 1 jobs" in out
    for path in (f"{PURE}/0", f"{PURE}/1"):
        bench.end(path, "failed", "the loss is not finite")
    code, out, _ = typed(bench, capsys, "retry", "--failed", "--only", "seed=0,method=pure")
    assert code == 0 and f"{PURE}/0: will be tried again" in out and f"{PURE}/1" not in out


def test_retry_of_a_local_round_names_the_command_that_does_it(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = typed(bench, capsys, "retry", "--failed")
    assert code == 1
    assert f"stillhouse reset {bench.file} --root {bench.workspace.root}" in err


def test_logs_for_a_program_are_its_lines(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    typed(bench, capsys, "submit")
    bench.end(f"{PURE}/0", "stopped", "over")
    log = bench.folder(f"{PURE}/0").attempts()[-1].log
    log.write_text("one\ntwo\nthree\n")
    _, out, _ = typed(bench, capsys, "logs", f"{PURE}/0", "--lines", "2", "--format", "json")
    assert json.loads(out)["rows"] == [[str(log), 2, "two"], [str(log), 3, "three"]]
    _, out, _ = typed(bench, capsys, "logs", f"{PURE}/0", "--lines", "2")
    assert f"{log}:\n  two\n  three\n" in out and "one" not in out


def test_status_jobs_and_logs_join_records_with_the_queue(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    typed(bench, capsys, "submit")
    _, out, _ = typed(bench, capsys, "status", "--format", "csv")
    assert "Digits,pure,ResNet20,queued (100),queued (101)" in out
    assert "waiting for teacher" in out
    (tmp_path / "queue").write_text("")
    code, out, _ = typed(bench, capsys, "status", "--format", "csv")
    assert "running" not in out and "needs more 1/2" in out and "eligible" in out
    code, out, _ = typed(bench, capsys, "jobs", "--format", "json")
    assert code == 0 and [row[3] for row in json.loads(out)["rows"]] == ["open"] * 3
    code, out, _ = typed(bench, capsys, "logs", f"{TEACHER}/0")
    assert code == 0 and "attempts/001/train.log:" not in out and "kd0000" in out
    code, _, err = typed(bench, capsys, "logs", "nope")
    assert code == 2 and "unknown run" in err


def test_cancel_and_retry(bench: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = typed(bench, capsys, "cancel")
    assert code == 1 and "nothing was submitted" in err
    typed(bench, capsys, "submit")
    code, out, _ = typed(bench, capsys, "cancel")
    assert code == 0 and "cancelled 3 jobs: 100, 101, 102" in out
    code, out, _ = typed(bench, capsys, "submit")
    assert code == 1 and "held by `stillhouse cluster cancel`" in out
    code, out, _ = typed(bench, capsys, "retry")
    assert code == 0 and "next: stillhouse cluster submit" in out


def test_a_copy_says_how_old_it_is_and_takes_the_time_of_its_files(
    bench: Bench, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    typed(bench, capsys, "submit")
    claim = bench.begin(f"{TEACHER}/0")
    long_ago = time.time() - 7200
    elsewhere = json.loads(claim.attempt.claim.read_text()) | {"host": "node7"}
    claim.attempt.claim.write_text(json.dumps(elsewhere))
    noted = bench.workspace.jobs / "site.json"
    noted.write_text(json.dumps(json.loads(noted.read_text()) | {"time": long_ago}))
    for status in bench.workspace.experiments.rglob("status.json"):
        edit(status, lambda fields: fields.update(heartbeat=long_ago))
    os.rename(bench.workspace.root, tmp_path / "laptop")
    copy = Bench(tmp_path / "laptop")
    for command in ("status", "table"):
        code, out, err = typed(copy, capsys, command)
        assert code == 0, err
        assert "a copy: its newest sign of life is 2:00:0" in out
    _, out, _ = typed(copy, capsys, "status", "--format", "csv")
    assert "running 1/2 on node7" in out


def time_of(epoch: int) -> dict[str, float]:
    """A minute of a run's own, in a cohort whose epochs take seven."""
    return {"seconds": 60.0, "ended": 420.0 * epoch}


def test_the_time_left_of_a_run_is_that_of_its_cohort(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(bench, capsys, "submit")
    claim = bench.begin(f"{TEACHER}/0")
    lines = [
        json.dumps({"epoch": n, "test": {"accuracy": 50.0}, "time": time_of(n - 3)}) + "\n"
        for n in range(1, 3)
    ]
    claim.attempt.metrics.write_text("".join(lines))
    claim.write_status("running", epoch=1, step=0)
    _, out, _ = typed(bench, capsys, "status", "--format", "csv")
    assert "0:07:00 left" in out


def test_the_time_left_of_a_run_is_never_negative(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    """The round file now plans fewer epochs than the run has trained."""
    typed(bench, capsys, "submit")
    claim = bench.begin(f"{TEACHER}/0")
    lines = [
        json.dumps({"epoch": n, "test": {"accuracy": 50.0}, "time": time_of(n)}) + "\n"
        for n in range(1, 6)
    ]
    claim.attempt.metrics.write_text("".join(lines))
    claim.write_status("running", epoch=5, step=0)
    _, out, _ = typed(bench, capsys, "status", "--format", "csv")
    assert "0:00:00 left" in out and "-1 day" not in out
