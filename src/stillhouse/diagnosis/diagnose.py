"""The table of rules, and the order of what they find."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from stillhouse.diagnosis import balance, comparisons, ends, learning, pace, teachers
from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.finding import Finding

Rule = Callable[[Case], Iterator[Finding]]
RULES: tuple[Rule, ...] = (
    ends.ended,
    ends.hung,
    ends.blocked,
    teachers.wrong,
    teachers.changed,
    teachers.half_trained,
    learning.other_data,
    learning.unrelated,
    learning.never_stepped,
    learning.diverged,
    learning.collapsed,
    learning.nothing_learned,
    balance.dominated,
    balance.inert,
    balance.own_loss_not_lower,
    balance.over_regularised,
    pace.under_trained,
    pace.overfitted,
    pace.slow_start,
    comparisons.confounded,
    comparisons.identical,
)


def diagnose(case: Case, rules: Iterable[Rule] = RULES) -> list[Finding]:
    """What is wrong with a run, by all rules or some; the likeliest cause first, one finding a
    code.
    """
    found: dict[str, Finding] = {}
    for finding in sorted((f for rule in rules for f in rule(case)), key=lambda f: f.rank):
        found.setdefault(finding.code, replace(finding, scope=case.path, runs=(case.path,)))
    return list(found.values())
