"""Control: logit distillation from an untrained network of the teacher's architecture.

Its outputs depend on the image but contain nothing learned. Loss and total are those of `logit`.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm as BatchNorm

from stillhouse.data.base import Batch
from stillhouse.errors import ConfigError
from stillhouse.methods.base import Card
from stillhouse.methods.logit import Logit
from stillhouse.models.base import Network, Outputs


class RandomTeacher(Logit):
    """Match the softened class probabilities of a network with random weights.

    Its batch-norm statistics are those of the first batch. Without statistics, each block of a deep
    residual network doubles the variance, and the output is one class with certainty for all
    images.
    """

    label = "Control: random teacher"
    family = "control"
    needs = frozenset({"teacher", "teacher_network"})
    card = Card(
        formula=(
            "kd = T^2 KL(softmax(z_r / T) || softmax(z_s / T)), mean over the batch, z_r "
            "from random weights"
        ),
        layers="logits",
        hazards=(
            (
                "batch-norm statistics are the first batch's; without them a deep network "
                "predicts one class"
            ),
            "every step runs a second network of the teacher's size in float32",
            "its checkpoint holds that network",
        ),
    )

    untrained: Network
    calibrated: Tensor

    def bind_teacher(self, network: Network) -> None:
        """Keep a copy with new random weights. Raises ConfigError if a part cannot be reset."""
        untrained = copy.deepcopy(network).to("cpu")
        untrained.apply(_draw_anew)
        _require_new(network, untrained)
        self.untrained = untrained.requires_grad_(False).eval()
        self.register_buffer("calibrated", torch.tensor(False))
        self._known = False  # so that the buffer is read once, not at every step
        self.register_load_state_dict_post_hook(_forget)  # type: ignore[no-untyped-call]

    def terms(self, student: Outputs, teacher: Outputs, batch: Batch) -> dict[str, Tensor]:
        """Return the term `kd` towards the untrained network."""
        with torch.no_grad():
            if not self._known:
                if not self.calibrated:
                    self._calibrate(batch.images)
                self._known = True
            random: Outputs = self.untrained(batch.images)
        return {"kd": self.match(student.logits, random.logits)}

    def train(self, mode: bool = True) -> RandomTeacher:
        """Set the mode of all parts except the untrained network, which stays in eval mode."""
        super().train(mode)
        self.untrained.eval()
        return self

    def _calibrate(self, images: Tensor) -> None:
        norms = [m for m in self.untrained.modules() if isinstance(m, BatchNorm)]
        for norm in norms:
            norm.momentum = 1.0
        self.untrained.train()
        self.untrained(images)
        self.untrained.eval()
        self.calibrated.fill_(True)


def _forget(module: nn.Module, keys: object) -> None:
    """Reset the cached flag, so that the loaded buffer is read."""
    assert isinstance(module, RandomTeacher)
    module._known = False


def _draw_anew(module: nn.Module) -> None:
    """Reset a module whose children are reset already."""
    reset = getattr(module, "reset_parameters", None)
    if callable(reset):
        reset()
    elif [*module.parameters(recurse=False)]:
        kind = type(module).__name__
        raise ConfigError(
            f"random_teacher cannot reset the weights of a {kind}",
            f"give {kind} a method reset_parameters()",
        )


def _require_new(trained: Network, untrained: Network) -> None:
    """Raise ConfigError if a reset kept weights; constants, as in norms, may stay."""
    kept = dict(trained.named_parameters())
    for name, value in untrained.named_parameters():
        if torch.equal(value, kept[name].cpu()) and value.min() < value.max():
            raise ConfigError(
                f"random_teacher: {name} still has its trained weights after reset_parameters()",
                "reset it in reset_parameters() of the module that holds it",
            )
