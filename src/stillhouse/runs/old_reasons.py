"""What a `status.json` means that was written before there were codes.

Only the sentences that stillhouse wrote until then are read here, and nowhere else.
"""

from __future__ import annotations

import re
from typing import Literal

from stillhouse.causes import Cause, cause_of

SENTENCES: tuple[tuple[Cause, str], ...] = (
    ("missing-module", r"needs the package .* does not import"),
    ("disk", r"not readable as JSON"),
    ("walltime", r"the time allowed to the job is over"),
    ("changed-teacher", r"the teacher changed while|is not the file that was recorded"),
    ("wrong-teacher", r"the teacher in .* measures .* was recorded"),
    ("half-trained-teacher", r"the teacher in .* is not finished"),
    (
        "bad-data",
        r"is damaged|not readable as gzip|not an IDX file|stillhouse data fetch"
        r"|images are \(.*expected \(",
    ),
    ("optimizer-never-stepped", r"scaler skipped \d+ steps in a row|no weight moved in epoch"),
    ("collapse", r"predicts one class for every image"),
    ("nothing-learned", r"is no better than a guess"),
    ("divergence", r"is not finite"),
    ("killed", r"received SIG|process that started this one is gone"),
)


CONFLICT = "; in conflict: "


def split_conflicts(reason: str) -> tuple[str, tuple[str, ...]]:
    """An imported run's reason, and the contradictions in its records that stood behind it."""
    first, *conflicts = reason.split(CONFLICT)
    return first, tuple(conflicts)


def code_of_reason(reason: str) -> Cause | Literal[""]:
    """The code that belongs to a recorded reason; empty where no rule knows it."""
    if cause := cause_of(reason):
        return cause
    return next((cause for cause, pattern in SENTENCES if re.search(pattern, reason)), "")
