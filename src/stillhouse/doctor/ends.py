"""Why a run ended before its time: what its log and its scheduler say. Rules over text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stillhouse.doctor.case import Case, Finding, Line
from stillhouse.runs.claim import EXPIRY_SECONDS

# The first pattern that fits a line decides what it means.
PATTERNS: tuple[tuple[str, str], ...] = (
    ("missing-module", r"No module named|needs the package .* does not import|cannot import name"),
    (
        "oom-gpu",
        r"out of GPU memory|CUDA out of memory|OutOfMemoryError|HIP out of memory"
        r"|CU(BLAS|DNN)_STATUS_ALLOC_FAILED",
    ),
    (
        "oom-limit",
        r"oom[-_ ]?kill|OUT_OF_MEMORY|[Ee]xceeded (job|step) memory limit|out-of-memory handler"
        r"|\bv?mem(ory)? \S+ exceeded limit",
    ),
    (
        "oom-host",
        r"\bMemoryError|allocate memory|failed to map segment|Unable to allocate .*B for an array"
        r"|std::bad_alloc|[Oo]ut of memory",
    ),
    (
        "disk",
        r"No space left on device|[Qq]uota exceeded|Read-only file system|Input/output error"
        r"|Stale file handle|File too large|PytorchStreamReader failed|not readable as JSON",
    ),
    ("walltime", r"walltime \d+ exceeded|DUE TO TIME LIMIT|time allowed to the job is over"),
    ("changed-teacher", r"the teacher changed while|is not the file that was recorded"),
    ("wrong-teacher", r"the teacher in .* measures .* was recorded"),
    ("half-trained-teacher", r"the teacher in .* is not finished"),
    (
        "bad-data",
        r"is damaged|not readable as gzip|not an IDX file|BadZipFile|CRC check failed"
        r"|Target -?\d+ is out of bounds|stillhouse data fetch|images are \(.*expected \("
        r"|size mismatch.*labels",
    ),
    ("optimizer-never-stepped", r"scaler skipped \d+ steps in a row|no weight moved in epoch"),
    ("collapse", r"predicts one class for every image"),
    ("nothing-learned", r"is no better than a guess"),
    ("divergence", r"is not finite"),
    (
        "killed",
        r"PREEMPT|NODE FAILURE|\*\*\* (JOB|STEP) .* CANCELLED|job killed|received SIG|signal 9"
        r"|exit(ed with)?( status| code)? 137|process that started this one is gone|^Killed$",
    ),
)
WARNED = re.compile(r"lr_scheduler\.step\(\).*before.*optimizer\.step")
COMPILED = tuple((code, re.compile(pattern)) for code, pattern in PATTERNS)
ENDED = ("failed", "stopped", "lost", "unreadable")


def said(case: Case) -> Iterator[Finding]:
    """A cause for every kind of message that a run which ended left behind."""
    if case.state.name not in ENDED:
        return
    found: dict[str, Line] = {}
    for line in (*case.lines, case.says(case.state.reason)):
        if code := meaning(line.text):
            found.setdefault(code, line)
    for code, line in found.items():
        yield Finding(code, "certain", (line,))
    if not found:
        yield from _silent(case)


def meaning(text: str) -> str | None:
    """The code of a line of a log, or None."""
    return next((code for code, pattern in COMPILED if pattern.search(text)), None)


def _silent(case: Case) -> Iterator[Finding]:
    """A run that ended without a message anyone knows."""
    word = case.says(case.state.reason or case.state.name)
    match case.state.name:
        case "failed":
            yield Finding("crash", "certain", (_last_error(case) or word,))
        case "lost" if case.here:
            yield Finding("killed", "likely", (word,))
        case "lost":
            yield Finding("stale-heartbeat", "likely", (word,))
        case "stopped":
            yield Finding("killed", "likely", (word,))
        case "unreadable":
            yield Finding("disk", "likely", (word,))


def _last_error(case: Case) -> Line | None:
    errors = [line for line in case.lines if re.match(r"\w+(\.\w+)*(Error|Exception)\b", line.text)]
    return errors[-1] if errors else None


def hung(case: Case) -> Iterator[Finding]:
    """A run whose process lives but has not written for three of its epochs."""
    if case.state.name != "running" or case.silence is None:
        return
    seconds = case.final("time.seconds") or 0.0
    if case.silence > max(EXPIRY_SECONDS, 3 * seconds):
        text = f"{case.state.reason}: last heartbeat {case.silence:.0f} s ago"
        yield Finding("stale-heartbeat", "certain", (case.says(text),))


def blocked(case: Case) -> Iterator[Finding]:
    """A run that cannot start, because its teacher has failed."""
    teacher = case.teacher
    if case.state.name != "missing" or teacher is None:
        return
    if teacher.state.name in ("failed", "lost", "unreadable"):
        text = f"the teacher {teacher.path} is {teacher.state.name}: {teacher.state.reason}"
        yield Finding("blocked", "certain", (teacher.says(text),))
