"""Completion: one file decides, what dead processes left is cleaned, the living are left alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import save

from fake_rounds import RESULT_FACTS, RUN_FACTS
from stillhouse.runs.claim import Claim
from stillhouse.runs.complete import KEPT, complete, tidy
from stillhouse.runs.files import ABANDONED_SECONDS, sweep, temporary
from stillhouse.runs.folder import RunFolder
from stillhouse.runs.process import Process
from stillhouse.runs.records import dump_sealed
from stillhouse.training.recorder import load_weights


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.path.mkdir()
    folder.run.write_bytes(dump_sealed(RUN_FACTS))
    return folder


def staged(claim: Claim, text: str) -> Claim:
    """An attempt that has written everything but the result."""
    claim.write_status("running")
    for name in (*KEPT, "checkpoint.pt", "checkpoint.previous.pt"):
        (claim.attempt.path / name).write_text(text)
    return claim


def names(path: Path) -> set[str]:
    return {entry.name for entry in path.iterdir()}


def test_a_suspended_attempt_that_wakes_up_late_changes_nothing(folder: RunFolder) -> None:
    late = staged(Claim.take(folder), "late")
    late.write_status("stopped")  # stands for an expired heartbeat
    winner = staged(Claim.take(folder), "winner")
    assert complete(winner, RESULT_FACTS)
    winner.write_status("finished")
    tidy(folder)
    late.write_status("running")
    staged(late, "woken")
    assert not complete(late, RESULT_FACTS)
    late.write_status("stopped")
    tidy(folder)
    assert {(folder.path / name).read_text() for name in KEPT} == {"winner"}
    assert json.loads(folder.result.read_text())["attempts"] == 2
    for attempt in folder.attempts():
        assert names(attempt.path) == {"claim.json", "status.json"}


def test_the_next_process_carries_on_after_a_kill_between_result_and_move(
    folder: RunFolder,
) -> None:
    code = (
        "import sys; from pathlib import Path; from stillhouse.runs.claim import Claim;"
        "from stillhouse.runs.complete import KEPT, complete;"
        "from stillhouse.runs.folder import RunFolder;"
        "claim = Claim.take(RunFolder(Path(sys.argv[1])));"
        "[(claim.attempt.path / name).write_text('x') for name in KEPT];"
        f"complete(claim, {RESULT_FACTS!r})"
    )
    subprocess.run([sys.executable, "-c", code, str(folder.path)], check=True)
    assert not folder.final.exists()
    tidy(folder)
    assert names(folder.path) == {"run.json", "result.json", "attempts", *KEPT}
    tidy(folder)
    assert names(folder.path) == {"run.json", "result.json", "attempts", *KEPT}


def test_weights_are_found_by_their_hash_until_they_are_moved_up(folder: RunFolder) -> None:
    data = {name: save({"w": torch.full((1,), float(name))}) for name in (1, 2)}
    for number in (1, 2):
        claim = Claim.take(folder)
        (claim.attempt.path / "final.safetensors").write_bytes(data[number])
        claim.write_status("stopped")
    digest = sha256(data[1]).hexdigest()
    assert load_weights(folder.final, digest)["w"].item() == 1.0


def test_a_living_attempt_keeps_its_files(folder: RunFolder) -> None:
    """It has been overtaken by an attempt that completed the run, and will see that."""
    first = staged(Claim.take(folder), "first")
    first.write_status("stopped")
    alive = staged(Claim.take(folder), "alive")
    assert complete(first, RESULT_FACTS)
    tidy(folder)
    assert alive.attempt.checkpoint.exists() and not first.attempt.checkpoint.exists()
    assert folder.final.read_text() == "first"


def test_only_what_the_dead_left_is_swept(tmp_path: Path) -> None:
    me = Process.me()
    dead = Process(me.host, me.space, me.pid, "another process of the same number")
    other = Process("node-7.example", me.space, 1, "1")
    path = tmp_path / "file.json"
    mine = temporary(path)
    left = {who: Path(str(mine).replace(str(me), str(who))) for who in (me, dead, other)}
    for one in left.values():
        one.write_text("half")
    folder_of_dead = Path(str(left[dead]).replace("file.json", "003"))
    folder_of_dead.mkdir()
    (folder_of_dead / "claim.json").write_text("{")
    stranger = tmp_path / ".editor@backup@x.tmp"
    stranger.write_text("not ours")
    sweep(tmp_path, tmp_path / "missing")
    assert names(tmp_path) == {left[me].name, left[other].name, stranger.name}
    old = time.time() - 2 * ABANDONED_SECONDS
    os.utime(left[other], (old, old))
    sweep(tmp_path)
    assert names(tmp_path) == {left[me].name, stranger.name}


def test_a_process_survives_its_text() -> None:
    one = Process("a-host.with-dashes", "4026531836", 12, "345")
    assert Process.parse(str(one)) == one
    assert Process.parse("anything") is None
    assert Process.me().alive() is True
