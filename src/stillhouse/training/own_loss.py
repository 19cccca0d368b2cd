"""Compare a method's own loss between its student and a pure one.

Both students are frozen and measured on the test images against the same teacher, with the same
random draws. Parts that a method holds but does not train (a paraphraser, a random network) are
those the student was trained with. Modules that it trains (a regressor, a translator) are fitted to
the pure student with the student's own recipe, several times from other initial weights. They are
also fitted to the own student, unless its loss with its trained modules is already below all these
fits: modules trained beside a changing student may lag behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from stillhouse.config.schema import RunConfig
from stillhouse.data.base import Batch
from stillhouse.data.loader import plain_batches
from stillhouse.errors import RunError
from stillhouse.models.base import Network, Outputs
from stillhouse.runs.own_loss import OwnLoss
from stillhouse.seeding import reseed
from stillhouse.training.evaluate import EVALUATION_BATCH
from stillhouse.training.optim import make_optimizer, set_rate
from stillhouse.training.recorder import load_into, load_weights
from stillhouse.training.reopen import Place, Shared, reopen
from stillhouse.training.trainer import Trainer

FITS = 5
Progress = Callable[[str, int, int], None]
"""Called with what is done, the steps done of it, and all its steps."""


@dataclass(frozen=True)
class Comparison:
    """A run and its method's own loss, of its student and of the pure one."""

    run: RunConfig
    losses: OwnLoss


def compare(
    runs: Sequence[RunConfig],
    place: Place,
    fit_epochs: int | None = None,
    progress: Progress = lambda what, step, steps: None,
) -> Iterator[Comparison]:
    """Compare each completed distillation run with the completed pure run of its seed.

    `runs` are resolved and completed; `fit_epochs` is for the fitted modules (default: the run's
    epochs). Runs that share images, teacher and pure student are measured together. Raises RunError
    if a pure run is missing.
    """
    for group in groups(runs):
        measured = [_in_float32(run) for run in group]
        epochs = group[0].training.epochs if fit_epochs is None else fit_epochs
        found = _Group(reopen(measured, place), progress).compare(measured, epochs)
        for run, losses in zip(group, found, strict=True):
            yield Comparison(run, losses)


def groups(runs: Sequence[RunConfig]) -> list[list[RunConfig]]:
    """Group runs by dataset, recipe, teacher, network and seed, in order of appearance."""
    found: dict[object, list[RunConfig]] = {}
    for run in runs:
        key = (run.dataset, run.training, run.teacher, run.model, run.seed)
        found.setdefault(key, []).append(run)
    return list(found.values())


def _in_float32(run: RunConfig) -> RunConfig:
    """Return the same run in the precision of every evaluation."""
    recipe = run.training.model_copy(update={"precision": "fp32"})
    return run.model_copy(update={"training": recipe})


