"""After a failure the doctor names the command that trains the runs anew."""

from __future__ import annotations

from typer.testing import CliRunner

from fake_rounds import PURE, TEACHER, Bench
from stillhouse.cli.main import app


def doctor(bench: Bench, *words: str) -> str:
    return CliRunner().invoke(app, ["doctor", *words, "--root", str(bench.workspace.root)]).output


def test_it_is_reset_where_a_run_failed_and_status_elsewhere(bench: Bench) -> None:
    bench.workspace.activate(bench.round, bench.file)
    bench.finish(f"{TEACHER}/0", 95.0)
    assert f"next: stillhouse status {bench.file}" in doctor(bench, str(bench.file))
    bench.end(f"{PURE}/0", "failed", "the loss is not finite")
    assert f"next: stillhouse reset {bench.file}" in doctor(bench, str(bench.file))
    assert f"next: stillhouse reset {PURE}/0" in doctor(bench, f"{PURE}/0")
