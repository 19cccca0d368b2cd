"""`stillhouse doctor`: every finding with its evidence and its cure, as a list and a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from stillhouse.diagnosis.case import Case, Finding, Line
from stillhouse.diagnosis.codes import CODES
from stillhouse.diagnosis.diagnose import diagnose
from stillhouse.tables import Item, Listing, Table

VERDICTS = ("failed", "stuck", "unsound", "invalid", "caution")
COLUMNS = ("Run", "Verdict", "Cause", "Confidence", "Evidence", "What to do")


def report(name: str, cases: Sequence[Case], below: Path) -> tuple[Table, Listing, bool]:
    """The findings on some runs as a table for programs and as a list for readers.

    The third value is whether a run failed, is stuck, unsound or invalid.

    File names are shown relative to `below` where they lie there.
    """
    found = [(case, finding) for case in cases for finding in diagnose(case)]
    rows = tuple(_row(case, finding, below) for case, finding in found)
    verdicts = {case.path: verdict(case, finding) for case, finding in reversed(found)}
    counts = Counter(verdicts.values())
    told = ", ".join(f"{counts[word]} {word}" for word in VERDICTS if counts[word])
    looked = sum(case.started for case in cases)
    unstarted = len(cases) - looked
    title = f"{name}: {looked} run{'s' * (looked != 1)} examined"
    notes = [f"{unstarted} runs have not started."] if unstarted else []
    if unmeasured := sum(map(_unmeasured, cases)):
        notes.append(
            f"The own loss of {unmeasured} methods' runs is not measured: "
            "`stillhouse verify --losses` does."
        )
    if len({case.path for case, _ in found}) < len(found):
        notes.append(
            "The first cause of a run is the likeliest; those below it may follow from it."
        )
    wrong = any(word != "caution" for word in verdicts.values())
    listing = Listing(
        f"{title}: {told}" if told else title,
        tuple(_item(case, finding, below) for case, finding in found),
        tuple(notes),
    )
    table = Table(f"{title}: {told or listing.empty}", COLUMNS, rows, tuple(notes))
    return table, listing, wrong


def _unmeasured(case: Case) -> bool:
    """Whether it is a completed student with weights that `terms` has not measured."""
    result = case.state.result
    taught = case.config.teacher is not None and case.config.teacher_path != case.config.pure_path
    return bool(taught and result and result["weights"] and case.own_loss is None)


def verdict(case: Case, finding: Finding) -> str:
    """What a finding makes of a run: one of `VERDICTS`.

    `unsound` is what `status` calls so: its accuracy is that of guessing, whatever the cause.
    """
    unsound = bool(case.unsound) and case.settled
    if finding.kind == "caution" and not unsound:
        return "caution"
    if case.state.name in ("failed", "unreadable"):
        return "failed"
    if finding.kind == "end":
        return "stuck"
    return "unsound" if unsound else finding.kind


def _row(case: Case, finding: Finding, below: Path) -> tuple[str, ...]:
    evidence = "; ".join(place(line, below) for line in finding.evidence)
    told = (case.path, verdict(case, finding), finding.code, finding.confidence)
    return (*told, evidence, _cure(case, finding))


def _item(case: Case, finding: Finding, below: Path) -> Item:
    """`failed` `RUN: CAUSE.`, and below it the evidence, how sure it is, and what to do."""
    text = f"{case.path}: {CODES[finding.code].meaning}."
    evidence = [place(line, below) for line in finding.evidence]
    sure = f"cause {finding.code}, {finding.confidence}"
    cure = f"what to do: {_cure(case, finding)}"
    return Item(verdict(case, finding), text, (*evidence, sure, cure))


def _cure(case: Case, finding: Finding) -> str:
    code = CODES[finding.code]
    return (case.imported and code.imported) or code.cure


def place(line: Line, below: Path) -> str:
    """`file:line: text`."""
    file = line.file
    if file.is_relative_to(below):
        file = file.relative_to(below)
    return f"{file}:{line.number}: {line.text.strip()}".removesuffix(": ")
