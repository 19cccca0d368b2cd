"""Derive the code of a `status.json` that was written before there were codes.

This is the only place that reads sentences of stillhouse, and only those written until then.
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
    """Split an imported run's reason from the contradictions in its records that followed it."""
    first, *conflicts = reason.split(CONFLICT)
    return first, tuple(conflicts)


def code_of_reason(reason: str) -> Cause | Literal[""]:
    """Return the code of a recorded reason; empty if no rule matches."""
    if cause := cause_of(reason):
        return cause
    return next((cause for cause, pattern in SENTENCES if re.search(pattern, reason)), "")
