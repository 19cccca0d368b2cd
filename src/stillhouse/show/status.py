"""`stillhouse status`: the grid of states, and every failure with its reason. No torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from stillhouse.config.expand import label
from stillhouse.rounds.provenance import changed_teachers
from stillhouse.rounds.survey import Cell, Survey, failures, steps_per_epoch
from stillhouse.tables import Table

MANY_ROWS = 100
WORDS = [
    "done",
    "running",
    "stopped",
    "lost",
    "queued",
    "waiting",
    "pending",
    "at chance",
    "failed",
    "unreadable",
]


class Word(NamedTuple):
    """Where a run stands, by which runs are counted, and the details."""

    kind: str
    details: str = ""

    def __str__(self) -> str:
        """As in `running 3/10 on node7`."""
        return f"{self.kind} {self.details}".strip()


def status_table(
    survey: Survey,
    words: Mapping[str, Word] | None = None,
    more: Iterable[str] = (),
    short: bool = False,
) -> Table:
    """A row per dataset, method and network, a column per seed; failures stand below.

    `words` says of some runs, by path, what is known from elsewhere than their files; `more`
    are notes from there. A `short` table of more than `MANY_ROWS` leaves out the rows of which
    every run is done, and says so.
    """
    seeds = sorted({cell.config.seed for cell in survey.cells})
    rows: dict[tuple[str, str, str], dict[int, str]] = {}
    shown: list[str] = []
    for cell in survey.cells:
        run = cell.config
        key = (run.dataset, label(survey.round, run), run.model)
        word = (words or {}).get(run.path) or _word(cell)
        rows.setdefault(key, {})[run.seed] = str(word)
        shown.append(word.kind)
    order = sorted(Counter(shown).items(), key=lambda item: (*WORDS, item[0]).index(item[0]))
    counts = ", ".join(f"{count} {word}" for word, count in order)
    hidden = [key for key, row in rows.items() if {*row.values()} == {"done"}]
    if short and hidden and len(rows) > MANY_ROWS:
        rows = {key: row for key, row in rows.items() if key not in {*hidden}}
        more = [*more, f"{len(hidden)} rows of runs that are done: --format csv shows all"]
    grid = tuple((*key, *(by_seed.get(seed) for seed in seeds)) for key, by_seed in rows.items())
    notes = [f"{cell.config.path}: {cell.shown}: {cell.why}" for cell in failures(survey.cells)]
    notes += [*changed_teachers(survey.cells), *more]
    columns = ("Dataset", "Method", "Network", *(f"Seed {seed}" for seed in seeds))
    title = f"round {survey.round.round}: {counts}"
    return Table(title, columns, grid, tuple(notes), empty="all of them")


def summary(survey: Survey, place: Path) -> str:
    """How many runs are done, and what to change if trained ones are not above chance."""
    trained = sum(cell.state.name == "done" for cell in survey.cells)
    of = f"{trained} of {len(survey.cells)} runs"
    chance = [cell for cell in survey.cells if cell.learned_nothing]
    if not chance:
        return f"{of} done; they are in {place}"
    run = chance[0].config
    steps = steps_per_epoch(run) * run.training.epochs
    return (
        f"{of} trained to the end; they are in {place}\n"
        f"{len(chance)} of them are not above chance and count in no table:\n"
        f"    {run.path}: after {steps:,} steps {chance[0].learned_nothing}\n"
        "Train longer (more epochs or train_images, or a smaller batch_size); if that does not "
        "help, change learning_rate."
    )


def _word(cell: Cell) -> Word:
    if cell.shown in ("running", "stopped", "lost"):
        return Word(cell.shown, f"{cell.state.epoch}/{cell.config.training.epochs}")
    return Word(cell.shown)
