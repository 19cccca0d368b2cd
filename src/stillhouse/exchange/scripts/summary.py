"""The output of `stillhouse import`: every run's outcome, and all remarks."""

from __future__ import annotations

from collections import Counter

from stillhouse.exchange.scripts.script_run import State
from stillhouse.exchange.scripts.write import Import
from stillhouse.tables import Table

WORDS: dict[State, str] = {
    "finished": "completed by its own record",
    "failed": "failed",
    "lost": "cut off",
    "missing": "never started",
}


def import_table(done: Import) -> Table:
    """Return one row per dataset and outcome with a reason; conflicts and leftovers are notes."""
    groups: Counter[tuple[str, str, str]] = Counter()
    for path, outcome in done.runs.items():
        groups[path.split("/")[0], WORDS[outcome.state], outcome.reason] += 1
    counts = Counter(outcome.state for outcome in done.runs.values())
    counted = ", ".join(f"{counts[state]} {word}" for state, word in WORDS.items() if counts[state])
    notes = [f"{path}: {note}" for path, note in done.notes]
    if remarked := {path for path, _ in done.notes} & set(done.runs):
        notes.insert(0, f"{len(remarked)} of {len(done.runs)} runs have remarks:")
    if done.unmapped:
        notes.append(
            f"Not imported ({len(done.unmapped)}); readable files are kept in {done.kept}:"
        )
        notes += [f"{path}: {why}" for path, why in done.unmapped]
    else:
        notes.append("Everything in the source was imported.")
    notes.append(
        f"Round file: {done.file}. Each run's imported/ folder has its source files unchanged."
    )
    columns = ("Dataset", "Outcome", "Runs", "Reason")
    rows = tuple((d, word, n, reason or None) for (d, word, reason), n in groups.items())
    return Table(
        f"round {done.round.round}: {len(done.runs)} runs, {counted}", columns, rows, tuple(notes)
    )
