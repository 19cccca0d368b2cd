"""Why a run ended before its time: by its recorded code, else by what other programs wrote."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stillhouse.causes import cause_of
from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.codes import CODES
from stillhouse.diagnosis.finding import Finding, Line
from stillhouse.runs.claim import EXPIRY_SECONDS

WARNED = re.compile(r"lr_scheduler\.step\(\).*before.*optimizer\.step")
LONGEST = 80  # of a reason, to find it in a log, which may break the line
ENDED = ("failed", "stopped", "lost", "unreadable")


# Codes that leave the cause open: a scheduler's or the kernel's own words may tell more.
OPEN = ("", "crash", "killed", "unfinished")


def ended(case: Case) -> Iterator[Finding]:
    """The cause that a run recorded when it ended; else every cause that other programs name."""
    if case.state.name not in ENDED:
        return
    named: dict[str, Line] = {}
    for line in case.messages:
        if cause := cause_of(line.text):
            named.setdefault(cause, line)
    code = case.state.code if case.state.code in CODES else ""
    word = _logged(case) or case.says(case.state.reason)
    if code not in OPEN:
        named = {code: named.get(code, word)}
    elif code == "killed":
        named.setdefault(code, word)
    yield from (Finding(name, "certain", (line,)) for name, line in named.items())
    if not named:
        yield from _silent(case)


def _logged(case: Case) -> Line | None:
    """Where a log has the reason that the run recorded."""
    reason = case.state.reason[:LONGEST]
    return next((line for line in reversed(case.lines) if reason and reason in line.text), None)


def _silent(case: Case) -> Iterator[Finding]:
    """A run that ended with a message that no rule knows."""
    word = case.says(case.state.reason or case.state.name)
    match case.state.name:
        case "failed":
            yield Finding("crash", "certain", (_last_error(case) or word,))
        case "lost" if case.state.code == "unfinished":
            yield Finding("unfinished", "possible", (word,))
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
    if case.state.name != "missing" or teacher is None or case.imported:
        return
    if teacher.state.name in ("failed", "lost", "unreadable"):
        text = f"the teacher {teacher.path} is {teacher.state.name}: {teacher.state.reason}"
        yield Finding("blocked", "certain", (teacher.says(text),))
