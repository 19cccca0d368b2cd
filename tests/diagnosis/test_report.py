"""From folders to the command's output: what is read, named, counted and returned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fake_rounds import LOGIT, PURE, TEACHER, Bench
from small_runs import Lab
from stillhouse.cli.main import app
from stillhouse.diagnosis.codes import CODES
from stillhouse.diagnosis.read import read_round, read_run
from stillhouse.diagnosis.report import report
from stillhouse.errors import ConfigError
from stillhouse.runs.state import state_of


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path)
    made.workspace.activate(made.round, made.file)
    return made


def ask(bench: Bench, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """The exit code, the rows by column, and the title."""
    root = ["--root", str(bench.workspace.root), "--format", "json"]
    done = CliRunner().invoke(app, ["doctor", *arguments, *root])
    if done.exception and not isinstance(done.exception, SystemExit):
        raise done.exception
    table = json.loads(done.stdout)
    return (
        done.exit_code,
        [dict(zip(table["columns"], row, strict=True)) for row in table["rows"]],
        table["title"],
    )


def test_a_round_that_has_not_started_is_not_ill(bench: Bench) -> None:
    assert ask(bench) == (0, [], "round tiny: 0 runs examined: nothing found")


def test_a_failed_teacher_and_who_waits_for_it(bench: Bench) -> None:
    bench.end(f"{TEACHER}/0", "failed", "the loss term 'ce' is not finite at epoch 0 step 3")
    code, rows, title = ask(bench)
    found = {row["Run"]: (row["Verdict"], row["Cause"]) for row in rows}
    assert code == 1
    assert found.pop(f"{TEACHER}/0") == ("failed", "divergence")
    assert set(found.values()) == {("stuck", "blocked")}
    assert set(found) == {path for path in bench.runs if "_to_" in path and path.endswith("/0")}
    assert title == "round tiny: 1 run examined: 1 failed, 2 stuck"


def test_evidence_names_file_and_line(bench: Bench) -> None:
    bench.end(f"{PURE}/0", "failed", "OSError: [Errno 28] No space left on device")
    log = bench.folder(f"{PURE}/0").attempt(1).log
    log.write_text("attempt 1 starts\n\nOSError: [Errno 28] No space left on device\n")
    _, (row,), _ = ask(bench)
    assert row["Verdict"] == "failed"
    assert row["What to do"] == CODES["disk"].cure
    place = f"experiments/{PURE}/0/attempts/001/train.log:3: "
    assert row["Evidence"] == place + "OSError: [Errno 28] No space left on device"


def test_a_warning_of_ours_is_no_cause(bench: Bench) -> None:
    bench.end(f"{PURE}/0", "stopped", "received SIGTERM")
    bench.folder(f"{PURE}/0").attempt(1).log.write_text(
        "2026-01-01 10:00:00,000 WARNING x/checkpoint.pt is damaged; falling back to the "
        "checkpoint before it\n2026-01-01 10:00:01,000 INFO stopped: received SIGTERM\n"
    )
    _, rows, _ = ask(bench)
    assert [(row["Cause"], row["Confidence"]) for row in rows] == [("killed", "certain")]


def test_only_the_newest_attempt_counts(bench: Bench) -> None:
    bench.end(f"{PURE}/0", "failed", "MemoryError")
    bench.folder(f"{PURE}/0").attempt(1).log.write_text("MemoryError\n")
    bench.end(f"{PURE}/0", "stopped", "received SIGTERM")
    _, (row,), _ = ask(bench)
    assert (row["Verdict"], row["Cause"]) == ("stuck", "killed")


@pytest.mark.parametrize("form", ["{path}", "{experiments}/{path}"])
def test_one_run_by_its_folder(bench: Bench, form: str) -> None:
    bench.end(f"{PURE}/0", "lost")
    bench.end(f"{PURE}/1", "lost")
    experiments = bench.workspace.experiments
    target = form.format(path=f"{PURE}/1", experiments=experiments)
    code, rows, title = ask(bench, target)
    assert (code, [row["Run"] for row in rows]) == (1, [f"{PURE}/1"])
    assert title.startswith(f"{PURE}/1: 1 run examined")


def test_a_folder_that_is_no_run_is_refused(bench: Bench) -> None:
    bench.end(f"{PURE}/0", "lost")
    with pytest.raises(ConfigError, match=f"unknown run '{PURE}'"):
        ask(bench, PURE)


def test_without_an_active_round_one_must_be_named(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    with pytest.raises(ConfigError, match="no round is active"):
        ask(bench)
    assert ask(bench, str(bench.file))[0] == 0


def test_a_damaged_record_is_that_runs_finding_alone(bench: Bench) -> None:
    bench.finish(f"{PURE}/0", 80.0)
    bench.finish(f"{PURE}/1", 80.0)
    bench.folder(f"{PURE}/1").result.write_text("{")
    code, (row,), _ = ask(bench)
    assert (code, row["Run"], row["Verdict"], row["Cause"]) == (1, f"{PURE}/1", "failed", "disk")


def test_logs_of_a_scheduler_are_read(bench: Bench) -> None:
    bench.end(f"{PURE}/0", "lost")
    attempt = bench.folder(f"{PURE}/0").attempt(1)
    (attempt.path / "job.err").write_text("slurmstepd: error: Exceeded job memory limit\n")
    _, (row,), _ = ask(bench)
    assert row["Cause"] == "oom-limit"
    assert "attempts/001/job.err:1: " in row["Evidence"]


def test_real_records_have_what_rules_read(lab: Lab) -> None:
    config = lab.run("logit", epochs=3)
    lab.train(config)
    folder = lab.folder(config)
    case = read_run(config, folder, state_of(folder))
    names = ("lr", "train.total", "train.ce", "test.ce", "gradients.kd", "update_ratio")
    for name in (*names, "scaler.skipped", "time.seconds", "test.classes_predicted"):
        assert len(case.series(name)) == 3, name
    assert case.fact("teacher", "").number > 1
    assert case.lines[0].text.endswith("attempt 1 starts at epoch 0 step 0")


def test_a_case_for_every_run_with_its_teacher_and_peers(bench: Bench) -> None:
    bench.finish(f"{TEACHER}/0", 90.0)
    cases = {case.path: case for case in read_round(bench.workspace, bench.round)}
    assert list(cases) == list(bench.runs)
    teacher = cases[f"{LOGIT}/0"].teacher
    assert teacher is not None
    assert (teacher.path, teacher.done) == (f"{TEACHER}/0", True)
    assert [case.path for case in cases[f"{LOGIT}/0"].peers.cases] == list(bench.runs)
    assert cases[f"{PURE}/0"].teacher is None


def test_causes_are_a_list_for_readers(bench: Bench) -> None:
    bench.end(f"{PURE}/0", "failed", "OSError: [Errno 28] No space left on device")
    log = bench.folder(f"{PURE}/0").attempt(1).log
    log.write_text("OSError: [Errno 28] No space left on device\n")
    cases = read_round(bench.workspace, bench.round)
    table, listing, wrong = report("round tiny", cases, bench.workspace.root)
    (item,) = listing.items
    assert wrong and item.level == "failed"
    assert item.text.startswith(f"{PURE}/0: {CODES['disk'].meaning}")
    found, sure, cure = item.evidence
    assert (found, cure) == (table.rows[0][4], f"what to do: {CODES['disk'].cure}")
    assert "disk" in sure and "certain" in sure
    done = CliRunner().invoke(app, ["doctor", "--root", str(bench.workspace.root)])
    assert f"failed  {PURE}/0: " in done.stdout
    bench.finish(f"{PURE}/0", 80.0)
    done = CliRunner().invoke(app, ["doctor", "--root", str(bench.workspace.root)])
    assert done.stdout.splitlines()[0] == "round tiny: 1 run examined: nothing found"


def test_a_cause_of_many_runs_is_one_entry(bench: Bench) -> None:
    """Beside it stands what only some have; the table for programs has a row for each."""
    for path in (f"{PURE}/0", f"{PURE}/1", f"{LOGIT}/0"):
        bench.finish(f"{path}", 10.0)
    cases = read_round(bench.workspace, bench.round)
    table, listing, _ = report("round tiny", cases, bench.workspace.root)
    assert [one.text.split(":")[0] for one in listing.items] == [row[0] for row in table.rows]
    bench.finish(f"{LOGIT}/1", 10.0)
    bench.end(f"{TEACHER}/1", "failed", "MemoryError")
    cases = read_round(bench.workspace, bench.round)
    table, listing, _ = report("round tiny", cases, bench.workspace.root)
    (joined,) = (one for one in listing.items if one.text.startswith("4 runs: "))
    cause = next(row[2] for row in table.rows if row[0] == f"{PURE}/0")
    alike = [row for row in table.rows if row[2] == cause]
    assert len(alike) == 4 and joined.text == f"4 runs: {CODES[cause].meaning}."
    assert joined.evidence[:3] == tuple(row[4].split("; ")[0] for row in alike[:3])
    assert joined.evidence[3].startswith("and 1 more") and joined.level == alike[0][1]
    assert len(listing.items) == len(table.rows) - 3
    assert any(one.text.startswith(f"{TEACHER}/1: ") for one in listing.items)
