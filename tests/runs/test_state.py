from __future__ import annotations

from pathlib import Path

import pytest

from fake_rounds import RESULT_FACTS, RUN_FACTS
from stillhouse.runs.claim import Claim
from stillhouse.runs.files import dump_json
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.records import dump_sealed
from stillhouse.runs.state import state_of


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path / "run")


def test_a_run_without_files_is_missing(folder: RunFolder) -> None:
    assert state_of(folder).name == "missing"


def test_a_claimed_run_is_running_from_the_moment_it_is_claimed(folder: RunFolder) -> None:
    claim = Claim.take(folder)
    assert state_of(folder).name == "running"
    claim.write_status("running", epoch=2, step=5)
    assert (state_of(folder).name, state_of(folder).epoch) == ("running", 2)


@pytest.mark.parametrize("state", ["stopped", "failed"])
def test_an_ended_attempt_keeps_its_reason(folder: RunFolder, state: str) -> None:
    Claim.take(folder).write_status(state, reason="because", epoch=1)
    assert (state_of(folder).name, state_of(folder).reason) == (state, "because")


def test_the_code_of_an_end_is_read_or_derived_from_an_old_reason(folder: RunFolder) -> None:
    claim = Claim.take(folder)
    claim.write_status("failed", reason="in whatever words", code="oom-gpu")
    assert state_of(folder).code == "oom-gpu"
    claim.write_status("failed", reason="the loss term 'ce' is not finite at epoch 0 step 9")
    assert state_of(folder).code == "divergence"


def test_a_damaged_file_has_a_code_too(folder: RunFolder) -> None:
    Claim.take(folder).attempt.status.write_text("{")
    assert (state_of(folder).name, state_of(folder).code) == ("unreadable", "disk")


def test_a_reason_cannot_steer_the_terminal(folder: RunFolder) -> None:
    Claim.take(folder).write_status("failed", reason="no\n  hint: \x1b[2Jrestart\x07")
    assert state_of(folder).reason == "no hint: ?[2Jrestart?"


def test_a_run_whose_process_is_gone_is_lost_not_running(folder: RunFolder) -> None:
    claim = Claim.take(folder)
    claim.write_status("running", epoch=2)
    claim.attempt.claim.write_bytes(
        dump_json({**_read(claim), "started": "another process of the same number"})
    )
    assert state_of(folder).name == "lost"


def test_only_the_result_marks_completion(folder: RunFolder) -> None:
    claim = Claim.take(folder)
    claim.write_status("finished", epoch=3)
    assert state_of(folder).name != "done"
    folder.run.write_bytes(dump_sealed(RUN_FACTS))
    folder.result.write_bytes(dump_sealed(RESULT_FACTS))
    assert (state_of(folder).name, state_of(folder).epoch) == ("done", 3)


def test_the_result_names_the_attempt_that_counts(folder: RunFolder) -> None:
    Claim.take(folder).write_status("stopped", heartbeat=10.0)
    Claim.take(folder).write_status("finished", heartbeat=20.0, memory=5)
    Claim.take(folder).write_status("stopped", heartbeat=30.0, memory=7)
    folder.run.write_bytes(dump_sealed(RUN_FACTS))
    folder.result.write_bytes(dump_sealed(RESULT_FACTS | {"attempts": 2}))
    found = state_of(folder)
    assert (found.attempts, found.heartbeat, found.memory) == (2, 20.0, 5)


def test_a_run_that_is_completed_while_it_is_looked_at_is_done(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    Claim.take(folder).write_status("finished", epoch=3)
    folder.run.write_bytes(dump_sealed(RUN_FACTS))
    folder.result.write_bytes(dump_sealed(RESULT_FACTS))
    looks = iter([None, folder.completed()])
    monkeypatch.setattr(RunFolder, "completed", lambda self: next(looks))
    assert state_of(folder).name == "done"


@pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"final": {}}'])
def test_a_damaged_result_makes_the_run_unreadable(folder: RunFolder, content: bytes) -> None:
    folder.result.write_bytes(content)
    state = state_of(folder)
    assert state.name == "unreadable" and "result.json" in state.reason


def _read(claim: Claim) -> dict[str, object]:
    import json

    return dict(json.loads(claim.attempt.claim.read_text()))
