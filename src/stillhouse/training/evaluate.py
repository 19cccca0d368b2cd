"""Measuring a network: the one evaluator of the loop, the hand-over and the extractor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stillhouse.data.base import Batch

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Evaluation:
    """`logits` (n, classes) float32 and `labels` (n,), both on the CPU, in row order."""

    logits: Tensor
    labels: Tensor

    @property
    def predictions(self) -> Tensor:
        """The predicted classes (n,)."""
        return self.logits.argmax(dim=1)

    @property
    def accuracy(self) -> float:
        """Percentage of rows predicted right, from an exact count."""
        return 100.0 * int((self.predictions == self.labels).sum()) / len(self.labels)

    @property
    def loss(self) -> float:
        """Mean cross entropy, in nats."""
        return float(F.cross_entropy(self.logits, self.labels))


@torch.no_grad()
def evaluate(
    network: nn.Module, batches: Iterable[Batch], beat: Callable[[], None] = lambda: None
) -> Evaluation:
    """Run a network in eval mode and float32 over batches; its mode is restored."""
    training = network.training
    network.eval()
    logits, labels = [], []
    for batch in batches:
        logits.append(network(batch.images).logits.float().cpu())
        labels.append(batch.labels.cpu())
        beat()
    network.train(training)
    return Evaluation(torch.cat(logits), torch.cat(labels))


def summarise(evaluation: Evaluation, teacher: Evaluation | None) -> dict[str, float]:
    """What an epoch's record keeps: accuracy (%), CE (nats), distinct predictions, and fidelity.

    With a teacher: `agreement`, the percentage of equal predictions, and `kl`, the mean
    KL(teacher || student) at T = 1 (Stanton et al. 2021, arXiv:2106.05945).
    """
    summary = {
        "accuracy": evaluation.accuracy,
        "ce": evaluation.loss,
        "classes_predicted": len(set(evaluation.predictions.tolist())),
    }
    if teacher is not None:
        same = int((evaluation.predictions == teacher.predictions).sum())
        summary["agreement"] = 100.0 * same / len(evaluation.labels)
        log_p = F.log_softmax(evaluation.logits, dim=1)
        log_q = F.log_softmax(teacher.logits, dim=1)
        summary["kl"] = float(F.kl_div(log_p, log_q, reduction="batchmean", log_target=True))
    return summary
