"""Every rule, and the observations of a round ranked by their level."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from stillhouse.diagnosis.observations import effects, process, soundness, teachers
from stillhouse.diagnosis.observations.base import LEVELS, Observation, Scene, scene
from stillhouse.rounds.survey import Survey
from stillhouse.stats.arms import Which
from stillhouse.tables import Item, Listing, Table

Rule = Callable[[Scene], Iterator[Observation]]
RULES: tuple[Rule, ...] = (
    soundness.failed,
    soundness.damaged,
    soundness.failed_chance,
    soundness.collapsed,
    soundness.cut_off,
    teachers.in_training,
    effects.above_unfinished_teacher,
    process.identical,
    effects.decided,
    effects.inconclusive,
    effects.below_pure,
    effects.weak_teacher,
    teachers.outlier,
    teachers.wide,
    teachers.driven,
    process.confounds,
    soundness.uneven,
    effects.over_regularised,
    effects.above_teacher,
    effects.selection_bias,
    effects.calibration,
    effects.swept,
    process.smoothed,
)


def observe(seen: Survey, which: Which = "final") -> list[Observation]:
    """What the rules find in a round, dataset by dataset, the gravest first."""
    found = []
    for dataset in seen.round.datasets:
        own = scene(seen, dataset, which)
        said = [observation for rule in RULES for observation in rule(own)]
        found += sorted(said, key=lambda one: LEVELS.index(one.level))
    return found


def observation_list(name: str, dataset: str, found: Iterable[Observation]) -> Listing:
    """A dataset's observations for readers: the rule and the runs stand below each sentence."""
    items = tuple(Item(one.level, f"{one.text}.", (_basis(one),)) for one in found)
    return Listing(f"round {name}, {dataset}: key observations", items, empty="none")


def observation_records(name: str, found: Iterable[Observation]) -> Table:
    """All observations for programs."""
    rows = tuple((o.dataset, o.level, o.rule, o.text, " ".join(o.runs) or None) for o in found)
    return Table(f"round {name}", ("dataset", "level", "rule", "text", "runs"), rows)


def _basis(found: Observation) -> str:
    """`RULE: RUNS`, with the seeds of an arm joined."""
    arms: dict[str, list[str]] = {}
    for path in found.runs:
        arm, _, seed = path.rpartition("/")
        arms.setdefault(arm, []).append(seed)
    runs = "; ".join(f"{arm}/{','.join(seeds)}" for arm, seeds in arms.items())
    return f"{found.rule}: {runs}" if runs else found.rule
