from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from fake_rounds import edit
from stillhouse.runs import claim as claim_module
from stillhouse.runs.claim import EXPIRY_SECONDS, Busy, Claim, alive
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.process import process_started


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunFolder(tmp_path / "run")


def claim_of_another_host(folder: RunFolder, heartbeat: float) -> Claim:
    claim = Claim.take(folder)
    claim.write_status("running", epoch=1)
    text = json.loads(claim.attempt.claim.read_text())
    claim.attempt.claim.write_text(json.dumps({**text, "host": "elsewhere"}))
    status = json.loads(claim.attempt.status.read_text())
    claim.attempt.status.write_text(json.dumps({**status, "heartbeat": heartbeat}))
    return claim


def test_a_live_holder_keeps_others_out(folder: RunFolder) -> None:
    Claim.take(folder)
    with pytest.raises(Busy, match=str(os.getpid())):
        Claim.take(folder)


def test_a_claim_of_a_dead_process_is_taken_over_at_once(folder: RunFolder) -> None:
    code = (
        "import sys; from pathlib import Path; from stillhouse.runs.claim import Claim;"
        "from stillhouse.runs.folder import RunFolder; Claim.take(RunFolder(Path(sys.argv[1])))"
    )
    subprocess.run([sys.executable, "-c", code, str(folder.path)], check=True)
    assert Claim.take(folder).attempt.number == 2


def test_a_reused_pid_does_not_look_alive(folder: RunFolder) -> None:
    claim = Claim.take(folder)
    text = json.loads(claim.attempt.claim.read_text())
    claim.attempt.claim.write_text(json.dumps({**text, "started": "0"}))
    assert alive(claim.attempt) is None


def test_another_hosts_heartbeat_decides(folder: RunFolder) -> None:
    now = time.time()
    fresh = claim_of_another_host(folder, now - EXPIRY_SECONDS / 2)
    assert "elsewhere" in (alive(fresh.attempt) or "")
    with pytest.raises(Busy):
        Claim.take(folder)
    assert alive(fresh.attempt, now + EXPIRY_SECONDS) is None


def test_an_ended_attempt_is_followed_by_the_next(folder: RunFolder) -> None:
    first = Claim.take(folder)
    first.write_status("stopped", reason="asked to")
    second = Claim.take(folder)
    assert (first.superseded(), second.superseded()) == (True, False)


def test_of_many_takers_one_wins(folder: RunFolder) -> None:
    """Threads of one process race for the folder's exclusive creation, 50 times over."""
    for _ in range(50):
        won: list[Claim] = []
        start = threading.Barrier(8)

        def race(won: list[Claim] = won, start: threading.Barrier = start) -> None:
            start.wait()
            try:
                won.append(Claim.take(folder))
            except Busy:
                return

        threads = [threading.Thread(target=race) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(won) == 1
        won[0].write_status("stopped", reason="next round")


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    deadline = time.monotonic() + 10
    while process_started(child.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process_started(child.pid) is None
    child.wait()


def test_a_stopped_process_holds_a_run_until_its_heartbeat_expires(folder: RunFolder) -> None:
    """It may be stopped for ever: one that was suspended can outlive its job."""
    claim = Claim.take(folder)
    claim.write_status("running", epoch=1)
    attempt, now = claim.attempt, time.time()
    child = subprocess.Popen(["sleep", "60"])
    try:
        started = process_started(child.pid)
        edit(attempt.claim, lambda claim: claim.update(pid=child.pid, started=started))
        child.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
        assert alive(attempt, now) is not None
        assert alive(attempt, now + EXPIRY_SECONDS + 1) is None
        child.send_signal(signal.SIGCONT)
        os.waitid(os.P_PID, child.pid, os.WCONTINUED | os.WNOWAIT)
        assert alive(attempt, now + EXPIRY_SECONDS + 1) == f"process {child.pid} on this machine"
    finally:
        child.kill()
        child.wait()


def test_an_attempt_appears_with_its_claim_in_it(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill before the claim is written leaves no attempt that looks alive."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(claim_module, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        Claim.take(folder)
    monkeypatch.undo()
    assert folder.attempts() == []
    assert Claim.take(folder).attempt.number == 1


@pytest.mark.parametrize("ahead", [EXPIRY_SECONDS + 1, 365 * 24 * 3600.0])
def test_a_heartbeat_from_the_future_does_not_hold_a_run_for_ever(
    folder: RunFolder, ahead: float
) -> None:
    """The writer's clock was ahead, or ours has been set back."""
    claim_of_another_host(folder, time.time() + ahead)
    assert Claim.take(folder).attempt.number == 2


def test_the_thousandth_attempt_is_followed_by_the_next(folder: RunFolder) -> None:
    for number in (999, 1000):
        path = folder.attempt(number).path
        path.mkdir(parents=True)
        (path / "status.json").write_text('{"state": "stopped"}')
    assert Claim.take(folder).attempt.number == 1001


def test_a_status_is_told_on_a_full_disk(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = Claim.take(folder)
    claim.write_status("running", reason="a long reason that is longer than the next one")

    def full(path: Path, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(claim_module, "write_atomic", full)
    claim.write_status("failed", reason="full")
    assert claim.attempt.read_status()["reason"] == "full"
