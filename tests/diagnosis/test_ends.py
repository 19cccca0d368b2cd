"""What logs and schedulers say of a run that ended, and what they say when all is well."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from fake_cases import LOG, case, causes, config, ended, records, with_log
from stillhouse.causes import MESSAGES, OUT_OF_MEMORY, Cause, cause_of
from stillhouse.diagnosis.case import OWN_LOG
from stillhouse.diagnosis.codes import CODES
from stillhouse.diagnosis.diagnose import diagnose
from stillhouse.diagnosis.finding import Line
from stillhouse.runs.old_reasons import code_of_reason
from stillhouse.runs.state import RunState

# Lines as torch, Python, the kernel, Slurm and PBS write them.
SAID = {
    "ModuleNotFoundError: No module named 'scipy'": "missing-module",
    "ImportError: cannot import name 'x' from 'scipy'": "missing-module",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.": "oom-gpu",
    "RuntimeError: CUDA error: out of memory": "oom-gpu",
    "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED": "oom-gpu",
    "slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch.": "oom-limit",
    "slurmstepd: error: Exceeded job memory limit": "oom-limit",
    "=>> PBS: job killed: mem 4194432kb exceeded limit 4194304kb": "oom-limit",
    "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes": "oom-host",
    "MemoryError": "oom-host",
    "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8 GiB for an array": "oom-host",
    "Out of memory: Killed process 7 (python)": "oom-host",
    "OSError: [Errno 28] No space left on device: 'x'": "disk",
    "OSError: [Errno 122] Disk quota exceeded": "disk",
    "OSError: [Errno 30] Read-only file system: 'x'": "disk",
    "=>> PBS: job killed: walltime 7249 exceeded limit 7200": "walltime",
    "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01 DUE TO TIME LIMIT ***": "walltime",
    "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01 DUE TO PREEMPTION ***": "killed",
    "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01 ***": "killed",
    "IndexError: Target 10 is out of bounds.": "bad-data",
}
# What stillhouse wrote as a reason before it recorded codes.
OLD_REASONS = {
    "SVHN: needs the package scipy, which does not import (blocked)": "missing-module",
    "out of GPU memory": "oom-gpu",
    "out of memory: fewer workers at once (--jobs), or a machine with more memory": "oom-host",
    "No space left on device: x; free space or quota, then repeat the command": "disk",
    "status.json: not readable as JSON (x)": "disk",
    "the time allowed to the job is over": "walltime",
    "received SIGTERM": "killed",
    "the process that started this one is gone": "killed",
    "the teacher changed while it taught; its students cannot be trusted": "changed-teacher",
    "x/final.safetensors is not the file that was recorded": "changed-teacher",
    "the teacher in x measures 50.00 % on the test images, but 60.00 % was recorded": (
        "wrong-teacher"
    ),
    "the teacher in x is not finished": "half-trained-teacher",
    "SVHN: train_32x32.mat is damaged (its MD5 is not the published one)": "bad-data",
    "the gradient scaler skipped 50 steps in a row up to epoch 0": "optimizer-never-stepped",
    "no weight moved in epoch 1, in 9 steps": "optimizer-never-stepped",
    "the loss term 'ce' is not finite at epoch 0 step 9": "divergence",
    "the gradient of conv.weight is not finite at epoch 0 step 9": "divergence",
    "the network predicts one class for every image: test accuracy 10 %": "collapse",
    "the network is no better than a guess: test accuracy 10 %": "nothing-learned",
    "PBS: job killed: walltime 7249 exceeded limit 7200": "walltime",
    "TypeError: x": "",
}
OURS = (
    "2026-01-01 10:00:00,000 WARNING x/checkpoint.pt is damaged; falling back to the checkpoint "
    "before it",
    "2026-01-01 10:00:00,000 WARNING no checkpoint is left of 3 epochs: starting from 0",
    "SVHN: train_32x32.mat is damaged (its MD5 is not the published one)",
    "the teacher in x is not finished",
    "stopped: received SIGTERM",
)
HARMLESS = (
    "epoch 3/10 lr 0.1 ce 0.52 kd 1.3 train 81.20 test 83.00 12.1 s",
    "attempt 1 starts at epoch 0 step 0",
    "finished",
    "Saved best model to experiments/Cifar10/pure/ResNet56/0/best.pth",
    "INFO: chpc/python/anaconda/3-2024.10.1 loaded",
    "Total execution time: 2620 seconds",
)


@pytest.mark.parametrize(("text", "code"), SAID.items(), ids=lambda text: text[:40])
def test_a_line_of_another_program_names_its_cause(text: str, code: str) -> None:
    assert cause_of(text) == code
    assert causes(ended("failed", "it failed", "attempt 1 starts", text))[0] == code


def test_every_message_has_a_line_and_every_cause_a_meaning() -> None:
    assert {code for code, _ in MESSAGES} - set(SAID.values()) == set()
    assert set(get_args(Cause)) <= set(CODES)
    assert set(get_args(Cause)) >= OUT_OF_MEMORY


@pytest.mark.parametrize(("reason", "code"), OLD_REASONS.items(), ids=lambda text: text[:40])
def test_a_reason_from_before_there_were_codes_is_read_once(reason: str, code: str) -> None:
    assert code_of_reason(reason) == code


@pytest.mark.parametrize("code", get_args(Cause))
def test_a_recorded_code_is_the_cause_whatever_the_sentence_says(code: str) -> None:
    found = causes(ended("failed", "worded in another way", code=code))
    assert found == ["crash" if code == "unfinished" else code]


@pytest.mark.parametrize("text", OURS)
def test_our_own_sentences_are_not_read(text: str) -> None:
    assert cause_of(text) is None
    assert causes(ended("stopped", text, text, code="killed")) == ["killed"]


def test_what_our_own_log_quotes_is_not_read() -> None:
    quoted = (Line(Path(OWN_LOG), 3, "WARNING x.pt: Input/output error; falling back"),)
    assert causes(with_log(ended("failed", "x", code="divergence"), *quoted)) == ["divergence"]
    assert causes(with_log(ended("lost", "its process ended"), *quoted)) == ["killed"]


def test_a_recorded_cause_is_not_doubted_for_what_a_scheduler_adds() -> None:
    later = "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01 DUE TO TIME LIMIT ***"
    assert causes(ended("failed", "x", later, code="divergence")) == ["divergence"]
    assert causes(ended("stopped", "received SIGTERM", later, code="killed")) == [
        "walltime",
        "killed",
    ]


def test_running_or_cut_off_when_the_records_were_copied_is_only_possible() -> None:
    (finding,) = diagnose(ended("lost", "running or cut off", code="unfinished"))
    assert (finding.code, finding.confidence) == ("unfinished", "possible")


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_lines_mean_nothing(text: str) -> None:
    assert cause_of(text) is None


def test_a_completed_run_is_not_judged_by_its_log() -> None:
    lines = tuple(Line(LOG, 1, text) for text in SAID)
    assert causes(with_log(case(), *lines)) == []


def test_the_first_line_that_says_it_is_the_evidence() -> None:
    texts = ("epoch 1/10", "MemoryError", "epoch 1/10", "MemoryError")
    (finding,) = diagnose(ended("failed", "MemoryError", *texts))
    assert [(line.number, line.text) for line in finding.evidence] == [(2, "MemoryError")]


def test_a_memory_limit_comes_before_the_kill_it_causes() -> None:
    said = ("slurmstepd: error: Detected 1 oom_kill event in StepId=7", "Killed")
    assert causes(ended("lost", "its process is gone", *said)) == [
        "oom-limit",
        "killed",
    ]


def test_an_unknown_error_is_a_crash_with_its_line() -> None:
    (finding,) = diagnose(ended("failed", "TypeError: x", "Traceback (most", "TypeError: x"))
    assert (finding.code, finding.evidence[0].number) == ("crash", 2)


def test_silent_ends() -> None:
    assert causes(ended("lost", "its process is gone")) == ["killed"]
    assert causes(ended("lost", "its process is gone", here=False)) == ["stale-heartbeat"]
    assert causes(ended("unreadable", "status.json: the field 'epoch'")) == ["disk"]


@pytest.mark.parametrize(("silence", "codes"), [(299.0, []), (301.0, ["stale-heartbeat"])])
def test_a_heartbeat_may_be_five_minutes_old(silence: float, codes: list[str]) -> None:
    assert causes(ended("running", "process 1", silence=silence)) == codes


def test_long_epochs_may_be_silent_for_three_of_them() -> None:
    slow = records(time__seconds=(400.0,) * 10)[:3]
    running = RunState("running", "process 1", epoch=3)
    assert causes(case(state=running, records=slow, silence=1199.0)) == []
    assert causes(case(state=running, records=slow, silence=1201.0)) == ["stale-heartbeat"]


def test_waiting_for_a_failed_teacher() -> None:
    waiting = RunState("missing")
    for word, codes in (("failed", ["blocked"]), ("running", []), ("done", [])):
        teacher = case(config=config(model="ResNet112"), state=RunState(word, "why"))  # type: ignore[arg-type]
        found = case("logit", state=waiting, records=(), teacher=teacher)
        assert causes(found) == codes
