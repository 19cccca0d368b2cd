"""One process that trains one cohort from a round."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from stillhouse.config.renamed import folder_of
from stillhouse.config.schema import RunConfig
from stillhouse.errors import RunError
from stillhouse.runs.claim import Claim
from stillhouse.training.cohort import Place, open_cohort
from stillhouse.training.loop import train
from stillhouse.training.recorder import Recorder, epoch_line
from stillhouse.training.stop import Stop
from stillhouse.training.trainee import Record, Trainee

STOPPED = 3


def work(
    configs: list[RunConfig],
    place: Place,
    parent: int | None,
    until: float | None,
    say: Callable[[str], None],
    complain: Callable[[str], None],
) -> int:
    """Train resolved configurations as one cohort.

    Returns 0 if all finished, 1 if one failed, 3 if asked to stop before the end.
    """
    stop = Stop(parent, until)
    stop.listen()
    try:
        cohort = open_cohort(configs, place, complain)
    except Exception as error:
        _record(error, configs, place)
        raise

    def tell(trainee: Trainee, record: Record) -> None:
        say(f"{trainee.config.path}: {epoch_line(record, trainee.config.training.epochs)}")

    reason = train(cohort, stop, tell)
    if cohort.failures:
        return 1
    return STOPPED if reason else 0


def _record(error: Exception, configs: list[RunConfig], place: Place) -> None:
    """Write what befell all runs into the folder of each, so that it is told later too."""
    for config in configs:
        folder = folder_of(place.experiments, config.path)
        with suppress(RunError):  # another process is training it, or its files are damaged
            if not folder.completed():
                Recorder(folder, Claim.take(folder), "").fail(error)
