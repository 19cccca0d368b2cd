"""The task's loss: cross entropy with the recipe's label smoothing, for every method."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from methods.pairs import make_batch, make_method, network
from stillhouse import methods
from stillhouse.models.base import Outputs

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 3.0, 1.0]])
LABELS = torch.tensor([0, 2])
OWN_SMOOTHING = {"label_smoothing"}


@pytest.mark.parametrize("name", sorted(set(methods.names()) - OWN_SMOOTHING))
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
def test_targets_are_mixed_with_the_uniform_distribution(name: str, smoothing: float) -> None:
    method = make_method(name, network("ResNetBaby"), network("ResNetBaby"))
    target = (1 - smoothing) * F.one_hot(LABELS, 3) + smoothing / 3
    expected = -(target * F.log_softmax(LOGITS, dim=1)).sum(dim=1).mean()
    batch = replace(make_batch(count=2), labels=LABELS)
    found = method.task_loss(Outputs(LOGITS, {}), batch, smoothing)
    torch.testing.assert_close(found, expected)
