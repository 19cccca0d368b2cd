"""Evaluate a network: the only evaluator of the loop, of loaded teachers and of the extractor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stillhouse.data.base import Batch

EVALUATION_BATCH = 256
ECE_BINS = 15


@dataclass(frozen=True)
class Evaluation:
    """`logits` (n, classes) float32 and `labels` (n,), both on the CPU, in row order.

    `layers` are the features that were asked for, (n, channels) float32.
    """

    logits: Tensor
    labels: Tensor
    layers: dict[str, Tensor] = field(default_factory=dict)

    @property
    def predictions(self) -> Tensor:
        """Return the predicted classes (n,)."""
        return self.logits.argmax(dim=1)

    @property
    def accuracy(self) -> float:
        """Return the percentage of correct predictions, from an exact count."""
        return 100.0 * int((self.predictions == self.labels).sum()) / len(self.labels)

    @property
    def loss(self) -> float:
        """Return the mean cross entropy in nats."""
        return float(F.cross_entropy(self.logits, self.labels))

    @property
    def ece(self) -> float:
        """Return the expected calibration error in percent (see `calibration_error`)."""
        return calibration_error(self.logits, self.labels)

    def rows(self) -> dict[str, Tensor]:
        """Return `predictions` and `labels`, (n,) int16, in row order."""
        found = {"predictions": self.predictions, "labels": self.labels}
        return {name: values.to(torch.int16) for name, values in found.items()}


class Evaluator:
    """Collects what a network in eval mode computes in float32, batch by batch.

    `layers` names the features to collect: the mean over positions of a map, anything flat as it
    is.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str] = ()) -> None:
        self.network = network
        self._logits: list[Tensor] = []
        self._labels: list[Tensor] = []
        self._layers: dict[str, list[Tensor]] = {name: [] for name in layers}

    @torch.no_grad()
    def add(self, batch: Batch) -> None:
        """Compute one batch."""
        outputs = self.network(batch.images)
        self._logits.append(outputs.logits.float())
        self._labels.append(batch.labels)
        for name, collected in self._layers.items():
            collected.append(pooled(outputs.features[name].float()))

    def result(self) -> Evaluation:
        """All batches so far, one after the other."""
        layers = {name: torch.cat(parts).cpu() for name, parts in self._layers.items()}
        return Evaluation(torch.cat(self._logits).cpu(), torch.cat(self._labels).cpu(), layers)


def pooled(feature: Tensor) -> Tensor:
    """The mean of a map (batch, channels, positions...) over its positions: (batch, channels)."""
    positions = tuple(range(2, feature.dim()))
    return feature.mean(dim=positions) if positions else feature


def evaluate(
    network: nn.Module, batches: Iterable[Batch], beat: Callable[[], None] = lambda: None
) -> Evaluation:
    """Run a network in eval mode and float32 over batches, then restore its mode."""
    training, evaluator = network.training, Evaluator(network.eval())
    for batch in batches:
        evaluator.add(batch)
        beat()
    network.train(training)
    return evaluator.result()


def calibration_error(logits: Tensor, labels: Tensor) -> float:
    """Expected calibration error in percent, over 15 bins of equal width in confidence.

    ECE = sum over bins of n_b / n * |accuracy_b - confidence_b|, with the greatest softmax
    probability as confidence and bins open to the left (Guo et al. 2017, arXiv:1706.04599, Eq. 3).
    `logits` (n, classes), `labels` (n,).
    """
    confidence, predicted = F.softmax(logits.double(), dim=1).max(dim=1)
    edges = torch.linspace(0, 1, ECE_BINS + 1, dtype=torch.float64)[1:-1]
    place = torch.bucketize(confidence, edges)
    surplus = confidence - (predicted == labels).double()
    gaps = torch.zeros(ECE_BINS, dtype=torch.float64).index_add_(0, place, surplus)
    return 100.0 * float(gaps.abs().sum()) / len(labels)


def summarise(evaluation: Evaluation, teacher: Evaluation | None) -> dict[str, float]:
    """Return an epoch's measurements: accuracy and ECE (%), CE (nats), distinct predictions,
    fidelity.

    With a teacher: `agreement`, the percentage of equal predictions, and `kl`, the mean KL(teacher
    || student) at T = 1 (Stanton et al. 2021, arXiv:2106.05945).
    """
    summary = {
        "accuracy": evaluation.accuracy,
        "ce": evaluation.loss,
        "classes_predicted": len(set(evaluation.predictions.tolist())),
        "ece": evaluation.ece,
    }
    if teacher is not None:
        same = int((evaluation.predictions == teacher.predictions).sum())
        summary["agreement"] = 100.0 * same / len(evaluation.labels)
        log_p = F.log_softmax(evaluation.logits, dim=1)
        log_q = F.log_softmax(teacher.logits, dim=1)
        summary["kl"] = float(F.kl_div(log_p, log_q, reduction="batchmean", log_target=True))
    return summary
