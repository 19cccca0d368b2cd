"""Why a run ended, as a code: `status.json` stores it, and programs read it instead of sentences.

`cause_of` reads the messages of other programs (Python, PyTorch, the kernel, Slurm, PBS), whose
words are all they give. What stillhouse itself raises carries its code (see `errors.code_of`).
"""

from __future__ import annotations

import re
from typing import Literal

Cause = Literal[
    "missing-module",
    "oom-gpu",
    "oom-limit",
    "oom-host",
    "disk",
    "walltime",
    "killed",
    "wrong-teacher",
    "changed-teacher",
    "half-trained-teacher",
    "bad-data",
    "optimizer-never-stepped",
    "divergence",
    "collapse",
    "nothing-learned",
    "unfinished",
    "crash",
]
OUT_OF_MEMORY: frozenset[str] = frozenset({"oom-gpu", "oom-limit", "oom-host"})

# The first pattern that fits a line decides what it means.
MESSAGES: tuple[tuple[Cause, str], ...] = (
    ("missing-module", r"No module named|cannot import name"),
    (
        "oom-gpu",
        r"(CUDA|HIP|GPU) (error: )?out of memory|OutOfMemoryError|out of GPU memory"
        r"|CU(BLAS|DNN)_STATUS_ALLOC_FAILED",
    ),
    (
        "oom-limit",
        r"(?i:oom[-_ ]?kill)|OUT_OF_MEMORY|[Ee]xceeded (job|step) memory limit"
        r"|out-of-memory handler|\bv?mem(ory)? \S+ exceeded limit",
    ),
    (
        "oom-host",
        r"\bMemoryError|_ArrayMemoryError|allocate memory|failed to map segment"
        r"|Unable to allocate .*B for an array|std::bad_alloc|(?i:out of memory)",
    ),
    (
        "disk",
        r"No space left on device|[Qq]uota exceeded|Read-only file system|Input/output error"
        r"|Stale file handle|File too large|PytorchStreamReader failed",
    ),
    ("walltime", r"walltime \d+ exceeded|DUE TO TIME LIMIT"),
    (
        "bad-data",
        r"BadZipFile|CRC check failed|Target -?\d+ is out of bounds|size mismatch.*labels",
    ),
    (
        "killed",
        r"PREEMPT|NODE FAILURE|\*\*\* (JOB|STEP) .* CANCELLED|job killed|signal 9"
        r"|exit(ed with)?( status| code)? 137|\bKilled\b",
    ),
)
_COMPILED = tuple((cause, re.compile(pattern)) for cause, pattern in MESSAGES)


def cause_of(message: str) -> Cause | None:
    """The cause that a line of another program names, or None."""
    return next((cause for cause, pattern in _COMPILED if pattern.search(message)), None)
