"""Check that steps are finite, on the device, so that no step synchronises.

On a CPU every step is checked immediately (`health_checks`). A GPU records the first bad step
beside the weights. It is read at intervals (`Trainer.check_health`), always before weights are
saved or measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from stillhouse.errors import TrainingError
from stillhouse.training import health_checks
from stillhouse.training.optim import clip

LOOK_STEPS = 50


@dataclass(frozen=True)
class Seen:
    """The result of a look: steps skipped since the last one, and how many in a row until now."""

    skipped: int
    stuck: int


class DeviceHealth:
    """The first bad step since the last reading, with its terms and gradient norms.

    Every tensor keeps its address, so that a CUDA graph can write it. `limit` is the number of
    steps in a row that a gradient scaler may skip.
    """

    def __init__(self, device: torch.device, limit: int) -> None:
        self.limit = limit
        self.index = torch.zeros((), dtype=torch.int64, device=device)
        self.bad = torch.full((), -1, dtype=torch.int64, device=device)
        self.skipped = torch.zeros((), dtype=torch.int64, device=device)
        self.stuck = torch.zeros((), dtype=torch.int64, device=device)
        self.frozen = torch.zeros((), dtype=torch.float32, device=device)
        self.terms = torch.empty(0, dtype=torch.bool, device=device)
        self.norms = torch.empty(0, device=device)
        self.positions: list[tuple[int, int]] = []

    def tensors(self) -> list[Tensor]:
        """Return all tensors that a step changes."""
        numbers = [self.index, self.bad, self.skipped, self.stuck, self.frozen]
        return [*numbers, self.terms, self.norms]

    def apply(
        self,
        optimizer: torch.optim.Optimizer,
        scaler: torch.amp.GradScaler,
        parameters: Sequence[nn.Parameter],
        terms: Sequence[Tensor],
        limit: float | None = None,
    ) -> Tensor:
        """Step the optimizer and return the gradient norm (0 if the scaler skipped the step).

        Gradients are clipped to the norm `limit` (see `optim.clip`).

        Without a scaler, weights stay unchanged from the first bad step on.
        """
        scaler.unscale_(optimizer)
        norms = torch.stack(torch._foreach_norm([p.grad for p in parameters if p.grad is not None]))
        norm: Tensor = torch.linalg.vector_norm(norms)
        clip(parameters, norm, limit)
        finite = torch.isfinite(torch.stack([value.detach() for value in terms]))
        if not scaler.is_enabled():
            self._note(finite, norms, ~(finite.all() & torch.isfinite(norm)))
            optimizer.found_inf = self.frozen  # type: ignore[attr-defined]
            optimizer.step()
            return norm
        before = self._scale(scaler).clone()
        scaler.step(optimizer)
        scaler.update()
        skipped = (self._scale(scaler) < before) | ~torch.isfinite(norm)
        self.skipped += skipped
        self.stuck.copy_((self.stuck + 1) * skipped)
        self._note(finite, norms, ~finite.all() | (self.stuck >= self.limit))
        return torch.where(skipped, torch.zeros_like(norm), norm)

    def read(self, terms: Sequence[str], gradients: Sequence[str]) -> Seen:
        """Reset the record of the steps since the last reading, all of them finite.

        `terms` and `gradients` name the values of the last `apply`. Raises TrainingError naming the
        first bad step and the non-finite value.
        """
        bad, skipped, stuck = torch.stack([self.bad, self.skipped, self.stuck]).tolist()
        if bad >= 0:
            raise self._error(self.positions[bad], terms, gradients)
        self.index.zero_()
        self.skipped.zero_()
        self.positions.clear()
        return Seen(skipped, stuck)

    def load(self, stuck: int) -> None:
        """Reset after `stuck` skipped steps."""
        for value in (self.index, self.skipped, self.frozen):
            value.zero_()
        self.bad.fill_(-1)
        self.stuck.fill_(stuck)
        self.positions.clear()

    def _note(self, finite: Tensor, norms: Tensor, bad: Tensor) -> None:
        if self.terms.shape != finite.shape or self.norms.shape != norms.shape:
            self.terms, self.norms = torch.ones_like(finite), torch.zeros_like(norms)
        first = bad & (self.bad < 0)
        self.bad.copy_(torch.where(first, self.index, self.bad))
        self.terms.copy_(torch.where(first, finite, self.terms))
        self.norms.copy_(torch.where(first, norms, self.norms))
        self.frozen.copy_(self.bad >= 0)
        self.index += 1

    def _error(
        self, position: tuple[int, int], terms: Sequence[str], gradients: Sequence[str]
    ) -> TrainingError:
        epoch, step = position
        for name, good in zip(terms, self.terms.tolist(), strict=True):
            if not good:
                return health_checks.bad_term(name, epoch, step)
        finite = torch.isfinite(self.norms).tolist()
        found = (name for name, good in zip(gradients, finite, strict=True) if not good)
        stuck = int(self.stuck) if int(self.stuck) >= self.limit else 0
        return health_checks.bad_gradient(next(found, None), epoch, step, min(stuck, self.limit))

    @staticmethod
    def _scale(scaler: torch.amp.GradScaler) -> Tensor:
        scale = scaler._get_scale_async()
        assert scale is not None  # `unscale_` has made it
        return scale
