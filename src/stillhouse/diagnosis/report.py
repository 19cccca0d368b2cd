"""What `doctor` and `observe` print: every finding with its evidence and its cure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from stillhouse.diagnosis.case import Case
from stillhouse.diagnosis.codes import CODES
from stillhouse.diagnosis.diagnose import diagnose
from stillhouse.diagnosis.finding import Finding, Line
from stillhouse.tables import Item, Listing, Table

VERDICTS = ("failed", "stuck", "at chance", "invalid", "caution")
SHOWN = 3  # runs with one cause are shown one by one up to here
COLUMNS = ("Run", "Verdict", "Cause", "Confidence", "Evidence", "What to do")


def report(name: str, cases: Sequence[Case], below: Path) -> tuple[Table, Listing, bool]:
    """The findings on some runs as a table for programs and as a list for readers.

    The list has one entry for a cause of more than `SHOWN` runs. The third value is whether a run
    failed, is stuck, at chance or invalid. File names are relative to `below` where they lie there.
    """
    found = [(case, finding) for case in cases for finding in diagnose(case)]
    rows = tuple(_row(case, finding, below) for case, finding in found)
    verdicts = {case.path: verdict(case, finding) for case, finding in reversed(found)}
    number = Counter(verdicts.values())
    counts = ", ".join(
        f"{number[word]} {_plural(word, number[word])}" for word in VERDICTS if number[word]
    )
    looked = sum(case.started for case in cases)
    unstarted = len(cases) - looked
    title = f"{name}: {looked} run{'s' * (looked != 1)} examined"
    notes = [f"{unstarted} runs have not started."] if unstarted else []
    if unmeasured := sum(map(_unmeasured, cases)):
        runs = f"{unmeasured} distilled run{'s' * (unmeasured != 1)}"
        notes.append(
            f"Whether the method's own loss became lower is not checked for {runs}: "
            "`stillhouse verify --losses` does."
        )
    if len({case.path for case, _ in found}) < len(found):
        notes.append(
            "The first cause of a run is the likeliest; those below it may follow from it."
        )
    wrong = any(word != "caution" for word in verdicts.values())
    listing = Listing(
        f"{title}: {counts}" if counts else title,
        tuple(_items(found, below)),
        tuple(notes),
    )
    table = Table(f"{title}: {counts or listing.empty}", COLUMNS, rows, tuple(notes))
    return table, listing, wrong


def _items(found: Sequence[tuple[Case, Finding]], below: Path) -> Iterator[Item]:
    """An entry per run and cause; more than `SHOWN` with one cause are one, where the first is."""
    alike: dict[tuple[str, str, str], list[Finding]] = {}
    for case, finding in found:
        alike.setdefault(_kind(case, finding), []).append(finding)
    for case, finding in found:
        same, level = alike[_kind(case, finding)], verdict(case, finding)
        if len(same) <= SHOWN:
            yield item(finding, level, below, case.imported)
        elif same[0] is finding:
            lines = [place(one.evidence[0], below) for one in same[:SHOWN] if one.evidence]
            lines.append(f"and {len(same) - SHOWN} more: `stillhouse doctor --format csv` has all")
            yield _entry(f"{len(same)} runs", lines, finding, level, case.imported)


def _kind(case: Case, finding: Finding) -> tuple[str, str, str]:
    return verdict(case, finding), finding.code, finding.confidence


def _plural(verdict: str, count: int) -> str:
    return "cautions" if verdict == "caution" and count > 1 else verdict


def _unmeasured(case: Case) -> bool:
    """Whether it is a completed student with weights that `terms` has not measured."""
    result = case.state.result
    taught = case.config.teacher is not None and case.config.teacher_path != case.config.pure_path
    return bool(taught and result and result["weights"] and case.own_loss is None)


def verdict(case: Case, finding: Finding) -> str:
    """What a finding makes of a run: one of `VERDICTS`.

    `at chance` is what `status` calls so: its accuracy is that of guessing, whatever the cause.
    """
    at_chance = bool(case.learned_nothing) and case.settled
    if finding.level == "caution" and not at_chance:
        return "caution"
    if case.state.name in ("failed", "unreadable"):
        return "failed"
    if finding.level == "end":
        return "stuck"
    return "at chance" if at_chance else finding.level


def observation_list(name: str, dataset: str, found: Iterable[Finding]) -> Listing:
    """A dataset's observations for readers."""
    items = tuple(item(one, one.level) for one in found)
    return Listing(
        f"round {name}, {dataset}: observations", items, empty="nothing can be said of its runs yet"
    )


def observation_records(name: str, found: Iterable[Finding]) -> Table:
    """All observations for programs."""
    rows = tuple((o.scope, o.level, o.code, o.sentence, " ".join(o.runs) or None) for o in found)
    return Table(f"round {name}", ("dataset", "level", "rule", "text", "runs"), rows)


def item(found: Finding, level: str, below: Path = Path(), imported: bool = False) -> Item:
    """A finding as people read it: one sentence; below it what it rests on, and what to do.

    A run's sentence is the meaning of its code, a dataset's has the numbers.
    """
    if not found.text:
        lines = [place(line, below) for line in found.evidence]
        return _entry(found.scope, lines, found, level, imported)
    return Item(level, f"{found.text}.", (*found.parts, _basis(found), *_advice(found, imported)))


def _entry(whose: str, lines: Iterable[str], found: Finding, level: str, imported: bool) -> Item:
    """A cause in a run, or in several, with the lines that show it."""
    sure = f"cause {found.code}, {found.confidence}"
    text = f"{whose}: {CODES[found.code].meaning}."
    return Item(level, text, (*lines, sure, *_advice(found, imported)))


def _advice(found: Finding, imported: bool) -> tuple[str, ...]:
    cure = _cure(found, imported)
    return (f"what to do: {cure}",) if cure else ()


def _row(case: Case, finding: Finding, below: Path) -> tuple[str, ...]:
    evidence = "; ".join(place(line, below) for line in finding.evidence)
    judged = (case.path, verdict(case, finding), finding.code, finding.confidence)
    return (*judged, evidence, _cure(finding, case.imported))


def _cure(found: Finding, imported: bool) -> str:
    code = CODES[found.code]
    return (imported and code.imported) or code.cure


def _basis(found: Finding) -> str:
    """`rule CODE: RUNS`, the seeds of an arm joined; only their number if parts name the arms."""
    if found.parts:
        return f"rule {found.code}, {len(found.runs)} runs"
    arms: dict[str, list[str]] = {}
    for path in found.runs:
        arm, _, seed = path.rpartition("/")
        arms.setdefault(arm, []).append(seed)
    runs = "; ".join(f"{arm}/{','.join(seeds)}" for arm, seeds in arms.items())
    return f"rule {found.code}: {runs}" if runs else f"rule {found.code}"


def place(line: Line, below: Path) -> str:
    """`file:line: text`."""
    file = line.file
    if file.is_relative_to(below):
        file = file.relative_to(below)
    return f"{file}:{line.number}: {line.text.strip()}".removesuffix(": ")