@dataclass(frozen=True)
class _Group:
    """Runs that are measured together; `networks` are their frozen students, by folder."""

    shared: Shared
    progress: Progress
    networks: dict[str, Network] = field(default_factory=dict)

    def compare(self, runs: Sequence[RunConfig], epochs: int) -> list[OwnLoss]:
        """Return the own losses of every run; `epochs` are those of a fit."""
        own = [self._open(run, run.path) for run in runs]
        fitted = [run for run, trainer in zip(runs, own, strict=True) if _trained(trainer)]
        pure = {run.path: self._opened(run, run.pure_path, run in fitted) for run in runs}
        self._fit([one for run in fitted for one in pure[run.path]], "the pure student", epochs)
        measured = iter(self._measure([*own, *(one for many in pure.values() for one in many)]))
        trained_with = {run.path: (next(measured),) for run in runs}
        of_pure = {path: tuple(next(measured) for _ in many) for path, many in pure.items()}
        behind = [run for run in fitted if trained_with[run.path][0] >= min(of_pure[run.path])]
        again = {run.path: self._opened(run, run.path, True) for run in behind}
        refitted = [one for many in again.values() for one in many]
        self._fit(refitted, "their own students", epochs)
        measured = iter(self._measure(refitted))
        of_own = {path: tuple(next(measured) for _ in many) for path, many in again.items()}
        return [
            OwnLoss(
                (trained_with | of_own)[run.path], of_pure[run.path], epochs if run in fitted else 0
            )
            for run in runs
        ]

    def _opened(self, run: RunConfig, path: str, fresh: bool) -> list[Trainer]:
        """Return a student with the method's modules, or with new ones for every fit."""
        draws = [f"fit {number}" for number in range(FITS)] if fresh else [None]
        return [self._open(run, path, draw) for draw in draws]

    def _open(self, run: RunConfig, path: str, draw: str | None = None) -> Trainer:
        """The frozen student in a folder with the modules that `run` ended with.

        With `draw`, those among them that are trained have initial weights of that stream.
        """
        folder, home = map(self.shared.place.folder, (path, run.path))
        result, own = folder.completed(), home.completed()
        if result is None or own is None:
            unfinished = home if own is None else folder
            raise RunError(f"{unfinished.path} is not finished", "train it first")
        trainer = self.shared.trainer(run, draw or "method")
        if path not in self.networks:
            saved: nn.Module = trainer.network
            if path == run.path:
                saved = trainer.method.inference_model(trainer.network)
            load_into(saved, folder.final, result["weights"]["final"])
            self.networks[path] = trainer.network.requires_grad_(False).eval()
        trainer.network = self.networks[path]
        if trainer.method.state_dict() and "method" not in own["weights"]:
            raise RunError(
                f"{home.path} keeps no modules of its method (`keep: {{students: final}}`)",
                "verify the losses of a round that keeps all",
            )
        if "method" in own["weights"]:
            trainer.method.load_state_dict(
                load_weights(home.method, own["weights"]["method"])
                | (_fresh(trainer.method) if draw else {})
            )
        return trainer

    def _fit(self, trainers: list[Trainer], to: str, epochs: int) -> None:
        """Train the methods' own modules on their frozen students."""
        if not trainers:
            return
        given = trainers[0].config.training
        warmup = min(given.warmup_epochs, epochs - 1)
        recipe = given.model_copy(update={"epochs": epochs, "warmup_epochs": warmup})
        optimizers = [
            make_optimizer(recipe, _trained(one), one.method.parameter_groups()) for one in trainers
        ]
        batches = self.shared.batches
        steps = batches.steps
        names = ", ".join(dict.fromkeys(one.config.method for one in trainers))
        what = f"{_where(trainers)}: fitting modules of {names} to {to}"
        for epoch in range(epochs):
            for step in range(steps):
                batch = batches.batch(epoch, step)
                losses = _losses(trainers, self.shared, batch, ("fit", epoch, step))
                for optimizer, loss in zip(optimizers, losses, strict=True):
                    set_rate(optimizer, recipe, epoch, step, steps)
                    optimizer.zero_grad()
                    torch.autograd.backward(loss)
                    if recipe.clip_grad_norm is not None:
                        parameters = [p for g in optimizer.param_groups for p in g["params"]]
                        nn.utils.clip_grad_norm_(parameters, recipe.clip_grad_norm)
                    optimizer.step()
                done = epoch * steps + step + 1
                self.progress(what, done, epochs * steps)

    @torch.no_grad()
    def _measure(self, trainers: Sequence[Trainer]) -> list[float]:
        """Return every run's mean loss over the test images."""
        if not trainers:
            return []
        for one in trainers:
            one.method.eval()
        test, totals = self.shared.data.test, [0.0] * len(trainers)
        done = 0
        batches = plain_batches(test, self.shared.data.spec, EVALUATION_BATCH)
        for number, batch in enumerate(batches):
            losses = _losses(trainers, self.shared, batch, ("test", 0, number))
            for index, loss in enumerate(losses):
                totals[index] += float(loss) * len(batch.labels)
            done += len(batch.labels)
            self.progress(f"{_where(trainers)}: measuring on test images", done, len(test))
        return [total / len(test) for total in totals]


def _where(trainers: Sequence[Trainer]) -> str:
    return f"{trainers[0].config.dataset}, seed {trainers[0].config.seed}"


def _trained(trainer: Trainer) -> list[nn.Parameter]:
    return [p for p in trainer.method.parameters() if p.requires_grad]


def _fresh(method: nn.Module) -> dict[str, Tensor]:
    """Return the state of the modules that train parameters themselves, with statistics."""
    return {
        f"{prefix}{'.' if prefix else ''}{name}": value
        for prefix, module in method.named_modules()
        if any(p.requires_grad for p in module.parameters(recurse=False))
        for name, value in module.state_dict().items()
        if "." not in name
    }


def _losses(
    trainers: Sequence[Trainer], shared: Shared, batch: Batch, when: tuple[str, int, int]
) -> list[Tensor]:
    """Return every run's own loss of a batch; a shared network computes it once."""
    assert shared.teacher is not None
    taught, seen = shared.teacher(batch), dict[Network, Outputs]()
    for one in trainers:
        if one.network not in seen:
            with torch.no_grad():
                seen[one.network] = one.network(batch.images)
    losses = []
    for one in trainers:
        reseed("own loss", one.config.method, one.config.seed, *when)
        losses.append(_loss(one, one.method.terms(seen[one.network], taught, batch)))
    return losses


def _loss(trainer: Trainer, terms: dict[str, Tensor]) -> Tensor:
    """Return the weighted sum of the terms, with the weights of the last epoch."""
    epochs = trainer.config.training.epochs
    weights = trainer.method.weights(trainer.coefficients, epochs - 1, epochs)
    return torch.stack([weights[name] * value for name, value in terms.items()]).sum()
