"""What logs and schedulers say of a run that ended, and what they say when all is well."""

from __future__ import annotations

import pytest

from stillhouse.doctor.case import Line
from stillhouse.doctor.codes import CODES
from stillhouse.doctor.diagnose import diagnose
from stillhouse.doctor.ends import PATTERNS, meaning
from stillhouse.runs.state import RunState
from synthetic import LOG, case, causes, config, ended, records

# Lines as torch, Python, the kernel, Slurm, PBS and stillhouse itself write them.
SAID = {
    "ModuleNotFoundError: No module named 'scipy'": "missing-module",
    "SVHN: needs the package scipy, which does not import (blocked)": "missing-module",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.": "oom-gpu",
    "failed: out of GPU memory": "oom-gpu",
    "RuntimeError: cuDNN error: CUDNN_STATUS_ALLOC_FAILED": "oom-gpu",
    "slurmstepd: error: Detected 1 oom_kill event in StepId=7.batch.": "oom-limit",
    "slurmstepd: error: Exceeded job memory limit": "oom-limit",
    "=>> PBS: job killed: mem 4194432kb exceeded limit 4194304kb": "oom-limit",
    "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: 8 bytes": "oom-host",
    "MemoryError": "oom-host",
    "numpy._core._exceptions._ArrayMemoryError: Unable to allocate 8 GiB for an array": "oom-host",
    "OSError: [Errno 28] No space left on device: 'x'": "disk",
    "OSError: [Errno 122] Disk quota exceeded": "disk",
    "OSError: [Errno 30] Read-only file system: 'x'": "disk",
    "=>> PBS: job killed: walltime 7249 exceeded limit 7200": "walltime",
    "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01 DUE TO TIME LIMIT ***": "walltime",
    "stopped: the time allowed to the job is over": "walltime",
    "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01 DUE TO PREEMPTION ***": "killed",
    "slurmstepd: error: *** JOB 7 ON n1 CANCELLED AT 2026-01-01 ***": "killed",
    "stopped: received SIGTERM": "killed",
    "the teacher changed while it taught; its students cannot be trusted": "changed-teacher",
    "x/final.safetensors is not the file that was recorded": "changed-teacher",
    "the teacher in x measures 50.00 % on the test images, but 60.00 % was recorded": (
        "wrong-teacher"
    ),
    "the teacher in x is not finished": "half-trained-teacher",
    "SVHN: train_32x32.mat is damaged (its MD5 is not the published one)": "bad-data",
    "IndexError: Target 10 is out of bounds.": "bad-data",
    "the gradient scaler skipped 50 steps in a row up to epoch 0": "optimizer-never-stepped",
    "no weight moved in epoch 1, in 9 steps": "optimizer-never-stepped",
    "the loss term 'ce' is not finite at epoch 0 step 9": "divergence",
    "the gradient of conv.weight is not finite at epoch 0 step 9": "divergence",
    "the network predicts one class for every image: test accuracy 10 %": "collapse",
}
HARMLESS = (
    "epoch 3/10 lr 0.1 ce 0.52 kd 1.3 train 81.20 test 83.00 12.1 s",
    "attempt 1 starts at epoch 0 step 0",
    "finished",
    "Saved best model to experiments/Cifar10/pure/ResNet56/0/best.pth",
    "INFO: chpc/python/anaconda/3-2024.10.1 loaded",
    "Total execution time: 2620 seconds",
)


@pytest.mark.parametrize(("text", "code"), SAID.items(), ids=lambda text: text[:40])
def test_a_line_of_a_log_names_its_cause(text: str, code: str) -> None:
    assert meaning(text) == code
    assert causes(ended("failed", "it failed", "attempt 1 starts", text))[0] == code


def test_every_pattern_has_a_line() -> None:
    assert {code for code, _ in PATTERNS} - set(SAID.values()) - {"nothing-learned"} == set()
    assert set(SAID.values()) <= set(CODES)


@pytest.mark.parametrize("text", HARMLESS)
def test_harmless_lines_mean_nothing(text: str) -> None:
    assert meaning(text) is None


def test_a_completed_run_is_not_judged_by_its_log() -> None:
    lines = tuple(Line(LOG, 1, text) for text in SAID)
    assert causes(case(lines=lines)) == []


def test_the_first_line_that_says_it_is_the_evidence() -> None:
    texts = ("epoch 1/10", "MemoryError", "epoch 1/10", "MemoryError")
    (finding,) = diagnose(ended("failed", "MemoryError", *texts))
    assert [(line.number, line.text) for line in finding.evidence] == [(2, "MemoryError")]


def test_a_memory_limit_comes_before_the_kill_it_causes() -> None:
    said = ("slurmstepd: error: Detected 1 oom_kill event in StepId=7", "Killed")
    assert causes(ended("lost", "its process ended without a word", *said)) == [
        "oom-limit",
        "killed",
    ]


def test_an_unknown_error_is_a_crash_with_its_line() -> None:
    (finding,) = diagnose(ended("failed", "TypeError: x", "Traceback (most", "TypeError: x"))
    assert (finding.code, finding.evidence[0].number) == ("crash", 2)


def test_silent_ends() -> None:
    assert causes(ended("lost", "its process ended without a word")) == ["killed"]
    assert causes(ended("lost", "its process ended without a word", here=False)) == [
        "stale-heartbeat"
    ]
    assert causes(ended("unreadable", "status.json: not readable as JSON")) == ["disk"]


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
