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
    """A dataset's observations for readers: what each rests on stands below its sentence."""
    items = tuple(Item(one.level, f"{one.text}.", (*one.parts, _basis(one))) for one in found)
    title = f"round {name}, {dataset}: observations"
    return Listing(title, items, empty="nothing can be said of its runs yet")


def observation_records(name: str, found: Iterable[Observation]) -> Table:
    """All observations for programs."""
    rows = tuple((o.dataset, o.level, o.rule, o.sentence, " ".join(o.runs) or None) for o in found)
    return Table(f"round {name}", ("dataset", "level", "rule", "text", "runs"), rows)


def _basis(found: Observation) -> str:
    """`rule RULE: RUNS`, the seeds of an arm joined; only their number if parts name the arms."""
    if found.parts:
        return f"rule {found.rule}, {len(found.runs)} runs"
    arms: dict[str, list[str]] = {}
    for path in found.runs:
        arm, _, seed = path.rpartition("/")
        arms.setdefault(arm, []).append(seed)
    runs = "; ".join(f"{arm}/{','.join(seeds)}" for arm, seeds in arms.items())
    return f"rule {found.rule}: {runs}" if runs else f"rule {found.rule}"
