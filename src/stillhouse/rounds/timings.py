"""What was timed on this machine, kept in the user's cache folder for this version of the code."""

from __future__ import annotations

import json

from stillhouse import data
from stillhouse.config.facts import training_images
from stillhouse.config.schema import RunConfig
from stillhouse.plugin import versioned
from stillhouse.rounds.estimate import EpochCost
from stillhouse.rounds.schedule import SHARED_RECIPE
from stillhouse.runs import environment
from stillhouse.runs.index import Cache

Measured = dict[str, float]


def kind(run: RunConfig, numbers: bool = True) -> tuple[object, ...]:
    """Return what the time of an epoch depends on; without `numbers` not on the method's own."""
    parameters = tuple(
        (name, str(value))
        for name, value in sorted(run.parameters.items())
        if numbers or isinstance(value, bool) or not isinstance(value, int | float)
    )
    taught = run.teacher.model if run.teacher else ""
    recipe = tuple(str(getattr(run.training, name)) for name in SHARED_RECIPE)
    averaged = bool(run.training.ema_decay)
    return (run.dataset, run.method, run.model, taught, parameters, averaged, *recipe)


class Timings:
    """Seconds per image of the parts of an epoch, by kind of run and device (see `measure`)."""

    def __init__(self) -> None:
        machine = environment.machine()
        this = {name: machine[name] for name in ("host", "processor", "cores", "packages")}
        self._cache = Cache("timings", json.dumps(this, sort_keys=True))
        self.known: dict[str, Measured] = self._cache.load() or {}

    def key(self, run: RunConfig, device: str) -> str:
        """Return the key of a run's kind on a device, with the versions of its own files."""
        versions = [
            versioned("method", run.method, run.files),
            versioned("model", run.model, run.files),
        ]
        return json.dumps([kind(run), versions, device])

    def keep(self, key: str, measured: Measured) -> None:
        """Keep what was measured, so that an interrupted command goes on where it was."""
        self.known[key] = measured
        self._cache.save(self.known)

    def cost(self, run: RunConfig, key: str) -> EpochCost:
        """Return what an epoch of a run costs by the seconds per image of its kind."""
        found, spec, recipe = self.known[key], data.spec(run.dataset, run.files), run.training
        images = training_images(run) // recipe.batch_size * recipe.batch_size
        tested = (spec.test_images + recipe.validation) * (2 if recipe.ema_decay else 1)
        return EpochCost(
            own=images * found["step"] + tested * found["evaluation"],
            loading=images * found["loading"],
            teacher=images * found["teacher"],
            memory=int(found["memory"]),
        )
