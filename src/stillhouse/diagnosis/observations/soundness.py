"""Rules about runs that are missing, failed, cut off or learned nothing."""

from __future__ import annotations

from collections.abc import Iterator
from math import log

from stillhouse.diagnosis.observations.base import Observation, Scene, seeds
from stillhouse.rounds.survey import Cell
from stillhouse.runs.soundness import chance_bound

CONSTANT_NATS = 0.01


def failed(scene: Scene) -> Iterator[Observation]:
    """Runs that failed, by their reason."""
    reasons: dict[str, list[Cell]] = {}
    for cell in scene.cells:
        if cell.shown in ("failed", "unreadable"):
            reasons.setdefault(cell.state.reason, []).append(cell)
    for reason, cells in reasons.items():
        text = f"{len(cells)} of {len(scene.cells)} runs failed: {reason}"
        yield scene.say("alarm", "failed", text, cells)


def damaged(scene: Scene) -> Iterator[Observation]:
    """Runs whose epochs' records cannot be read: no rule on their course sees them."""
    for cell in scene.cells:
        if what := scene.damaged.get(cell.config.path):
            yield scene.say("alarm", "damaged", what, [cell])


def failed_chance(scene: Scene) -> Iterator[Observation]:
    """FAILED-CHANCE: completed runs whose final accuracy guessing reaches."""
    bound = chance_bound(scene.spec.test_images, scene.spec.commonest)
    for arm in scene.arms:
        cells = [cell for cell in arm.cells if cell.shown == "unsound"]
        if cells:
            found = ", ".join(f"{_last(cell):.2f} %" for cell in cells)
            text = (
                f"{arm.label} learned nothing: {seeds(cells)} ended at {found}, which guessing "
                f"reaches (up to {bound:.2f} %); counted as failed, not averaged"
            )
            yield scene.say("alarm", "failed-chance", text, cells)


def collapsed(scene: Scene) -> Iterator[Observation]:
    """COLLAPSE: what was learned got lost; an early epoch's accuracy is not a result."""
    bound = chance_bound(scene.spec.test_images, scene.spec.commonest)
    for cell in scene.cells:
        if cell.shown != "unsound" or cell.state.result is None:
            continue
        if cell.state.result["best"]["test_accuracy"] <= bound:
            continue  # it never learned: `failed-chance` says so
        final, best = cell.state.result["final"], cell.state.result["best"]
        entropy, flat = final["test"].get("ce"), log(scene.spec.classes)
        parts = []
        if entropy is not None and abs(entropy - flat) < CONSTANT_NATS:
            parts.append(
                f"its test cross entropy ends at {entropy:.3f} = ln {scene.spec.classes}, "
                "that of a constant answer"
            )
        if best["test_accuracy"] > final["test"]["accuracy"]:
            parts.append(
                f"its best, {best['test_accuracy']:.2f} %, is of epoch {best['epoch']} of "
                f"{final['epoch']} and no result"
            )
        if parts:
            text = f"{cell.config.path} collapsed: {'; '.join(parts)}"
            yield scene.say("alarm", "collapsed", text, [cell])


def cut_off(scene: Scene) -> Iterator[Observation]:
    """INCOMPLETE: runs that were cut off, with the epoch they reached."""
    for cell in scene.cells:
        if cell.shown in ("lost", "stopped"):
            scores = [
                record["test"]["accuracy"] for record in scene.records.get(cell.config.path, [])
            ]
            known = [*scores, *([] if cell.state.best is None else [cell.state.best])]
            best = f", {max(known):.2f} % at best until then" if known else ""
            chance = f"; {cell.at_chance}" if cell.at_chance else ""
            text = (
                f"{cell.config.path} is not finished: epoch {cell.state.epoch} of "
                f"{cell.config.training.epochs}{best} ({cell.state.reason}){chance}; left out"
            )
            yield scene.say("alarm", "incomplete", text, [cell])


def uneven(scene: Scene) -> Iterator[Observation]:
    """INCOMPLETE: arms with fewer sound seeds than others, or of unequal length."""
    counts: dict[int, list[str]] = {}
    for arm in scene.arms:
        if arm.values:
            counts.setdefault(len(arm.values), []).append(arm.label)
    if len(counts) > 1:
        parts = [f"{n} for {', '.join(labels)}" for n, labels in sorted(counts.items())[::-1]]
        yield scene.say("warning", "uneven-seeds", f"Sound seeds differ: {'; '.join(parts)}")
    sound = [cell for arm in scene.arms for cell in arm.valid if cell.config.path in scene.records]
    lengths = {len(scene.records[cell.config.path]): cell for cell in sound}
    if len(lengths) > 1:
        text = f"Completed runs have different numbers of epochs: {sorted(lengths)}"
        yield scene.say("warning", "mixed-epochs", text, list(lengths.values()))


def _last(cell: Cell) -> float:
    assert cell.state.result is not None
    return cell.state.result["final"]["test"]["accuracy"]
