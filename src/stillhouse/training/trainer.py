"""The state of one run in training: weights, method, optimizer and position."""

from __future__ import annotations

import json
import math
import sys
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from stillhouse.config.schema import RunConfig
from stillhouse.data.base import Batch
from stillhouse.errors import TrainingError
from stillhouse.methods.base import Method
from stillhouse.methods.objective import coefficients
from stillhouse.models.base import Network, Outputs, fingerprint
from stillhouse.seeding import reseed
from stillhouse.training import health_checks, optim
from stillhouse.training.ema import Ema
from stillhouse.training.epoch_metrics import EpochMetrics, StepClock, hits, weigh
from stillhouse.training.gradients import flat, gradient_balance
from stillhouse.training.graphs import Lane, StepGraph, graphed
from stillhouse.training.health import LOOK_STEPS, DeviceHealth
from stillhouse.training.laps import Lap, no_lap
from stillhouse.training.precision import autocast, full_precision, make_scaler, waits_for

Record = dict[str, Any]
GRADIENTS = {"norm": "gradient_norm", "clipped": "gradient_clipped"}
MARKED_STEPS = (0, 1, 10, 100)  # of the first epoch: what `verify` compares


class Trainer:
    """Everything that one run changes during training; no files.

    `position` is (epoch, step), both from 0, of the next step; `records` holds one record per
    finished epoch, `predicted` the last predictions for the test images. With `keep_going` it is
    trained further at chance level.
    """

    def __init__(
        self,
        config: RunConfig,
        network: Network,
        method: Method,
        steps: int,
        device: torch.device,
        keep_going: bool = False,
    ) -> None:
        self.config, self.network, self.method = config, network, method
        self.steps, self.device, self.keep_going = steps, device, keep_going
        self.needs_teacher = "teacher" in method.needs
        reference = method.reference(method.config)
        weighing = config.distillation
        self.coefficients = coefficients(reference, weighing.total, weighing.alpha)
        own = [p for p in method.parameters() if p.requires_grad]
        self.parameters: list[nn.Parameter] = [*network.parameters(), *own]
        groups, waits = method.parameter_groups(), waits_for(device)
        self.optimizer = optim.make_optimizer(
            config.training, self.parameters, groups, not waits, optim.undecayed(network)
        )
        self.ema: Ema | None = None
        self.scaler = make_scaler(config.training.precision, device)
        self.position = (0, 0)
        self.records: list[Record] = []
        self.best: dict[str, Any] = {}
        self.predicted: dict[str, Tensor] = {}
        self.stuck = 0
        self.epoch_metrics = EpochMetrics(self._vector())
        limit = sys.maxsize if keep_going else health_checks.STUCK_STEPS
        self.health = None if waits else DeviceHealth(device, limit)
        self.clock = StepClock(device)
        self.lap: Lap = no_lap
        self.graph: StepGraph | None = None
        self.lane: Lane | None = None
        self._terms_seen: tuple[str, ...] = ()
        self._means: dict[str, float] = {}
        self._balance: dict[str, Tensor] = {}

    @property
    def finished(self) -> bool:
        """Return whether all epochs are done."""
        return self.position[0] >= self.config.training.epochs

    def step(self, batch: Batch, taught: Outputs | None, join: bool = True) -> None:
        """One optimizer step. Draws made by the network or the method depend on the position.

        Without `join` a GPU may still be at it beside other work, until `join` or `check_health`.

        Raises TrainingError if a term or a gradient is not finite: at once, or on a GPU in the
        next `check_health`, due every 50 steps and at the end of an epoch.
        """
        epoch, step = self.position
        taught = taught if self.needs_teacher else None
        graph = step > 0 and self.method.capturable and graphed(self.config.training, self.device)
        if graph and self.lane is None and self.device.type == "cuda":
            self.lane = Lane()
        self._begin_ema()
        with (graph and self.lane) or nullcontext(), nullcontext() if graph else self.clock:
            self._mark()
            self.lap("guards")
            optim.set_rate(self.optimizer, self.config.training, epoch, step, self.steps)
            reseed("forward", self.config.seed, epoch, step)
            if graph:
                names, weighted = self._replay(batch, taught)
                self.epoch_metrics.seconds += self.graph.seconds if self.graph else 0.0
                self.lap("CUDA graph")
            else:
                names, weighted = self._advance(batch, taught)
            self.epoch_metrics.add(names, weighted, len(batch.labels))
            if self.health is not None:
                self.health.positions.append((epoch, step))
            self.position = (epoch, step + 1)
            self._mark()
            self.lap("guards")
        if join or (self.graph is not None and self.graph.draws):
            self.join()
        if self.health is None or step + 1 == self.steps or (step + 1) % LOOK_STEPS == 0:
            self.check_health()

    def join(self) -> None:
        """Let the device's next work wait for this run's steps."""
        if self.lane is not None:
            self.lane.join()

    def check_health(self) -> None:
        """Read the device's record of the steps since the last call.

        Raises TrainingError if a step was bad.
        """
        self.join()
        if self.health is not None and self.health.positions:
            seen = self.health.read(self._terms_seen, self._graded())
            self.epoch_metrics.skipped += seen.skipped
            self.stuck = seen.stuck
            self._means = self.epoch_metrics.means()
        self.epoch_metrics.balance |= {
            name: value
            for name, value in ((name, float(value)) for name, value in self._balance.items())
            if math.isfinite(value)
        }
        self._balance = {}
        self.epoch_metrics.seconds += self.clock.read()

    def progress(self) -> Record:
        """How far the epoch is: `steps` in all, mean `loss` and `accuracy` (%) of those so far.

        On a GPU the means are those of the last `check_health`, so that nothing waits; before
        the first step of an epoch they are those of the epoch before.
        """
        current = self.health is None and self.epoch_metrics.seen > 0
        means = self.epoch_metrics.means() if current else self._means
        known = {"loss": means.get("total"), "accuracy": means.get("accuracy")}
        finite = {name: v for name, v in known.items() if v is not None and math.isfinite(v)}
        return {"steps": self.steps, **finite}

    def _advance(
        self, batch: Batch, taught: Outputs | None, redraw: bool = True
    ) -> tuple[tuple[str, ...], Tensor]:
        """Forward, losses, backward, update; returns the weighted values to sum, by name.

        `redraw` gives the method its own stream.
        """
        config, training, (epoch, step) = self.config, self.config.training, self.position
        with autocast(training.precision, self.device):
            outputs = self.network(batch.images)
        self.lap("student forward")
        if redraw:
            reseed("draw", config.method, config.seed, epoch, step)
        with full_precision(self.device):
            terms = self._terms(outputs.float(), taught, batch)
            weights = self.method.weights(self.coefficients, epoch, training.epochs)
            weighted = {name: weights[name] * terms[name] for name in terms if weights[name]}
            total = torch.stack(list(weighted.values())).sum()
        self.lap("method")
        self._terms_seen = tuple(terms)
        if self.health is None:
            health_checks.check_terms(terms, epoch, step)
        if step == 0 and self.needs_teacher:
            self._balance = gradient_balance(weighted, self.network.parameters(), self._scale)
        self.lap("guards")
        self.optimizer.zero_grad()
        torch.autograd.backward(self.scaler.scale(total))
        self.lap("backward")
        if self.health is None:
            norm = self._apply(epoch, step)
        else:
            given = [*terms.values()]
            limit = training.clip_grad_norm
            norm = self.health.apply(self.optimizer, self.scaler, self.parameters, given, limit)
        if self.ema is not None:
            self.ema.update()
        self.lap("optimizer")
        right = hits(outputs.logits.argmax(dim=1), batch).mean() * 100
        values = {**terms, "total": total, "accuracy": right, "gradient_norm": norm}
        if training.clip_grad_norm is not None:
            values["gradient_clipped"] = (norm > training.clip_grad_norm).double() * 100
        return tuple(values), weigh(values.values(), len(batch.labels))

    def _replay(self, batch: Batch, taught: Outputs | None) -> tuple[tuple[str, ...], Tensor]:
        """Do what `_advance` does from its CUDA graph, which is captured if none fits."""
        weights = self.method.weights(
            self.coefficients, self.position[0], self.config.training.epochs
        )
        if self.graph is None or not self.graph.fits(batch, taught, weights):
            self.graph = None  # frees its memory first
            run = partial(self._advance, batch, taught, redraw=False)
            try:
                self.graph = StepGraph(run, self._changed, (batch, taught, weights))
            except torch.OutOfMemoryError:
                raise
            except RuntimeError as error:
                name = self.config.method
                raise TrainingError(
                    f"the step of {name} cannot be recorded as a CUDA graph ({error})",
                    "give the method `capturable = False`, or set cuda_graphs: false",
                ) from error
            reseed("forward", self.config.seed, *self.position)
        return self.graph.replay()

    def _changed(self) -> list[Tensor]:
        """Return every tensor that a step changes, for the graph to restore after its warm-up."""
        self._scale()
        states = [*self.optimizer.state.values(), vars(self.scaler)]
        own = [v for state in states for v in state.values() if isinstance(v, Tensor)]
        modules = [*self.network.state_dict().values(), *self.method.state_dict().values()]
        beside = [self.health, self.ema]
        return [*modules, *own, *(v for part in beside if part for v in part.tensors())]

    def end_epoch(self, measured: Record, timing: Record) -> Record:
        """Close the epoch and return its record; `measured` has `test`, `validation`, `ema`."""
        epoch, training = self.position[0], self.config.training
        means = self.epoch_metrics.means()
        norms = {name: means.pop(key) for name, key in GRADIENTS.items() if key in means}
        record = {
            "epoch": epoch + 1,
            "lr": optim.learning_rate(training, epoch, self.steps - 1, self.steps),
            "train": means,
            **measured,
            "weights": self.method.weights(self.coefficients, epoch, training.epochs),
            "gradients": {**norms, **self.epoch_metrics.balance},
            "update_ratio": self.epoch_metrics.update_ratio(self._vector()),
            "scaler": {"scale": self.scaler.get_scale(), "skipped": self.epoch_metrics.skipped},
            **({"hashes": self.epoch_metrics.hashes} if self.epoch_metrics.hashes else {}),
            "time": timing,
        }
        self.records.append(record)
        self._keep_best(record)
        self.position = (epoch + 1, 0)
        self.epoch_metrics, self._means = EpochMetrics(self._vector()), means
        return record

    def check_progress(self, chance: float) -> None:
        """Raise TrainingError if the epochs so far show that nothing is learned.

        `chance` is the test accuracy (%) of guessing. Warm-up epochs, and an earlier phase of the
        method with other terms than the last phase, are not checked.
        """
        if self.keep_going:
            return
        training = self.config.training
        weights = self.method.weights(self.coefficients, training.epochs - 1, training.epochs)
        judged = [
            record
            for record in self.records[training.warmup_epochs :]
            if _counting(record["weights"]) == _counting(weights)
        ]
        health_checks.check_progress(judged, training.epochs, self.steps, chance)

    def state(self) -> dict[str, Any]:
        """Check the steps, then return the state for resuming, as tensors and plain values."""
        self.check_health()
        return {
            "position": list(self.position),
            "network": self.network.state_dict(),
            "method": self.method.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "records": json.dumps(self.records),
            "best": self.best,
            "predicted": self.predicted,
            "stuck": self.stuck,
            "tally": self.epoch_metrics.state(),
            **({"ema": self.ema.model.state_dict()} if self.ema else {}),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a `state`, bit for bit."""
        epoch, step = state["position"]
        self.position = (epoch, step)
        self.network.load_state_dict(state["network"])
        self.method.load_state_dict(state["method"])
        optim.load_optimizer(self.optimizer, state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.records = json.loads(state["records"])
        self.best = state["best"]
        self.predicted = state["predicted"]
        self.stuck = state["stuck"]
        self.epoch_metrics, self._means = EpochMetrics.load(state["tally"], self.device), {}
        self.graph = None
        self._begin_ema()
        if self.ema is not None:
            self.ema.model.load_state_dict(state["ema"])
        if self.health is not None:
            self.health.load(self.stuck)

    def _begin_ema(self) -> None:
        if self.ema is None and (decay := self.config.training.ema_decay):
            self.ema = Ema(self.method.inference_model(self.network), decay)

    def _mark(self) -> None:
        epoch, step = self.position
        if epoch == 0 and step in (*MARKED_STEPS, self.steps):
            self.epoch_metrics.hashes[str(step)] = fingerprint(self.network, self.method)

    def _vector(self) -> Tensor:
        return flat(self.network.parameters())

    def _terms(self, outputs: Outputs, taught: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        smoothing = self.config.training.label_smoothing
        terms = {"ce": self.method.task_loss(outputs, batch, smoothing)}
        if self.needs_teacher:
            assert taught is not None
            terms |= self.method.terms(outputs, taught, batch)
        return terms

    def _scale(self) -> float | Tensor:
        """Return the gradient scaler's factor."""
        if self.health is None or not self.scaler.is_enabled():
            return self.scaler.get_scale()
        self.scaler.scale(torch.zeros((), device=self.device))  # makes it, the first time
        scale = self.scaler._get_scale_async()
        assert scale is not None
        return scale

    def _graded(self) -> list[str]:
        return [name for name, p in self._named_parameters() if p.grad is not None]

    def _apply(self, epoch: int, step: int) -> Tensor:
        """Step the optimizer and return the gradient norm (0 where the scaler skipped)."""
        self.scaler.unscale_(self.optimizer)
        norm = health_checks.gradient_norm(self.parameters)
        finite = bool(torch.isfinite(norm))
        if not self.scaler.is_enabled() and not finite:
            name = health_checks.first_bad_gradient(self._named_parameters())
            raise health_checks.bad_gradient(name, epoch, step)
        self.lap("guards")
        optim.clip(self.parameters, norm, self.config.training.clip_grad_norm)
        before = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        skipped = self.scaler.get_scale() < before or not finite  # a scale of 0 cannot decrease
        self.epoch_metrics.skipped += skipped
        self.stuck = self.stuck + 1 if skipped else 0
        if self.stuck >= health_checks.STUCK_STEPS and not self.keep_going:
            name = health_checks.first_bad_gradient(self._named_parameters())
            raise health_checks.bad_gradient(name, epoch, step, self.stuck)
        return torch.zeros_like(norm) if skipped else norm

    def _keep_best(self, record: Record) -> None:
        chosen_on = "validation" if "validation" in record else "test"
        accuracy = record[chosen_on]["accuracy"]
        if not self.best or accuracy > self.best["accuracy"]:
            weights = self.method.inference_model(self.network).state_dict()
            self.best = {
                "epoch": record["epoch"],
                "accuracy": accuracy,
                "chosen_on": chosen_on,
                "test_accuracy": record["test"]["accuracy"],
                "weights": {name: value.detach().cpu().clone() for name, value in weights.items()},
            }

    def _named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        own = [(f"method.{name}", p) for name, p in self.method.named_parameters()]
        return [*self.network.named_parameters(), *own]


def _counting(weights: dict[str, float]) -> set[str]:
    return {name for name, weight in weights.items() if weight}
