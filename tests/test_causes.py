"""Which cause an error stands for, and what a run that ends with it records."""

from __future__ import annotations

import errno
import re
from pathlib import Path

import pytest

from small_runs import Lab, StopAfter
from stillhouse.errors import DataError, RunError, TrainingError, code_of, describe
from stillhouse.runs.state import state_of
from stillhouse.training.loop import train
from stillhouse.training.trainer import Trainer

SOURCE = Path(__file__).parents[1] / "src" / "stillhouse"


class OutOfMemoryError(RuntimeError):
    """Stands for torch's."""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "oom-host"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "oom-host"),
        (ImportError("libx.so: failed to map segment from shared object"), "oom-host"),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), "oom-host"),
        (OutOfMemoryError("Tried to allocate 2.00 GiB"), "oom-gpu"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), "oom-gpu"),
        (ModuleNotFoundError("No module named 'scipy'"), "missing-module"),
        (ImportError("libx.so: cannot open shared object file"), "missing-module"),
        (OSError(errno.ENOSPC, "No space left on device"), "disk"),
        (DataError("worded in any way"), "bad-data"),
        (DataError("worded in any way", "hint", "missing-module"), "missing-module"),
        (TrainingError("CUDA out of memory, a user's own words", code="divergence"), "divergence"),
        (RunError("CUDA out of memory, a user's own words"), "crash"),
        (ValueError("x"), "crash"),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_an_error_has_one_code(error: Exception, code: str) -> None:
    assert code_of(error) == code


def test_out_of_memory_is_described_by_its_code() -> None:
    assert describe(OutOfMemoryError("x")) == "out of GPU memory"
    assert str(describe(MemoryError())).startswith("out of memory: fewer workers at once")
    assert describe(ValueError("x")) is None


def test_a_failed_run_records_the_code(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(self: Trainer, *_: object, **options: object) -> None:
        raise OutOfMemoryError("Tried to allocate 2.00 GiB")

    config = lab.run("pure")
    cohort = lab.open(config)
    monkeypatch.setattr(Trainer, "step", full)
    train(cohort, StopAfter(10), lambda trainer, record: None)
    status = lab.folder(config).attempts()[-1].read_status()
    assert (status["state"], status["code"]) == ("failed", "oom-gpu")
    assert state_of(lab.folder(config)).code == "oom-gpu"


def test_no_sentence_of_ours_decides_anything() -> None:
    """Reasons and messages are for readers: nothing in the source looks into them."""
    text = r"[\"'A-Z(]"  # a literal or a constant, not another reason
    looks = re.compile(
        rf"(reason|message|why)\.(startswith|endswith|find|partition|split)\({text}"
        r"|\bin (state\.|cell\.state\.|now\.)?(reason|message)\b(?!s)"
        rf"|(reason|message|why) (==|!=) {text}"
        r"|search\([^)]*(reason|message)\b"
    )
    found = [
        f"{path.relative_to(SOURCE)}: {line.strip()}"
        for path in sorted(SOURCE.rglob("*.py"))
        if path.name not in ("causes.py", "old_reasons.py")  # other programs', and what is past
        for line in path.read_text().splitlines()
        if looks.search(line)
    ]
    assert found == []
