"""One network in training: its weights, its method, its optimizer and how far it is."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from stillhouse.config.schema import RunConfig
from stillhouse.data.base import Batch
from stillhouse.errors import TrainingError
from stillhouse.methods.base import Method
from stillhouse.methods.objective import coefficients
from stillhouse.models.base import Network, Outputs
from stillhouse.seeding import reseed
from stillhouse.training import guard
from stillhouse.training.fingerprint import fingerprint
from stillhouse.training.optim import learning_rate, make_optimizer, set_rate
from stillhouse.training.precision import autocast, full_precision, make_scaler
from stillhouse.training.tally import Tally

Record = dict[str, Any]
MARKED_STEPS = (0, 1, 10, 100)  # of the first epoch: what `verify` compares


class Trainee:
    """Everything that one run changes while it trains; no files.

    `position` is (epoch, step), both from 0, of the step it takes next; `records` holds one
    record per finished epoch, `predicted` what the last one predicted for every test image. With
    `keep_going` it trains on where it is seen to learn nothing.
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
        groups = method.parameter_groups()
        self.optimizer = make_optimizer(config.training, self.parameters, groups)
        self.scaler = make_scaler(config.training.precision, device)
        self.position = (0, 0)
        self.records: list[Record] = []
        self.best: dict[str, Any] = {}
        self.predicted: dict[str, Tensor] = {}
        self.stuck = 0
        self.tally = Tally(self._vector())

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.position[0] >= self.config.training.epochs

    def step(self, batch: Batch, taught: Outputs | None) -> None:
        """One optimizer step. Draws made by the network or the method depend on the position.

        Raises TrainingError if a term or a gradient is not finite.
        """
        config, training, (epoch, step) = self.config, self.config.training, self.position
        self._mark()
        set_rate(self.optimizer, training, epoch, step, self.steps)
        reseed("forward", config.seed, epoch, step)
        with autocast(training.precision, self.device):
            outputs = self.network(batch.images)
        reseed("draw", config.method, config.seed, epoch, step)
        with full_precision(self.device):
            terms = self._terms(outputs.float(), taught, batch)
            weights = self.method.weights(self.coefficients, epoch, training.epochs)
            weighted = {name: weights[name] * terms[name] for name in terms if weights[name]}
            total = torch.stack(list(weighted.values())).sum()
        guard.check_terms(terms, epoch, step)
        if step == 0 and self.needs_teacher:
            self.tally.balance = self._gradient_balance(weighted)
        self.optimizer.zero_grad()
        torch.autograd.backward(self.scaler.scale(total))
        norm = self._apply(epoch, step)
        right = (outputs.logits.argmax(dim=1) == batch.labels).double().mean() * 100
        values = {**terms, "total": total, "accuracy": right, "gradient_norm": norm}
        self.tally.add(values, len(batch.labels))
        self.position = (epoch, step + 1)
        self._mark()

    def end_epoch(self, measured: Record, timing: Record) -> Record:
        """Close the epoch with what was measured (`test`, `validation`) and return its record."""
        epoch, training = self.position[0], self.config.training
        means = self.tally.means()
        record = {
            "epoch": epoch + 1,
            "lr": learning_rate(training, epoch, self.steps - 1, self.steps),
            "train": means,
            **measured,
            "weights": self.method.weights(self.coefficients, epoch, training.epochs),
            "gradients": {"norm": means.pop("gradient_norm"), **self.tally.balance},
            "update_ratio": self.tally.update_ratio(self._vector()),
            "scaler": {"scale": self.scaler.get_scale(), "skipped": self.tally.skipped},
            **({"hashes": self.tally.hashes} if self.tally.hashes else {}),
            "time": timing,
        }
        self.records.append(record)
        self._keep_best(record)
        self.position = (epoch + 1, 0)
        self.tally = Tally(self._vector())
        return record

    def check_progress(self, chance: float) -> None:
        """Raise TrainingError if the epochs so far show that nothing is being learnt.

        `chance` is the test accuracy (%) of guessing. Epochs of warm-up, and of an earlier phase
        of the method, in which other terms count than at the end, are not judged.
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
        guard.check_progress(judged, training.epochs, self.steps, chance)

    def state(self) -> dict[str, Any]:
        """Everything a resumed run needs, as tensors and plain values."""
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
            "tally": self.tally.state(),
        }

    def load(self, state: dict[str, Any]) -> None:
        """Continue from a `state`, bit for bit."""
        epoch, step = state["position"]
        self.position = (epoch, step)
        self.network.load_state_dict(state["network"])
        self.method.load_state_dict(state["method"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
        self.records = json.loads(state["records"])
        self.best = state["best"]
        self.predicted = state["predicted"]
        self.stuck = state["stuck"]
        self.tally = Tally.load(state["tally"], self.device)

    def _mark(self) -> None:
        epoch, step = self.position
        if epoch == 0 and step in (*MARKED_STEPS, self.steps):
            self.tally.hashes[str(step)] = fingerprint(self.network, self.method)

    def _vector(self) -> Tensor:
        return _flat(self.network.parameters())

    def _terms(self, outputs: Outputs, taught: Outputs | None, batch: Batch) -> dict[str, Tensor]:
        smoothing = self.config.training.label_smoothing
        terms = {"ce": self.method.task_loss(outputs, batch, smoothing)}
        if self.needs_teacher:
            assert taught is not None
            terms |= self.method.terms(outputs, taught, batch)
        return terms

    def _gradient_balance(self, weighted: dict[str, Tensor]) -> dict[str, float]:
        """Gradient norms over the network of weighted CE and of all other terms; their cosine.

        A value that overflows, as under a scaler that has not settled, is left out; so is
        everything where no other term counts.
        """
        scale, parameters = self.scaler.get_scale(), list(self.network.parameters())
        others = [value for name, value in weighted.items() if name != "ce"]
        if not others:
            return {}
        distilled = torch.stack(others).sum()
        vectors = []
        for part in (weighted.get("ce", distilled * 0), distilled):
            gradients = torch.autograd.grad(
                part * scale, parameters, retain_graph=True, materialize_grads=True
            )
            vectors.append(_flat(gradients).double() / scale)
        ce, kd = vectors
        cosine = torch.dot(ce, kd) / (ce.norm() * kd.norm()).clamp_min(torch.finfo(ce.dtype).tiny)
        found = {"ce": float(ce.norm()), "kd": float(kd.norm()), "cosine": float(cosine)}
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def _apply(self, epoch: int, step: int) -> Tensor:
        """Step the optimizer and return the gradient norm (0 where the scaler skipped)."""
        self.scaler.unscale_(self.optimizer)
        norm = guard.gradient_norm(self.parameters)
        finite = bool(torch.isfinite(norm))
        if not self.scaler.is_enabled() and not finite:
            name = guard.first_bad_gradient(self._named_parameters())
            raise TrainingError(
                f"the gradient of {name} is not finite at epoch {epoch} step {step}",
                code="divergence",
            )
        before = self.scaler.get_scale()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        skipped = self.scaler.get_scale() < before or not finite  # a scale of 0 falls no more
        self.tally.skipped += skipped
        self.stuck = self.stuck + 1 if skipped else 0
        if self.stuck >= guard.STUCK_STEPS and not self.keep_going:
            name = guard.first_bad_gradient(self._named_parameters())
            raise TrainingError(
                f"the gradient scaler skipped {self.stuck} steps in a row up to epoch {epoch} "
                f"step {step}: the gradient of {name} is not finite",
                code="optimizer-never-stepped",
            )
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


def _flat(tensors: Iterable[Tensor]) -> Tensor:
    return torch.cat([tensor.detach().reshape(-1) for tensor in tensors])
