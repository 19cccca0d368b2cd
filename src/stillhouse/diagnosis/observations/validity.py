"""Rules about runs that failed, were cut off, learned nothing, or cannot be compared."""

from __future__ import annotations

from collections.abc import Iterator

from stillhouse.diagnosis import balance, comparisons, ends, learning, teachers
from stillhouse.diagnosis.codes import CODES, Level
from stillhouse.diagnosis.diagnose import Rule, diagnose
from stillhouse.diagnosis.finding import Finding
from stillhouse.diagnosis.observations.base import Scene, seeds
from stillhouse.rounds import provenance
from stillhouse.rounds.survey import Cell
from stillhouse.runs.chance import chance_bound

SHOWN = 3
# Causes that the doctor names of single runs and that concern the round's numbers.
ASKED: dict[str, Level] = {
    "collapse": "alarm",
    "half-trained-teacher": "alarm",
    "identical-curves": "alarm",
    "over-regularised": "warning",
}
# The rules that find them: the other rules on thousands of runs take a second.
ASKED_RULES: tuple[Rule, ...] = (
    ends.ended,
    teachers.half_trained,
    learning.collapsed,
    balance.over_regularised,
    comparisons.identical,
)


def failed(scene: Scene) -> Iterator[Finding]:
    """Runs that failed, by their reason."""
    reasons: dict[str, list[Cell]] = {}
    for cell in scene.cells:
        if cell.shown in ("failed", "unreadable"):
            reasons.setdefault(cell.state.reason, []).append(cell)
    for reason, cells in reasons.items():
        text = f"{len(cells)} of {len(scene.cells)} runs failed: {reason}"
        yield scene.finding("failed", text, cells)


def damaged(scene: Scene) -> Iterator[Finding]:
    """Runs whose epochs' records cannot be read: no rule on their course sees them."""
    for cell in scene.damaged:
        yield scene.finding("damaged", scene.by_path[cell.config.path].state.reason, [cell])


def failed_chance(scene: Scene) -> Iterator[Finding]:
    """FAILED-CHANCE: completed runs whose final accuracy guessing reaches."""
    bound = chance_bound(scene.spec.test_images, scene.spec.commonest)
    for arm in scene.arms:
        cells = [cell for cell in arm.cells if cell.shown == "at chance"]
        if cells:
            found = ", ".join(f"{_last(cell):.2f} %" for cell in cells)
            text = (
                f"{arm.label} learned nothing: {seeds(cells)} ended at {found}, which guessing "
                f"reaches (up to {bound:.2f} %); counted as failed, not averaged"
            )
            yield scene.finding("failed-chance", text, cells)


def asked(scene: Scene) -> Iterator[Finding]:
    """What the doctor names in several runs of an arm: one finding per cause and arm."""
    for arm in scene.arms:
        found: dict[str, list[tuple[Cell, str]]] = {}
        for cell in arm.cells:
            for one in diagnose(scene.by_path[cell.config.path], ASKED_RULES):
                if one.code in ASKED:
                    why = one.evidence[0].text if one.evidence else ""
                    found.setdefault(one.code, []).append((cell, why))
        for code, runs in found.items():
            cells = [cell for cell, _ in runs]
            parts = [f"{seeds([cell])}: {why}" for cell, why in runs[:SHOWN]]
            parts += [f"{len(runs) - SHOWN} more"] if len(runs) > SHOWN else []
            text = f"{arm.label}, {len(cells)} of {len(arm.cells)} runs: {CODES[code].meaning}"
            yield scene.finding(code, text, cells, parts, ASKED[code])


def cut_off(scene: Scene) -> Iterator[Finding]:
    """INCOMPLETE: runs that were cut off, with the epoch they reached."""
    reasons: dict[str, list[Cell]] = {}
    for cell in scene.cells:
        if cell.shown in ("lost", "stopped"):
            reasons.setdefault(cell.state.reason, []).append(cell)
    for reason, cells in reasons.items():
        reached = [_reached(scene, cell) for cell in cells]
        if len(cells) == 1:
            text = f"{cells[0].config.path} is not finished: {reached[0]} ({reason}); left out"
            yield scene.finding("incomplete", text, cells)
            continue
        parts = [f"{cell.config.path}: {how}" for cell, how in zip(cells, reached, strict=True)]
        shown = [*parts[:SHOWN], *([f"{len(parts) - SHOWN} more"] if len(parts) > SHOWN else [])]
        text = f"{len(cells)} of {len(scene.cells)} runs are not finished and left out: {reason}"
        yield scene.finding("incomplete", text, cells, shown)


def _reached(scene: Scene, cell: Cell) -> str:
    """How far an unfinished run came: `epoch 3 of 5, 60.00 % at best until then`."""
    scores = scene.series(cell, "test.accuracy")
    known = [*scores, *([] if cell.state.best is None else [cell.state.best])]
    best = f", {max(known):.2f} % at best until then" if known else ""
    chance = f"; {cell.at_chance}" if cell.at_chance else ""
    return f"epoch {cell.state.epoch} of {cell.config.training.epochs}{best}{chance}"


def uneven(scene: Scene) -> Iterator[Finding]:
    """INCOMPLETE: arms with fewer valid seeds than others, or of unequal length."""
    counts: dict[int, list[str]] = {}
    for arm in scene.arms:
        if arm.values:
            counts.setdefault(len(arm.values), []).append(arm.label)
    if len(counts) > 1:
        parts = [f"{n} for {', '.join(labels)}" for n, labels in sorted(counts.items())[::-1]]
        yield scene.finding("uneven-seeds", f"Valid seeds differ: {'; '.join(parts)}")
    counted = ((cell, len(scene.by_path[cell.config.path].records)) for cell in scene.valid)
    lengths = {length: cell for cell, length in counted if length}
    if len(lengths) > 1:
        text = f"Completed runs have different numbers of epochs: {sorted(lengths)}"
        yield scene.finding("mixed-epochs", text, list(lengths.values()))


def confounds(scene: Scene) -> Iterator[Finding]:
    """CONFOUND: arms that differ in more than their method."""
    for note in provenance.confounds(scene.survey, scene.dataset):
        yield scene.finding("confound", note.rstrip("."))


def _last(cell: Cell) -> float:
    assert cell.state.result is not None
    return cell.state.result["final"]["test"]["accuracy"]
